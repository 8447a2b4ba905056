"""The best checkpoint, early stopping, keeping the last N: what they need, and what they leave."""

import pytest
from conftest import SHORT, wait_for

from studio.core.device_lease import DeviceLease
from studio.core.i18n import Problem
from studio.train import runs
from studio.train.execution.training_service import TrainingService
from studio.train.runs import checkpoints, events

RECIPE = {"stage": "sft", "save_steps": 0.25, "per_device_train_batch_size": 4}


def refused(**wish) -> Problem:
    with pytest.raises(Problem) as told:
        checkpoints.settled(RECIPE | wish)
    return told.value


def test_what_a_wish_needs_is_filled_in():
    assert (
        checkpoints.settled(
            RECIPE | {"early_stopping_steps": 0, "save_total_limit": 0, "load_best_model_at_end": False}
        )
        == RECIPE
    )
    settled = checkpoints.settled(RECIPE | {"val_size": 0.1, "early_stopping_steps": 3})
    assert (settled["eval_strategy"], settled["eval_steps"], settled["metric_for_best_model"]) == (
        "steps",
        0.25,
        "eval_loss",
    )
    epochs = checkpoints.settled(RECIPE | {"val_size": 0.1, "load_best_model_at_end": True, "save_strategy": "epoch"})
    assert epochs["eval_strategy"] == "epoch" and "eval_steps" not in epochs
    assert checkpoints.settled(
        RECIPE | {"eval_dataset": "a", "load_best_model_at_end": True, "save_steps": 0.3, "eval_steps": 0.1}
    )


def test_what_cannot_be_is_told_at_its_field():
    assert refused(early_stopping_steps=3).facts["field"] == "val_size"
    assert refused(stage="rm", val_size=0.1, load_best_model_at_end=True).key == "checkpoints.not_for_stage"
    assert refused(stage="ppo", val_size=0.1, early_stopping_steps=2).facts["field"] == "early_stopping_steps"
    best = {"val_size": 0.1, "load_best_model_at_end": True}
    for wrong in ({"eval_steps": 0.1}, {"eval_steps": 10}, {"save_steps": 30, "eval_steps": 20}):
        assert refused(**best, **wrong).key == "checkpoints.not_a_multiple"
    for wrong in ({"save_strategy": "no"}, {"save_strategy": "epoch", "eval_strategy": "steps"}):
        assert refused(**best, **wrong).facts["field"] == "save_strategy"


def test_the_best_is_the_lowest_loss_or_the_highest_of_another_metric():
    values = {"checkpoint-1": 2.0, "checkpoint-2": 1.0, "checkpoint-3": 1.0}
    assert checkpoints.best("eval_loss", values) == "checkpoint-2"
    assert checkpoints.best("eval_accuracy", values) == "checkpoint-1"
    assert checkpoints.best("eval_loss", {}) is None


def test_a_run_that_does_not_get_better_ends_early_and_keeps_its_best(workspace):
    wish = SHORT | {
        "max_steps": 8,
        "max_samples": 8,
        "val_size": 0.5,
        "learning_rate": 0.0,
        "plot_loss": False,
        "load_best_model_at_end": True,
        "early_stopping_steps": 2,
        "save_total_limit": 1,
    }
    run = TrainingService(workspace, DeviceLease()).start(wish, {"name": "Xiaoju", "author": "the studio"})
    wait_for(lambda: runs.status(run).state not in runs.ACTIVE, every=0.1)
    status = runs.status(run)
    assert status.state == "finished", status.error
    assert status.step == 3 and run.checkpoints() == ["checkpoint-1"]
    assert checkpoints.best(*checkpoints.measured(run, status)) == "checkpoint-1"
    assert [event["key"] for event in events.read(run.events_file)[0] if event["event"] == "warning"] == [
        "checkpoints.early"
    ]
