"""Jobs: states, progress, cancel, a bounded number at a time, and what a killed process leaves."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading

import pytest
from conftest import ROOT, wait_for

from studio.core import job as job_module
from studio.core import jobs as jobs_module
from studio.core.i18n import Problem, Words
from studio.core.jobs import Jobs
from studio.core.plain import sendable
from studio.core.workspace import Workspace

TITLE = "jobs.active"  # any sentence with a fact {job}


@pytest.fixture
def jobs(tmp_path) -> Jobs:
    return Jobs(Workspace(tmp_path))


def on_disk(tmp_path, job) -> dict:
    return json.loads((tmp_path / "saves" / ".jobs" / f"{job.id}.json").read_text())


def test_a_job_goes_from_queued_to_finished_and_tells_how_far_it_is(jobs, tmp_path):
    told, go_on = threading.Event(), threading.Event()

    def work(job):
        job.report(0.25, TITLE, job="x", bytes_done=3, path=tmp_path)
        job.log("first line")
        told.set()
        assert go_on.wait(240)
        return {"name": job.facts["name"], "path": tmp_path}

    job = jobs.start("copy", TITLE, {"name": "a"}, work)
    assert told.wait(240)
    status = jobs.status(job.id, Words("en"))
    assert status.state == "running" and status.progress == 0.25 and "still at work" in status.message
    assert job.message["facts"]["bytes_done"] == 3 and job.message["facts"]["path"] == str(tmp_path)
    with pytest.raises(Problem, match="still at work"):
        jobs.forget(job.id)
    with pytest.raises(Problem, match="cannot be taken up"):
        jobs.resume(job.id)
    go_on.set()
    assert jobs.wait(job.id, 240).state == "finished"
    assert vars(jobs.status(job.id, Words("zh"))) | {"message": ""} == {
        "state": "finished",
        "progress": 1.0,
        "message": "",
        "result": {"name": "a", "path": str(tmp_path)},
        "error": None,
    }
    assert on_disk(tmp_path, job)["result"] == job.result and on_disk(tmp_path, job)["state"] == "finished"
    assert jobs.log(job.id) == ["first line"] and not jobs.can_resume(job.id)
    jobs.forget(job.id)
    assert jobs.all() == [] and list((tmp_path / "saves" / ".jobs").iterdir()) == []


def test_only_so_many_of_a_kind_at_a_time_and_other_kinds_beside(jobs):
    go_on, running, most = threading.Event(), [], []

    def work(job):
        running.append(job.id)
        most.append(len(running))
        assert go_on.wait(240)
        running.remove(job.id)

    jobs.offer("copy", work, at_a_time=2)
    copies = [jobs.start("copy", TITLE, {}) for _ in range(5)]
    other = jobs.start("other", TITLE, {}, lambda job: "done")
    assert jobs.wait(other.id, 240).result == "done"
    wait_for(lambda: len(running) == 2)
    assert [job.state for job in copies[2:]] == ["queued"] * 3
    jobs.cancel(copies[4].id)
    assert copies[4].state == "stopped" and copies[4].started is None
    go_on.set()
    assert [jobs.wait(job.id, 240).state for job in copies] == ["finished"] * 4 + ["stopped"]
    assert max(most) == 2
    assert [job.id for job in jobs.all("other")] == [other.id]


def test_cancel_stops_at_the_next_look_and_resume_goes_on(jobs):
    rounds = []

    def work(job):
        rounds.append(job.id)
        if len(rounds) == 1:
            assert job.cancelled.wait(240)
            job.check()
        return len(rounds)

    job = jobs.start("copy", TITLE, {}, work)
    wait_for(lambda: rounds)
    assert jobs.cancel(job.id).state == "stopping"
    assert jobs.wait(job.id, 240).state == "stopped" and job.error is None
    assert jobs.can_resume(job.id)
    jobs.resume(job.id)
    assert jobs.wait(job.id, 240).state == "finished" and job.result == 2 and rounds == [job.id] * 2


def test_a_fault_is_one_sentence_and_the_traceback_is_in_the_log_only(jobs):
    def problem(job):
        raise Problem("jobs.missing", job="x")

    def fault(job):
        raise ValueError("seven")

    told = jobs.start("copy", TITLE, {}, problem)
    broken = jobs.start("copy", TITLE, {}, fault)
    assert jobs.wait(told.id, 240).state == jobs.wait(broken.id, 240).state == "failed"
    assert jobs.status(told.id, Words("en")).error.startswith("There is no job “x”")
    assert jobs.status(broken.id, Words("zh")).error.startswith("程序出错：原文：ValueError: seven")
    assert "ValueError: seven" in jobs.status(broken.id, Words("en")).error
    assert "Traceback" not in str(broken.error) and any("Traceback" in line for line in jobs.log(broken.id))
    with pytest.raises(Problem, match="no job"):
        jobs.find("../../etc/passwd")


KILLED = """
    import sys, threading, time
    from pathlib import Path
    from studio.core.jobs import Jobs
    from studio.core.workspace import Workspace

    def work(job):
        job.report(0.5, "jobs.active", job="x")
        job.record()
        both.wait()
        print(job.id, flush=True)
        time.sleep(60)

    both = threading.Event()
    jobs = Jobs(Workspace(Path(sys.argv[1])))
    jobs.start("copy", "jobs.active", {"row": 7}, work)
    waiting = jobs.start("copy", "jobs.active", {"row": 8}, work)
    both.set()
    time.sleep(60)
