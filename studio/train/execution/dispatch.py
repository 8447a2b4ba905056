"""Starts the next run when its devices are free, follows those at work, and closes those that ended, across restarts of
the studio.
"""

import contextlib
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from studio.core import reasons
from studio.core.device_lease import ROOM_TO_SPARE, DeviceLease, free_bytes
from studio.core.i18n import Problem, Reason
from studio.core.storage import files, folders, read_only
from studio.core.workspace import Workspace
from studio.train import notifications, runs
from studio.train.execution import devices
from studio.train.execution.executors.executor import Executor, executors
from studio.train.execution.queue import Queue, QueuedRun, collide, new_queued_run
from studio.train.faults import explain, tells_disk_full
from studio.train.recipe import code_consent, memory_need
from studio.train.runs.stop_request import ABORT, StopRequest

HOLDER = "training"
WORKING_S, IDLE_S = 0.5, 2.0
NEXT_TO_NOTHING = 2**20  # bytes left on a disk that is full
PATIENCE_S = 30.0  # how long an abort may go unheard before the process is ended


class Dispatcher:
    """One thread, awake while something waits or is at work."""

    def __init__(
        self,
        workspace: Workspace,
        accelerator: DeviceLease,
        interpreter: Callable[[runs.Run], Path] = lambda run: Path(sys.executable),
    ):
        """`interpreter` gives the Python that trains a run in a process of its own, this one's where it is left out."""
        self.workspace, self.accelerator = workspace, accelerator
        self.queue = Queue(workspace.saves)
        self._changed = threading.Event()
        self._executors = executors(self._changed.set, interpreter)
        self._begun: set[QueuedRun] = set()
        self._logs: dict[QueuedRun, int] = {}  # how long each run's log was when it began
        self._silent: set[str] = set()
        self._hindered: dict[QueuedRun, Exception] = {}
        self._aborts: dict[QueuedRun, float] = {}  # when each abort was first seen, by a clock that nobody sets
        self._lock = threading.RLock()
        self._ending = self._ended = False
        if not read_only.why():  # the queue is its owner's
            threading.Thread(target=self._work, name="dispatch", daemon=True).start()

    @property
    def known(self) -> list[str]:
        """Return the names of the executors that a run can be started with."""
        return [name for name in self._executors if name != "nodes"]

    def add(self, run: runs.Run, resume: str | None = None) -> None:
        """Put a run at the end of the queue; it starts at once where its devices are free.

        Raises:
            Problem: it waits already, its model's code may not run, or the disk refuses; then it is not in the queue.
        """
        self.require_startable(run)
        queued = new_queued_run(run.name, resume)
        with self._lock:
            if any(one.run == run.name for one in self.queue.waiting()):
                raise Problem("train.still_running", run=run.label)
            self.queue.add(queued)
            try:
                replace(run, order=queued.id).say("state", state="queued")
            except OSError as error:
                self.queue.end(queued)
                raise Problem("workspace.unwritable", path=run.events_file, reason=reasons.of(error)) from error
        self._changed.set()

    def stop(self, run: runs.Run, save: bool) -> None:
        """Take a run out of the queue, or ask it to stop with a checkpoint or without one.

        Raises:
            Problem: the disk refuses, or nobody here trains what the run's info names as its executor.
        """
        with self._lock:
            if waiting := next((queued for queued in self.queue.waiting() if queued.run == run.name), None):
                self.queue.remove(run.name)
                replace(run, order=waiting.id).say("state", state="stopped", saved=False)
                return
            executor, known = self._executor(run), runs.status(run)
            if run.is_by_hand and known.state == "queued":
                run.say("state", state="stopped", saved=False)  # its commands run nowhere yet
                return
            loading = known.state == "preparing"
            StopRequest(run.folder).ask(save)
            replace(run, order=known.order).say("state", state="stopping")
        if loading and not save and executor.by_force:
            executor.kill(run)  # nobody looks at the request while model and data are loaded, and nothing is lost
        self._changed.set()

    def kill(self, run: runs.Run) -> None:
        """End a run by force. Raises Problem where its executor cannot."""
        executor = self._executor(run)
        if executor.by_force:
            self.stop(run, save=False)
        executor.kill(run)
        self._changed.set()

    def end(self, seconds: float, on_wait: Callable[[runs.Run, float], None]) -> list[tuple[runs.Run, bool]]:
        """Start nothing more, and let the run that this process trains save a checkpoint; return each such run, and
        whether it did.

        Args:
            seconds: the most that is waited.
            on_wait: called about once a second with the run and the seconds waited so far.
        """
        self._ending = True
        began, found = time.monotonic(), []
        for queued in self.queue.at_work():
            try:
                run = self._found(queued)
                executor = self._executor(run)
            except Problem:
                continue
            if executor.by_force or not executor.at_work(run):
                continue  # it has a process of its own, or has ended
            wait = executor.interrupt()
            while wait and executor.at_work(run) and (passed := time.monotonic() - began) < seconds:
                on_wait(run, passed)
                time.sleep(min(1.0, max(0.05, seconds - passed)))
            saved = not executor.at_work(run)
            if not saved:
                run.say("state", state="interrupted", saved=False)
            found.append((run, saved))
        self._ended = True  # the queue belongs to whoever opens this workspace next
        self._changed.set()
        return found

    def end_others(self) -> None:
        """Send the processes that train on their own the signal by which they save and end (see
        `ending.save_first`).
        """
        for queued in self.queue.at_work():
            info = runs.Run(queued.run, self.workspace.saves / queued.run).info()
            if info.pid != os.getpid() and runs.alive(info):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(info.pid, signal.SIGTERM)

    def others_at_work(self) -> int:
        """Return how many runs are trained in processes of their own, which go on without the studio."""
        infos = [runs.Run(queued.run, self.workspace.saves / queued.run).info() for queued in self.queue.at_work()]
        return sum(info.pid != os.getpid() and runs.alive(info) for info in infos)

    def require_startable(self, run: runs.Run) -> None:
        """Raise Problem where the code of a run's model may not run, or nobody here trains what its info names as its
        executor.
        """
        code_consent.check(run)
        self._executor(run)

    def _executor(self, run: runs.Run) -> Executor:
        name = run.info().executor or "in-process"
        if name not in self._executors:
            raise Problem("train.no_executor", executor=name, known=", ".join(self._executors))
        return self._executors[name]

    def _work(self) -> None:
        last = None
        while not self._ended:
            try:
                busy, last = self._turn(), None
            except Exception as error:  # what waits must get its turn once it is over
                self._note(error, last)
                busy, last = True, error
            self._changed.wait(WORKING_S if busy else IDLE_S)
            self._changed.clear()

    def _turn(self) -> bool:
        """Look after what is at work and start what can start; tell whether anything is left to look after."""
        if self.queue.waiting() or self.queue.at_work():
            for queued in self.queue.at_work():
                with self._noted(queued):
                    self._look_after(queued)
            self._start_next()
        if not self.queue.at_work():
            self.accelerator.release(HOLDER)
        return bool(self.queue.waiting() or self.queue.at_work())

    @contextlib.contextmanager
    def _noted(self, queued: QueuedRun) -> Iterator[None]:
        """Keep what hinders the work on one run from the others, and note it for as long as it does (see `held_up`)."""
        try:
            yield
        except Exception as error:  # a full disk, most likely
            self._note(error, self._hindered.get(queued))
            self._hindered[queued] = error
        else:
            self._hindered.pop(queued, None)

    def _note(self, error: Exception, last: Exception | None) -> None:
        """Print a fault of the queue, unless it is the same as the last."""
        if repr(error) != repr(last):
            print(f"queue: {type(error).__name__}: {error}", file=sys.stderr)

    def held_up(self) -> list[Problem]:
        """Return of each run in the queue whose start, or end, the disk refuses now, why."""
        listed = {*self.queue.waiting(), *self.queue.at_work()}
        found = []
        for queued, error in list(self._hindered.items()):
            if queued in listed:
                problem = error if isinstance(error, Problem) else explain(error)
                run = runs.Run(queued.run, self.workspace.saves / queued.run)
                found.append(Problem("queue.held_up", run=run.label, reason=Reason(problem.key, **problem.facts)))
        return found

    def _look_after(self, queued: QueuedRun) -> None:
        try:
            run = self._found(queued)
            executor = self._executor(run)
        except Problem:
            self.queue.end(queued)  # its folder was removed
            return
        if executor.at_work(run):
            if not any(holder.who == HOLDER for holder in self.accelerator.holders()):
                self.accelerator.acquire(HOLDER, 0)  # it went on while the studio was away, and has taken what it needs
            self._tell_silence(run)
            if self._unheard(queued, run) > PATIENCE_S and executor.by_force:
                executor.kill(run)
        elif _last_state(run) == "queued" and queued not in self._begun:
            self.queue.put_back(queued)  # the studio went just before it was started
        else:
            self._close(run, queued, executor.exit_code(run))

    def _close(self, run: runs.Run, queued: QueuedRun, code: int | None) -> None:
        """Write the last word of a queued run whose process has ended, where that could not, and strike it out, and it
        alone.
        """
        free = shutil.disk_usage(run.folder).free
        runs.remove_half_written(run)  # which may be what keeps the disk full
        stop_request = StopRequest(run.folder)
        if _last_state(run) in runs.ACTIVE:
            if stop_request.asked() == ABORT:
                run.say("state", state="stopped", saved=False)
            elif queued in self._begun:
                fault = _ended(run, code, self._logs.get(queued, 0), free)
                run.say("error", key=fault.key, facts=fault.facts, sentence=str(fault))
                run.say("state", state="interrupted" if code and code < 0 else "failed")
        stop_request.withdraw()
        self.queue.end(queued)
        self._begun.discard(queued)
        self._logs.pop(queued, None)
        self._aborts.pop(queued, None)
        if (status := runs.status(run)).state in notifications.ANNOUNCED:
            notifications.tell(run, *notifications.ended(run, status))

    def _found(self, queued: QueuedRun) -> runs.Run:
        return replace(runs.find(self.workspace, queued.run), order=queued.id)

    def _unheard(self, queued: QueuedRun, run: runs.Run) -> float:
        """Return for how many seconds this process has seen an abort that the run does not follow; 0 where none was
        asked.
        """
        if StopRequest(run.folder).asked() != ABORT:
            self._aborts.pop(queued, None)
            return 0.0
        now = time.monotonic()
        return now - self._aborts.setdefault(queued, now)

    def _tell_silence(self, run: runs.Run) -> None:
        status = runs.status(run)
        if (seconds := notifications.silence(status)) is None:
            self._silent.discard(run.name)
        elif run.name not in self._silent:
            self._silent.add(run.name)
            notifications.tell(run, "notices.silent", {"minutes": round(seconds / 60)})

    def _start_next(self) -> None:
        if self._ending:
            return
        busy = [devices.of(queued.run, self.workspace) for queued in self.queue.at_work()]
        for queued in self.queue.waiting():
            own_devices = devices.of(queued.run, self.workspace)
            # What waits before it keeps its place: a run may only overtake those that want other devices.
            if not any(collide(own_devices, others) for others in busy):
                with self._noted(queued):
                    self._start(queued)
            busy.append(own_devices)

    def _start(self, queued: QueuedRun) -> None:
        """Begin a run whose devices are free, or write down why it cannot be trained. Raises Problem where the queue
        cannot be written, and OSError where the run's folder cannot.
        """
        try:
            run = self._found(queued)
        except Problem:
            self.queue.end(queued)
            return
        fault, needed = None, 0
        try:
            _require_sound(run, queued.resume)
            StopRequest(run.folder).withdraw()  # nobody asks one that waits: it is taken out of the queue instead
            needed = self._bytes_here(run)
        except Exception as error:
            fault = error  # told once it no longer waits, so that it is told once
        if self._must_wait(needed):
            return
        with self._lock:
            self.queue.begin(queued)  # where the disk refuses this, it waits: nothing was begun
            self._begun.add(queued)
        try:
            if fault:
                raise fault
            self._logs[queued] = folders.size_of(run.log_file)
            gone = self.accelerator.acquire(HOLDER, needed)
            if gone:
                run.say("evict", who=gone)
            self._executor(run).start(run, queued.resume)
        except Exception as error:
            # What nobody foresaw is told in its own words: of a run that never began the queue sees only that it is
            # not at work.
            problem = explain(error)
            run.say("error", key=problem.key, facts=problem.facts, sentence=str(problem))
            run.say("state", state="failed")
            self.queue.end(queued)
            self._begun.discard(queued)
            self._logs.pop(queued, None)

    def _bytes_here(self, run: runs.Run) -> int:
        """Return the bytes that a run is likely to take on the device of this process."""
        if not collide(run.info().devices, devices.of_this_process()):
            return 0
        recipe = run.recipe()
        return memory_need.bytes_needed(recipe)

    def _must_wait(self, needed: int) -> bool:
        fixed = any(holder.evict is None and holder.who != HOLDER for holder in self.accelerator.holders())
        return fixed and needed * ROOM_TO_SPARE > free_bytes()


