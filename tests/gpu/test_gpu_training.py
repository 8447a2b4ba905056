"""Runs on a real card: in process and in processes of their own, one after the other, out of memory, and resumed."""

import pytest
from card_recipes import FEW_STEPS
from conftest import ended, is_sentence, wait_for
from gpu_figures import gib

from studio.core.device_lease import free_memory
from studio.core.i18n import Problem, Words
from studio.monitor.readings import snapshot_now
from studio.train import runs
from studio.train.runs.manage_runs import remedy

pytest_plugins = ["card"]

WAYS = [
    {},
    {"quantization_bit": 4},
    {"quantization_bit": 8},
    {"finetuning_type": "full"},
    {"finetuning_type": "freeze", "freeze_trainable_layers": 2},
    {"bf16": False, "fp16": True},
    {"finetuning_type": "full", "pure_bf16": True},
    {"optim": "adamw_8bit", "finetuning_type": "full"},
    {"optim": "paged_adamw_8bit"},
    {"disable_gradient_checkpointing": True},
]


def allocated() -> int:
    """Return what torch's tensors take on the card, after all that nobody holds is gone."""
    import torch

    free_memory()
    return torch.cuda.memory_allocated()


def holders(service) -> list[int]:
    """Return the processes that hold memory of a card."""
    return [one.pid for gpu in snapshot_now(service.workspace.root).gpus for one in gpu.processes]


def losses(run: runs.Run) -> dict[int, float]:
    """Return a run's losses by step."""
    return {point[0]: point[1] for point in runs.metrics(run).series["loss"]}


def test_ten_runs_of_every_kind_give_all_memory_back(service, record):
    import torch

    after = []
    for way in WAYS:
        run = service.start(FEW_STEPS | way, {})
        status = ended(run)
        assert status.state == "finished", (way, status.error, run.log_file.read_text()[-3000:])
        assert status.series["memory"][-1][1] > 0.5, "the memory of a run on a card is the card's"
        after.append(allocated())
    record(
        "memory of the card that torch's tensors hold after the first and after the tenth run in one process",
        gib(after[0]),
        gib(after[-1]),
        reach="no more than after the first",
        reached=after[-1] <= after[0] + 2**20,
    )
    assert max(after) <= after[0] + 64 * 2**20, after
    assert torch.cuda.memory_reserved() <= torch.cuda.memory_allocated() + 64 * 2**20


def test_a_run_tells_what_the_card_does(service):
    status = ended(service.start(FEW_STEPS | {"max_steps": 8}, {}))
    assert status.state == "finished", status.error
    assert "utilisation" in status.series and all(0 <= point[1] <= 100 for point in status.series["utilisation"])
    assert status.series["tokens_per_second"][-1][1] > 1000


@pytest.mark.parametrize("executor", ["worker", "torchrun"])
def test_a_process_of_its_own_trains_the_same(service, executor, record):
    mine = service.start(FEW_STEPS, {})
    assert ended(mine).state == "finished"
    other = service.start(FEW_STEPS, {}, executor)
    status = ended(other)
    assert status.state == "finished", (status.error, other.log_file.read_text()[-3000:])
    ours, theirs = losses(mine), losses(other)
    far = max(abs(ours[step] - theirs[step]) for step in ours)
    record(f"greatest difference of a loss, in process against {executor}", f"{far:.2g}", reach="at most 0.001")
    assert ours.keys() == theirs.keys() and far <= 1e-3
    wait_for(lambda: other.info().pid not in holders(service), 30)  # it says that it is finished before it ends


def test_a_run_is_resumed_from_its_checkpoint(service, record):
    run = service.start(FEW_STEPS | {"max_steps": 6, "save_strategy": "steps", "save_steps": 3}, {})
    assert ended(run).state == "finished"
    straight = losses(run)
    service.resume(run.name, "checkpoint-3")
    status = ended(run)
    assert status.state == "finished", status.error
    far = max(abs(straight[step] - loss) for step, loss in losses(run).items())
    record("greatest difference of a loss after resuming", f"{far:.2g}", reach="at most 0.001", reached=far <= 1e-3)
    assert far <= 1e-3


@pytest.fixture
def small_card():
    """Let this process have three GiB of the card, as if it were a small one."""
    import torch

    free_memory()
    torch.cuda.set_per_process_memory_fraction(3 * 2**30 / torch.cuda.get_device_properties(0).total_memory)
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)


def test_a_run_out_of_memory_says_what_to_change_and_leaves_none_behind(service, small_card, record):
    before = allocated()
    large = FEW_STEPS | {"per_device_train_batch_size": 16, "cutoff_len": 2048, "disable_gradient_checkpointing": True}
    run = service.start(large, {})
    status = ended(run)
    assert status.state == "failed" and status.error["key"] == "train.out_of_memory", status.error
    for language in ("en", "zh"):
        assert is_sentence(Words(language).tell(Problem(status.error["key"], **status.error["facts"])))
    change = remedy(status.error["key"], run.recipe())
    assert change["per_device_train_batch_size"] == 8
    left = allocated() - before
    record("memory of the card held after a run that ran out of it", gib(max(0, left)), reach="0", reached=left < 2**20)
    assert left < 2**20
    assert ended(service.start(FEW_STEPS | {"per_device_train_batch_size": 1}, {})).state == "finished"


def test_the_largest_batch_is_found_on_a_card_that_is_small(service, monkeypatch, record):
    import torch

    share = 3 * 2**30 / torch.cuda.get_device_properties(0).total_memory
    monkeypatch.setenv("PYTORCH_CUDA_ALLOC_CONF", f"per_process_memory_fraction:{share:.4f}")
    job = service.jobs.wait(service.find_batch(FEW_STEPS | {"cutoff_len": 1024}).id, 240)
    assert job.state == "finished", job
    found = job.result
    assert found["reason"] == "memory" and 1 <= found["batch"] < 64, found
    assert [one["gib"] for one in found["tried"]] == sorted(one["gib"] for one in found["tried"])
    assert found["tried"][-1]["gib"] <= 3
    record("largest batch of 1,024 tokens in 3 GiB, LoRA, 0.5 B", f"{found['batch']} ({found['tried'][-1]['gib']} GiB)")
