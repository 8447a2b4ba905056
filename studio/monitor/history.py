"""The last five minutes of the machine, kept by a thread that reads only while somebody looks."""

import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from studio.monitor.readings import CpuTimes, Snapshot, cpu_times, take

SPAN_S, POINTS = 300, 300
# At most this part of one core goes into reading; many GPUs behind a slow driver are read less often instead.
CORE_SHARE, SLOWEST_S = 0.015, 5.0
# With no fresh reading to compare with, the CPU is watched this long to say how busy it is.
GLANCE_S = 0.1


@dataclass(frozen=True)
class Point:
    """One past reading: `at` in seconds since the epoch, all else in percent, `gpus` as (utilisation, memory) in order."""

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
        self._wanted = threading.Event()
        self._thread: threading.Thread | None = None
        self._points: deque[Point] = deque(maxlen=POINTS)
        self._snapshot: Snapshot | None = None
        self._asked = 0.0

    def latest(self) -> Snapshot:
        """Return the newest reading: at once while somebody looks, else a fresh one within about a tenth of a second."""
        self._asked = time.monotonic()
        with self._lock:
            if not (self._wanted.is_set() and self._thread.is_alive()):
                before = cpu_times()
                time.sleep(GLANCE_S)
                self._read(before)
                self._wanted.set()
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
            self._wanted.wait()
            time.sleep(wait)
            with self._lock:
                if time.monotonic() - self._asked > self._interest:
                    self._wanted.clear()
                    continue
                spent = time.thread_time()
                self._read(self._snapshot.times)
                spent = time.thread_time() - spent
            wait = max(self._every, min(SLOWEST_S, spent / CORE_SHARE))

    def _read(self, earlier: CpuTimes) -> None:
        self._snapshot = take(self._root, earlier)
        self._points.append(_point(self._snapshot))


def _point(snapshot: Snapshot) -> Point:
    host = snapshot.host
    gpus = tuple((gpu.utilisation, percent(gpu.memory_used, gpu.memory_total)) for gpu in snapshot.gpus)
    return Point(snapshot.at, host.cpu, percent(host.memory_used, host.memory_total), gpus)


def percent(part: float | None, whole: float | None) -> float | None:
    """Return `part` as percent of `whole`, None where either is not known or there is no whole."""
    return None if part is None or not whole else 100 * part / whole


def as_json(snapshot: Snapshot, history: tuple[Point, ...]) -> dict:
    """Return what `/monitor` answers: {at, gpus, no_gpu, processes, cpu, memory, disk, history}, units in the names of
    the fields.

    `processes` lists those of all GPUs, each with the `gpu` (and `slice`) it is on; each series of `history` goes with
    its `at`.
    """
    host = snapshot.host
    return {
        "at": snapshot.at,
        "gpus": [
            {
                "index": gpu.index,
                "slice": gpu.slice,
                "name": gpu.name,
                "utilisation_percent": gpu.utilisation,
                "memory_used_bytes": gpu.memory_used,
                "memory_total_bytes": gpu.memory_total,
                "temperature_c": gpu.temperature,
                "power_w": gpu.power,
                "power_limit_w": gpu.power_limit,
                "fan_percent": gpu.fan,
            }
            for gpu in snapshot.gpus
        ],
        "no_gpu": str(snapshot.no_gpu) if snapshot.no_gpu else None,
        "processes": [
            {
                "gpu": gpu.index,
                "slice": gpu.slice,
                "pid": process.pid,
                "command": process.command,
                "user": process.user,
                "memory_bytes": process.memory,
                "kind": process.kind,
                "own": process.own,
            }
            for gpu in snapshot.gpus
            for process in gpu.processes
        ],
        "cpu": {
            "percent": host.cpu,
            "process_percent": host.cpu_process,
            "cores": host.cores,
            "load": host.load and list(host.load),
        },
        "memory": {
            "used_bytes": host.memory_used,
            "total_bytes": host.memory_total,
            "available_bytes": host.memory_available,
            "process_bytes": host.memory_process,
        },
        "disk": {"free_bytes": host.disk_free, "total_bytes": host.disk_total},
        "history": {
            "at": [point.at for point in history],
            "cpu_percent": [point.cpu for point in history],
            "memory_percent": [point.memory for point in history],
            "gpus": [
                {
                    "index": gpu.index,
                    "slice": gpu.slice,
                    "utilisation_percent": [point.gpus[place][0] for point in history],
                    "memory_percent": [point.gpus[place][1] for point in history],
                }
                for place, gpu in enumerate(snapshot.gpus)
            ],
        },
    }
