"""The queue of runs, on disk: who waits, in which order, and who is at work. A restart of the studio reads it and goes
on.

`saves/.queue.json` holds `waiting` and `at_work`, each a list of queued runs {run, resume, id}. A run that is
started again is queued under another id: the end of one strikes out that one alone. Only the studio that owns the
workspace starts what waits.
"""

import contextlib
import re
import secrets
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import ConfigDict, field_validator

from studio.core.i18n import Problem, Reason
from studio.core.storage import files, records
from studio.core.storage.file_cache import FileCache
from studio.core.storage.records import Record
from studio.core.workspace import safe_name, write_json

FILE = ".queue.json"


@dataclass(frozen=True)
class QueuedRun:
    """A run that waits or is at work, and the name of the checkpoint that it goes on from, if any. Those of old
    releases have no id.
    """

    run: str
    resume: str | None = None
    id: str = ""


def new_queued_run(run: str, resume: str | None = None) -> QueuedRun:
    """Return a queued run with an id of its own."""
    return QueuedRun(run, resume, secrets.token_hex(6))


class Queue:
    """The queue of one workspace. Every change is on disk before the method returns; Problem where the disk refuses."""

    def __init__(self, saves: Path):
        self._path = saves / FILE
        self._lock = threading.RLock()

    def waiting(self) -> list[QueuedRun]:
        """Return who waits, first come first unless moved."""
        return _queued_runs(_read(self._path)[0], "waiting")

    def at_work(self) -> list[QueuedRun]:
        """Return who has been started and was not yet seen to end."""
        return _queued_runs(_read(self._path)[0], "at_work")

    def faults(self) -> list[Problem]:
        """Return what is wrong with the file: the whole of it, or entries in it that are left out."""
        return list(_read(self._path)[1])

    def add(self, queued: QueuedRun) -> None:
        """Put a run at the end."""
        with self._changed() as (waiting, _):
            waiting.append(queued)

    def move(self, run: str, position: int) -> None:
        """Put a waiting run at a position, 0 being the next to start. Raises Problem where it does not wait."""
        with self._changed() as (waiting, _):
            queued = _of(waiting, run)
            waiting.remove(queued)
            waiting.insert(max(0, position), queued)

    def remove(self, run: str) -> None:
        """Take a run out of the queue before it starts. Raises Problem where it does not wait."""
        with self._changed() as (waiting, _):
            waiting.remove(_of(waiting, run))

    def begin(self, queued: QueuedRun) -> None:
        """Take a run that waits to work. Raises Problem where it does not wait."""
        with self._changed() as (waiting, at_work):
            _strike(waiting, queued)
            at_work.append(queued)

    def end(self, queued: QueuedRun) -> None:
        """Strike a queued run out, at work or waiting, and no other entry of the same run; twice is no fault."""
        with self._changed() as (waiting, at_work):
            for queued_runs in (waiting, at_work):
                queued_runs[:] = [one for one in queued_runs if one != queued]

    def put_back(self, queued: QueuedRun) -> None:
        """Let a run that was at work wait again, as the first. Raises Problem where it is not at work."""
        with self._changed() as (waiting, at_work):
            _strike(at_work, queued)
            waiting.insert(0, queued)

    @contextlib.contextmanager
    def _changed(self) -> Iterator[tuple[list[QueuedRun], list[QueuedRun]]]:
        with self._lock:
            whole, faults = _read(self._path)
            if faults:
                records.set_aside(self._path)
            waiting, at_work = _queued_runs(whole, "waiting"), _queued_runs(whole, "at_work")
            yield waiting, at_work
            rest = {name: value for name, value in whole.items() if name != "keeper"}  # which earlier releases wrote
            write_json(
                self._path,
                {**rest, "waiting": [asdict(one) for one in waiting], "at_work": [asdict(one) for one in at_work]},
            )


def holds(saves: Path, run: str) -> bool:
    """Tell whether a run waits in the queue of these saves, or is just being started."""
    whole, _ = _read(saves / FILE)
    return any(queued.run == run for queued in (*_queued_runs(whole, "waiting"), *_queued_runs(whole, "at_work")))


def collide(devices: list[int], others: list[int]) -> bool:
    """Tell whether two runs want the same devices; one that names none wants them all."""
    return not devices or not others or not set(devices).isdisjoint(others)


def _of(queued_runs: list[QueuedRun], run: str) -> QueuedRun:
    for queued in queued_runs:
        if queued.run == run:
            return queued
    raise Problem("executors.not_waiting", run=run)


def _strike(queued_runs: list[QueuedRun], queued: QueuedRun) -> None:
    if queued not in queued_runs:
        raise Problem("executors.not_waiting", run=queued.run)
    queued_runs.remove(queued)


def _queued_runs(whole: dict[str, object], name: str) -> list[QueuedRun]:
    return [QueuedRun(one["run"], one.get("resume"), one.get("id", "")) for one in whole.get(name, [])]


class StoredQueuedRun(Record):
    """A queued run as it stands on disk. A name in it leads nowhere but to a run, and to a checkpoint of it."""

    model_config = ConfigDict(extra="allow")

    run: str
    resume: str | None = None
    id: str = ""

    @field_validator("run")
    @classmethod
    def is_run(cls, run: str) -> str:
        """Refuse what is no name of a run."""
        try:
            return safe_name(run, parts=3)
        except Problem as error:
            raise ValueError("it is no name of a run") from error

    @field_validator("resume")
    @classmethod
    def is_checkpoint(cls, resume: str | None) -> str | None:
        """Refuse what is no name of a checkpoint."""
        if resume is not None and not re.fullmatch(r"checkpoint-[0-9]{1,15}", resume):
            raise ValueError("it is no name of a checkpoint")
        return resume


_queues: FileCache[tuple[dict[str, object], list[Problem]]] = FileCache()


def _read(path: Path) -> tuple[dict[str, object], list[Problem]]:
    """Return the content of the queue's file without what cannot be used in it, and what is wrong with it."""
    return _queues.get(path, [path], lambda: _read_anew(path))


def _read_anew(path: Path) -> tuple[dict[str, object], list[Problem]]:
    if not files.exists(path):
        return {}, []
    faults: list[Problem] = []
    try:
        content = records.read(path)
        if not isinstance(content, dict):
            raise Problem("records.wrong_field", file=path.name, field="-", reason=Reason("reasons.field_object"))
    except Problem as fault:
        content, faults = {}, [fault]
    for name in ("waiting", "at_work"):
        content[name] = _usable(content.get(name, []), path.name, name, faults)
    return content, faults


def _usable(queued_runs: object, file: str, name: str, faults: list[Problem]) -> list[dict[str, object]]:
    if not isinstance(queued_runs, list):
        faults.append(Problem("records.wrong_field", file=file, field=name, reason=Reason("reasons.field_list")))
        return []
    found = []
    for number, one in enumerate(queued_runs):
        try:
            found.append(records.typed(one, StoredQueuedRun, file).model_dump(exclude_unset=True))
        except Problem as fault:
            faults.append(
                Problem(fault.key, **{**fault.facts, "field": f"{name}.{number}.{fault.facts.get('field', '-')}"})
            )
    return found
