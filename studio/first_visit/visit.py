"""How far a person's first visit is. It is kept with the person's own settings, for it is theirs, not a workspace's."""

import os
import threading
from pathlib import Path

from studio.core import trust
from studio.core.i18n import Problem
from studio.core.storage import records
from studio.core.storage.records import Record
from studio.core.workspace import Workspace, write_json
from studio.train import runs
from studio.train.execution.training_service import TrainingService


class VisitRecord(Record):
    """What is kept: whether the visit is over, and the run that was started in it, with the workspace it is in."""

    is_over: bool = False
    run: str = ""
    workspace: str = ""


def file() -> Path:
    """Return where this person's visit is kept."""
    return trust.folder() / "first_visit.json"


class FirstVisit:
    """The first visit to one workspace."""

    def __init__(self, workspace: Workspace, trainer: TrainingService):
        self._workspace, self._trainer = workspace, trainer
        self._starting = threading.Lock()
        self._is_over = False  # once it is, no file is asked for again

    def record(self) -> VisitRecord | None:
        """Return how far the visit is, None where it is over: ended, or of one who has runs here from before."""
        if self._is_over:
            return None
        record = self._stored()
        self._is_over = record.is_over or (not self._run_of(record) and bool(runs.all_runs(self._workspace)))
        return None if self._is_over else record

    def run(self) -> runs.Run | None:
        """Return the run that was started in the visit, None where there is none, or not here."""
        record = self.record()
        return self._run_of(record) if record else None

    def start(self) -> runs.Run:
        """Start the starter run, by the recipe of an untouched form, and return it; the one that was started in this
        visit where there is one already. Raises Problem as every start does.
        """
        with self._starting:
            if begun := self._run_of(self._stored()):
                return begun
            run = self._trainer.start({}, {}, "in-process")
            self._store(VisitRecord(run=run.name, workspace=str(self._workspace.root)))
            self._is_over = False
            return run

    def end(self) -> None:
        """Never show it again. Raises Problem where the person's settings cannot be written."""
        self._store(VisitRecord(is_over=True))
        self._is_over = True

    def _run_of(self, record: VisitRecord) -> runs.Run | None:
        if not record.run or record.workspace != str(self._workspace.root):
            return None
        try:
            return runs.find(self._workspace, record.run)
        except Problem:
            return None  # deleted since

    def _stored(self) -> VisitRecord:
        try:
            return records.load(file(), VisitRecord) if os.path.lexists(file()) else VisitRecord()
        except Problem:
            return VisitRecord()  # whoever damaged it sees the visit once more

    def _store(self, record: VisitRecord) -> None:
        write_json(file(), record.model_dump(), mode=0o600)
