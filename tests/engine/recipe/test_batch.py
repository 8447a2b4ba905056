"""The largest batch that fits, found by real steps."""

import pytest
from conftest import slow, wait_for

from studio.core.device_lease import DeviceLease
from studio.core.i18n import Problem
from studio.core.jobs import Jobs
from studio.train.execution import batch_search

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


@pytest.mark.parametrize("stage", ["pt", "sft", "dpo", "kto"])
def test_rows_fill_the_cutoff_in_every_stage(tmp_path, stage):
    batch_search._make_data(tmp_path / "data", {"stage": stage, "cutoff_len": 50}, rows=4)
    from studio.datasets.registry import dataset_info

    found = dataset_info.dataset(tmp_path / "data", "filled")
    assert found.problem is None and found.rows == 4
