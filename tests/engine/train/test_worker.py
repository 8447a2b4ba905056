"""Runs in processes of their own: they outlive the studio, are found again, obey, and are told when they die."""

import json
import os
import signal
import urllib.request

import psutil
from conftest import LONG, NAMED, SHORT, Server, ended, is_sentence, new_workspace, slow, wait_for

from studio.train import runs
from studio.train.runs import events


def ask(server: Server, endpoint: str, *arguments):
    request = urllib.request.Request(
        f"{server.url}/gradio_api/run/{endpoint}",
        json.dumps({"data": arguments}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=240) as answer:
        return json.loads(answer.read())["data"][0]


def test_a_worker_and_the_queue_outlive_a_studio_that_is_killed(tmp_path):
    workspace = new_workspace(tmp_path / "workspace")
    server = Server(workspace.root)
    first = runs.find(workspace, ask(server, "train_start", LONG, "worker", NAMED)["run"])
    second = runs.find(workspace, ask(server, "train_start", LONG, "worker", NAMED)["run"])
    wait_for(lambda: runs.status(first).step >= 1)
    server.kill()
    seen = runs.status(first).step
    wait_for(lambda: runs.status(first).step > seen)
    assert (runs.status(first).state, runs.status(second).state) == ("running", "queued")
    server = Server(workspace.root)
    try:
        wait_for(lambda: "Training" in holders(server))
        assert [one["run"] for one in ask(server, "train_queue")] == [first.name, second.name]
        assert ask(server, "train_stop", first.name, True) == {"state": "stopping"}
        status = ended(first)
        assert status.state == "stopped" and first.checkpoints() == [f"checkpoint-{status.step}"]
        wait_for(lambda: runs.status(second).state in ("preparing", "running"))
        ask(server, "train_kill", second.name)
        assert ended(second).state == "stopped"
        wait_for(lambda: ask(server, "train_queue") == [])
    finally:
        server.kill()


def holders(server: Server) -> str:
    return ask(server, "live", [{"name": "holders", "arg": "", "mark": ""}])[0]["html"]


def test_a_worker_that_is_killed_from_outside_is_interrupted_and_says_so(trainer):
    run = trainer.start(SHORT, NAMED, "worker")
    wait_for(lambda: runs.status(run).state == "preparing")
    os.kill(run.info().pid, signal.SIGKILL)
    wait_for(lambda: runs.status(run).error)
    status = runs.status(run)
    assert status.state == "interrupted"
    assert "SIGKILL" in status.error["sentence"] and is_sentence(status.error["sentence"])


def test_an_abort_while_it_loads_ends_it_at_once(trainer):
    run = trainer.start(SHORT, NAMED, "worker")
    wait_for(lambda: runs.status(run).state == "preparing")
    trainer.stop(run.name, save=False)
    assert ended(run).state == "stopped"
    wait_for(lambda: trainer.queue() == [])
    assert not runs.alive(run.info())
    states = [event["state"] for event in events.read(run.events_file)[0] if event["event"] == "state"]
    assert states == ["queued", "preparing", "stopping", "stopped"]


def test_a_python_that_cannot_train_is_told(trainer, tmp_path):
    missing = trainer.start(SHORT, NAMED, "worker", python=tmp_path / "no-python")
    assert ended(missing).state == "failed"
    assert "cannot be started" in runs.status(missing).error["sentence"]
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\necho 'no module named anything' >&2\nexit 3\n")
    script.chmod(0o755)
    broken = trainer.start(SHORT, NAMED, "worker", python=script)
    assert ended(broken).state == "failed"
    sentence = runs.status(broken).error["sentence"]
    assert "code 3" in sentence and "no module named anything" in sentence
    script.write_text("#!/bin/sh\necho 'no module named anything' >&2\nkill -ILL $$\n")
    crashed = trainer.start(SHORT, NAMED, "worker", python=script)
    assert ended(crashed).state == "interrupted"
    sentence = runs.status(crashed).error["sentence"]
    assert "processor" in sentence and "no module" not in sentence


@slow
def test_two_processes_train_together_stop_at_the_same_step_and_resume(trainer):
    run = trainer.start(LONG, NAMED | {"processes": 2}, "torchrun")
    wait_for(lambda: runs.status(run).step >= 2)
    assert runs.status(run).facts["processes"] == 2 and runs.status(run).facts["batch"] == 2
    trainer.stop(run.name, save=True)
    status = ended(run)
    assert status.state == "stopped" and status.step < LONG["max_steps"], status.error
    checkpoint = run.folder / run.checkpoints()[-1]
    assert {"rng_state_0.pth", "rng_state_1.pth"} <= {path.name for path in checkpoint.iterdir()}
    steps = [event["step"] for event in events.read(run.events_file)[0] if "loss" in event.get("values", {})]
    assert len(steps) == len(set(steps)), "only one of the processes writes"
    wait_for(lambda: trainer.queue() == [])
    trainer.resume(run.name)
    wait_for(lambda: runs.status(run).step > status.step or runs.status(run).error)
    assert runs.status(run).state == "running", runs.status(run).error
    launcher = psutil.Process(run.info().pid)
    processes = launcher.children(recursive=True)
    launcher.kill()
    assert len(processes) >= 2 and psutil.wait_procs(processes, timeout=240)[1] == [], (
        "none trains on with nobody to stop it"
    )
    assert ended(run).state == "interrupted"


@slow
def test_four_processes_train_together(trainer):
    """Two are trained above, each time; four find no more but where a number is taken for two."""
    run = trainer.start(SHORT | {"max_steps": 2}, NAMED | {"processes": 4}, "torchrun")
    status = ended(run)
    assert status.state == "finished", status.error
    assert status.facts["processes"] == 4 and status.step == 2
