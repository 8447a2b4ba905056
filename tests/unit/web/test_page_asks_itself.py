"""What the page tells and asks is told and asked by the page: no window of the browser's own, no notice of gradio's."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
# A call by its bare name or on the window; a method of another object (`window.studio.ask`) is none.
NATIVE = re.compile(r"(?:(?<![\w.])|\bwindow\.)(?:prompt|confirm|alert)\(")


def test_no_script_opens_a_window_of_the_browsers_own():
    wrong = [
        f"{path.name}:{number}: {line.strip()}"
        for path in sorted((ROOT / "assets").glob("*.js"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if NATIVE.search(line.split("//")[0])
    ]
    assert not wrong, "\n".join(wrong)
