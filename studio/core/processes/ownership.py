"""One studio owns a workspace: two that wrote the same lists would lose what one of them had acknowledged.

The owner holds a lock that dies with its process, `saves/.owner.lock`, and says beside it who it is,
`saves/.owner.json`. What it starts (workers that outlive it) does not hold the lock. Where a disk has no locks, or
locks that other machines do not see, the record decides: its process on this machine, and on another one the beat of
it, the time of the file, which its owner renews every few seconds.
"""

import contextlib
import os
import socket
import threading
import time
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from studio.core import reasons
from studio.core.i18n import Problem
from studio.core.storage import records
from studio.core.storage.atomic import write_json
from studio.core.storage.records import Record

LOCK, RECORD = ".owner.lock", ".owner.json"
BEAT_S = 5.0
MISSED_BEATS = 2.5  # after so many the owner on another machine counts as gone
SETTLE_S = 0.3


class Owner(Record):
    """Who owns a workspace: the process, when it began (seconds since 1970, as the system says), its machine and where
    it serves.
    """

    pid: int
    pid_started: float
    host: str
    address: str
    since: float

    @property
    def is_here(self) -> bool:
        """Whether it runs on this machine."""
        return self.host == socket.gethostname()

    def lives(self) -> bool:
        """Tell whether the process is there; only for one on this machine."""
        try:
            process = psutil.Process(self.pid)
            return process.status() != psutil.STATUS_ZOMBIE and abs(process.create_time() - self.pid_started) < 1
        except (psutil.Error, ValueError, OverflowError):
            return False

    def facts(self) -> dict:
        """Return the facts of a sentence about the owner."""
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(self.since))
        return {"pid": self.pid, "host": self.host, "address": self.address, "since": since}


class Owned(Problem):
    """Another studio owns the workspace; `owner` says which, None where its record cannot be read."""

    def __init__(self, folder: Path, owner: Owner | None):
        facts = {"folder": folder, **(owner.facts() if owner else {})}
        super().__init__("workspace.owned" if owner else "workspace.owned_by_somebody", **facts)
        self.owner = owner


class Ownership:
    """The workspace is this process's from `take` on, until `release` or its end."""

    def __init__(self, saves: Path, lock: FileLock | None, owner: Owner):
        self._saves, self._lock, self.owner = saves, lock, owner
        self._released = threading.Event()
        threading.Thread(target=self._beat, name="owner", daemon=True).start()

    @classmethod
    def acquire(cls, saves: Path, address: str, on_wait=lambda seconds, owner: None) -> "Ownership":
        """Own the workspace whose saves these are.

        Args:
            saves: the folder; made where it is not there.
            address: where this studio will be served, for others to open.
            on_wait: called where a record of another machine must be watched for some seconds, with these and its
                owner.

        Raises:
            Owned: another studio has it.
            Problem: the folder cannot be written.
        """
        try:
            saves.mkdir(parents=True, exist_ok=True)
            lock = _locked(saves)
        except OSError as error:
            raise Problem("workspace.unwritable", path=error.filename or saves, reason=reasons.of(error)) from error
        try:
            before = read(saves)
            if before and (_goes_on(saves, before, on_wait) if not before.is_here else lock is None and before.lives()):
                raise Owned(saves.parent, before)
            process = psutil.Process()
            owner = Owner(
                pid=process.pid,
                pid_started=process.create_time(),
                host=socket.gethostname(),
                address=address,
                since=time.time(),
            )
            write_json(saves / RECORD, owner.model_dump())
            if lock is None:
                time.sleep(SETTLE_S)  # of two that begin at the same moment the later writer has it
                if (now := read(saves)) and now != owner:
                    raise Owned(saves.parent, now)
        except BaseException:
            if lock:
                lock.release()
            raise
        return cls(saves, lock, owner)

    def release(self) -> None:
        """Give the workspace up, for a process that goes on or ends in order."""
        self._released.set()
        if read(self._saves) == self.owner:
            with contextlib.suppress(OSError):
                (self._saves / RECORD).unlink(missing_ok=True)
        if self._lock:
            self._lock.release()

    def _beat(self) -> None:
        while not self._released.wait(BEAT_S):
            with contextlib.suppress(OSError):  # a disk that refuses now may take it next time
                os.utime(self._saves / RECORD)


def read(saves: Path) -> Owner | None:
    """Return who the record of a workspace names, None where there is none that can be read."""
    try:
        return records.load(saves / RECORD, Owner)
    except Problem:
        return None


def _locked(saves: Path) -> FileLock | None:
    """Return the lock, held; None where the disk has no locks. Raises Owned where another holds it."""
    lock = FileLock(saves / LOCK, timeout=0, thread_local=False, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout:
        raise Owned(saves.parent, read(saves)) from None
    except PermissionError:
        raise
    except (OSError, NotImplementedError) as error:
        if not os.access(saves, os.W_OK):
            raise
        if isinstance(error, OSError) and (saves / LOCK).exists() is False:
            raise  # not even the file could be made: a full disk, not a missing kind of lock
        return None
    return lock


def _goes_on(saves: Path, owner: Owner, on_wait) -> bool:
    """Watch the record of an owner on another machine, and tell whether it still beats; clocks of two machines are not
    compared.
    """
    seconds = BEAT_S * MISSED_BEATS
    on_wait(seconds, owner)
    first, end = _beat_of(saves), time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(min(0.5, BEAT_S / 5))
        if (now := _beat_of(saves)) != first:
            return now is not None
    return False


def _beat_of(saves: Path) -> int | None:
    try:
        # Opened, since a network disk asks the server for a file's time only then.
        with open(saves / RECORD, "rb") as file:
            return os.fstat(file.fileno()).st_mtime_ns
    except OSError:
        return None
