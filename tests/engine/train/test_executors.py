"""What can be done with runs in this process: resume from any checkpoint, longer, on top of an adapter; the queue;
memory.
"""

import gc

import psutil
import pytest
import torch
import yaml
from conftest import NAMED, SHORT, SLOW, ended, wait_for

from studio.core.i18n import Problem
from studio.train import runs
from studio.train.runs import events

TINY = SHORT | {"max_steps": 1, "plot_loss": False}


def test_a_run_goes_on_from_any_checkpoint_for_longer_and_lends_its_adapter(trainer):
    run = trainer.start(SHORT, NAMED)
    assert ended(run).state == "finished"
    trainer.resume(run.name, "checkpoint-2")  # the moment it ended
    status = ended(run)
    assert (status.state, status.facts["step"], status.step, status.error) == ("finished", 2, 3, None)
    with pytest.raises(Problem):
        trainer.resume(run.name, "checkpoint-9")
    with pytest.raises(Problem):
        trainer.resume(run.name, epochs=0.001)
    trainer.resume(run.name, epochs=0.05)
    status = ended(run)
    assert status.state == "finished" and status.facts["step"] == 3 and status.step == status.total_steps == 5
    assert yaml.safe_load((run.folder / "recipe-1.yaml").read_text())["max_steps"] == 3
    assert "max_steps" not in run.recipe()
    wish = TINY | {"adapter_name_or_path": f"{run.name}@checkpoint-3", "dataset": "identity_zh"}
    on_top = trainer.start(wish, NAMED)
    assert on_top.recipe()["adapter_name_or_path"] == str(run.folder / "checkpoint-3")
    assert on_top.info().parent == run.name
    assert ended(on_top).state == "finished"
    assert "Loaded adapter" in on_top.log_file.read_text()
    for wrong in (run.name.replace("identity", "nothing"), f"{run.name}@checkpoint-77"):
        with pytest.raises(Problem):
            trainer.start(TINY | {"adapter_name_or_path": wrong}, NAMED)


def test_a_preview_does_not_disturb_the_run_beside_it(trainer):
    run = trainer.start(SHORT, NAMED)
    while runs.status(run).state in runs.ACTIVE:
        assert trainer.preview({"ddp_backend": "gloo"}).problems == []
    assert runs.status(run).state == "finished", runs.status(run).error


def test_a_sweep_fills_the_queue_and_the_queue_can_be_changed(trainer):
    with pytest.raises(Problem):
        trainer.sweep(TINY, {"lora_rank": [4, 8], "finetuning_type": ["lora", "magic"]}, NAMED)
    assert list(trainer.workspace.saves.glob("*/*/*")) == []
    swept = trainer.sweep(TINY, {"lora_rank": [4, 8], "seed": [1, 2]}, NAMED)
    assert len(swept) == 4 and len({run.info().sweep for run in swept}) == 1
    assert "lora_rank-4-seed-1" in swept[0].name
    wait_for(lambda: trainer.queue()[0].position is None)
    trainer.move(swept[3].name, 0)
    assert [one.run for one in trainer.queue()] == [swept[0].name, swept[3].name, swept[1].name, swept[2].name]
    trainer.remove(swept[1].name)
    trainer.stop(swept[2].name, save=True)
    with pytest.raises(Problem):
        trainer.remove(swept[1].name)
    assert [ended(run).state for run in swept] == ["finished", "stopped", "stopped", "finished"]
    began = {run.name: runs.status(run).started for run in (swept[0], swept[3])}
    assert began[swept[0].name] < began[swept[3].name]
    with pytest.raises(Problem) as told:
        trainer.kill(swept[0].name)
    assert "not at work" in str(told.value)


def test_a_sweep_starts_all_of_its_runs_or_none(trainer):
    grid = {"seed": [1, 1234567890]}
    with pytest.raises(Problem) as told:
        trainer.sweep(TINY, grid, NAMED | {"run_name": "mine"})
    assert told.value.facts["field"] == "run_name" and list(trainer.workspace.saves.glob("*/*/*")) == []
    with pytest.raises(Problem):
        trainer.sweep(TINY, grid, NAMED | {"devices": "all"})
    assert list(trainer.workspace.saves.glob("*/*/*")) == [] and trainer.queue() == []
    swept = trainer.sweep(TINY, grid, NAMED | {"title": "t" * 105})
    trainer.remove(swept[1].name)
    assert [ended(run).state for run in swept] == ["finished", "stopped"]


def test_the_accelerator_is_held_while_something_trains_and_no_longer(trainer):
    held = trainer._dispatcher.accelerator
    run = trainer.start(TINY, NAMED)
    wait_for(lambda: [holder.who for holder in held.holders()] == ["training"])
    with pytest.raises(Problem) as told:
        trainer.kill(run.name)
    assert "cannot be ended by force" in str(told.value)
    ended(run)
    wait_for(lambda: held.holders() == [])


def models() -> list[object]:
    """Return the models and optimizers that this process holds."""
    from transformers import PreTrainedModel

    return [one for one in gc.get_objects() if issubclass(type(one), PreTrainedModel | torch.optim.Optimizer)]


def test_memory_comes_back_after_every_run(trainer):
    """What three runs leave behind is less than a twentieth, and no model; STUDIO_SLOW_TESTS=1 makes ten of them."""
    process, before, resident, on_gpu = psutil.Process(), len(models()), [], []
    for _ in range(11 if SLOW else 4):
        run = trainer.start(TINY | {"max_samples": 8}, NAMED)
        assert ended(run).state == "finished"
        wait_for(lambda: trainer.queue() == [], every=0.05)
        resident.append(process.memory_info().rss)
        assert len(models()) <= before
        on_gpu.append(torch.cuda.memory_reserved() if torch.cuda.is_available() else 0)
    assert max(resident[1:]) < 1.05 * resident[0], [size // 2**20 for size in resident]
    assert max(on_gpu[1:]) <= 1.05 * on_gpu[0], [size // 2**20 for size in on_gpu]
    assert [event for event in events.read(run.events_file)[0] if event["event"] == "error"] == []
