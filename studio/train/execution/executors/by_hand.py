"""A run that a person trains by commands on several machines (see `multi_node`): the studio shows it and can ask it to
stop.
"""

from studio.core.i18n import Problem
from studio.train import runs
from studio.train.runs import Run


class ByHand:
    """Starts nothing and ends nothing by force: the processes are on other machines, and not the studio's."""

    by_force = False

    def start(self, run: Run, resume: str | None) -> None:
        """Raise Problem: nobody but the person can start it."""
        raise Problem("executors.by_hand", run=run.name)

    def at_work(self, run: Run) -> bool:
        """Tell whether the process of the first machine lives, where that is this one."""
        return runs.alive(run.info())

    def exit_code(self, run: Run) -> int | None:
        """Return None: nobody here sees it."""
        return None

    def kill(self, run: Run) -> None:
        """Raise Problem: it can only be asked, or ended where it runs."""
        raise Problem("executors.cannot_kill_by_hand", run=run.name)

    def interrupt(self) -> bool:
        """Tell that there is nothing to wait for: these processes outlive the studio."""
        return False
