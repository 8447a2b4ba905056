"""Runs that really train, in this process, on the starter model."""

import json
import math
import os
import shutil
import subprocess
import sys

import pytest
import small_disk
import yaml
from conftest import NAMED, ROOT, SHORT, STARTER, ended, is_sentence, slow, wait_for

from studio.core.i18n import Problem
from studio.train import runs
from studio.train.loop import run_training
from studio.train.runs import events


def losses(run: runs.Run) -> dict[int, float]:
    return {point[0]: point[1] for point in runs.metrics(run).series["loss"]}


def test_a_run_leaves_all_that_is_promised(trainer):
    run = trainer.start(SHORT, NAMED | {"note": "first"})
    status = ended(run)
    assert status.state == "finished", status.error
    assert status.step == status.total_steps == 3
    assert status.facts["trainable"] < status.facts["parameters"] / 20
    assert {"loss", "learning_rate", "grad_norm"} <= status.series.keys()
    assert run.checkpoints() == ["checkpoint-1", "checkpoint-2", "checkpoint-3"]
    assert (run.folder / "training_loss.png").stat().st_size > 1000
    assert run.info().note == "first" and run.info().versions["llamafactory"]
    assert "train_runtime" in run.log_file.read_text()
    assert "Xiaoju" in (run.folder / "dataset" / "identity_en.json").read_text()
    assert "{{name}}" in (trainer.workspace.data / "identity_en.json").read_text()
    states = [event["state"] for event in events.read(run.events_file)[0] if event["event"] == "state"]
    assert states == ["queued", "preparing", "running", "finished"]


def test_the_recipe_alone_gives_the_same_losses_by_the_command_line(trainer, tmp_path):
    """So it is after a run with a system prompt of its own, which LLaMA-Factory writes into its template."""
    spoken = trainer.start(SHORT | {"default_system": "You are a pirate and speak like one, at length, loudly."}, NAMED)
    run = trainer.start(SHORT, NAMED)
    ended(run)
    recipe = yaml.safe_load(run.recipe_file.read_text()) | {"output_dir": str(tmp_path / "cli")}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    command = shutil.which("llamafactory-cli", path=os.path.dirname(sys.executable))
    done = subprocess.run(
        [command, "train", str(tmp_path / "recipe.yaml")], capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr[-2000:]
    history = json.loads((tmp_path / "cli" / "trainer_state.json").read_text())["log_history"]
    theirs = {entry["step"]: entry["loss"] for entry in history if "loss" in entry}
    import torch

    # Without products of bfloat16 the studio takes those of float32, which add in another order.
    exactly = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    same = pytest.approx(theirs, abs=1e-6 if exactly else 2e-3)
    assert losses(run) == same and losses(spoken) != same


def test_a_run_that_diverges_shows_it_and_is_warned_of(trainer):
    run = trainer.start(SHORT | {"learning_rate": 1e30, "lr_scheduler_type": "constant", "max_steps": 6}, NAMED)
    status = ended(run)
    assert status.state == "finished", status.error
    known = list(losses(run).values())
    assert len(known) == 6 and math.isfinite(float(known[0])) and not math.isfinite(float(known[-1])), known
    assert any(event.get("key") == "train.warn_nan" for event in events.read(run.events_file)[0])
    assert "logging_nan_inf_filter" not in run.recipe()


def test_a_single_loss_that_is_no_number_spoils_no_later_one(tmp_path):
    import torch
    from transformers import Trainer, TrainingArguments

    run_training._sum_losses_from_zero()

    class Line(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(1))

        def forward(self, x):
            return {"loss": (self.weight * 0).sum() + x.sum()}  # the weight learns nothing, so it stays a number

    rows = [{"x": torch.tensor([value])} for value in (1.0, math.nan, math.inf, 4.0, 5.0)]
    settings = {"per_device_train_batch_size": 1, "max_steps": 5, "logging_steps": 1, "learning_rate": 0.0}
    settings |= {"logging_nan_inf_filter": False, "save_strategy": "no", "report_to": [], "use_cpu": True}
    settings |= {"train_sampling_strategy": "sequential", "max_grad_norm": 0.0, "disable_tqdm": True}
    trainer = Trainer(Line(), TrainingArguments(str(tmp_path), **settings), train_dataset=rows)
    trainer.train()
    told = [one["loss"] for one in trainer.state.log_history if "loss" in one]
    assert [one for one in told if math.isfinite(one)] == [1.0, 4.0, 5.0] and len(told) == 5


@slow
def test_probe_questions_are_answered_and_change_no_loss(trainer):
    speaks = SHORT | {"model_name_or_path": STARTER.name}
    plain = trainer.start(speaks, NAMED)
    probed = trainer.start(speaks, NAMED | {"probes": ["Who are you?", "Name a colour."]})
    ended(plain)
    status = ended(probed)
    assert status.state == "finished", status.error
    assert [(answer["step"], answer["question"]) for answer in status.probes[:2]] == [
        (1, "Who are you?"),
        (1, "Name a colour."),
    ]
    assert len(status.probes) == 6 and all(answer["answer"] for answer in status.probes)
    assert losses(probed) == losses(plain)
    assert status.series["memory"] and status.series["tokens_per_second"]


def test_stop_and_save_then_resume_gives_the_curve_of_a_straight_run(trainer):
    long = SHORT | {"max_steps": 24, "save_steps": 100, "plot_loss": False}
    straight = trainer.start(long, NAMED)
    halted = trainer.start(long, NAMED)
    wait_for(lambda: runs.status(halted).step >= 2)
    trainer.stop(halted.name, save=True)
    status = ended(halted)
    assert status.state == "stopped" and 2 <= status.step < 24, status
    assert halted.checkpoints() == [f"checkpoint-{status.step}"]
    trainer.resume(halted.name)
    assert ended(halted).state == "finished"
    assert losses(halted) == pytest.approx(losses(straight), abs=1e-5)


def test_abort_ends_without_a_checkpoint_and_the_next_run_gets_its_turn(trainer):
    first = trainer.start(SHORT | {"max_steps": 200}, NAMED)
    second = trainer.start(SHORT | {"max_steps": 1, "plot_loss": False}, NAMED)
    wait_for(lambda: runs.status(first).state == "running")
    assert runs.status(second).state == "queued"
    trainer.stop(first.name, save=False)
    assert ended(first).state == "stopped"
    assert ended(second).state == "finished"
    assert not (first.folder / "adapter_model.safetensors").exists()


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"model_name_or_path": "no-such-model"}, "There is no model"),
        ({"dataset": "no_such_set"}, "There is no dataset"),
        ({"learning_rates": 1}, "learning_rates"),
        ({"finetuning_type": "magic"}, "it takes lora, oft, freeze, full"),
        ({"learning_rate": "fast"}, "Learning rate (learning_rate) cannot be"),
        ({"swanlab_api_key": "k-123"}, "has no place in a recipe"),
        ({"stage": "dpo"}, "is made for sft"),
        ({"quantization_bit": 4, "finetuning_type": "full"}, "refuses the recipe"),
        ({"model_name_or_path": "../../etc"}, "cannot be used as a name"),
    ],
)
def test_what_cannot_be_trained_is_told_and_leaves_nothing(trainer, wish, said):
    with pytest.raises(Problem) as told:
        trainer.start(SHORT | wish, NAMED)
    assert said in str(told.value) and is_sentence(str(told.value))
    assert list(trainer.workspace.saves.glob("*/*/*")) == []


