"""STUB, being filled: long work of every kind: queue, progress, cancel, log; survives a page reload, and is remembered across a kill.

```
jobs = Jobs(workspace)                       # one for the life of the process; reads what earlier processes left
jobs.offer("download", work, at_a_time=3)    # a room says how jobs of its kind are done: also those an earlier process left
job = jobs.start("download", "downloads.title", {"repo": ...})        # queued; runs `work(job)` in a thread
job = jobs.start("merge", "export.merging", {"run": ...}, work=work)  # work of its own, for this job only
```
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from studio.interface.language import Words
from studio.workspace import Workspace

ACTIVE = ("queued", "preparing", "running", "stopping")


class Stopped(Exception):
    """Raised by `job.check()` inside the work when the person stopped the job. Let it pass."""


@dataclass
class Job:
    """One piece of long work. What is not private is JSON and is on disk in `saves/.jobs/<id>.json`."""

    id: str
    kind: str
    title: str  # key of a sentence, filled with `facts`
    facts: dict  # what it works on; JSON; never a secret
    state: str = "queued"  # queued, preparing, running, stopping, finished, stopped, failed, interrupted
    progress: float | None = None  # 0 to 1
    message: dict | None = None  # {"key": ..., "facts": {...}} of what it is doing now
    result: dict | list | str | None = None
    error: dict | None = None  # {"key": ..., "facts": {...}} of a Problem
    created: float = 0.0  # seconds since 1970, as the next two
    started: float | None = None
    ended: float | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)

    # for the work -----------------------------------------------------------------------------------------------------------------
    def report(self, progress: float | None, key: str, **facts: object) -> None:
        """Say how far it is (0 to 1, None: unknown) and what it is doing: a sentence's key and its facts (extra facts are kept as well)."""

    def check(self) -> None:
        """Raise Stopped if the person stopped the job."""

    def log(self, line: str) -> None:
        """Append a line to the job's log, `saves/.jobs/<id>.log`."""

    # for the page -----------------------------------------------------------------------------------------------------------------
    @property
    def active(self) -> bool:
        """Tell whether it is queued or at work."""


class Jobs:
    """All jobs of the workspace."""

    def __init__(self, workspace: Workspace): ...

    def offer(self, kind: str, work: Callable[[Job], object], at_a_time: int = 1) -> None:
        """Say how jobs of a kind are done and how many at a time; jobs that an earlier process left can then be resumed."""

    def start(self, kind: str, title: str, facts: dict, work: Callable[[Job], object] | None = None) -> Job:
        """Queue a job. `work(job)` returns its result (JSON); a Problem it raises becomes the job's error."""

    def all(self, kind: str | None = None) -> list[Job]:
        """Return the jobs, newest first."""

    def find(self, job: str) -> Job:
        """Return the job with that id. Raises Problem."""

    def cancel(self, job: str) -> Job:
        """Stop it: at once where it waits, at the next `check` where it runs. What is over stays as it is. Raises Problem."""

    def can_resume(self, job: str) -> bool:
        """Tell whether a job that is over without success can be taken up again (retry, resume: the same thing)."""

    def resume(self, job: str) -> Job:
        """Queue a stopped, failed or interrupted job again, under the same id. Raises Problem where that cannot be."""

    def forget(self, job: str) -> None:
        """Remove a job that is over, with its record and log. Raises Problem while it is active."""

    def wait(self, job: str, seconds: float) -> Job:
        """Return the job when it is over, or after so many seconds."""

    def log(self, job: str, last: int = 200) -> list[str]:
        """Return the last lines of its log."""

    def status(self, job: str, words: Words) -> dict:
        """Return {state, progress, message, result, error} with sentences in the language of `words`, for `/job_status`."""
