"""PPO, in its own environment: how that is asked for, and where it is made, a reward model and two steps of PPO with
it.
"""

import os
from pathlib import Path

import pytest
from conftest import SLOW, ended

from studio.core import locations
from studio.core.i18n import Problem
from studio.core.jobs import Jobs
from studio.train import runs
from studio.train.execution.environments import Environments
from studio.train.runs import adapters

TINY = {"max_steps": 2, "max_samples": 8, "per_device_train_batch_size": 1, "cutoff_len": 32, "save_strategy": "no"}


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


@pytest.mark.skipif(not SLOW, reason="PPO's environment takes 7 GB; STUDIO_SLOW_TESTS=1 makes it, in STUDIO_ENGINES")
@pytest.mark.timeout(3600)
def test_it_trains_with_a_reward_model(trainer):
    trainer.environments = Environments(trainer.jobs, Path(os.environ.get("STUDIO_ENGINES", locations.environments())))
    if not trainer.environments.is_ready("ppo"):
        job = trainer.environments.make("ppo")
        assert trainer.jobs.wait(job.id, 3000).state == "finished", job.error
    reward = trainer.start(TINY | {"stage": "rm", "dataset": "preference"}, {}, "worker")
    assert ended(reward).state == "finished"
    assert adapters.reward_models(trainer.workspace, "SmolLM2-135M-Instruct") == [reward.name]
    wish = TINY | {
        "stage": "ppo",
        "dataset": "sft_en_zh",
        "reward_model": reward.name,
        "max_new_tokens": 4,
        "ppo_epochs": 1,
        "save_steps": 0.9,
    }
    assert trainer.preview(wish).command.startswith(
        str(trainer.environments.python("ppo").with_name("llamafactory-cli"))
    )
    run = trainer.start(wish, {})
    status = ended(run)
    assert status.state == "finished", status.error
    assert [point[0] for point in status.series["loss"]] == [1, 2]
    assert len(status.series["reward"]) == 2
    assert "step" not in status.series
    assert run.info().versions["trl"] == "0.9.6" != reward.info().versions["trl"]
    assert runs.has_weights(run.folder)
    assert run.checkpoints() == ["checkpoint-2"], "a share of the run, not every step"
    assert adapters.on(trainer.workspace, "SmolLM2-135M-Instruct") == [run.name, f"{run.name}@checkpoint-2"]
