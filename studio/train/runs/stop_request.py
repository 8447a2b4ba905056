"""The request to stop a run: a file in its folder, seen by whoever trains it, in this process, another, or on another
machine.

A process that is about to end itself (Ctrl-C, a machine that is shut down) asks too, without a file: its run saves a
checkpoint and is interrupted, and nothing is left behind that would stop it when it is resumed.
"""

import threading
from pathlib import Path

from studio.core import reasons
from studio.core.i18n import Problem

SAVE, ABORT = "stop-and-save", "abort"
INTERRUPT = "interrupt"  # save a checkpoint and nothing else, because the process ends


class Stopped(Exception):
    """Raised out of the trainer when a run is aborted without a checkpoint, or with one (`saved`) because the process
    ends.
    """

    def __init__(self, saved: bool = False):
        super().__init__()
        self.saved = saved


class StopRequest:
    """Asked by any process, looked at by the callback at every sub-step. The file is empty: its name says what is
    asked.

    `at_step` is true from the first step on: before it there is nothing to save.
    """

    def __init__(self, folder: Path):
        self._save, self._abort = folder / SAVE, folder / ABORT
        self._ends = threading.Event()
        self.at_step = False

    def ask(self, save: bool) -> None:
        """Ask the run to stop: with a checkpoint at the end of its step, or at once and without one. Raises Problem."""
        path = self._save if save else self._abort
        try:
            path.touch()
        except OSError as error:
            raise Problem("workspace.unwritable", path=path, reason=reasons.of(error)) from error

    def interrupt(self) -> None:
        """Ask the run that is trained by this very process to save a checkpoint, because the process is about to
        end.
        """
        self._ends.set()

    def asked(self) -> str | None:
        """Return ABORT, INTERRUPT or SAVE, the first of them that was asked, or None."""
        if self._abort.exists():
            return ABORT
        if self._ends.is_set():
            return INTERRUPT
        return SAVE if self._save.exists() else None

    def withdraw(self) -> None:
        """Forget what was asked before, for a run that begins anew."""
        self._save.unlink(missing_ok=True)
        self._abort.unlink(missing_ok=True)
