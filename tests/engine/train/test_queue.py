"""The queue on disk, sweeps that fill it, devices, and commands for several machines: all that needs no training."""

import json
import os
import shlex
import subprocess
import sys

import pytest
from conftest import ROOT, SMALL, rest_slow, wait_for

from studio.core.device_lease import DeviceLease
from studio.core.i18n import Problem
from studio.train import runs
from studio.train.execution import devices, multi_node
from studio.train.execution.devices import Spread
from studio.train.execution.dispatch import Dispatcher
from studio.train.execution.executors.subprocesses import worker
from studio.train.execution.queue import Queue, QueuedRun, collide, holds
from studio.train.page.runs import run_head
from studio.train.recipe import sweep
from studio.train.runs.stop_request import ABORT, SAVE, StopRequest


@pytest.fixture
def queue(tmp_path) -> Queue:
    return Queue(tmp_path)


def names(queued_runs: list[QueuedRun]) -> list[str]:
    return [queued.run for queued in queued_runs]


def test_the_queue_is_on_disk_and_in_order(queue, tmp_path):
    for name in ("m/lora/a", "m/lora/b", "m/lora/c"):
        queue.add(QueuedRun(name, id=name[-1]))
    queue.move("m/lora/c", 0)
    queue.move("m/lora/a", 99)
    assert names(Queue(tmp_path).waiting()) == ["m/lora/c", "m/lora/b", "m/lora/a"]
    queue.begin(QueuedRun("m/lora/b", id="b"))
    queue.remove("m/lora/c")
    again = Queue(tmp_path)
    assert (names(again.waiting()), names(again.at_work())) == (["m/lora/a"], ["m/lora/b"])
    assert holds(tmp_path, "m/lora/b") and not holds(tmp_path, "m/lora/c")
    again.put_back(QueuedRun("m/lora/b", id="b"))
    assert names(queue.waiting()) == ["m/lora/b", "m/lora/a"]


def test_what_does_not_wait_cannot_be_moved(queue):
    with pytest.raises(Problem) as told:
        queue.move("m/lora/a", 0)
    assert "does not wait" in str(told.value)


def test_a_file_that_is_no_queue_counts_as_empty_and_is_replaced(queue, tmp_path):
    (tmp_path / ".queue.json").write_text("{half")
    assert queue.waiting() == []
    queue.add(QueuedRun("m/lora/a", "checkpoint-3"))
    assert Queue(tmp_path).waiting() == [QueuedRun("m/lora/a", "checkpoint-3")]


def test_runs_collide_where_they_want_a_device_twice():
    assert collide([0], [0, 1]) and collide([], [3]) and collide([2], [])
    assert not collide([0], [1]) and not collide([0, 1], [2, 3])


def test_a_queued_run_still_waits_when_its_studio_is_gone(workspace):
    run = runs.make(workspace, "m", "lora", "r")
    run.info_file.write_text(json.dumps({"executor": "worker", "pid": 1, "pid_started": 1.0}))
    Queue(workspace.saves).add(QueuedRun(run.name))
    run.say("state", state="queued")
    assert runs.status(run).state == "queued"
    Queue(workspace.saves).remove(run.name)
    assert runs.status(run).state == "interrupted"


def test_a_run_whose_folder_is_gone_does_not_hold_up_the_queue(workspace):
    queue = Queue(workspace.saves)
    queue.add(QueuedRun("m/lora/removed"))
    broken = runs.make(workspace, "m", "lora", "r")
    Dispatcher(workspace, DeviceLease()).add(broken)
    wait_for(lambda: not queue.waiting() and not queue.at_work())
    status = runs.status(broken)
    assert status.state == "failed" and "cannot be read" in status.error["sentence"]


