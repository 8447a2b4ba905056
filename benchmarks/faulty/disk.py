"""A disk that is full when something is written: told in a sentence, nothing that was there is harmed, no half file
stays.
"""

import contextlib
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.faulty.kills import end_all, look
from benchmarks.faulty.ledger import Ledger, begin_run, writes
from benchmarks.faulty.victim import Tally, Victim, furnish

SIZE = "48m"
ROOM = (0, 100, 4096, 5000, 16_384)  # bytes that are left


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """Mount a small disk at a folder; False where this may not be done here."""
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    mounted = sys.platform == "linux" and subprocess.run(command, check=False, capture_output=True).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def fill_again_and_again(start, base: Path, tally: Tally, times: int, seed: int) -> int:
    """Fill the disk so many times before one write each; return how many of them were refused in a sentence.

    `start` starts a studio on a workspace.
    """
    workspace = base / "small"
    with small_disk(workspace) as mounted:
        furnish(workspace)
        ledger, refused = Ledger(workspace, seed), 0
        victim = start(workspace)
        if not victim.started():
            return 0
        kinds = writes(ledger, 0)
        for number in range(times):
            full = (
                filled(workspace, ROOM[number % len(ROOM)])
                if mounted
                else short_files(victim, ROOM[number % len(ROOM)])
            )
            write = next(kinds)  # before: a file of the person's own must not be what finds no room
            with full:
                before = tally.answers
                if number % 5 == 4:
                    counted = ledger.count
                    begin_run(ledger, victim, number)
                    refused += ledger.count == counted
                else:
                    refused += not ledger.do(victim, write)
                victim.draw()
                tally.left += len(half_files(workspace))
            if left := half_files(workspace):
                tally.note(f"full disk {number + 1} leaves {left}")
            tally.tried["full disk"] = tally.tried.get("full disk", 0) + 1
            look(victim, ledger, tally, f"full disk {number + 1} ({tally.answers - before} answers)")
        victim.end_runs()
        victim.kill()
        victim = start(workspace)
        if victim.started():
            look(victim, ledger, tally, "a new start after the full disks")
        tally.acknowledged += ledger.count
        end_all(victim)
    return refused


@contextlib.contextmanager
def filled(workspace: Path, room: int) -> Iterator[None]:
    """Fill the disk of a workspace up to some bytes."""
    filler = workspace / "filler"
    with open(filler, "wb", buffering=0) as file:
        with contextlib.suppress(OSError):
            while file.write(b"\0" * 2**20):
                pass
        with contextlib.suppress(OSError):
            while file.write(b"\0" * 512):
                pass
        os.truncate(filler, max(0, file.tell() - room))
    try:
        yield
    finally:
        filler.unlink()


@contextlib.contextmanager
def short_files(victim: Victim, room: int) -> Iterator[None]:
    """Where no disk can be mounted: let the studio write no file of more than some bytes, which fails in the same
    places.
    """
    before = resource.prlimit(victim.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(victim.process.pid, resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        yield
    finally:
        resource.prlimit(victim.process.pid, resource.RLIMIT_FSIZE, before)


def half_files(workspace: Path) -> list[str]:
    """Return what is being written and has no writer any more: after the answer to the only caller, all of it."""
    places = [
        workspace / ".writing",
        workspace / "saves" / ".writing",
        workspace / "data" / ".writing",
        workspace / "models" / ".writing",
    ]
    found = []
    for place in places:
        for path in place.iterdir() if place.is_dir() else ():
            with contextlib.suppress(OSError, ValueError):
                if path.is_dir() and any(path.iterdir()) and not _is_at_work(path):
                    found.append(str(path.relative_to(workspace)))
    return found


def _is_at_work(path: Path) -> bool:
    # A run or a beat of the studio writes beside the caller: what is younger than a moment may be theirs.
    return time.time() - path.lstat().st_mtime < 2
