"""The reports of all evaluations: tables and summaries that are kept while their files are looked at."""

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass

from studio.core.i18n import Problem
from studio.core.storage import files
from studio.evaluate.evaluation import EvaluatedRow, Evaluation, Judged, Prediction, ReferenceLoss, RowScores
from studio.evaluate.evaluations import Evaluations
from studio.evaluate.reports.row_table import RowTable
from studio.evaluate.reports.summary import Summary, summary

KEPT = 8
PATIENCE_S = 0.3  # a page waits so long for a summary, and is then drawn without it
EVERY_S = 3.0  # while it grows, a summary is made anew at most so often
SHARE = 0.02  # of the time, at most, that summaries of an evaluation at work may take


@dataclass
class _Made:
    """The newest summary of an evaluation. stamps: of the files that it was made of; cost: seconds that it took."""

    summary: Summary | None = None
    stamps: tuple = ()
    made: float = 0.0
    cost: float = 0.0
    fault: Problem | None = None
    work: threading.Thread | None = None


class Reports:
    """The reports of the evaluations of a workspace. Any thread may call any method."""

    def __init__(self, evaluations: Evaluations):
        self.evaluations = evaluations
        self._tables: OrderedDict[str, RowTable] = OrderedDict()
        self._made: OrderedDict[str, _Made] = OrderedDict()
        self._lock = threading.Lock()

    def table(self, id: str) -> RowTable:
        """Return the table of an evaluation's rows. Raises Problem where there is none, or its request is none."""
        evaluation = self.evaluations.find(id)
        targets = list(dict.fromkeys(evaluation.request().targets))
        with self._lock:
            table = self._tables.get(id)
            if table is None or table.targets != targets:
                table = self._tables[id] = RowTable(evaluation, targets)
            self._tables.move_to_end(id)
            while len(self._tables) > KEPT:
                self._tables.popitem(last=False)
            return table

    def summary(self, id: str, is_growing: bool = False, patience: float | None = None) -> Summary | None:
        """Return what an evaluation comes to, as of its files now; None where that takes longer than `patience`.

        Args:
            is_growing: whether answers still come: then what was made a moment ago will do.
            patience: seconds to wait, None for as long as it takes.

        Raises:
            Problem: there is no such evaluation, or its request cannot be read.
        """
        table = self.table(id)
        stamps = stamps_of(table.evaluation)
        with self._lock:
            made = self._made.setdefault(id, _Made())
            self._made.move_to_end(id)
            while len(self._made) > 64:
                self._made.popitem(last=False)
            is_fresh = made.stamps == stamps or (
                is_growing and time.monotonic() - made.made < max(EVERY_S, made.cost / SHARE)
            )
            if made.summary is not None and is_fresh:
                return made.summary
            if made.work is None:
                made.work = threading.Thread(
                    target=self._make, args=(made, table, stamps), name=f"summary-{id}", daemon=True
                )
                made.work.start()
            work = made.work
        work.join(patience)
        if made.fault is not None:
            raise made.fault
        return made.summary

    def _make(self, made: _Made, table: RowTable, stamps: tuple) -> None:
        began = time.monotonic()
        found, fault = None, None
        try:
            settings = table.evaluation.request().settings
            found = summary(table, settings.seed, getattr(settings, "metrics", ()))
        except Problem as problem:
            fault = problem
        finally:
            now = time.monotonic()
            with self._lock:
                made.summary = found or made.summary
                made.stamps, made.made, made.cost, made.fault, made.work = stamps, now, now - began, fault, None


def stamps_of(evaluation: Evaluation) -> tuple:
    """Return what changes when anything of a report does."""
    kinds = (EvaluatedRow, Prediction, ReferenceLoss, RowScores, Judged)
    return tuple(files.stamp(evaluation.file(kind)) for kind in kinds)