"""


def test_what_a_killed_process_left_is_interrupted_and_can_be_resumed(tmp_path):
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(KILLED), tmp_path], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    name = child.stdout.readline().strip()
    assert Jobs(Workspace(tmp_path)).all() == []  # they belong to a living process
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    (tmp_path / "saves" / ".jobs" / "torn.json").write_text('{"id": ')

    jobs = Jobs(Workspace(tmp_path))
    assert sorted(job.facts["row"] for job in jobs.all()) == [7, 8]
    left = jobs.find(name)
    assert left.state == "interrupted" and left.progress == 0.5 and left.ended
    assert not jobs.can_resume(name)  # nobody said yet how such a job is done
    jobs.offer("copy", lambda job: job.facts["row"])
    jobs.resume(name)
    assert jobs.wait(name, 240).result == 7


def test_old_records_of_what_went_well_are_cleared_and_a_full_disk_does_not_end_the_work(jobs, tmp_path, monkeypatch):
    done = [jobs.start("copy", TITLE, {"row": row}, lambda job: None) for row in range(4)]
    assert [jobs.wait(job.id, 240).state for job in done] == ["finished"] * 4
    monkeypatch.setattr(jobs_module, "MAX_RECORDS", 2)
    failed = jobs.start("copy", TITLE, {"row": 9}, lambda job: 1 / 0)
    jobs.wait(failed.id, 240)
    assert [job.facts["row"] for job in Jobs(Workspace(tmp_path)).all()] == [9, 3, 2]
    assert len(list((tmp_path / "saves" / ".jobs").glob("*.json"))) == 3

    def refuse(path, value):
        raise Problem("workspace.unwritable", path=path, reason="no space")

    monkeypatch.setattr(job_module, "write_json", refuse)
    assert (
        jobs.wait(jobs.start("copy", TITLE, {}, lambda job: job.report(1, TITLE, job="x")).id, 240).state == "finished"
    )


@pytest.mark.parametrize(
    "facts", [{"name": "caf\udce9.jsonl"}, {"name": "\ud83d"}, {"name": 10**5000}, {("a",): {1, 2}}, {"name": "a\0b"}]
)
def test_whatever_a_job_works_on_it_ends_and_gives_its_place_back(jobs, tmp_path, facts):
    jobs.offer("copy", lambda job: facts, at_a_time=1)
    for _ in range(3):  # one that hung would keep the next from its place
        job = jobs.start("copy", TITLE, facts)
        job.report(0.5, TITLE, job=facts)
        assert jobs.wait(job.id, 240).state == "finished"
        json.dumps(sendable(vars(jobs.status(job.id, Words("zh")))), ensure_ascii=False).encode()
        assert on_disk(tmp_path, job)["state"] == "finished"
    assert len(Jobs(Workspace(tmp_path)).all()) == 3


def test_a_job_that_cannot_begin_has_failed_with_its_reason(jobs, monkeypatch):
    def refuse(self):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        job = jobs.start("copy", TITLE, {}, lambda job: 1)
    assert job.state == "failed" and "can't start new thread" in jobs.status(job.id, Words("en")).error
    unknown = jobs.start("nobody-knows", TITLE, {})
    assert unknown.state == "failed"
    assert jobs.wait(jobs.start("copy", TITLE, {}, lambda job: 1).id, 240).state == "finished"


def test_what_is_no_exception_of_the_usual_kind_ends_a_job_too(jobs):
    def leave(job):
        raise SystemExit(3)

    job = jobs.start("copy", TITLE, {}, leave)
    assert jobs.wait(job.id, 240).state == "failed"
    assert jobs.wait(jobs.start("copy", TITLE, {}, lambda job: 1).id, 240).state == "finished"