def test_what_nobody_foresaw_at_a_start_is_told_in_its_own_words(workspace, monkeypatch):
    """Once the run is no longer among those that wait, the queue sees only that nothing works on it."""
    recipe = {"model_name_or_path": SMALL, "dataset": "identity_en", "finetuning_type": "lora"}
    odd = runs.make(workspace, "m", "lora", "r")
    odd.recipe_file.write_text(json.dumps(recipe))
    dispatcher = Dispatcher(workspace, DeviceLease())

    def fails(*_):
        raise AttributeError("partially initialized module 'torch' has no attribute 'cuda'")

    monkeypatch.setattr(dispatcher.accelerator, "acquire", fails)
    dispatcher.add(odd)
    wait_for(lambda: runs.status(odd).state == "failed")
    wait_for(lambda: not Queue(workspace.saves).at_work())
    assert "partially initialized" in runs.status(odd).error["sentence"]


def test_a_run_waits_for_memory_that_another_uses_and_will_give_back(workspace):
    accelerator = DeviceLease()
    dispatcher = Dispatcher(workspace, accelerator)
    assert not dispatcher._must_wait(2**60)  # nobody to wait for: it is tried, and fails with a sentence
    accelerator.acquire("evaluate", 0)
    assert dispatcher._must_wait(2**60) and not dispatcher._must_wait(0)


def test_a_wish_is_a_file_and_an_abort_is_the_stronger(tmp_path):
    stop_request = StopRequest(tmp_path)
    assert stop_request.asked() is None
    stop_request.ask(save=True)
    assert StopRequest(tmp_path).asked() == SAVE
    stop_request.ask(save=False)
    assert StopRequest(tmp_path).asked() == ABORT
    stop_request.withdraw()
    assert stop_request.asked() is None


def test_a_sweep_is_every_combination_with_a_name_that_says_what_differs():
    found = sweep.combinations({"seed": 1}, {"learning_rate": [1e-3, 1e-4], "lora_rank": [8, 16]})
    assert [recipe for recipe, _ in found] == [
        {"seed": 1, "learning_rate": rate, "lora_rank": rank} for rate in (1e-3, 1e-4) for rank in (8, 16)
    ]
    assert found[1][1] == "learning_rate-0.001-lora_rank-16"
    assert len({name for _, name in found}) == 4


def test_a_grid_is_counted_before_it_is_built():
    with pytest.raises(Problem) as told:
        sweep.combinations({}, {f"setting_{number}": list(range(100)) for number in range(50)})
    assert told.value.facts["runs"] == 100**50


@pytest.mark.parametrize(
    "grid", [{}, {"seed": 3}, {"seed": []}, {"seed": list(range(11)), "lora_rank": list(range(10))}]
)
def test_a_grid_that_cannot_be_is_told(grid):
    with pytest.raises(Problem):
        sweep.combinations({}, grid)


def test_devices_are_chosen_by_executor(monkeypatch):
    monkeypatch.setattr(devices, "of_this_machine", lambda: [0, 1, 2, 3])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert devices.spread({"devices": [1, 3]}, "torchrun", cuda=True) == Spread([1, 3], 2)
    assert devices.spread({}, "torchrun", cuda=True) == Spread([0, 1, 2, 3], 4)
    assert devices.spread({"devices": [2]}, "worker", cuda=True) == Spread([2], 1)
    assert devices.spread({"devices": [0]}, "in-process", cuda=True) == Spread([0], 1)
    assert devices.spread({}, "in-process", cuda=True) == Spread([0], 1)
    assert devices.spread({}, "torchrun", cuda=False) == Spread([], 2)
    assert devices.spread({"processes": 4}, "worker", cuda=False) == Spread([], 1)
    for wrong, executor in [
        ({"devices": [7]}, "torchrun"),
        ({"devices": [0, 1]}, "worker"),
        ({"devices": "0,1"}, "torchrun"),
        ({"devices": [2]}, "in-process"),
        ({"devices": [0, 1]}, "in-process"),
    ]:
        with pytest.raises(Problem) as told:
            devices.spread(wrong, executor, cuda=True)
        assert told.value.facts["field"] == "devices"
    for executor in ("in-process", "worker", "torchrun"):
        with pytest.raises(Problem):
            devices.spread({"devices": [0]}, executor, cuda=False)
    assert devices.spread({"devices": [0], "processes": 3}, "ray", cuda=False) == Spread([], 3)
    with pytest.raises(Problem):
        devices.spread({"processes": 0}, "torchrun", cuda=False)


