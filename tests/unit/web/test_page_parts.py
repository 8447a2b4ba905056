"""What stands on the page before anything is asked: whole HTML, no piece of which was escaped on its way."""

import gradio as gr
import pytest

from studio import app
from studio.core.i18n import LANGUAGES, Words
from studio.core.workspace import Workspace


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_markup_of_the_page_is_shown_as_text(tmp_path, language):
    window = app.window(app.make(Workspace(tmp_path)), Words(language))
    parts = [str(block.value) for block in window.blocks.values() if isinstance(block, gr.HTML) and block.value]
    assert [part for part in parts if "&lt;" in part] == []
    assert sum('data-live="' in part for part in parts) > 20


def test_nothing_that_is_entered_is_dropped_while_an_answer_is_under_way(tmp_path):
    """gradio drops an event of a field whose last one is still being answered, where it is not told to ask again."""
    window = app.window(app.make(Workspace(tmp_path)), Words("en"))
    entering = [event for event in window.fns.values() if {"input", "change"} & {name for _, name in event.targets}]
    assert len(entering) > 20
    assert [event.fn.__qualname__ for event in entering if event.trigger_mode != "always_last"] == []
