"""What the page shows of the trash: what each thing was, in words."""

import ast
from functools import cache

import pytest
from conftest import ROOT

from studio.core.i18n import LANGUAGES, Words
from studio.core.storage.trash import Trash
from studio.core.workspace import Workspace
from studio.trash.page import context
from studio.web.html import render


@cache
def kinds() -> list[str]:
    """Return the kinds under which the studio puts things into the trash, as its code has them."""
    calls = [
        node
        for path in sorted((ROOT / "studio").rglob("*.py"))
        if "trash" in (text := path.read_text(encoding="utf-8")).lower()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "put"
    ]
    named = [call.args[1] for call in calls if len(call.args) > 2]
    return sorted({one.value for one in named if isinstance(one, ast.Constant) and isinstance(one.value, str)})


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_in_the_trash_is_called_what_it_was(tmp_path, language):
    workspace, words = Workspace(tmp_path), Words(language)
    workspace.models.mkdir()
    trash = Trash(workspace)
    assert len(kinds()) >= 10
    for kind in kinds():
        (workspace.models / "it").touch()
        trash.put(workspace.models / "it", kind, "it")
    html = render(context.TEMPLATE, words, context.trash(workspace))
    assert words("trash.kind_unknown") not in html
    assert all(words(f"trash.kind_{kind}") in html for kind in kinds())
    (workspace.models / "it").touch()
    trash.put(workspace.models / "it", "of a later release", "it")
    assert words("trash.kind_unknown") in render(context.TEMPLATE, words, context.trash(workspace))
