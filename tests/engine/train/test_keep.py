"""Notes, stars, delete, and starting again with a change."""

import pytest
import yaml
from drawn import drawn

from studio.core.i18n import Problem
from studio.core.jobs import Jobs
from studio.core.storage.trash import Trash
from studio.train import runs
from studio.train.page.runs import run_head, run_list
from studio.train.runs import manage_runs
from studio.train.runs.stored.run_info import RunInfo


@pytest.fixture
def run(workspace):
    run = runs.make(workspace, "m", "lora", "r")
    run.info_file.write_text("{}")
    recipe = {
        "model_name_or_path": "/x/m",
        "dataset": "d",
        "dataset_dir": "/x/data",
        "output_dir": str(run.folder),
        "per_device_train_batch_size": 8,
    }
    run.recipe_file.write_text(yaml.safe_dump(recipe))
    run.say("state", state="failed")
    return run


def test_a_note_and_a_star_stay_with_the_run(workspace, run):
    manage_runs.note(workspace, run.name, " good one ")
    assert manage_runs.star(workspace, run.name) is True
    assert run.info() == RunInfo(note="good one", star=True)
    assert "★" in drawn(run_list, run_list.run_list(workspace))
    assert "good one" in drawn(run_head, run_head.run_head(workspace, run.name))
    assert manage_runs.star(workspace, run.name) is False


def test_a_deleted_run_frees_what_it_said(workspace, run):
    (run.folder / "weights").write_bytes(b"x" * 1000)
    said = manage_runs.size(run)
    assert manage_runs.delete(workspace, Jobs(workspace), run.name) == said >= 1000
    assert not run.folder.exists() and runs.all_runs(workspace) == []
    (item,) = Trash(workspace).list()
    Trash(workspace).restore(item.id)
    assert [one.name for one in runs.all_runs(workspace)] == [run.name] and manage_runs.size(run) == said


def test_a_run_at_work_is_not_deleted(workspace, run):
    run.own()
    run.say("state", state="running")
    with pytest.raises(Problem):
        manage_runs.delete(workspace, Jobs(workspace), run.name)
    assert run.folder.exists()


def test_a_recipe_is_used_again_without_its_places(run):
    assert manage_runs.again(run, {"per_device_train_batch_size": 4}) == {
        "do_train": True,
        "model_name_or_path": "/x/m",
        "dataset": "d",
        "per_device_train_batch_size": 4,
    }


def test_out_of_memory_gets_smaller_step_by_step():
    recipe = {
        "per_device_train_batch_size": 4,
        "gradient_accumulation_steps": 2,
        "finetuning_type": "lora",
        "cutoff_len": 1024,
    }
    changes = []
    for _ in range(4):
        change = manage_runs.remedy("train.out_of_memory", recipe)
        recipe |= change
        changes.append(change)
    assert changes == [
        {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4},
        {"per_device_train_batch_size": 1, "gradient_accumulation_steps": 8},
        {"quantization_bit": 4},
        {"cutoff_len": 512},
    ]
    assert manage_runs.remedy("train.refused", recipe) == {}


def test_the_fault_offers_the_change(workspace, run):
    run.say("error", key="train.out_of_memory", facts={}, sentence="x")
    html = drawn(run_head, run_head.run_head(workspace, run.name))
    assert "Start again with per_device_train_batch_size 4" in html and "train-given:" in html
