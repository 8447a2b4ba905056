"""What stands on the page before anything is asked: whole HTML, no piece of which was escaped on its way."""

import gradio as gr
import pytest
from conftest import STARTER, new_workspace

from studio import app
from studio.core.i18n import LANGUAGES, Words


@pytest.fixture(scope="module")
def windows(tmp_path_factory) -> dict[str, gr.Blocks]:
    """The page in each language, of a workspace with a model."""
    workspace = new_workspace(tmp_path_factory.mktemp("page") / "workspace")
    return {language: app.window(app.make(workspace), Words(language)) for language in LANGUAGES}


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_markup_of_the_page_is_shown_as_text(windows, language):
    window = windows[language]
    parts = [str(block.value) for block in window.blocks.values() if isinstance(block, gr.HTML) and block.value]
    assert [part for part in parts if "&lt;" in part] == []
    assert sum('data-live="' in part for part in parts) > 20


def test_nothing_that_is_entered_is_dropped_while_an_answer_is_under_way(windows):
    """gradio drops an event of a field whose last one is still being answered, where it is not told to ask again."""
    entering = [
        event for event in windows["en"].fns.values() if {"input", "change"} & {name for _, name in event.targets}
    ]
    assert len(entering) > 20
    assert [event.fn.__qualname__ for event in entering if event.trigger_mode != "always_last"] == []


def test_no_event_of_the_page_waits_in_a_queue(windows):
    """gradio shuts the stream of its queue after each answer: what is asked at that moment is never answered, and what
    asked takes no other press.
    """
    asked = [event for event in windows["en"].fns.values() if event.api_name is False]
    assert len(asked) > 60
    assert [event.fn.__qualname__ for event in asked if event.queue is not False] == []


def test_no_event_of_the_page_is_the_change_of_a_state(windows):
    """gradio tells of that in its queue alone: what was to follow never came."""
    blocks = windows["en"].blocks
    asked = [event for event in windows["en"].fns.values() if event.api_name is False]
    assert [
        one.fn.__qualname__ for one in asked if any(isinstance(blocks.get(id), gr.State) for id, _ in one.targets)
    ] == []


def test_every_list_of_models_is_looked_up_when_a_person_goes_to_it(windows):
    """A page is built once, and models and runs come later."""
    window = windows["en"]
    looked_up = {id for event in window.fns.values() for id, name in event.targets if name == "focus"}
    lists = [one for one in window.blocks.values() if isinstance(one, gr.Dropdown) and offers(one, STARTER.name)]
    assert len(lists) >= 5
    assert [one.elem_id for one in lists if one._id not in looked_up] == []


def offers(box: gr.Dropdown, name: str) -> bool:
    return any(name in str(value) for _, value in box.choices)
