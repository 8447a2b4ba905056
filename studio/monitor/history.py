"""The last five minutes of the machine, kept by a thread that reads only while somebody looks."""

import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from studio.monitor.readings import CpuTimes, Snapshot, cpu_times, snapshot_now

SPAN_S, POINTS = 300, 300
# At most this part of one core goes into reading; many GPUs behind a slow driver are read less often instead.
CORE_SHARE, SLOWEST_S = 0.015, 5.0
# With no fresh reading to compare with, the CPU is watched this long to say how busy it is.
GLANCE_S = 0.1


@dataclass(frozen=True)
class Point:
    """One past reading: `at` in seconds since 1970, all else in percent, `gpus` as (utilisation, memory) in order."""

    at: float
    cpu: float | None
    memory: float
    gpus: tuple[tuple[float | None, float | None], ...]


class Monitor:
    """The machine as it is now and was in the last five minutes. Any thread may ask.

    Who calls `latest` is taken to look for another `interest_s` seconds; for that long a daemon thread reads every
    `every_s` seconds, and then it waits on an event, at no cost, for the next to ask.
    """

    def __init__(self, workspace_root: Path, every_s: float = 1.0, interest_s: float = 10.0):
        self._root, self._every, self._interest = workspace_root, every_s, interest_s
        self._lock = threading.Lock()
        self._follows = threading.Event()
        self._thread: threading.Thread | None = None
        self._points: deque[Point] = deque(maxlen=POINTS)
        self._snapshot: Snapshot | None = None
        self._last_read_at = 0.0

    def latest(self) -> Snapshot:
        """Return the newest reading: at once while somebody looks, else a fresh one within about 0.1 seconds."""
        self._last_read_at = time.monotonic()
        with self._lock:
            if not (self._follows.is_set() and self._thread.is_alive()):
                before = cpu_times()
                time.sleep(GLANCE_S)
                self._read(before)
                self._follows.set()
            if not (self._thread and self._thread.is_alive()):
                self._thread = threading.Thread(target=self._follow, name="monitor", daemon=True)
                self._thread.start()
            return self._snapshot

    def history(self) -> tuple[Point, ...]:
        """Return the readings of the last five minutes, oldest first, at most 300; a gap is where nobody looked."""
        with self._lock:
            return tuple(point for point in self._points if point.at > self._points[-1].at - SPAN_S)

    def _follow(self) -> None:
        wait = self._every
        while True:
            self._follows.wait()
            time.sleep(wait)
            with self._lock:
                if time.monotonic() - self._last_read_at > self._interest:
                    self._follows.clear()
                    continue
                spent = time.thread_time()
                self._read(self._snapshot.times)
                spent = time.thread_time() - spent
            wait = max(self._every, min(SLOWEST_S, spent / CORE_SHARE))

    def _read(self, earlier: CpuTimes) -> None:
        self._snapshot = snapshot_now(self._root, earlier)
        self._points.append(_point(self._snapshot))


def _point(snapshot: Snapshot) -> Point:
    host = snapshot.host
    gpus = tuple((gpu.utilisation, percent(gpu.memory_used, gpu.memory_total)) for gpu in snapshot.gpus)
    return Point(snapshot.at, host.cpu, percent(host.memory_used, host.memory_total), gpus)


def percent(part: float | None, whole: float | None) -> float | None:
    """Return `part` as percent of `whole`, None where either is not known or there is no whole."""
    return None if part is None or not whole else 100 * part / whole
