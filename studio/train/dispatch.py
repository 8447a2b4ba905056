"""Starts the next run when its devices are free, follows those at work, and closes those that ended, across restarts of the studio."""

import signal
import sys
import threading

from studio.accelerator import ROOM_TO_SPARE, Accelerator, free_bytes
from studio.interface.language import Problem
from studio.train import devices, memory, notices, runs
from studio.train.executors import Executor, executors
from studio.train.queue import Order, Queue, collide
from studio.train.wish import ABORT, StopWish
from studio.workspace import Workspace

HOLDER = "training"
WORKING_S, IDLE_S = 0.5, 2.0
PATIENCE_S = 30.0  # how long an abort may go unheard before the process is ended


class Dispatcher:
    """One thread, awake while something waits or is at work."""

    def __init__(self, workspace: Workspace, accelerator: Accelerator):
        self.workspace, self.accelerator = workspace, accelerator
        self.queue = Queue(workspace.saves)
        self._changed = threading.Event()
        self._executors = executors(self._changed.set)
        self._begun: set[str] = set()
        self._silent: set[str] = set()
        self._lock = threading.RLock()
        threading.Thread(target=self._work, name="dispatch", daemon=True).start()

    @property
    def known(self) -> list[str]:
        """Return the names of the executors."""
        return list(self._executors)

    def add(self, run: runs.Run, resume: str | None = None) -> None:
        """Put a run at the end of the queue; it starts at once where its devices are free. Raises Problem where the disk refuses."""
        with self._lock:
            self.queue.add(Order(run.name, resume))
            run.say("state", state="queued")
        self._changed.set()

    def stop(self, run: runs.Run, save: bool) -> None:
        """Take a run out of the queue, or ask it to stop with a checkpoint or without one. Raises Problem where the disk refuses."""
        with self._lock:
            if any(order.run == run.name for order in self.queue.waiting()):
                self.queue.remove(run.name)
                run.say("state", state="stopped", saved=False)
                return
            loading = runs.status(run).state == "preparing"
            StopWish(run.folder).ask(save)
            run.say("state", state="stopping")
        executor = self._executor(run)
        if loading and not save and executor.by_force:
            executor.kill(run)  # nobody looks at the wish while model and data are loaded, and nothing is lost
        self._changed.set()

    def kill(self, run: runs.Run) -> None:
        """End a run by force. Raises Problem where its executor cannot."""
        executor = self._executor(run)
        if executor.by_force:
            self.stop(run, save=False)
        executor.kill(run)
        self._changed.set()

    def _executor(self, run: runs.Run) -> Executor:
        name = run.info().get("executor", "in-process")
        if name not in self._executors:
            raise Problem("train.no_executor", executor=name, known=", ".join(self._executors))
        return self._executors[name]

    def _work(self) -> None:
        told = ""
        while True:
            try:
                busy, told = self._turn(), ""
            except Exception as error:  # a full disk, most likely; what waits must get its turn once there is room again
                busy, fault = True, f"{type(error).__name__}: {error}"
                if fault != told:
                    print("queue:", fault, file=sys.stderr)
                told = fault
            self._changed.wait(WORKING_S if busy else IDLE_S)
            self._changed.clear()

    def _turn(self) -> bool:
        """Look after what is at work and start what can start; tell whether anything is left to look after."""
        if (self.queue.waiting() or self.queue.at_work()) and self.queue.keep():
            for order in self.queue.at_work():
                self._look_after(order)
            self._start_next()
        if not self.queue.at_work():
            self.accelerator.release(HOLDER)
        return bool(self.queue.waiting() or self.queue.at_work())

    def _look_after(self, order: Order) -> None:
        try:
            run = runs.find(self.workspace, order.run)
            executor = self._executor(run)
        except Problem:
            self.queue.end(order.run)  # its folder was removed
            return
        if executor.at_work(run):
            if not any(holder.who == HOLDER for holder in self.accelerator.holders()):
                self.accelerator.hold(HOLDER, 0)  # it went on while the studio was away, and has taken what it needs
            self._tell_silence(run)
            if StopWish(run.folder).abort_age() > PATIENCE_S and executor.by_force:
                executor.kill(run)
        elif runs.status(run).state == "queued" and run.name not in self._begun:
            self.queue.put_back(run.name)  # the studio went just before it was started
        else:
            self._close(run, executor.exit_code(run))

    def _close(self, run: runs.Run, code: int | None) -> None:
        wish = StopWish(run.folder)
        if runs.written(run).state in runs.ACTIVE:
            if wish.asked() == ABORT:
                run.say("state", state="stopped", saved=False)
            elif run.name in self._begun:
                fault = _ended(run, code)
                run.say("error", key=fault.key, facts=fault.facts, sentence=str(fault))
                run.say("state", state="interrupted" if code and code < 0 else "failed")
        wish.withdraw()
        self.queue.end(run.name)
        if (status := runs.status(run)).state in notices.TOLD:
            notices.tell(run, *notices.ended(status))

    def _tell_silence(self, run: runs.Run) -> None:
        status = runs.status(run)
        if (seconds := notices.silence(status)) is None:
            self._silent.discard(run.name)
        elif run.name not in self._silent:
            self._silent.add(run.name)
            notices.tell(run, "notices.silent", {"minutes": round(seconds / 60)})

    def _start_next(self) -> None:
        busy = [devices.of(order.run, self.workspace) for order in self.queue.at_work()]
        for order in self.queue.waiting():
            wanted = devices.of(order.run, self.workspace)
            # What waits before it keeps its place: a run may only overtake those that want other devices.
            if not any(collide(wanted, others) for others in busy):
                self._start(order)
            busy.append(wanted)

    def _start(self, order: Order) -> None:
        try:
            run = runs.find(self.workspace, order.run)
        except Problem:
            self.queue.remove(order.run)
            return
        try:
            needed = self._bytes_here(run)
            if self._must_wait(needed):
                return
            with self._lock:
                self.queue.begin(run.name)
                self._begun.add(run.name)
                StopWish(run.folder).withdraw()
            gone = self.accelerator.hold(HOLDER, needed)
            if gone:
                run.say("put_away", who=gone)
            self._executor(run).start(run, order.resume)
        except Problem as problem:
            run.say("error", key=problem.key, facts=problem.facts, sentence=str(problem))
            run.say("state", state="failed")
            self.queue.end(run.name)

    def _bytes_here(self, run: runs.Run) -> int:
        """Return the bytes that a run is likely to take on the device of this process."""
        if not collide(run.info().get("devices", []), devices.of_this_process()):
            return 0
        said = run.recipe()
        return memory.bytes_needed(said)

    def _must_wait(self, needed: int) -> bool:
        fixed = any(holder.put_away is None and holder.who != HOLDER for holder in self.accelerator.holders())
        return fixed and needed * ROOM_TO_SPARE > free_bytes()


def _ended(run: runs.Run, code: int | None) -> Problem:
    if not code:
        return Problem("executors.silent", run=run.name)
    if code < 0:
        return Problem("executors.killed", signal=signal.Signals(-code).name)
    with open(run.log_file, "rb") as log:
        lines = log.read()[-4000:].decode("utf-8", "replace").strip().splitlines()
    return Problem("executors.ended", code=code, line=lines[-1][:300] if lines else "")
