"""What the code says to a person: by its key, in both languages, told by the page, and no sentence that nobody says."""

import ast
import re

from architecture.source import ROOT, STUDIO, files, name, tree

from studio.core.i18n import sentences

SHOWN = {"label", "info", "placeholder", "title"}
NOTICES = {"Warning", "Info", "Success"}


def test_every_key_in_the_code_exists_and_no_label_is_written_there():
    english, wrong = sentences("en"), []
    for path in files():
        for call in (node for node in ast.walk(tree(path)) if isinstance(node, ast.Call)):
            called = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            first = call.args[0] if call.args else None
            found = []
            if called in ("words", "Problem") and isinstance(first, ast.Constant) and first.value not in english:
                found = [first]
            if path.name in ("tab.py", "app.py"):
                values = [keyword.value for keyword in call.keywords if keyword.arg in SHOWN]
                found += [one for one in values if isinstance(one, ast.Constant) and isinstance(one.value, str)]
                if called in ("Tab", "Button", "Accordion", "Markdown") and isinstance(first, ast.Constant):
                    found.append(first)
            wrong += [f"{name(path)}:{call.lineno}: {one.value}" for one in found]
    assert wrong == []


# A key that no code writes out is put together from a beginning, a part and perhaps an end: `f"settings.{name}_info"`.
# These are put together otherwise: the settings by LLaMA-Factory's own names (a test of the settings holds them against
# them), a fault of an environment by the part of the words that has it, a method by its name and its bits.
NAMED_ELSEWHERE = ("arguments.", "environments.pip_failed", "environments.check_failed", "models.method_q")


def pieces(node: ast.expr) -> list[str | None]:
    """Return the texts of an f-string or a sum of strings in their order, None for what is known when it runs."""
    if isinstance(node, ast.JoinedStr):
        return [one.value if isinstance(one, ast.Constant) else None for one in node.values]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return pieces(node.left) + pieces(node.right)
    return [node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None]


class Said:
    """What the code says: whole texts, names of fields, and the beginnings and ends of texts that it puts together."""

    def __init__(self, python: list[ast.Module], pages: list[str]):
        self.texts: set[str] = set()
        self.joined: set[tuple[str, str]] = set()
        for module in python:
            for node in ast.walk(module):
                self._see(node)
        for page in pages:  # templates and scripts: `t("guard.title")`, `t("train.stage_" ~ stage)`
            self.texts.update(re.findall(r"""["']([\w./-]+)["']""", page))
            self.joined.update((start, "") for start in re.findall(r"""["']([\w./-]+)["']\s*[~+]""", page))

    def _see(self, node: ast.AST) -> None:
        if isinstance(node, ast.Constant) and isinstance(node.value, str | int):
            self.texts.add(str(node.value).replace("-", "_"))
        elif isinstance(node, ast.keyword) and node.arg:
            self.texts.add(node.arg)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            self.texts.add(node.target.id)
        elif isinstance(node, ast.JoinedStr | ast.BinOp):
            found = pieces(node)
            if None in found and found[0]:
                self.joined.add((found[0], found[-1] or ""))

    def has(self, text: str, joins: int = 3) -> bool:
        """Tell whether the code says a text, whole or put together of parts that it says."""
        return text in self.texts or (
            joins > 0
            and any(
                text.startswith(start)
                and text.endswith(end)
                and len(text) > len(start + end)
                and self.has(text[len(start) : len(text) - len(end)], joins - 1)
                for start, end in self.joined
            )
        )


def unused(python: list[ast.Module], pages: list[str]) -> list[str]:
    """Return the keys of the sentences that neither the code nor a template or script of the page says."""
    said = Said(python, pages)
    return [key for key in sentences("en") if not key.startswith(NAMED_ELSEWHERE) and not said.has(key)]


def test_every_sentence_is_used():
    python = [tree(path) for path in [*files(), ROOT / "launch.py"]]
    pages = [path.read_text(encoding="utf-8") for end in ("html", "js") for path in STUDIO.rglob(f"*.{end}")]
    assert unused(python, pages) == []


def test_a_sentence_that_nobody_says_is_found():
    """The search finds what is unused: a word of its name elsewhere in the code does not count, a comment neither."""

    def said(*python: str) -> list[str]:
        return unused([ast.parse(code) for code in python], [])

    assert "train.start" in said() and "train.start" in said("start = 1  # train.start\ndef start(): pass")
    assert "train.start" not in said("words('train.start')")
    assert "train.start" not in unused([], ["{{ t('train.start') }}"])
    built = "words(f'settings.{state}_info')"
    assert "settings.template_info" in said(built) and "settings.template" in said(built + "\n'template'")
    assert "settings.template_info" not in said(built, "'template'")
    assert "train.state_queued" not in said("words('train.' + state)", "f'state_{of}'", "of = 'queued'")


def test_no_event_shows_a_notice_of_gradios():
    wrong = [
        f"{name(path)}:{node.lineno}"
        for path in files()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and node.attr in NOTICES and getattr(node.value, "id", "") == "gr"
    ]
    assert not wrong, "\n".join(wrong)


def test_a_fault_that_is_told_quotes_no_library_by_hand():
    """What a library says comes into a sentence by `core.reasons`, which has it in the language of the page."""
    wrong = [
        f"{name(path)}:{call.lineno}"
        for path in files()
        for handler in ast.walk(tree(path))
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
