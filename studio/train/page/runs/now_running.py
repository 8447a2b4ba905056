"""What is at work, for the sidebar: the run that trains, and those that wait."""

from collections.abc import Sequence
from dataclasses import dataclass

from studio.core.i18n import Problem
from studio.core.workspace import Workspace
from studio.train import runs
from studio.train.execution.queue import Queue
from studio.train.page.runs.run_list import LISTED
from studio.train.page.runs.run_progress import Progress, progress

TEMPLATE = "train/page/runs/now_running.html"
WAITING_LISTED = 12


@dataclass(frozen=True)
class NowRunning:
    """The run at work by its name, "" where none is, and what it is called; the runs that wait, each by its name and
    what it is called, the next to start first, as far as they are listed, and how many more wait; `faults` of the
    queue's files and of runs that cannot begin now.
    """

    run: str
    label: str
    progress: Progress | None
    can_stop: bool
    waiting: tuple[tuple[str, str], ...]
    waiting_more: int
    faults: tuple[Problem, ...]


def now_running(workspace: Workspace, held_up: Sequence[Problem] = ()) -> NowRunning:
    """Return what is at work and what waits; `held_up` tells of runs in the queue that cannot go on now."""
    queue = Queue(workspace.saves)
    waiting = [runs.Run(queued.run, workspace.saves / queued.run) for queued in queue.waiting()]
    active = [run for run in runs.all_runs(workspace)[:LISTED] if runs.status(run).state in runs.ACTIVE]
    run = next((run for run in active if runs.status(run).state != "queued"), active[0] if active else None)
    status = runs.status(run) if run else None
    return NowRunning(
        run=run.name if run else "",
        label=run.label if run else "",
        progress=progress(run, status) if run else None,
        can_stop=bool(status and status.state in ("running", "queued")),
        waiting=tuple((one.name, one.label) for one in waiting[:WAITING_LISTED]),
        waiting_more=max(0, len(waiting) - WAITING_LISTED),
        faults=(*queue.faults(), *held_up),
    )
