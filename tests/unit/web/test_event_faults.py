"""What goes wrong in an event of the page is one sentence, as text, that names nothing of the workspace."""

import gradio as gr
import pytest
from apart import run_apart

from studio.core.i18n import LANGUAGES, Words
from studio.web.event_faults import MARK, install_fault_sentences

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
