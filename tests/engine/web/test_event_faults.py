"""What goes wrong in an event of the page is one sentence, as text, that names nothing of the workspace."""

import gradio as gr
import pytest
from apart import run_apart
from gradio.state_holder import SessionState

from studio.core.i18n import LANGUAGES, Words
from studio.web.event_faults import MARK, install_fault_sentences
from studio.web.form_fields import install_offered_choices, keep_offered

HOSTILE = "\"'><img src=x onerror=window.pwned=1>"


def told(words: Words, work, *values, **more) -> str:
    """Return what the notice of gradio's says when an event gets these values."""
    with gr.Blocks() as blocks:
        fields = [gr.Dropdown(["a", HOSTILE], value="a"), gr.Number(1, minimum=0)]
        out = gr.HTML()
        gr.Button().click(work, fields, out, **{"api_name": False} | more)
    install_fault_sentences(blocks, words)
    with pytest.raises(gr.Error) as raised:
        run_apart(blocks.process_api(0, list(values)))
    assert raised.value.message.startswith(MARK), "the page takes it for a notice of gradio's own"
    return raised.value.message.removeprefix(MARK)


def fails(*_):
    raise ValueError(HOSTILE)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("values", [(HOSTILE + "gone", 1), ("gone", 1), (["a", "gone"], 1), ("a", -5)])
def test_a_choice_that_is_gone_names_no_other(language, values):
    words = Words(language)
    assert told(words, lambda *_: "", *values) == words("app.event_refused")


def test_a_fault_of_ours_is_told_without_its_text():
    assert told(Words("en"), fails, "a", 1) == Words("en")("app.event_failed", kind="ValueError")


def test_an_endpoint_tells_in_its_own_way():
    with pytest.raises(ValueError, match="onerror"), gr.Blocks() as blocks:
        gr.api(lambda: fails(), api_name="x")
        install_fault_sentences(blocks, Words("en"))
        run_apart(blocks.process_api(0, []))


@pytest.mark.parametrize(("is_many", "said"), [(True, ["a", "gone"]), (False, "gone"), (False, "a"), (True, [])])
def test_what_stands_in_a_box_whose_choices_change_is_taken(is_many, said):
    """An answer that was asked for before it came into the box had given the page choices without it."""
    with gr.Blocks() as blocks:
        box, fixed, out = gr.Dropdown(["a", "gone"], multiselect=is_many), gr.Dropdown(["x"]), gr.Textbox()
        keep_offered(box, lambda: ["a"])
        gr.Button().click(lambda value, _: repr(value), [box, fixed], out, api_name=False)
    install_fault_sentences(blocks, Words("en"))
    install_offered_choices(blocks)
    state, event = SessionState(blocks), next(one for one in blocks.fns.values() if one.outputs == [out])
    looked_up = next(one for one in blocks.fns.values() if box in one.outputs)
    run_apart(blocks.process_api(looked_up, [None], state=state))
    assert [value for _, value in state[box._id].choices] == ["a"]
    answer = run_apart(blocks.process_api(event, [said, "x"], state=state))
    assert answer["data"] == [repr(said)]
    with pytest.raises(gr.Error):
        run_apart(blocks.process_api(event, [said, "y"], state=state))
    with pytest.raises(gr.Error):
        run_apart(blocks.process_api(event, [[1, {"a": 2}], "x"], state=state))
    assert [value for _, value in box.choices] == ["a", "gone"], "other pages keep their own"
