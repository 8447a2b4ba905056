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


def test_a_fault_that_is_told_quotes_no_library_by_hand():
    """What a library says comes into a sentence by `core.reasons`, which has it in the language of the page."""
    wrong = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for path in sorted((ROOT / "studio").rglob("*.py"))
        for handler in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(handler, ast.ExceptHandler) and handler.name
        for call in ast.walk(handler)
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "Problem"
        for fact in call.keywords
        if _quotes(fact.value, handler.name)
    ]
    assert not wrong, "\n".join(wrong)


def _quotes(value: ast.expr, error: str) -> bool:
    """Tell whether an expression puts the text of an exception itself into a fact: `str(error)`, `f"{error}"`."""
    return any(
        (isinstance(part, ast.Call) and getattr(part.func, "id", "") == "str" and _is(part.args[0], error))
        or (isinstance(part, ast.FormattedValue) and _is(part.value, error))
        for part in ast.walk(value)
    ) or _is(value, error)


def _is(value: ast.expr, name: str) -> bool:
    return isinstance(value, ast.Name) and value.id == name
