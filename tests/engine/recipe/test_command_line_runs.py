"""Runs that `llamafactory-cli train` really made: asked, used again, resumed."""

import os
import shutil
import subprocess
import sys
import time

import pytest
from conftest import SMALL, new_workspace, slow, wait_for

from studio.core.device_lease import DeviceLease
from studio.core.jobs import Jobs
from studio.inference import target_names
from studio.train import runs
from studio.train.execution import batch_search
from studio.train.execution.training_service import TrainingService
from studio.train.runs import adapters, manage_runs

RECIPE = """model_name_or_path: models/{model}
stage: sft
do_train: true
finetuning_type: lora
lora_rank: 4
dataset: identity_en
template: chatml
cutoff_len: 64
max_samples: 8
output_dir: saves/{model}/lora/{run}
logging_steps: 1
save_steps: 2
max_steps: 4
per_device_train_batch_size: 1
use_cpu: true
bf16: true
report_to: none
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A workspace with two runs of the command line: one that came to its end, one that was cut off after its
    checkpoint.
    """
    workspace = new_workspace(tmp_path_factory.mktemp("cli") / "workspace")
    (workspace.root / "recipe.yaml").write_text(RECIPE.format(model=SMALL, run="whole"))
    log = workspace.root / "cli.log"
    with open(log, "w") as printed:
        subprocess.run(
            [sys.executable, "-m", "llamafactory.cli", "train", "recipe.yaml"],
            cwd=workspace.root,
            check=True,
            stdout=printed,
            stderr=printed,
            timeout=300,
        )
    whole, cut = (workspace.saves / SMALL / "lora" / name for name in ("whole", "cut"))
    cut.mkdir()
    shutil.copytree(whole / "checkpoint-2", cut / "checkpoint-2")
    lines = (whole / "trainer_log.jsonl").read_text().splitlines()
    (cut / "trainer_log.jsonl").write_text("\n".join(lines[:2]) + "\n")
    for path in (cut / "trainer_log.jsonl", cut / "checkpoint-2" / "trainer_state.json"):
        os.utime(path, (time.time() - 3600,) * 2)
    return workspace


@pytest.fixture(scope="module")
def trainer(made):
    """The one that has the queue of that workspace: of two, one would tidy up what the other is writing."""
    return TrainingService(made, DeviceLease())


def test_it_can_be_asked_and_built_upon(made):
    name = f"{SMALL}/lora/whole"
    (one,) = target_names.resolve(made, [name])
    assert one.adapter == made.saves / name and one.model == made.models / SMALL and one.template
    assert target_names.with_base(made, name) == [SMALL, name]
    assert f"{name}@checkpoint-2" in adapters.on(made, SMALL)
    found = adapters.resolved(made, {"adapter_name_or_path": name})
    assert found["model_name_or_path"] == str(made.models / SMALL)


@slow
def test_the_largest_batch_is_looked_for_on_top_of_it_whatever_else_its_recipe_measures(made):
    jobs = Jobs(made)
    wish = {
        "adapter_name_or_path": f"{SMALL}/lora/whole@checkpoint-2",
        "dataset": "identity_en,sft_en_zh",
        "mix_strategy": "interleave_under",
        "interleave_probs": "0.5,0.5",
        "eval_dataset": "multi_turn,tool_calls",
        "early_stopping_steps": 2,
        "load_best_model_at_end": True,
        "cutoff_len": 16,
        "save_total_limit": 1,
        "max_samples": 2,
    }
    job = jobs.start(
        "batch",
        "batch.title",
        {},
        work=lambda job: batch_search.find(made, DeviceLease(), wish, job, most=1).model_dump(),
    )
    wait_for(lambda: not job.active, seconds=200)
    assert job.state == "finished", job.error
    assert job.result["batch"] == 1


def test_its_recipe_starts_a_new_run(made, trainer):
    wish = manage_runs.again(runs.find(made, f"{SMALL}/lora/whole"), {"max_steps": 1})
    assert trainer.preview(wish).problems == []
    again = trainer.start(wish, {})
    wait_for(lambda: runs.status(again).state not in runs.ACTIVE, seconds=120)
    assert runs.status(again).state == "finished", runs.status(again).error
    assert (again.recipe()["lora_rank"], again.recipe()["lora_alpha"], again.recipe()["learning_rate"]) == (4, 8, 5e-5)


def test_it_goes_on_from_its_checkpoint(made, trainer):
    run = runs.find(made, f"{SMALL}/lora/cut")
    assert run.is_foreign and runs.status(run).state == "interrupted"
    before = runs.status(run).series["loss"]
    run = trainer.resume(run.name, dataset="identity_en")
    wait_for(lambda: runs.status(run).state not in runs.ACTIVE, seconds=120)
    status = runs.status(run)
    assert (status.state, status.step, run.is_foreign) == ("finished", 4, False), status.error
    assert [point[:2] for point in status.series["loss"][:2]] == [point[:2] for point in before]
    assert [point[0] for point in status.series["loss"]] == [1, 2, 3, 4] and run.checkpoints() == [
        "checkpoint-2",
        "checkpoint-4",
    ]
    assert run.recipe()["output_dir"] == str(run.folder)
