"""How far a run is: its events, read as they grow, and whether anybody is still at work on it."""

import socket
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from studio.core.i18n import Problem
from studio.core.storage import folders, jsonl
from studio.train.execution import queue
from studio.train.runs import events, llamaboard_runs
from studio.train.runs.run import Run
from studio.train.runs.run_status import ACTIVE, Status
from studio.train.runs.stop_request import ABORT, StopRequest
from studio.train.runs.stored.run_info import RunInfo

SILENCE_S = 900.0  # a run on another machine that writes nothing for so long counts as gone
LOOK_S = 0.1  # between two looks whether there are more points

_statuses: dict[Path, tuple[Status, int]] = {}
_reading = threading.Lock()


def forget() -> None:
    """Forget what was read of all runs, as a studio does that has just been started."""
    with _reading:
        _statuses.clear()


def status(run: Run) -> Status:
    """Return what the run's events add up to now. Only the part of the file that is new since the last asking is read.

    A run that was at work when its process died is "interrupted", or "stopped" where that had been asked.
    """
    known = written(run)
    if known.state not in ACTIVE or run.is_foreign or _goes_on(run, known):
        return known
    is_aborted = StopRequest(run.folder).asked() == ABORT
    known = written(run)  # the last that it said, before it was found to be gone, may have come meanwhile
    return known if known.state not in ACTIVE else known.over("stopped" if is_aborted else "interrupted")


def written(run: Run) -> Status:
    """Return what the run's events add up to as they were written, also where its process has died since."""
    if run.is_foreign:
        return _foreign_status(run)
    with _reading:
        known, offset = _statuses.get(run.events_file, (Status(), 0))
        if offset > folders.size_of(run.events_file):
            known, offset = Status(), 0
        lines, offset = jsonl.read(run.events_file, offset)
        known.take_lines(lines)
        known.hear(run.events_file, offset)
        _statuses[run.events_file] = (known, offset)
        return replace(known)  # who asked keeps what was so then


def _foreign_status(run: Run) -> Status:
    log = llamaboard_runs.source(run.folder)
    with _reading:
        known, size = _statuses.get(log, (Status(), -1))
        if size != folders.size_of(log):
            fresh = Status(heard=known.heard, age=known.age, size=known.size)
            for event in llamaboard_runs.events(run.folder):
                fresh.take(event)
                fresh.total_steps = event.get("total_steps", fresh.total_steps)
            known = fresh
            known.hear(log, folders.size_of(log))
            _statuses[log] = (known, known.size)
        state = llamaboard_runs.state(run.folder, known.step, known.total_steps, known.quiet() + known.age)
        if not known.started and state == "running":
            state = "preparing"
        return replace(known, state=state) if state in ACTIVE else known.over(state)


@dataclass(frozen=True)
class RunSummary:
    """A run as lists show it. started: seconds since 1970. dataset: as its recipe says it. problem: the first of what
    is wrong with its files.
    """

    run: str
    state: str
    step: int
    total_steps: int
    loss: float | None
    started: float | None
    model: str | None
    dataset: object
    problem: Problem | None


def summary(run: Run) -> RunSummary:
    """Return a run as lists show it."""
    now = status(run)
    faults = run.faults(now)
    return RunSummary(
        run=run.name,
        state=now.state,
        step=now.step,
        total_steps=now.total_steps,
        loss=now.loss,
        started=now.started,
        model=run.name.split("/")[0],
        dataset=run.recipe_if_any().get("dataset"),
        problem=faults[0] if faults else None,
    )


def _goes_on(run: Run, known: Status) -> bool:
    info = run.info()
    if known.state == "queued" and (
        queue.holds(run.folder.parents[2], run.name) or run.is_by_hand and info.pid is None
    ):
        return True
    if known.order and (info.order or known.order) != known.order:
        return False  # the process that is noted was that of an earlier start
    if (info.host or socket.gethostname()) != socket.gethostname():
        return known.quiet() + known.age < SILENCE_S
    return alive(info)


def alive(info: RunInfo) -> bool:
    """Tell whether the process that a run's info names is at work on this machine; one that only waits to be buried is
    not.
    """
    if info.pid is None or info.pid_started is None:
        return False
    try:
        process = psutil.Process(info.pid)
        return process.status() != psutil.STATUS_ZOMBIE and abs(process.create_time() - info.pid_started) < 1
    except psutil.Error:
        return False


@dataclass(frozen=True)
class Metrics:
    """Points of a run's series. series: by name, each point [step, value, seconds of work]. next: the byte of
    the events to ask from the next time. reset: the history changed under the reader (a resumed run trains steps
    again), who then starts over from 0. epochs_per_step, device (as torch calls it): None where the run does not say
    them.
    """

    series: dict[str, list[list[float]]]
    next: int
    state: str
    reset: bool = False
    epochs_per_step: float | None = None
    device: str | None = None


def metrics(run: Run, since: int = 0, wait_s: float = 0.0) -> Metrics:
    """Return the points of every series after byte `since` of the events; from 0, the whole history in a bounded number
    of points.

    Args:
        wait_s: how long to wait for something to be there, in seconds.
    """
    if since:
        _wait_for_more(llamaboard_runs.source(run.folder) if run.is_foreign else run.events_file, since, wait_s)
    now = status(run)
    if since == 0:
        with _reading:
            series = {name: [list(point) for point in events.thinned(points)] for name, points in now.series.items()}
        return Metrics(series, now.size, now.state, **_told(now))
    if run.is_foreign:
        return Metrics({}, now.size, now.state, reset=since != now.size)
    fresh, following = events.read(run.events_file, since)
    # With each start the seconds count anew from where the run had come, see `Status.zero`.
    if since > now.size or any(event["event"] == "facts" or event.get("state") == "preparing" for event in fresh):
        return Metrics({}, 0, now.state, reset=True)
    series: dict[str, list[list]] = {}
    for event in fresh:
        if event["event"] == "metrics":
            for name, value in event["values"].items():
                series.setdefault(name, []).append([event["step"], value, now.seconds(event["time"])])
    return Metrics(series, following, now.state, **_told(now))


def _wait_for_more(file: Path, since: int, wait_s: float) -> None:
    until = time.monotonic() + wait_s
    while folders.size_of(file) == since and time.monotonic() < until:
        time.sleep(LOOK_S)


def _told(status: Status) -> dict[str, object]:
    """Return what a run says of itself that the plots need."""
    return {"epochs_per_step": status.epochs_per_step, "device": status.facts.get("device") or None}
