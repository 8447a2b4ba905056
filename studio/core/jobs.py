"""Long work of every kind: queue, progress, cancel, log; survives a page reload, and is remembered across a kill.

```
jobs = Jobs(workspace)                       # one for the life of the process; reads what earlier processes left
jobs.offer("download", work, at_a_time=3)    # how jobs of a kind are done: also those that an earlier process left
jobs.places("download", Places(makes=...))   # what they fill and read: nobody else takes it meanwhile
job = jobs.start("download", "downloads.title", {"repo": ...})        # queued; `work(job)` runs in a thread
job = jobs.start("merge", "export.merging", {"run": ...}, work=work)  # work of its own, for this job only
```
"""

import contextlib
import secrets
import threading
import time
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from studio.core import reasons
from studio.core.i18n import Problem, Reason, Words
from studio.core.job import ACTIVE, Job, JobStatus, Stopped, of_disk, sentence, sentence_text
from studio.core.plain import plain
from studio.core.storage import files, read_only, records
from studio.core.storage.records import Record
from studio.core.workspace import Workspace

__all__ = ["ACTIVE", "Job", "JobStatus", "Jobs", "Places", "Stopped", "Work", "sentence", "sentence_text"]

MAX_RECORDS = 200


Work = Callable[[Job], object]


@dataclass(frozen=True)
class Places:
    """Where jobs of a kind write and read, each told of the facts of one.

    makes: what such a job fills, each place with the kinds of jobs that may be filling it when this one begins. reads:
    what has to stay where it is until the job is over, a folder with all that is in it. require: raises Problem where
    what it makes has no place on the disk now.
    """

    makes: Callable[[dict], Mapping[Path, Collection[str]]] = lambda facts: {}
    reads: Callable[[dict], Iterable[Path]] = lambda facts: ()
    require: Callable[[dict], object] = lambda facts: None


