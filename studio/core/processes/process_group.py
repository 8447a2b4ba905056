"""A program that outlives the studio, with all that it started: found again by number and start time, and ended whole.

An engine's workers live on when their leader is killed, and keep the GPU. They are found by the group and the session
that the leader began, by what was seen of them before, and by a variable that only they were given.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterable

import psutil

from studio.core.processes.child import Child
from studio.core.storage.records import Record

MARK = "STUDIO_SUPERVISED"  # the variable
KILL_S = 5.0
_STEP_S = 0.05


class ProcessId(Record):
    """A process by its number and when it began (seconds since 1970, as the system says)."""

    pid: int
    started: float

    def process(self) -> psutil.Process | None:
        """Return the process, None where it is gone; one that only waits to be buried is."""
        try:
            process = psutil.Process(self.pid)
            lives = process.status() != psutil.STATUS_ZOMBIE and abs(process.create_time() - self.started) < 1
            return process if lives else None
        except (psutil.Error, ValueError, OverflowError):
            return None


def identity(pid: int) -> ProcessId | None:
    """Return who has that number now, None where nobody has."""
    try:
        return ProcessId(pid=pid, started=psutil.Process(pid).create_time())
    except psutil.Error:
        return None


def members(leader: ProcessId, mark: str, seen: Iterable[ProcessId] = ()) -> list[psutil.Process]:
    """Return the living processes of a program that leads a session of its own, itself first where it lives.

    Args:
        leader: the process that was started.
        mark: the value of MARK in its environment.
        seen: members that were found before: a program may write over its own environment (setproctitle does).
    """
    known = {one.pid: one for one in seen}
    top = leader.process()
    found = {top.pid: top} if top else {}
    with contextlib.suppress(psutil.Error):
        found |= {one.pid: one for one in (top.children(recursive=True) if top else ())}
    for pid in _in_session(leader.pid):
        if pid not in found and (process := _verified(pid, known, mark, top is not None)):
            found[pid] = process
    for one in known.values():
        if one.pid not in found and (process := one.process()):
            found[one.pid] = process
    return [process for process in found.values() if _lives(process)]


def end(
    leader: ProcessId, mark: str, seen: Iterable[ProcessId] = (), patience_s: float = 30.0, child: Child | None = None
) -> bool:
    """End a program with all that it started, and wait until nothing of it is left.

    Args:
        leader, mark, seen: as `members` takes them.
        patience_s: for how many seconds it may put its things in order before it is killed.
        child: it, where this process started it, to be buried.

    Returns: whether nothing is left.
    """
    seen = list(seen)
    family = members(leader, mark, seen)
    for process in family[:1]:  # the first alone: it ends the others in its own order
        _send(process, signal.SIGTERM)
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline and (child.code is None if child else leader.process()):
        time.sleep(_STEP_S)
    for number, wait_s in ((signal.SIGTERM, 1.0), (getattr(signal, "SIGKILL", signal.SIGTERM), KILL_S)):
        family = _living({*family, *members(leader, mark, seen)})
        if not family:
            break
        for process in family:
            _send(process, number)
        deadline = time.monotonic() + wait_s
        while time.monotonic() < deadline and _living(family):
            time.sleep(_STEP_S)
    if child:
        child.end()
    return not _living({*family, *members(leader, mark, seen)})


def _living(family: Iterable[psutil.Process]) -> list[psutil.Process]:
    return [process for process in family if _lives(process)]


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _send(process: psutil.Process, number: int) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):  # gone by itself, which is what was wanted
        process.send_signal(number)


def _in_session(leader: int) -> list[int]:
    """Return the numbers of the processes in the group or the session that a process began."""
    if sys.platform == "win32":
        return []
    found = []
    for pid in psutil.pids():
        with contextlib.suppress(OSError):
            if leader in (os.getpgid(pid), os.getsid(pid)):
                found.append(pid)
    return found


def _verified(pid: int, known: dict[int, ProcessId], mark: str, leader_lives: bool) -> psutil.Process | None:
    """Return a process of the session where it is no stranger that has the number of one that is gone."""
    try:
        process = psutil.Process(pid)
        if leader_lives or process.environ().get(MARK) == mark:
            return process
    except psutil.Error:
        return None
    return known[pid].process() if pid in known else None
