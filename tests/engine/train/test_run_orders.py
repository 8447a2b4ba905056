"""An order of the queue has an identity of its own: what ends one says nothing about the next order of the same run."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from html import unescape

import psutil
import pytest
import small_disk
from conftest import wait_for
from drawn import drawn

from studio.core.device_lease import DeviceLease
from studio.core.i18n import Problem, Words
from studio.core.workspace import Workspace, write_json
from studio.train import runs
from studio.train.execution import dispatch
from studio.train.execution.dispatch import Dispatcher
from studio.train.execution.queue import Queue, QueuedRun, new_queued_run
from studio.train.page.runs import now_running
from studio.train.runs import events
from studio.train.runs.stop_request import ABORT, StopRequest


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return Workspace(tmp_path / "workspace").prepare()


class Played:
    """An executor whose runs do what a test says: `started` are its orders, `living` those still running."""

    by_force = False

    def __init__(self):
        self.started, self.living, self.codes = [], set(), {}

    def start(self, run, resume):
        run.own()
        self.started.append((run.order, resume))
        self.living.add(run.order)
        run.say("state", state="preparing")
        run.say("state", state="running")

    def at_work(self, run):
        return run.order in self.living

    def exit_code(self, run):
        return self.codes.get(run.order)

    def kill(self, run):
        self.living.discard(run.order)


@pytest.fixture
def played(monkeypatch) -> Played:
    executor = Played()
    monkeypatch.setattr(dispatch, "executors", lambda over, interpreter: {"in-process": executor})
    monkeypatch.setattr(Dispatcher, "_bytes_here", lambda self, run: 0)
    return executor


def made(workspace: Workspace, *devices: int) -> runs.Run:
    run = runs.make(workspace, "m", "lora", "r")
    write_json(run.info_file, {"executor": "in-process", "devices": devices})
    return run


def put_in_the_queue(run: runs.Run) -> None:
    """Let a run wait for the next studio that opens its workspace."""
    queued = new_queued_run(run.name)
    Queue(run.folder.parents[2]).add(queued)
    replace(run, order=queued.id).say("state", state="queued")


def test_a_run_whose_turn_comes_on_a_full_disk_waits_and_the_page_says_why(workspace, played):
    with small_disk.mounted(workspace.saves, "1m"):
        run = made(workspace)
        put_in_the_queue(run)
        filler = workspace.saves / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while file.write(b"x" * 4096):
                pass
        said = run.events_file.read_bytes()
        dispatcher = Dispatcher(workspace, DeviceLease())
        held = wait_for(dispatcher.held_up)
        for _ in range(3):
            dispatcher._turn()
        assert run.events_file.read_bytes() == said and runs.status(run).state == "queued" and not played.started
        for language in ("en", "zh"):
            page = drawn(now_running, now_running.now_running(workspace, held), language)
            assert Words(language).tell(held[0]) in unescape(page) and ".queue.json" in page
        filler.unlink()
        wait_for(lambda: played.started and not dispatcher.held_up())


def test_a_run_whose_model_cannot_be_looked_at_fails_once_and_the_others_start(workspace, played, monkeypatch):
    odd, other = made(workspace, 0), made(workspace, 1)

    def need(_, run) -> int:
        return 0 if run.name == other.name else os.stat("x" * 300).st_size  # longer than a name may be

    monkeypatch.setattr(Dispatcher, "_bytes_here", need)
    put_in_the_queue(odd)
    put_in_the_queue(other)
    dispatcher = Dispatcher(workspace, DeviceLease())
    wait_for(lambda: played.started and runs.status(odd).state == "failed")
    dispatcher._turn()
    assert [one.run for one in dispatcher.queue.at_work()] == [other.name] and dispatcher.queue.waiting() == []
    told = [event["event"] for event in events.read(odd.events_file)[0]]
    assert told == ["state", "error", "state"] and runs.status(odd).error["sentence"]


@pytest.mark.parametrize(("code", "last"), [(None, "stopped"), (0, "finished"), (None, None), (-9, None), (1, None)])
def test_a_run_that_is_queued_again_before_its_old_order_is_closed_starts(workspace, played, code, last):
    dispatcher, run = Dispatcher(workspace, DeviceLease()), made(workspace)
    (run.folder / "checkpoint-3").mkdir()
    for name in ("trainer_state.json", "adapter_model.safetensors"):  # what makes it a whole one
        (run.folder / "checkpoint-3" / name).write_text("{}")
    dispatcher.add(run)
    (first, _), *_ = wait_for(lambda: played.started)
    wait_for(lambda: runs.status(run).state == "running")
    if last:
        replace(run, order=first).say("state", state=last)
    dispatcher.add(
        run, "checkpoint-3"
    )  # the process of the first order has said its last word, or died, but has not been seen to end
    assert runs.status(run).state == "queued"
    played.codes[first] = code
    played.living.discard(first)
    dispatcher._changed.set()
    wait_for(lambda: len(played.started) == 2)
    second, resumed = played.started[1]
    assert resumed == "checkpoint-3" and second != first
    wait_for(lambda: runs.status(run).state == "running")
    status = runs.status(run)
    assert status.error is None
    assert [one.id for one in dispatcher.queue.at_work()] == [second] and dispatcher.queue.waiting() == []
    replace(run, order=second).say("state", state="finished")
    played.living.discard(second)
    wait_for(lambda: not dispatcher.queue.at_work())
    assert runs.status(run).state == "finished"


def test_the_late_words_of_an_old_order_change_nothing(workspace):
    run = made(workspace)
    first, second = replace(run, order="one"), replace(run, order="two")
    for state in ("queued", "preparing", "running"):
        first.say("state", state=state)
    second.say("state", state="queued")
    first.say("error", key="executors.silent", facts={"run": "r"}, sentence="x")
    first.say("state", state="failed")
    first.say("state", state="stopping")
    known = runs.written(run)
    assert (known.state, known.error, known.order_states) == ("queued", None, {"one": "failed", "two": "queued"})
    second.say("state", state="finished")
    assert runs.written(run).state == "finished"


def test_events_without_orders_are_read_as_before(workspace):
    run = made(workspace)
    for state in ("queued", "preparing", "running", "stopping", "stopped", "queued", "preparing", "failed"):
        run.say("state", state=state)
    assert runs.written(run).state == "failed"


def test_the_end_of_an_order_strikes_that_order_alone(tmp_path):
    queue = Queue(tmp_path)
    old, new = QueuedRun("m/lora/r"), new_queued_run("m/lora/r", "checkpoint-1")
    assert new_queued_run("m/lora/r").id != new.id
    queue.add(old)
    queue.begin(old)
    queue.add(new)
    queue.end(old)
    assert Queue(tmp_path).waiting() == [new] and queue.at_work() == []
    queue.end(old)
    with pytest.raises(Problem):
        queue.begin(old)


def test_a_run_waits_once_only_whoever_asks_at_the_same_time(workspace, played):
    dispatcher, blocker, run = Dispatcher(workspace, DeviceLease()), made(workspace), made(workspace)
    dispatcher.add(blocker)
    wait_for(lambda: played.started)
    refused = []

    def ask():
        try:
            dispatcher.add(run)
        except Problem as problem:
            refused.append(problem.key)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.run for one in dispatcher.queue.waiting()] == [run.name] and refused == ["train.still_running"] * 7


def test_a_process_of_an_earlier_order_does_not_keep_a_new_one_alive(workspace):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        run = replace(made(workspace), order="one")
        run.say("state", state="queued")
        run.own(child.pid)
        run.say("state", state="running")
        assert runs.status(run).state == "running"
        replace(run, order="two").say("state", state="queued")
        replace(run, order="two").say("state", state="preparing")
        assert runs.status(run).state == "interrupted"
    finally:
        child.kill()
        child.wait()


def test_what_stands_of_an_ended_run_is_cleared(workspace, played):
    dispatcher, run = Dispatcher(workspace, DeviceLease()), made(workspace)
    dispatcher.add(run)
    (order, _), *_ = wait_for(lambda: played.started)
    whole, torn, cut = (run.folder / f"checkpoint-{step}" for step in (2, 4, 6))
    for folder in (whole, torn, cut):
        folder.mkdir()
        (folder / "adapter_model.safetensors").write_text("x")
    (whole / "trainer_state.json").write_text('{"log_history": []}\n')
    (cut / "trainer_state.json").write_text('{"log_hist')
    assert run.checkpoints() == ["checkpoint-2"]
    played.living.discard(order)
    dispatcher._changed.set()
    wait_for(lambda: not dispatcher.queue.at_work())
    assert whole.exists() and not torn.exists() and not cut.exists()
    assert StopRequest(run.folder).asked() is None


def test_a_calendar_that_is_set_anew_ends_no_abort_by_force(workspace, played, monkeypatch):
    """The patience with an abort is counted as time passes, not from the time of a file."""
    played.by_force = True
    dispatcher, run = Dispatcher(workspace, DeviceLease()), made(workspace)
    dispatcher.add(run)
    (order, _), *_ = wait_for(lambda: played.started)
    StopRequest(run.folder).ask(save=False)
    os.utime(run.folder / ABORT, (0, 0))
    for _ in range(3):
        dispatcher._turn()
    assert order in played.living
    monkeypatch.setattr(dispatch, "PATIENCE_S", 0.1)
    wait_for(lambda: dispatcher._turn() is not None and order not in played.living)


def test_signals_are_named(workspace):
    run = made(workspace)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    replace(run, order="one").own(child.pid)
    assert run.info().order == "one" and psutil.pid_exists(child.pid)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert not runs.alive(run.info())


def test_facts_that_several_processes_add_at_once_are_all_kept(workspace):
    run = made(workspace)
    code = (
        "import pathlib, sys\nfrom studio.train.runs import Run\nrun = Run('m/lora/r-1', pathlib.Path(sys.argv[1]))\n"
        "for number in range(40):\n    run.note(**{sys.argv[2] + str(number): number})\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code, str(run.folder), name]) for name in "abc"]
    threads = [
        threading.Thread(target=lambda name=name: [run.note(**{f"{name}{number}": number}) for number in range(40)])
        for name in "xy"
    ]
    for thread in threads:
        thread.start()
    for one in (*threads, *processes):
        one.join() if isinstance(one, threading.Thread) else one.wait()
    kept = run.info().model_extra
    assert all(kept.get(f"{name}{number}") == number for name in "abcxy" for number in range(40))
