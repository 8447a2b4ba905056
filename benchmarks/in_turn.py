"""Two programs at work on one machine, each of which stands still while the other goes on: what else the machine does
in a minute falls on both.
"""

import bisect
import contextlib
import os
import signal
import time
from collections.abc import Iterator, Sequence

import psutil


class Side:
    """Some processes with all that they started, of which the time at work is counted."""

    def __init__(self, processes: Sequence[psutil.Process]):
        self._processes = processes
        self._spans: list[tuple[float, float]] = []

    def stand(self) -> None:
        """Let them stand still."""
        self._send(signal.SIGSTOP)

    def work(self) -> None:
        """Let them go on, without counting the time."""
        self._send(signal.SIGCONT)

    def turn(self, seconds: float) -> None:
        """Let them go on for some time that is counted, and stand still again."""
        self.work()
        began = time.time()
        time.sleep(seconds)
        self.stand()
        self._spans.append((began, time.time()))

    def at_work(self, moment: float) -> float:
        """Return how many seconds were counted before a moment (seconds since 1970)."""
        past = bisect.bisect(self._spans, (moment, moment))
        return sum(min(end, moment) - began for began, end in self._spans[:past])

    def _send(self, number: int) -> None:
        for process in self._processes:
            for one in (process, *process.children(recursive=True)):
                with contextlib.suppress(ProcessLookupError):  # it has ended
                    os.kill(one.pid, number)


@contextlib.contextmanager
def standing(*sides: Side) -> Iterator[None]:
    """Let all of them stand still, and go on at the end of the block."""
    for side in sides:
        side.stand()
    try:
        yield
    finally:
        for side in sides:
            side.work()


def same_steps(ours: tuple[Side, list[float]], theirs: tuple[Side, list[float]], first: int) -> tuple[int, list[float]]:
    """Return how many steps both took in the time that is counted, and the seconds at work that each took for them.

    Args:
        ours, theirs: a side, and when each of its steps was logged (seconds since 1970).
        first: the place of the step with whose end the comparison begins, the same of both.
    """
    last = min(len(times) for _, times in (ours, theirs)) - 1
    seconds = [side.at_work(times[last]) - side.at_work(times[first]) for side, times in (ours, theirs)]
    return last - first, seconds
