"""The form's three starts say all that stands in it beside the recipe, or refuse it at its field."""

import inspect
import json

import gradio as gr
import pytest
from conftest import SHORT, ended

from studio.core.i18n import Words
from studio.train import runs
from studio.train.page.form.tab_answers import Answers
from studio.train.page.form.tab_events import connect
from studio.train.page.form.tab_fields import Form

BOXES = {"model_name_or_path": "", "dataset": ["identity_en"], "stage": "sft", "reward_model": ""}
FIRST = {"on_start": ["", "in-process"], "on_sweep": ["seed: 1, 2", "in-process"], "on_nodes": [2, "10.0.0.5"]}


def answer(trainer, start, probes, devices):
    """Return what a start tells, with a run of one step in the form."""
    boxes = BOXES | {"model_name_or_path": SHORT["model_name_or_path"]}
    further = {name: value for name, value in SHORT.items() if name not in boxes}
    further |= {"max_steps": 1, "plot_loss": False, "save_strategy": "no", "save_steps": 1}
    overrides = ["", "lora", *boxes.values(), json.dumps(further)]
    answers = Answers(trainer, Words("en"), list(boxes))
    return getattr(answers, start)(*FIRST[start], "Xiaoju", "the studio", probes, devices, *overrides)


@pytest.mark.parametrize("start", FIRST)
def test_a_start_takes_the_questions(trainer, workspace, start):
    told = answer(trainer, start, "Who are you?\n\n Where? ", "")
    assert told[0] == ""
    found = runs.all_runs(workspace)
    assert found and all(run.info().probes == ["Who are you?", "Where?"] for run in found)
    for run in found if start != "on_nodes" else []:
        assert ended(run).state == "finished"


@pytest.mark.parametrize("start", FIRST)
@pytest.mark.parametrize("devices", ["0-3", "cuda:1", "first", "1", "0，1", "0、1", "1;2"])
def test_a_start_refuses_devices_that_it_cannot_use_at_their_field(trainer, workspace, monkeypatch, start, devices):
    told = answer(trainer, start, "", devices)
    assert 'data-field="devices"' in told[0]
    assert runs.all_runs(workspace) == []


def test_every_box_beside_the_recipe_is_given_to_every_start(trainer):
    boxes = {"name": "identity-name", "author": "identity-author"} | {
        one: one for one in ("probes", "devices", "executor")
    }
    with gr.Blocks() as page:
        form = Form(trainer, Words("en"))
        connect(form, Answers(trainer, Words("en"), form.keys))
    starts = [one for one in page.fns.values() if one.fn.__name__ in FIRST]
    assert len(starts) == len(FIRST)
    for start in starts:
        asked = list(inspect.signature(start.fn).parameters)[:-1]
        given = [one.elem_id for one in start.inputs[: len(asked)]]
        assert {"name", "author", "probes", "devices"} <= set(asked)
        assert all(f"train-{boxes[name]}" == id for name, id in zip(asked, given, strict=True) if name in boxes)
