"""Who trains a run. Every executor trains the same recipe, with the same callback and the same files; the page cannot
tell them apart.

| name | what it is | where |
|---|---|---|
| in-process | a thread of the studio: starts at once, because the libraries are warm | in_process.py |
| worker | a process of its own: survives a restart of the studio | subprocesses.py, worker.py |
| torchrun | a process for each device | subprocesses.py, worker.py |
| ray | processes on several machines of a Ray cluster | subprocesses.py, ray_cluster.py |
| nodes | commands that a person pastes on several machines | by_hand.py, multi_node.py |
"""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from studio.train.execution.executors.by_hand import ByHand
from studio.train.execution.executors.in_process import InProcess
from studio.train.execution.executors.subprocesses import Launched, on_ray, with_torchrun, worker
from studio.train.runs import Run


class Executor(Protocol):
    """What training asks of an executor. It obeys a request to stop (`StopRequest`) by itself and writes the run's last
    state.
    """

    by_force: bool  # whether it can end a run that does not obey

    def start(self, run: Run, resume: str | None) -> None:
        """Begin to train, from the named checkpoint or from the start, and return at once. Raises Problem where that
        fails.
        """

    def at_work(self, run: Run) -> bool:
        """Tell whether it still works on the run, in whichever process of the studio it was started."""

    def exit_code(self, run: Run) -> int | None:
        """Return what the run's process ended with (-9: killed by signal 9), None where that is not known."""

    def interrupt(self) -> bool:
        """Let what this very process trains save a checkpoint because it ends, and tell whether there is anything to
        wait for.
        """

    def kill(self, run: Run) -> None:
        """End a run that does not obey, by force. Raises Problem where this executor cannot."""


def executors(over: Callable[[], None], interpreter: Callable[[Run], Path]) -> dict[str, Executor]:
    """Return every executor by its name.

    Args:
        over: called when one has finished a run, as far as it can notice that itself.
        interpreter: gives the Python that trains a run in a process of its own; raises Problem where there is none.
    """
    return {
        "in-process": InProcess(over),
        "worker": Launched(worker, interpreter),
        "torchrun": Launched(with_torchrun, interpreter),
        "ray": Launched(on_ray, interpreter),
        "nodes": ByHand(),
    }
