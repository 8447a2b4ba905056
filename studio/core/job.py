"""One job: what the page shows of it while it runs, and its record on disk."""

import contextlib
import threading
import time
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Literal

import psutil
from pydantic import Field

from studio.core.i18n import Problem, Reason, Words
from studio.core.plain import plain
from studio.core.sentences import Sentence
from studio.core.storage import records
from studio.core.storage.records import Moment, Record
from studio.core.workspace import write_json

ACTIVE = ("queued", "preparing", "running", "stopping")
RECORD_EVERY_S = 2.0


class Stopped(Exception):
    """Raised inside work that the person stopped, as by `job.check()`. Let it pass."""


@dataclass(eq=False)
class Job:
    """One piece of long work. All of it but the last two lines is JSON and stands on disk in `saves/.jobs/<id>.json`.

    `title` is the key of a sentence that `facts` fill; the facts say what the job works on and hold no secret.
    `message` and `error` are sentences as {"key", "facts"}. States are those of a run: queued, preparing (no report
    yet), running, stopping, finished, stopped, failed, interrupted. `progress` is 0 to 1 or None, times are seconds
    since 1970.
    """

    id: str
    kind: str
    title: str
    facts: dict
    state: str = "queued"
    progress: float | None = None
    message: dict | None = None
    result: object = None
    error: dict | None = None
    created: float = field(default_factory=time.time)
    started: float | None = None
    ended: float | None = None
    cancelled: threading.Event = field(default_factory=threading.Event, repr=False)
    _folder: Path = field(default=Path(), repr=False)
    _recorded: float = field(default=0.0, repr=False)

    @property
    def active(self) -> bool:
        """Tell whether it waits or is at work."""
        return self.state in ACTIVE

    @property
    def log_file(self) -> Path:
        return self._folder / f"{self.id}.log"

    def report(self, progress: float | None, key: str, /, **facts: object) -> None:
        """Say how far the work is (0 to 1, None: unknown) and what it is doing: the key of a sentence and its facts.

        Facts that the sentence does not use are kept as well, for a page that draws more than the sentence.
        """
        self.progress, self.message = progress, sentence(key, facts)
        if self.state == "preparing":
            self.state = "running"
        if time.monotonic() - self._recorded > RECORD_EVERY_S:
            self.record()

    def check(self) -> None:
        """Raise Stopped if the person stopped the job."""
        if self.cancelled.is_set():
            raise Stopped

    def log(self, line: str) -> None:
        """Append a line to the job's log. Raises OSError where the disk refuses."""
        with open(self.log_file, "a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(line.rstrip("\n") + "\n")

    def record(self) -> None:
        """Write the job to disk."""
        self._recorded = time.monotonic()
        process = psutil.Process()
        values = {one.name: getattr(self, one.name) for one in fields(self) if one.name in STORED_FIELDS}
        # A full disk must not end the work: the record is written again at the next change.
        with contextlib.suppress(Problem):
            write_json(
                self._folder / f"{self.id}.json",
                {**plain(values), "pid": process.pid, "pid_started": process.create_time()},
            )


class JobRecord(Record):
    """A job as it stands on disk, with the process that was at work on it."""

    id: str
    kind: str
    title: str
    facts: dict[str, object]
    state: Literal["queued", "preparing", "running", "stopping", "finished", "stopped", "failed", "interrupted"]
    progress: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None
    message: Sentence | None
    result: object
    error: Sentence | None
    created: Moment
    started: Moment | None
    ended: Moment | None
    pid: Annotated[int, Field(ge=0, lt=2**31)]
    pid_started: Moment


@dataclass(frozen=True)
class JobStatus:
    """How far a job is, its sentences told in one language. progress: 0 to 1, None where it is not known. result: JSON,
    None until the work is done.
    """

    state: str
    progress: float | None
    message: str | None
    result: object
    error: str | None


STORED_FIELDS = {one.name for one in fields(Job)} - {"cancelled", "_folder", "_recorded"}


def sentence(key: str, facts: dict) -> dict:
    """Return a sentence as JSON: its key and its facts."""
    return {"key": key, "facts": plain(facts)}


def sentence_text(stored: dict | None, words: Words) -> str | None:
    """Return a sentence that was kept as JSON in the language of `words`; one of another release is told as that."""
    if stored is None:
        return None
    try:
        return records.typed(stored, Sentence, "sentence").tell(words)
    except Problem as problem:
        return words.tell(problem)


def of_disk(path: Path) -> tuple[Job, bool]:
    """Return a job that stands on disk, and whether its process lives. Raises Problem where its record is none."""
    record = records.load(path, JobRecord)
    if record.id != path.stem:
        raise Problem(
            "records.wrong_field", file=path.name, field="id", reason=Reason("reasons.other_id", id=record.id[:100])
        )
    values = {name: getattr(record, name) for name in STORED_FIELDS}
    job = Job(
        **{name: sentence(one.key, one.facts) if isinstance(one, Sentence) else one for name, one in values.items()}
    )
    job._folder = path.parent
    return job, is_alive(record.pid, record.pid_started)


def is_alive(pid: int, started: float) -> bool:
    try:
        return abs(psutil.Process(pid).create_time() - started) < 1
    except psutil.Error:
        return False
