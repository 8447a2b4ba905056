"""Runs as they are read from disk by anybody at any time."""

import os
import subprocess
import sys
import time

import psutil
import pytest
from drawn import drawn

from studio.core.i18n import Problem
from studio.train import runs
from studio.train.page.runs import run_head, run_list


def make(workspace, *, alive=True) -> runs.Run:
    run = runs.make(workspace, "m", "lora", "r")
    run.info_file.write_text("{}")
    if alive:
        run.own()
    run.say("state", state="queued")
    return run


def step(run, number, loss):
    run.say("metrics", step=number, epoch=number / 10, values={"loss": loss, "learning_rate": 1e-3})


def begin(run, at=0, total=10):
    run.say("state", state="preparing")
    run.say("facts", examples=5, epochs=1, batch=1, step=at, total_steps=total, trainable=1, parameters=2, device="cpu")
    run.say("state", state="running")


def test_progress_comes_from_events_alone(workspace):
    run = make(workspace)
    begin(run)
    for number in range(1, 6):
        step(run, number, 1 / number)
    status = runs.status(run)
    assert (status.state, status.step, status.total_steps, status.loss) == ("running", 5, 10, 0.2)
    assert status.facts["examples"] == 5
    assert status.eta() is not None


def test_only_the_new_tail_is_sent(workspace):
    run = make(workspace)
    begin(run)
    step(run, 1, 3.0)
    first = runs.metrics(run)
    step(run, 2, 2.0)
    second = runs.metrics(run, first.next)
    assert [point[:2] for point in first.series["loss"]] == [[1, 3.0]]
    assert [point[:2] for point in second.series["loss"]] == [[2, 2.0]]
    assert runs.metrics(run, second.next).series == {}


def test_history_is_bounded_and_keeps_its_spike(workspace):
    run = make(workspace)
    begin(run, total=30_000)
    with open(run.events_file, "a") as file:
        for number in range(1, 30_001):
            loss = 50.0 if number == 12_345 else 1.0
            file.write(
                f'{{"time": {time.time()}, "event": "metrics", "step": {number}, "epoch": 1, "values": {{"loss":'
                f" {loss}}}}}\n"
            )
    points = runs.metrics(run).series["loss"]
    assert len(points) < 2500
    assert max(point[1] for point in points) == 50.0
    assert points[-1][0] == 30_000


def test_a_resumed_run_trains_its_last_steps_anew(workspace):
    run = make(workspace)
    begin(run)
    for number in range(1, 8):
        step(run, number, 1.0)
    seen = runs.metrics(run).next
    begin(run, at=4)
    step(run, 5, 0.5)
    assert runs.metrics(run, seen).reset is True
    assert [point[:2] for point in runs.metrics(run).series["loss"]] == [
        [1, 1.0],
        [2, 1.0],
        [3, 1.0],
        [4, 1.0],
        [5, 0.5],
    ]


def test_a_run_whose_process_is_gone_is_interrupted(workspace):
    run = make(workspace, alive=False)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    run.info_file.write_text(f'{{"pid": {child.pid}, "pid_started": {psutil.Process(child.pid).create_time()}}}')
    begin(run)
    assert runs.status(run).state == "running"
    child.kill()
    child.wait()
    assert runs.status(run).state == "interrupted"


def test_another_process_with_the_same_number_does_not_count(workspace):
    run = make(workspace, alive=False)
    run.info_file.write_text(f'{{"pid": {os.getpid()}, "pid_started": 1.0}}')
    begin(run)
    assert runs.status(run).state == "interrupted"


def test_a_half_written_checkpoint_is_not_offered_and_can_be_cleared(workspace):
    run = make(workspace)
    for name, files in {
        "checkpoint-2": ["adapter_model.safetensors", "trainer_state.json"],
        "checkpoint-10": ["adapter_model.safetensors"],
    }.items():
        (run.folder / name).mkdir()
        for file in files:
            (run.folder / name / file).write_text("{}")
    assert run.checkpoints() == ["checkpoint-2"]
    assert runs.remove_half_written(run) == ["checkpoint-10"]
    assert not (run.folder / "checkpoint-10").exists()


def test_names_are_given_anew_and_strange_ones_refused(workspace):
    assert [runs.make(workspace, "m", "lora", "a").name for _ in range(2)] == ["m/lora/a-1", "m/lora/a-2"]
    with pytest.raises(Problem):
        runs.find(workspace, "../../../etc")
    with pytest.raises(Problem) as told:
        runs.find(workspace, "m/lora/none")
    assert "There is no run" in str(told.value)


def test_the_history_is_searched_and_sorted(workspace):

    for name, loss, note in (("alpha", 0.5, "for the demo"), ("beta", 0.2, ""), ("gamma", None, "")):
        run = runs.make(workspace, "m", "lora", name)
        run.info_file.write_text(f'{{"note": "{note}", "created": 1}}')
        begin(run)
        if loss:
            step(run, 1, loss)
        run.say("state", state="finished" if loss else "failed")
    found = runs.all_runs(workspace)
    names = lambda query: [run.name.split("/")[-1] for run in run_list.fitting(found, query)]  # noqa: E731
    assert names("demo") == ["alpha-1"]
    assert names("failed") == ["gamma-1"]
    assert names("finished sort:loss") == ["beta-1", "alpha-1"]
    assert names("sort:name") == ["alpha-1", "beta-1", "gamma-1"]
    assert names("nothing like it") == []


def test_a_run_that_falls_silent_is_told(workspace, monkeypatch):

    run = make(workspace)
    begin(run)
    for number in range(1, 4):
        step(run, number, 1.0)
    assert "Nothing has happened" not in drawn(run_head, run_head.run_head(workspace, run.name))
    now, running = time.time(), time.monotonic()
    for jump in (86_400, -86_400):
        monkeypatch.setattr(time, "time", lambda jump=jump: now + jump)
        assert "Nothing has happened" not in drawn(run_head, run_head.run_head(workspace, run.name)), (
            "the clock was set, and nothing else"
        )
    monkeypatch.setattr(time, "monotonic", lambda: running + 600)
    assert "Nothing has happened" in drawn(run_head, run_head.run_head(workspace, run.name))


def test_a_sweep_is_read_line_by_line():
    from studio.train.recipe import sweep

    assert sweep.read("learning_rate: 1e-3, 5e-4\n\nlora_rank: 8,16") == {
        "learning_rate": ["1e-3", "5e-4"],
        "lora_rank": ["8", "16"],
    }
    with pytest.raises(Problem) as told:
        sweep.read("lora_rank: 8\nnonsense")
    assert "Line 2" in str(told.value)
