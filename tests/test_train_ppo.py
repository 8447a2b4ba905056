"""PPO, in its own environment: how that is asked for, and where it is made, a reward model and two steps of PPO with it."""

import os

import pytest
from conftest import wait_for

from studio.accelerator import Accelerator
from studio.interface.language import Problem
from studio.jobs import Jobs
from studio.train import runs
from studio.train.environments import Environments
from studio.train.trainer import Trainer

TINY = {"max_steps": 2, "max_samples": 8, "per_device_train_batch_size": 2, "cutoff_len": 64, "save_strategy": "no"}


@pytest.fixture
def trainer(workspace):
    return Trainer(workspace, Accelerator())


def ended(run):
    wait_for(lambda: runs.status(run).state not in runs.ACTIVE, seconds=280, every=0.2)
    return runs.status(run)


def test_an_environment_that_is_not_made_is_asked_for_and_leaves_no_run(trainer, workspace, tmp_path):
    trainer.environments = Environments(Jobs(workspace), tmp_path / "engines")
    with pytest.raises(Problem) as told:
        trainer.start(TINY | {"stage": "ppo", "dataset": "sft_en_zh"}, {})
    assert told.value.key == "environments.missing"
    assert runs.all_runs(workspace) == []


def test_a_cut_off_environment_is_never_used(workspace, tmp_path):
    python = tmp_path / "ppo" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    with pytest.raises(Problem, match="not made yet"):
        Environments(Jobs(workspace), tmp_path).python("ppo")


@pytest.mark.timeout(3600)
def test_it_trains_with_a_reward_model(trainer):
    if not trainer.environments.is_ready("ppo"):
        if not os.environ.get("STUDIO_SLOW_TESTS"):
            pytest.skip("PPO's environment (7 GB) is not made; STUDIO_SLOW_TESTS=1 makes it")
        job = trainer.environments.make("ppo")
        assert trainer.jobs.wait(job.id, 3000).state == "finished", job.error
    reward = trainer.start(TINY | {"stage": "rm", "dataset": "preference"}, {}, "worker")
    assert ended(reward).state == "finished"
    run = trainer.start(TINY | {"stage": "ppo", "dataset": "sft_en_zh", "reward_model": reward.name, "max_new_tokens": 8}, {})
    status = ended(run)
    assert status.state == "finished", status.error
    assert [point[0] for point in status.series["loss"]] == [1, 2]
    assert len(status.series["reward"]) == 2
    assert runs.has_weights(run.folder)
