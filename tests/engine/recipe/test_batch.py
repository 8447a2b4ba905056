"""The largest batch that fits, found by real steps."""

import json
import threading

import pytest
from conftest import SHORT, slow, wait_for

from studio.core.device_lease import DeviceLease
from studio.core.i18n import Problem, Words
from studio.core.jobs import Jobs
from studio.train.execution import batch_search
from studio.train.page.form import batch_result
from studio.train.page.form.tab_answers import Answers

SMALL = {"cutoff_len": 16}


@slow
def test_it_doubles_until_told_to_stop(workspace):
    accelerator, jobs = DeviceLease(), Jobs(workspace)
    job = jobs.start(
        "batch",
        "batch.title",
        {},
        work=lambda job: batch_search.find(workspace, accelerator, SMALL, job, most=2).model_dump(),
    )
    wait_for(lambda: not job.active, seconds=200)
    assert job.state == "finished", job.error
    assert job.result["batch"] == 2 and job.result["reason"] == "enough"
    assert [one["batch"] for one in job.result["tried"]] == [1, 2]
    assert all(one["seconds"] > 0 and one["gib"] > 0.2 for one in job.result["tried"])
    assert accelerator.holders() == []


def test_it_does_not_start_beside_a_run(workspace):
    accelerator, jobs = DeviceLease(), Jobs(workspace)
    accelerator.acquire("training", 1)
    with pytest.raises(Problem) as told:
        batch_search.find(workspace, accelerator, SMALL, jobs.start("batch", "batch.title", {}, work=lambda job: None))
    assert "training" in str(told.value)


FOUND = {"batch": 4, "tried": [{"batch": 4, "seconds": 1.5, "gib": 2.5}], "reason": "enough"}
OTHERS = [
    {"model_name_or_path": "other"},
    {"stage": "pt"},
    {"finetuning_type": "full"},
    {"quantization_bit": 4},
    {"cutoff_len": 32},
]


@pytest.mark.parametrize("error", [None, Problem("batch.none")])
@pytest.mark.parametrize("change", OTHERS)
def test_what_was_found_stands_at_the_recipe_that_it_is_of_alone(workspace, change, error):
    recipe = {"model_name_or_path": "mine", "stage": "sft", "finetuning_type": "lora", "cutoff_len": 16}

    def of(recipe):
        return batch_result.as_text(batch_search.subject(recipe))

    def work(job):
        goes_on.wait()
        if error:
            raise error
        return FOUND

    jobs, goes_on = Jobs(workspace), threading.Event()
    job = jobs.start("batch", "batch.title", batch_search.subject(recipe), work=work)
    assert batch_result.batch_result(jobs, of(recipe | change)).goes_on  # it can be stopped from anywhere
    goes_on.set()
    file = workspace.saves / ".jobs" / f"{job.id}.json"
    wait_for(lambda: file.exists() and json.loads(file.read_text())["state"] in ("finished", "failed"))
    for seen in (jobs, Jobs(workspace)):  # after a restart too
        assert batch_result.batch_result(seen, of(recipe | change)) is None
        assert batch_result.batch_result(seen, of(recipe | {"seed": 1})).job == job.id
    assert batch_result.batch_result(jobs, "") is None


def test_a_search_is_of_what_stands_in_the_form_and_in_a_script(trainer):
    boxes = {"model_name_or_path": SHORT["model_name_or_path"], "dataset": ["identity_en"], "stage": "sft"}
    boxes |= {"reward_model": "", "cutoff_len": 16}
    answers = Answers(trainer, Words("en"), list(boxes))
    overrides = ["", "lora", *boxes.values(), "{}"]
    *_, shown = answers.on_preview("", "in-process", *overrides)
    assert answers.on_find_batch(*overrides) == ""
    by_script = trainer.find_batch({"model_name_or_path": SHORT["model_name_or_path"], "cutoff_len": 16})
    for job in trainer.jobs.all("batch"):
        trainer.jobs.cancel(job.id)
    (of_form, of_script) = (one.facts for one in trainer.jobs.all("batch"))
    assert of_form == of_script == by_script.facts
    assert batch_result.region_of(of_form) == shown
    wait_for(lambda: not any(job.active for job in trainer.jobs.all("batch")))


@pytest.mark.parametrize("stage", ["pt", "sft", "dpo", "kto"])
def test_rows_fill_the_cutoff_in_every_stage(tmp_path, stage):
    batch_search._make_data(tmp_path / "data", {"stage": stage, "cutoff_len": 50}, rows=4)
    from studio.datasets.registry import dataset_info

    found = dataset_info.dataset(tmp_path / "data", "filled")
    assert found.problem is None and found.rows == 4
