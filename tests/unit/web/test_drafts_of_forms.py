"""What a browser kept of a form is put back only where it fits the field."""

import gradio as gr
import pytest

from studio.web.form_fields import entered_fields, restored

SKIPPED = gr.skip()
HOSTILE = [None, True, 3, -1.5, float("nan"), float("inf"), "", "<img>", [], ["a", 1, None], {}, {"a": 1}, 10**400]
FITS = {
    "number": (gr.Number(1), 3),
    "slider": (gr.Slider(0, 1, 0.5), 0.25),
    "tick": (gr.Checkbox(False), True),
    "text": (gr.Textbox(), "text"),
    "list": (gr.Dropdown([("A", "a"), ("B", 0)], value=0), "a"),
    "own": (gr.Dropdown(["a"], value="a", allow_custom_value=True), "of my own"),
    "several": (gr.Dropdown(["a", "b"], value=[], multiselect=True), ["b"]),
    "ticks": (gr.CheckboxGroup(["a", "b"]), ["a"]),
    "one": (gr.Radio(["a", "b"], value="a"), "b"),
}


@pytest.mark.parametrize("name", FITS)
def test_what_fits_is_put_back_and_nothing_else(name):
    box, value = FITS[name]
    assert restored(box, value)["value"] == value
    for odd in HOSTILE:
        made = restored(box, odd)
        if made != SKIPPED:
            box.preprocess(made["value"])  # gradio takes it


def test_a_choice_that_is_gone_is_not_put_back():
    box = gr.Dropdown([("A", "a")], value="a")
    assert restored(box, "b", [("B", "b")])["value"] == "b"
    assert restored(box, "a", [("B", "b")]) == SKIPPED
    several = gr.Dropdown(["a", "b"], value=[], multiselect=True)
    assert restored(several, ["gone", "b"], ["b", "c"])["value"] == ["b"]


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "[" * 100_000, "1", '"a"'])
def test_what_is_no_draft_is_none(text):
    assert entered_fields(text) == {}