def _last_state(run: runs.Run) -> str:
    """Return the last state that was written of the queued run that `run` stands for; of one without an id, that of the
    run.
    """
    known = runs.written(run)
    return known.order_states.get(run.order, "queued" if run.order else known.state)


def _require_sound(run: runs.Run, resume: str | None) -> None:
    """Raise Problem where a run may not begin: the queue and the run's folder may have come from another place since it
    was ordered.
    """
    code_consent.check(run)
    if resume and resume not in run.checkpoints():
        raise Problem("executors.no_such_checkpoint", run=run.name, checkpoint=resume)


def _ended(run: runs.Run, code: int | None, log_began: int, free: int) -> Problem:
    """Return why a process ended that could not say so itself: by what it printed last, the bytes then free, and what
    it ended with.
    """
    printed = _end_of(run.log_file, log_began)
    if tells_disk_full(printed) or free < NEXT_TO_NOTHING:
        return Problem("train.disk_full")
    if not code:
        return Problem("executors.silent", run=run.name)
    if reason := reasons.of_signal(code):
        if reason.key in ("reasons.killed", "reasons.ended_outside"):
            return Problem("executors.killed", signal=reason.facts["signal"])
        return Problem("executors.crashed", reason=reason)
    lines = printed.strip().splitlines()
    return Problem("executors.ended", code=code, line=lines[-1][:300] if lines else "")


def _end_of(log_file: Path, since: int, most: int = 4000) -> str:
    """Return the end of what a run printed after byte `since`, "" where there is no log."""
    try:
        return files.end_of(log_file, most, since).decode("utf-8", "replace")
    except OSError:
        return ""
