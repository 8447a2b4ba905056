"""What a browser kept of a form is put back only where it fits the field."""

import gradio as gr
import pytest

from studio.core.i18n import Problem, Words
from studio.evaluate.settings import PredictSettings
from studio.web import schema
from studio.web.form_fields import entered_fields, restored, told_by_label

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


@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_is_wrong_is_told_by_the_label_of_its_field(language):
    words = Words(language)
    fields = {"rows": gr.Number(1, label="The rows of each"), "judge": gr.Textbox(label="The judge")}
    for name, options in (("rows", {"rows": -1}), ("rows", {"rows": 2.5}), ("rows", {"rows": "many"})):
        with pytest.raises(Problem) as told, told_by_label(fields):
            schema.taken(PredictSettings, options, "options")
        said = words.tell(told.value)
        assert fields[name].label in said and "options" not in said and name not in said.replace(fields[name].label, "")
    for options in ({"batch": 0}, {"no_such": 1}):  # of no field of this form
        with pytest.raises(Problem, match="options"), told_by_label(fields):
            schema.taken(PredictSettings, options, "options")
    with pytest.raises(ValueError), told_by_label(fields):
        raise ValueError
