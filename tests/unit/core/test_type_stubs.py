"""The import of gradio writes nothing into the installed packages, and reads no source of its own for it."""

import subprocess
import sys

LOOK = """
import ast
read = []
parse = ast.parse
ast.parse = lambda source, *args, **kwargs: read.append(source) or parse(source, *args, **kwargs)
import studio
import gradio
classes = [source for source in read if isinstance(source, str) and "class Textbox(" in source]
box = gradio.Textbox("a")
assert box.value == "a" and box.change
print(len(classes))
"""


def test_gradio_writes_no_type_stubs():
    told = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, timeout=240, check=True)
    assert told.stdout.strip() == "0", told.stdout
