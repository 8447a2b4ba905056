"""`run.json`: what the studio writes beside the recipe of a run."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from filelock import FileLock
from pydantic import ConfigDict, Field, ValidationError

from studio.core.i18n import Problem
from studio.core.plain import shown
from studio.core.storage import files, records
from studio.core.storage.file_cache import FileCache
from studio.core.storage.records import Moment, Record
from studio.core.workspace import write_json

LOCK, LOCK_S = ".run.lock", 10.0


class RunInfo(Record):
    """What is known of a run beside its recipe: who trains it, where, and what a person noted. What a later release
    added is kept.

    base_stamp: of the weights on which it was started (see `weights_stamp`). data_stamps: of its datasets then, by
    their names (see `data_stamps`).
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    title: str = ""
    label: str = ""  # what a person called the run later; its folder and its addresses keep the first name
    note: str = ""
    star: bool = False
    created: Moment | None = None
    executor: str | None = None
    devices: list[Annotated[int, Field(ge=0, le=4095)]] = []
    processes: Annotated[int, Field(ge=1, le=4096)] = 1
    nodes: Annotated[int, Field(ge=1, le=4096)] | None = None
    probes: list[str] = []
    parent: str | None = None
    sweep: str | None = None
    versions: dict[str, str] = {}
    pid: Annotated[int, Field(gt=0, lt=2**31)] | None = None
    pid_started: Moment | None = None
    host: str | None = None
    order: str | None = None
    python: str | None = None
    base_stamp: str = ""
    data_stamps: dict[str, str] = {}


_infos: FileCache[tuple[RunInfo, Problem | None]] = FileCache()


def read(path: Path) -> tuple[RunInfo, Problem | None]:
    """Return a run's info with those fields that are as they should be, and what is wrong with the others or the file;
    an empty one where there is none.

    It is read again only when it changed.
    """
    return _infos.get(path, [path], lambda: _read(path))


def update(path: Path, facts: dict[str, object]) -> None:
    """Put facts into a run's info; what else stands there stays. One that cannot be read is kept beside it. Raises
    Problem.
    """
    with _alone(path):
        raw: object = {}
        if files.exists(path):
            with contextlib.suppress(Problem):
                raw = records.read(path)
            if not isinstance(raw, dict) or not raw:
                records.set_aside(path)
                raw = {}
        write_json(path, {**raw, **facts})
        _infos.drop(path)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep others out, in this process and in that which trains the run: what one of them adds must not be lost to the
    other.
    """
    lock = FileLock(path.with_name(LOCK), timeout=LOCK_S)
    try:
        lock.acquire()
    except (
        OSError,
        NotImplementedError,
    ):  # a disk without locks, or one that has kept it too long: a fact that is lost is the lesser harm
        yield
        return
    try:
        yield
    finally:
        lock.release()


def _read(path: Path) -> tuple[RunInfo, Problem | None]:
    try:
        raw = records.read(path)
    except Problem as fault:
        return RunInfo(), fault if files.exists(path) else None  # else the run has just been deleted
    try:
        return RunInfo.model_validate(raw), None
    except ValidationError as error:
        found, fault = error.errors(include_url=False, include_input=False), _first_fault(raw, path)
        if not isinstance(raw, dict):
            return RunInfo(), fault
        wrong = {one["loc"][0] for one in found if one["loc"]}
        right = {name: value for name, value in raw.items() if name not in wrong and shown(name) == name}
        return RunInfo.model_validate(right), fault


def _first_fault(raw: object, path: Path) -> Problem | None:
    try:
        records.typed(raw, RunInfo, path.name)
    except Problem as fault:
        return fault
    return None
