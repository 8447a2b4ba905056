"""A run on a Ray cluster of this machine: two processes on CPUs, started by the test.

Ray is no part of the studio. The test runs where it is installed, or with the Python that STUDIO_RAY_PYTHON names.
"""

import importlib.util
import os
from pathlib import Path

import pytest
from conftest import SHORT, wait_for

from studio.core.device_lease import DeviceLease
from studio.core.i18n import Problem
from studio.train import runs
from studio.train.execution.training_service import TrainingService

PYTHON = os.environ.get("STUDIO_RAY_PYTHON")
INSTALLED = importlib.util.find_spec("ray") is not None


@pytest.mark.skipif(
    not (PYTHON or INSTALLED), reason="Ray is not installed, and STUDIO_RAY_PYTHON names no Python that has it"
)
def test_two_processes_of_a_ray_cluster_train_together(workspace):
    trainer = TrainingService(workspace, DeviceLease())
    run = trainer.start(
        SHORT,
        {"name": "Xiaoju", "author": "the studio", "processes": 2},
        "ray",
        python=Path(PYTHON) if PYTHON else None,
    )
    wait_for(lambda: runs.status(run).state not in runs.ACTIVE, seconds=200)
    status = runs.status(run)
    assert status.state == "finished", status.error
    assert status.facts["processes"] == 2 and status.step == 3
    assert run.checkpoints()[-1] == "checkpoint-3"
    wait_for(lambda: trainer.queue() == [])
    assert not runs.alive(run.info()) and not (run.folder / "ray").exists()


@pytest.mark.skipif(INSTALLED, reason="Ray is installed")
def test_without_ray_it_is_said_how_to_get_it(workspace):
    with pytest.raises(Problem) as told:
        TrainingService(workspace, DeviceLease()).start(SHORT, {}, "ray")
    assert "pip install" in str(told.value)
    assert list(workspace.saves.glob("*/*/*")) == []
