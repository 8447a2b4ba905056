"""What the page tells and asks is told and asked by the page: no window of the browser's own, no notice of gradio's."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
# A call by its bare name or on the window; a method of another object (`window.studio.ask`) is none.
NATIVE = re.compile(r"(?:(?<![\w.])|\bwindow\.)(?:prompt|confirm|alert)\(")
NOTICES = {"Warning", "Info", "Success"}


def test_no_script_opens_a_window_of_the_browsers_own():
    wrong = [
        f"{path.name}:{number}: {line.strip()}"
        for path in sorted((ROOT / "assets").glob("*.js"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if NATIVE.search(line.split("//")[0])
    ]
    assert not wrong, "\n".join(wrong)


def test_no_event_shows_a_notice_of_gradios():
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sorted((ROOT / "studio").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in NOTICES and getattr(node.value, "id", "") == "gr"
    ]
    assert not wrong, "\n".join(wrong)
