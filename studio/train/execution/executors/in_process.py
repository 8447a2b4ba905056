"""Training in this process: it starts at once, because the libraries are warm. One run at a time."""

import queue
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from studio.core.i18n import Problem
from studio.core.processes import thread_team
from studio.train.loop.run_training import run_training
from studio.train.runs import Run
from studio.train.runs.stop_request import StopRequest


class InProcess:
    """Trains in one thread that lives as long as the process: a new thread a run would leave a heap of its own behind
    each time.
    """

    by_force = False

    def __init__(self, over: Callable[[], None]):
        self._over = over
        self._queued: queue.Queue[tuple[Run, Path | None]] = queue.Queue()
        self._mine: set[str] = set()
        self._stop_request: StopRequest | None = None
        threading.Thread(target=self._work, name="training", daemon=True).start()

    def start(self, run: Run, resume: str | None) -> None:
        """Begin to train; see `Executor`."""
        run.own()
        self._mine.add(run.name)
        self._queued.put((run, run.folder / resume if resume else None))

    def at_work(self, run: Run) -> bool:
        """Tell whether it still works on the run. The run of a studio that has gone went with it."""
        return run.name in self._mine

    def exit_code(self, run: Run) -> int | None:
        """Return None: a thread has no such thing."""
        return None

    def kill(self, run: Run) -> None:
        """Raise Problem: a thread can only be asked."""
        raise Problem("executors.cannot_kill", run=run.name)

    def interrupt(self) -> bool:
        """Let the run save a checkpoint because this process ends, and tell whether there is anything to wait for."""
        stop_request = self._stop_request
        if stop_request:
            stop_request.interrupt()
        return bool(stop_request and stop_request.at_step)

    def _work(self) -> None:
        while True:
            run, resume = self._queued.get()
            self._stop_request = StopRequest(run.folder)
            try:
                with thread_team.given_back():
                    run_training(run, resume, self._stop_request)
            except Exception as error:
                # The disk may refuse even the last word of a run; the next run must still get its turn.
                print(f"{run.name}: {type(error).__name__}: {error}", file=sys.stderr)
            finally:
                self._stop_request = None
                self._mine.discard(run.name)
                self._over()
