"""HTML is made by templates: no page is glued together by hand, so that nothing is escaped by hand."""

import ast

from architecture.source import HTML, files, name, strings, tree

# Where text becomes HTML by rules of its own: the renderer, and Markdown, formulas and tokens in the chat.
BY_HAND = ("web/", "chat/render/")
CALLS = {"escape", "Markup"}


def outside() -> list:
    return [path for path in files() if not name(path).startswith(BY_HAND)]


def test_nothing_is_escaped_by_hand():
    wrong = [
        f"{name(path)}:{node.lineno}"
        for path in outside()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and (getattr(node.func, "id", "") in CALLS or ast.unparse(node.func) in ("html.escape",))
    ]
    assert not wrong, "\n".join(wrong)


def test_no_html_in_strings():
    wrong = [
        f"{name(path)}:{line}: {text[:60]!r}" for path in outside() for line, text in strings(path) if HTML.search(text)
    ]
    assert not wrong, "\n".join(wrong)


def test_templates_escape_all():
    wrong = [
        f"{path.name}: {word}"
        for path in (files()[0].parents[0]).rglob("*.html")
        for word in ("| safe", "|safe", "autoescape false")
        if word in path.read_text(encoding="utf-8")
    ]
    assert not wrong, "\n".join(wrong)


def test_html_is_seen():
    assert HTML.search("<p class='x'>") and HTML.search("</div>") and not HTML.search("a < b and <run>")
