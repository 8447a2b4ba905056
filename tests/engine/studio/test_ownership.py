"""One studio owns a workspace; its lock dies with it, and what it started is no owner."""

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from studio.core.i18n import Problem, Words
from studio.core.processes import ownership
from studio.core.processes.ownership import Owned, Ownership
from studio.core.workspace import write_json

ADDRESS = "http://127.0.0.1:7860"
HOLD = """
import pathlib, subprocess, sys, time
from studio.core.processes.ownership import Ownership
mine = Ownership.acquire(pathlib.Path(sys.argv[1]), "http://127.0.0.1:7999")
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def saves(tmp_path) -> Path:
    return tmp_path / "saves"


@pytest.fixture
def holder(saves):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(saves)], stdout=subprocess.PIPE, text=True)
    worker = int(process.stdout.readline())
    yield process
    process.kill()
    process.wait()
    os.kill(worker, signal.SIGKILL)


def test_the_second_is_told_who_has_it_and_the_next_gets_it_when_that_one_is_killed(saves, holder):
    with pytest.raises(Owned) as told:
        Ownership.acquire(saves, ADDRESS)
    assert told.value.owner.pid == holder.pid and told.value.owner.address == "http://127.0.0.1:7999"
    for language in ("en", "zh"):
        sentence = Words(language).tell(told.value)
        assert "7999" in sentence and str(holder.pid) in sentence and "--look" in sentence
    assert ownership.read(saves).pid == holder.pid, "the one who was refused has left the record as it was"
    holder.kill()  # its worker lives on, and is no owner
    holder.wait()
    mine = Ownership.acquire(saves, ADDRESS)
    assert ownership.read(saves) == mine.owner
    mine.release()
    assert ownership.read(saves) is None
    Ownership.acquire(saves, ADDRESS).release()


def test_of_many_that_begin_together_one_has_it(saves):
    taken, refused = [], []

    def begin():
        try:
            taken.append(Ownership.acquire(saves, ADDRESS))
        except Owned as owned:
            refused.append(owned)

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 1 and len(refused) == 7
    taken[0].release()


def test_a_forked_child_is_no_owner(saves):
    mine = Ownership.acquire(saves, ADDRESS)
    child = os.fork()
    if child == 0:
        time.sleep(30)
        os._exit(0)
    mine.release()
    try:
        taken = Ownership.acquire(saves, ADDRESS)
        assert json.loads((saves / ownership.RECORD).read_text())["pid"] == os.getpid() != child
        taken.release()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@pytest.mark.parametrize("content", ["", "[1]", "{}", '{"pid": "x"}', '{"pid": 1e400}'])
def test_a_record_that_is_none_is_in_nobodys_way(saves, content):
    saves.mkdir()
    (saves / ownership.RECORD).write_text(content)
    taken = Ownership.acquire(saves, ADDRESS)
    assert json.loads((saves / ownership.RECORD).read_text())["pid"] == os.getpid()
    taken.release()


def test_a_lock_whose_record_cannot_be_read_still_refuses(saves, holder):
    (saves / ownership.RECORD).write_text("[")
    with pytest.raises(Owned) as told:
        Ownership.acquire(saves, ADDRESS)
    assert told.value.owner is None and "--look" in str(told.value)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(ownership, "BEAT_S", 0.2)


def on_another_machine(saves: Path) -> None:
    write_json(
        saves / ownership.RECORD, {"pid": 1, "pid_started": 1.0, "host": "elsewhere", "address": ADDRESS, "since": 1.0}
    )


def test_an_owner_on_another_machine_that_beats_is_one_and_one_that_does_not_is_gone(saves, quick):
    on_another_machine(saves)
    seen = []
    Ownership.acquire(saves, ADDRESS, lambda seconds, owner: seen.append(owner.host)).release()
    assert seen == ["elsewhere"]
    on_another_machine(saves)
    ended = threading.Event()

    def beat():
        while not ended.wait(0.1):
            os.utime(saves / ownership.RECORD)

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        with pytest.raises(Owned) as told:
            Ownership.acquire(saves, ADDRESS)
        assert told.value.owner.host == "elsewhere"
    finally:
        ended.set()
        thread.join()


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_disk_without_locks(saves, quick, monkeypatch, code):
    from filelock import FileLock

    def refuses(self, *_, **__):
        (saves / ownership.LOCK).touch()
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(FileLock, "acquire", refuses)
    mine = Ownership.acquire(saves, ADDRESS)
    with pytest.raises(Owned):
        Ownership.acquire(saves, ADDRESS)
    write_json(saves / ownership.RECORD, mine.owner.model_dump() | {"pid_started": 1.0})  # of a process that is gone
    Ownership.acquire(saves, ADDRESS).release()
    mine.release()


def test_the_owner_beats(saves, quick):
    mine = Ownership.acquire(saves, ADDRESS)
    first = (saves / ownership.RECORD).stat().st_mtime_ns
    time.sleep(1)
    assert (saves / ownership.RECORD).stat().st_mtime_ns > first
    mine.release()


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_told(saves):
    saves.mkdir(mode=0o500)
    with pytest.raises(Problem):
        Ownership.acquire(saves, ADDRESS)


def test_this_machine_is_known_by_its_name(saves):
    mine = Ownership.acquire(saves, ADDRESS)
    assert mine.owner.host == socket.gethostname() and mine.owner.is_here and mine.owner.lives()
    mine.release()