class Jobs:
    """All jobs of a workspace. `faults` are those left by earlier processes that cannot be read, by file; `withheld`
    are kinds of work that this process does not do, because it is a demo.
    """

    def __init__(self, workspace: Workspace, withheld: frozenset[str] = frozenset()):
        self._withheld = withheld
        self.faults: dict[Path, Problem] = {}
        self._folder = workspace.saves / ".jobs"
        self._offers: dict[str, tuple[Work, int]] = {}
        self._places: dict[str, Places] = {}
        self._guards: list[Callable[[Path], None]] = []
        self._works: dict[str, Work] = {}
        self._waiting: dict[str, list[Job]] = {}
        self._changed = threading.Condition(threading.RLock())
        self._ending = False
        self._jobs = {job.id: job for job in self._left_by_others()}

    def offer(self, kind: str, work: Work, at_a_time: int = 1, facts: type[Record] | None = None) -> None:
        """Say how jobs of a kind are done and how many run at a time; jobs that an earlier process left can then be
        resumed.

        `facts` is what the facts of such a job must be; one that was left with others goes to `faults`.
        """
        self._offers[kind] = (work, at_a_time)
        for job in self.all(kind) if facts else []:
            file = self._folder / f"{job.id}.json"
            try:
                records.typed(job.facts, facts, file.name)
            except Problem as problem:
                self.faults[file] = problem
                del self._jobs[job.id]

    def places(self, kind: str, places: Places) -> None:
        """Say where jobs of a kind write and read. No two fill one place, and nobody takes it, or moves what they read,
        while they are not over (see `moving`).
        """
        self._places[kind] = places

    def guard(self, check: Callable[[Path], None]) -> None:
        """Ask `check` too before something is moved: it raises Problem for a place that others than jobs read."""
        self._guards.append(check)

    def start(self, kind: str, title: str, facts: dict, work: Work | None = None) -> Job:
        """Queue a job and return it. `work(job)`, or what was offered for the kind, returns the job's result as JSON.

        A Problem that it raises becomes the job's error; any other exception too, with its traceback in the log only.
        Raises Problem where this process only looks, or does no work of the kind, or where what it makes is taken or is
        being made by another job.
        """
        self.require(kind)
        job = Job(f"{kind}-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}", kind, title, plain(facts))
        job._folder = self._folder
        with self._changed:
            self._require_places(job)
            self._jobs[job.id] = job
            if work:
                self._works[job.id] = work
            self._queue(job)
        return job

    def require(self, kind: str) -> None:
        """Raise Problem where this process only looks at its workspace, or is a demo that does no work of the kind."""
        read_only.require_owner()
        if kind in self._withheld:
            raise Problem("demo.withheld")

    def all(self, kind: str | None = None) -> list[Job]:
        """Return the jobs, of one kind or of all, newest first."""
        with self._changed:
            return sorted(
                (job for job in self._jobs.values() if kind in (None, job.kind)),
                key=lambda job: job.created,
                reverse=True,
            )

    def find(self, job: str) -> Job:
        """Return the job with that id. Raises Problem where there is none."""
        with self._changed:
            if job not in self._jobs:
                raise Problem("jobs.missing", job=job)
            return self._jobs[job]

    def cancel(self, job: str) -> Job:
        """Stop a job: at once where it waits, at its next look where it runs. What is over stays as it is. Raises
        Problem.
        """
        found = self.find(job)
        with self._changed:
            if found.state == "queued":
                self._waiting[found.kind].remove(found)
                self._end(found, "stopped")
            elif found.active:
                found.state = "stopping"
                found.cancelled.set()
                found.record()
        return found

    def interrupt(self, seconds: float) -> None:
        """Interrupt all jobs because the studio ends: they can be resumed when it is open again. Waits so long for
        those that run.
        """
        with self._changed:
            self._ending = True
            at_work = [job for job in self._jobs.values() if job.active and job.state != "queued"]
            for job in at_work:
                job.cancelled.set()
            self._changed.wait_for(lambda: not any(job.active for job in at_work), seconds)
            for job in [job for job in self._jobs.values() if job.active]:
                self._end(job, "interrupted")

    def can_resume(self, job: str) -> bool:
        """Tell whether a job that ended without success can be taken up again. Raises Problem where there is no such
        job.
        """
        found = self.find(job)
        return found.state in ("stopped", "failed", "interrupted") and (
            found.id in self._works or found.kind in self._offers
        )

    def resume(self, job: str, work: Work | None = None) -> Job:
        """Queue a stopped, failed or interrupted job again under the same id, with `work` instead of its own if that is
        given.

        Raises:
            Problem: it is at work or finished, or this process does no work of its kind, or does not know how it was
                done, or what it makes is taken or is being made by another job.
        """
        found = self.find(job)
        self.require(found.kind)
        with self._changed:
            if work and not found.active:
                self._works[found.id] = work
            if not self.can_resume(job):
                raise Problem("jobs.cannot_resume", job=job)
            self._require_places(found)
            found.state, found.progress, found.message, found.error, found.ended = "queued", None, None, None, None
            found.cancelled.clear()
            self._queue(found)
        return found

    def forget(self, job: str) -> None:
        """Remove a job that is over, with its record and log. Raises Problem while it is active."""
        found = self.find(job)
        with self._changed:
            if found.active:
                raise Problem("jobs.active", job=job)
            del self._jobs[job]
            self._works.pop(job, None)
        self._erase(found)

    def wait(self, job: str, seconds: float) -> Job:
        """Return the job once it is over, or as it is after so many seconds. Raises Problem where there is none."""
        found = self.find(job)
        with self._changed:
            self._changed.wait_for(lambda: not found.active, seconds)
        return found

    def log(self, job: str, last: int = 200) -> list[str]:
        """Return the last lines of a job's log, none where it wrote none. Raises Problem where there is no such job."""
        path = self.find(job).log_file
        if not files.is_file(path):
            return []
        return files.end_of(path, 200 * last).decode("utf-8", "replace").splitlines()[-last:]

    def status(self, job: str, words: Words) -> JobStatus:
        """Return how far a job is. Raises Problem where there is none."""
        found = self.find(job)
        return JobStatus(
            found.state,
            found.progress,
            sentence_text(found.message, words),
            found.result,
            sentence_text(found.error, words),
        )

    @contextlib.contextmanager
    def moving(self, old: Iterable[Path] = (), new: Iterable[Path] = ()) -> Iterator[None]:
        """Let things be moved or deleted (`old`), or take a place (`new`), in the `with`: no job is begun meanwhile.
        Raises Problem where a job that is not over reads or fills the old place, or fills the new one, and where
        another reads the old one (see `guard`).
        """
        old = list(old)
        for path in old:
            for check in self._guards:
                check(path)
        with self._changed:
            for path in new:
                self.require_unmade(path)
            for path in old:
                for job in self._jobs.values():
                    if job.active and any(files.overlap(one, path) for one in [*self._reads(job), *self._makes(job)]):
                        raise Problem("jobs.in_use", name=path.name, job=Reason(job.title, **job.facts))
            yield

    def is_made(self, path: Path) -> bool:
        """Tell whether a job that is not over fills a place."""
        with self._changed:
            return any(_is_same(one, path) for job in self._jobs.values() if job.active for one in self._makes(job))

    def require_unmade(self, path: Path) -> None:
        """Raise Problem where a job that is not over fills a place."""
        if self.is_made(path):
            raise Problem("jobs.name_taken", name=path.name)

    def _require_places(self, job: Job) -> None:
        """Raise Problem where what a job makes is taken, or is being made by another one that is not over."""
        others = [other for other in self._jobs.values() if other.active and other is not job]
        for path, together in self._makes(job).items():
            for other in others:
                if other.kind not in together and any(_is_same(one, path) for one in self._makes(other)):
                    raise Problem("jobs.name_taken", name=path.name)
        self._places.get(job.kind, Places()).require(job.facts)

    def _makes(self, job: Job) -> Mapping[Path, Collection[str]]:
        return self._places.get(job.kind, Places()).makes(job.facts)

    def _reads(self, job: Job) -> list[Path]:
        with contextlib.suppress(Problem):  # what it reads is gone already, which the job itself will tell
            return list(self._places.get(job.kind, Places()).reads(job.facts))
        return []

    def _queue(self, job: Job) -> None:
        self._waiting.setdefault(job.kind, []).append(job)
        job.record()
        self._fill(job.kind)

    def _fill(self, kind: str) -> None:
        """Start what waits, as far as there is room."""
        with self._changed:
            if self._ending:
                return
            _, at_a_time = self._offers.get(kind, (None, 1))
            waiting = self._waiting.get(kind, [])
            while (
                waiting
                and sum(job.kind == kind and job.active and job.state != "queued" for job in self._jobs.values())
                < at_a_time
            ):
                job = waiting.pop(0)
                job.state, job.started = "preparing", time.time()
                try:
                    work = self._works.get(job.id) or self._offers[kind][0]
                    threading.Thread(target=self._run, args=(job, work), name=job.id, daemon=True).start()
                except (KeyError, RuntimeError, MemoryError) as fault:  # nobody knows the work, or no thread can be had
                    job.error = sentence("jobs.no_start", {"reason": reasons.of(fault)})
                    self._end(job, "failed")

    def _run(self, job: Job, work: Work) -> None:
        state, error = "failed", None
        try:
            state, error = self._worked(job, work)
        except BaseException as fault:  # that of the telling itself: nothing may leave a job at work that is not
            error = sentence("jobs.fault", {"reason": reasons.of_fault(fault)})
            raise
        finally:
            job.error = error
            try:
                self._end(job, state)
            finally:
                self._fill(job.kind)

    def _worked(self, job: Job, work: Work) -> tuple[str, dict | None]:
        """Do the work, and return the state in which it ended and the sentence of its error."""
        state, error = "finished", None
        try:
            job.record()
            job.result = plain(work(job))
        except Stopped:
            state = "stopped"
        except Problem as problem:
            state, error = "failed", sentence(problem.key, problem.facts)
        except Exception as fault:  # whatever went wrong inside the work is told, and the studio goes on
            with contextlib.suppress(OSError):  # the disk may be what is full
                job.log(traceback.format_exc())
            state, error = "failed", sentence("jobs.fault", {"reason": reasons.of_fault(fault)})
        if state in ("failed", "stopped") and job.cancelled.is_set():
            state, error = "interrupted" if self._ending and job.state != "stopping" else "stopped", None
        return state, error

    def _end(self, job: Job, state: str) -> None:
        with self._changed:
            if not job.active:
                return  # the studio ends, and has not waited for it
            job.state, job.ended = state, time.time()
            if state == "finished":
                job.progress = 1.0
            self._changed.notify_all()
            job.record()

    def _left_by_others(self) -> list[Job]:
        """Return the jobs on disk; one that was at work when its process died is interrupted. A living process keeps
        its own.
        """
        found = []
        for path in sorted(self._folder.glob("*.json")):
            try:
                job, at_work = of_disk(path)
            except Problem as problem:
                if path.is_symlink() or path.exists():  # else an earlier process has just put it away
                    self.faults[path] = problem
                continue
            if job.active:
                if at_work:
                    continue
                job.state, job.ended = "interrupted", files.stamp(path)[1] / 1e9
            found.append(job)
        finished = sorted((job for job in found if job.state == "finished"), key=lambda job: job.created, reverse=True)
        for old in finished[MAX_RECORDS:] if not read_only.why() else ():
            self._erase(old)
        return [job for job in found if job not in finished[MAX_RECORDS:]]

    def _erase(self, job: Job) -> None:
        (self._folder / f"{job.id}.json").unlink(missing_ok=True)
        job.log_file.unlink(missing_ok=True)


def _is_same(one: Path, other: Path) -> bool:
    """Tell whether two paths are one place, as disks that take no notice of case compare names."""
    return one.name.casefold() == other.name.casefold() and files.real(one.parent) == files.real(other.parent)
