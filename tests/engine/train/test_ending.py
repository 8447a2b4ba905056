"""A training process that is asked to end leaves a checkpoint, and says from which step the run can be resumed."""

import os
import signal
import threading

import psutil
import pytest
from conftest import LONG, NAMED, caught, ended, rest_slow, slow, wait_for

from studio.core.device_lease import DeviceLease
from studio.train import runs
from studio.train.execution.training_service import TrainingService

ENDINGS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def stepping(trainer, executor, **options) -> runs.Run:
    run = trainer.start(LONG, NAMED | options, executor)
    wait_for(lambda: runs.status(run).step >= 2 or runs.status(run).error)
    assert runs.status(run).error is None, runs.status(run).error
    return run


def stepping_in_two(trainer) -> runs.Run:
    """As `stepping`, in two processes; one GPU takes no more than one."""
    run = stepping(trainer, "torchrun", processes=2)
    if run.info().processes < 2:
        trainer.stop(run.name, save=False)
        pytest.skip("torchrun starts one process where there is one GPU")
    return run


def test_a_run_in_this_process_is_interrupted_with_a_checkpoint_and_goes_on(trainer):
    run, told = stepping(trainer, "in-process"), []
    ((found, saved),) = trainer.end(60, lambda run, passed: told.append(passed))
    assert found.name == run.name and saved
    status = runs.status(run)
    assert status.state == "interrupted" and run.checkpoints() == [f"checkpoint-{status.step}"]
    again = TrainingService(trainer.workspace, DeviceLease())  # the studio when it starts again
    wait_for(lambda: again.queue() == [])
    again.resume(run.name)
    wait_for(lambda: runs.status(run).step > status.step)
    assert runs.status(run).facts["step"] == status.step
    again.stop(run.name, save=False)
    assert ended(run).state == "stopped"


def test_a_run_that_is_loading_is_not_waited_for(trainer, monkeypatch):
    from llamafactory.train.sft import workflow

    load, loading, go_on, told = workflow.load_model, threading.Event(), threading.Event(), []

    def waiting(*given, **named):
        loading.set()
        assert go_on.wait(240)
        return load(*given, **named)

    monkeypatch.setattr(workflow, "load_model", waiting)
    run = trainer.start(LONG, NAMED)
    assert loading.wait(240)
    trainer.end(60, lambda *wait: told.append(wait))
    assert told == [] and ended(run).state == "interrupted"
    go_on.set()
    wait_for(lambda: not trainer._dispatcher._executors["in-process"].at_work(run))


def test_the_wait_is_bounded_and_told(trainer, monkeypatch):
    run, told = stepping(trainer, "in-process"), []
    monkeypatch.setattr(trainer._dispatcher._executors["in-process"], "interrupt", lambda: True)
    ((_, saved),) = trainer.end(2, lambda run, passed: told.append(passed))
    assert not saved and len(told) >= 2 and runs.status(run).state == "interrupted"
    trainer._dispatcher._executors["in-process"]._stop_request.interrupt()
    wait_for(lambda: not trainer._dispatcher._executors["in-process"].at_work(run))


@pytest.mark.parametrize("number", rest_slow(*ENDINGS))
def test_a_worker_saves_first(trainer, number):
    """One signal is really sent, and all three are seen to be caught; the long tests send each."""
    run = stepping(trainer, "worker")
    process = psutil.Process(run.info().pid)
    assert {one for one in ENDINGS if caught(process.pid) >> (one - 1) & 1} == set(ENDINGS)
    process.send_signal(number)
    process.send_signal(number)
    status = ended(run)
    assert (status.state, status.error) == ("interrupted", None) and run.checkpoints() == [f"checkpoint-{status.step}"]
    wait_for(lambda: trainer.queue() == [])
    assert runs.status(run).state == "interrupted"


@slow  # that the wait is bounded, `test_the_wait_is_bounded_and_told` says; that a worker ends, `..._saves_first`
def test_a_worker_that_cannot_save_in_time_ends_all_the_same(trainer, monkeypatch):
    monkeypatch.setenv("STUDIO_STOP_SECONDS", "0")
    run = stepping(trainer, "worker")
    os.kill(run.info().pid, signal.SIGTERM)
    assert ended(run).state == "interrupted"
    wait_for(lambda: trainer.queue() == [])


def test_a_worker_that_is_loading_ends_at_once(trainer):
    run = trainer.start(LONG, NAMED, "worker")
    wait_for(lambda: runs.status(run).state == "preparing")
    process = psutil.Process(run.info().pid)
    process.terminate()
    status = ended(run)
    assert (status.state, status.error) == ("interrupted", None)


@slow
@pytest.mark.parametrize("whom", ["agent", "all"])
def test_the_processes_of_torchrun_save_first(trainer, whom):
    run = stepping_in_two(trainer)
    agent = psutil.Process(run.info().pid)
    family = [agent, *agent.children()] if whom == "all" else [agent]
    for process in family:
        process.terminate()
    status = ended(run)
    assert (status.state, status.error) == ("interrupted", None) and run.checkpoints() == [f"checkpoint-{status.step}"]
    assert {"rng_state_0.pth", "rng_state_1.pth"} <= {
        path.name for path in (run.folder / run.checkpoints()[0]).iterdir()
    }
    wait_for(lambda: trainer.queue() == [])
    assert runs.status(run).state == "interrupted"


@slow  # of one process: `test_a_worker_that_is_killed_from_outside_is_interrupted_and_says_so`
def test_when_one_of_a_group_dies_the_others_do_not_train_on(trainer):
    run = stepping_in_two(trainer)
    agent = psutil.Process(run.info().pid)
    children = agent.children()
    children[1].kill()
    assert ended(run).state in ("failed", "interrupted")
    assert psutil.wait_procs([agent, *children], timeout=240)[1] == []
