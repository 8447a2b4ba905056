"""Whether an engine that is ready is at work: by the time its processes take of the processors, and by its own count of
requests, which is asked for only while they take some: each question would be a line in its log.
"""

import contextlib
import re
import time
from collections.abc import Iterable

import psutil

from studio.core.storage.records import Record
from studio.deploy.supervision import ports

AT_WORK = 0.2  # of one processor
METRICS = "/metrics"
LARGEST_BYTES = 4 * 2**20
_COUNT = r"^(?:{})(?:\{{[^}}\n]*\}})?[ \t]+([0-9.eE+]{{1,30}})\b"
_RUNNING = re.compile(
    _COUNT.format("llamacpp:requests_processing|vllm:num_requests_running|lmdeploy:num_requests_running"), re.MULTILINE
)
_WAITING = re.compile(
    _COUNT.format("llamacpp:requests_deferred|vllm:num_requests_waiting|lmdeploy:num_requests_waiting"), re.MULTILINE
)


class EngineLoad(Record):
    """What an engine is at: requests that it answers, and that wait; None where it does not count them."""

    running: int | None = None
    waiting: int | None = None


class LoadWatch:
    """Looks at the processes of one engine again and again."""

    def __init__(self):
        self._before: tuple[float, float] | None = None

    def look(self, processes: Iterable[psutil.Process], host: str, port: int, key: str) -> EngineLoad | None:
        """Return what an engine is at, None where it waits for requests, or was not looked at before."""
        used, now = _processor_seconds(processes), time.monotonic()
        before, self._before = self._before, (used, now)
        if before is None or used - before[0] < AT_WORK * (now - before[1]):
            return None
        text = ports.text(host, port, METRICS, key, LARGEST_BYTES) or ""
        running, waiting = _sum(_RUNNING, text), _sum(_WAITING, text)
        if running == 0 and not waiting:
            return None
        return EngineLoad(running=running, waiting=waiting)


def _processor_seconds(processes: Iterable[psutil.Process]) -> float:
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.Error):  # gone meanwhile
            times = process.cpu_times()
            total += times.user + times.system
    return total


def _sum(pattern: re.Pattern[str], text: str) -> int | None:
    found = pattern.findall(text)
    return int(sum(map(float, found))) if found else None