@pytest.fixture
def by_hand(workspace) -> runs.Run:
    """A run for several machines whose commands nobody has pasted yet."""
    run = runs.make(workspace, "m", "lora", "r")
    run.info_file.write_text(json.dumps({"executor": "nodes", "nodes": 2, "processes": 2}))
    run.say("state", state="queued")
    return run


@pytest.mark.parametrize("save", [True, False])
def test_a_run_whose_commands_were_not_pasted_is_taken_back_and_nothing_stops_it_later(workspace, by_hand, save):
    assert run_head.run_head(workspace, by_hand.name).actions == ("queue_remove",)
    dispatcher = Dispatcher(workspace, DeviceLease())
    dispatcher.stop(by_hand, save)
    assert runs.status(by_hand).state == "stopped" and StopRequest(by_hand.folder).asked() is None
    assert "nodes" not in dispatcher.known, "nobody but a person starts it"


def test_a_run_on_several_machines_is_asked_to_stop_and_cannot_be_ended_by_force(workspace, by_hand):
    dispatcher = Dispatcher(workspace, DeviceLease())
    by_hand.own()
    by_hand.say("state", state="preparing")
    with pytest.raises(Problem, match="several machines"):
        dispatcher.kill(by_hand)
    assert StopRequest(by_hand.folder).asked() is None and runs.status(by_hand).state == "preparing"
    dispatcher.stop(by_hand, save=False)
    assert StopRequest(by_hand.folder).asked() == ABORT and runs.status(by_hand).state == "stopping"


def test_nothing_is_asked_of_a_run_that_nobody_here_trains(workspace):
    run = runs.make(workspace, "m", "lora", "r")
    run.info_file.write_text(json.dumps({"executor": "of a later release"}))
    run.own()
    run.say("state", state="running")
    with pytest.raises(Problem, match="There is no executor"):
        Dispatcher(workspace, DeviceLease()).stop(run, save=True)
    assert StopRequest(run.folder).asked() is None and runs.status(run).state == "running"


@pytest.mark.parametrize(("executor", "state"), rest_slow(("nodes", "failed"), ("worker", "stopped")))
def test_a_stop_of_the_last_time_does_not_end_commands_that_are_pasted_again(workspace, by_hand, executor, state):
    """That a worker obeys one, `test_an_abort_while_it_loads_ends_it_at_once` says too."""
    by_hand.note(executor=executor)
    StopRequest(by_hand.folder).ask(save=False)
    command = [sys.executable, *worker(by_hand, None)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=ROOT, env=environment, timeout=600, capture_output=True)
    status = runs.status(by_hand)
    assert status.state == state, "there is no recipe, which is found out only by one that begins"
    assert (StopRequest(by_hand.folder).asked() is None) == (executor == "nodes")


def test_each_machine_gets_its_command(tmp_path):
    run = runs.Run("m/lora/r-1", tmp_path / "it's here" / "m" / "lora" / "r-1")
    told = multi_node.commands(run, 2, 8, "10.0.0.5", 29501)
    parts = [shlex.split(one.split(" && ")[1]) for one in told]
    assert [one[one.index("--node_rank") + 1] for one in parts] == ["0", "1"]
    assert all(one[one.index("--nproc_per_node") + 1] == "8" and one[-1] == str(run.folder) for one in parts)
    for wrong in [(1, 8, "a", 1), (2, 0, "a", 1), (2, 1, "a", 0), (2, 1, "", 1), (2, 1, "a b", 1), (2, 1, "--help", 1)]:
        with pytest.raises(Problem):
            multi_node.commands(run, *wrong)
