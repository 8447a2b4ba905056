"""The wish to stop a run: a file in its folder, seen by whoever trains it, in this process, another, or on another machine."""

import time
from pathlib import Path

from studio.interface.language import Problem

SAVE, ABORT = "stop-and-save", "abort"


class Stopped(Exception):
    """Raised out of the trainer when a run is aborted without a checkpoint."""


class StopWish:
    """Asked by any process, looked at by the recorder at every sub-step. The file is empty: its name says what is wished."""

    def __init__(self, folder: Path):
        self._save, self._abort = folder / SAVE, folder / ABORT

    def ask(self, save: bool) -> None:
        """Ask the run to stop: with a checkpoint at the end of its step, or at once and without one. Raises Problem."""
        path = self._save if save else self._abort
        try:
            path.touch()
        except OSError as error:
            raise Problem("workspace.unwritable", path=path, reason=error.strerror) from error

    def asked(self) -> str | None:
        """Return SAVE or ABORT, the stronger where both were asked, or None."""
        if self._abort.exists():
            return ABORT
        return SAVE if self._save.exists() else None

    def withdraw(self) -> None:
        """Forget what was asked before, for a run that begins anew."""
        self._save.unlink(missing_ok=True)
        self._abort.unlink(missing_ok=True)

    def abort_age(self) -> float:
        """Return the seconds since an abort was asked; 0 where none was."""
        try:
            return max(0.0, time.time() - self._abort.stat().st_mtime)
        except FileNotFoundError:
            return 0.0