def test_a_fault_while_training_is_one_sentence_and_the_next_run_trains(trainer):
    data = trainer.workspace.data
    shutil.copy(ROOT / "tests" / "cases" / "tool-schemas" / "blank_tools.json", data)
    info = json.loads((data / "dataset_info.json").read_text())
    columns = {"messages": "conversations", "tools": "tools"}
    info["blank_tools"] = {"file_name": "blank_tools.json", "formatting": "sharegpt", "columns": columns}
    (data / "dataset_info.json").write_text(json.dumps(info))
    broken = trainer.start(SHORT | {"dataset": "blank_tools"}, NAMED)
    status = ended(broken)
    assert status.state == "failed"
    assert "blank_tools.json" in status.error["sentence"] and is_sentence(status.error["sentence"])
    assert "Traceback" in broken.log_file.read_text()
    assert ended(trainer.start(SHORT | {"max_steps": 1, "plot_loss": False}, NAMED)).state == "finished"


def test_a_full_disk_is_told_and_a_half_written_checkpoint_goes(trainer, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    with small_disk.mounted(disk, "1m"):
        trainer.workspace.saves.joinpath(".gitkeep").unlink(missing_ok=True)
        trainer.workspace.saves.rmdir()
        trainer.workspace.saves.symlink_to(disk)
        run = trainer.start(SHORT, NAMED)
        status = ended(run)
        assert status.state == "failed"
        assert "disk is full" in status.error["sentence"]
        assert run.checkpoints() == []
        assert list(run.folder.glob("checkpoint-*")) == []


def test_an_unwritable_workspace_is_told(trainer):
    shutil.rmtree(trainer.workspace.saves)
    trainer.workspace.saves.write_text("a file stands where the folder should be")
    with pytest.raises(Problem) as told:
        trainer.start(SHORT, NAMED)
    assert "cannot be written" in str(told.value)


def test_a_run_with_an_8_bit_optimizer_keeps_no_model_in_memory(trainer):
    """bitsandbytes has one list for the whole process, in which transformers enters the embeddings of every run."""
    from bitsandbytes.optim import GlobalOptimManager

    manager = GlobalOptimManager.get_instance()
    kept = []
    manager.register_module_override, register = (
        lambda module, name, config: (kept.append(name), register(module, name, config)),
        manager.register_module_override,
    )
    try:
        status = ended(trainer.start(SHORT | {"optim": "adamw_8bit"}, NAMED))
    finally:
        del manager.register_module_override
    assert status.state in ("finished", "failed"), status.error  # not every machine can take the step in 8 bits
    assert kept and not manager.module_weight_config_triple
