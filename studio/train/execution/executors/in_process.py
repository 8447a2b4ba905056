"""Training in this process: it starts at once, because the libraries are warm. One run at a time."""

import queue
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from studio.core.i18n import Problem
from studio.train.loop.run_training import execute
from studio.train.runs import Run
from studio.train.runs.stop_request import StopWish


class InProcess:
    """Trains in one thread that lives as long as the process: a new thread a run would leave a heap of its own behind
    each time.
    """

    by_force = False

    def __init__(self, over: Callable[[], None]):
        self._over = over
        self._orders: queue.Queue[tuple[Run, Path | None]] = queue.Queue()
        self._mine: set[str] = set()
        self._wish: StopWish | None = None
        threading.Thread(target=self._work, name="training", daemon=True).start()

    def start(self, run: Run, resume: str | None) -> None:
        """Begin to train; see `Executor`."""
        run.own()
        self._mine.add(run.name)
        self._orders.put((run, run.folder / resume if resume else None))

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
        wish = self._wish
        if wish:
            wish.interrupt()
        return bool(wish and wish.at_step)

    def _work(self) -> None:
        while True:
            run, resume = self._orders.get()
            self._wish = StopWish(run.folder)
            try:
                execute(run, resume, self._wish)
            except Exception as error:
                # The disk may refuse even the last word of a run; the next run must still get its turn.
                print(f"{run.name}: {type(error).__name__}: {error}", file=sys.stderr)
            finally:
                self._wish = None
                self._mine.discard(run.name)
                self._over()
