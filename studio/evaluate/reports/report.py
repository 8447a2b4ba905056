"""The reports of all evaluations: tables and summaries that are kept while their files are looked at."""

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from studio.core.i18n import Problem
from studio.core.storage import files, read_only, records
from studio.core.storage.atomic import write_json
from studio.core.storage.file_cache import FileCache
from studio.core.storage.records import Record, Text
from studio.evaluate.evaluation import EvaluatedRow, Evaluation, Judged, Prediction, ReferenceLoss, RowScores
from studio.evaluate.evaluations import Evaluations
from studio.evaluate.reports.row_table import RowTable
from studio.evaluate.reports.summary import Summary, summary, verdict
from studio.evaluate.settings import Request

KEPT = 8
HEADLINE = "headline.json"
PATIENCE_S = 0.3  # a page waits so long for a summary, and is then drawn without it
EVERY_S = 3.0  # while it grows, a summary is made anew at most so often
SHARE = 0.02  # of the time, at most, that summaries of an evaluation at work may take


class Headline(Record):
    """The headline score of an evaluation, as lists show it; kept in `headline.json`, so that no list waits for it.

    stamps: of the files that it was made of. verdict: of the target against the first; "one" where there is no other.
    """

    stamps: list[list[int]]
    metric: Text
    target: Text
    value: float
    difference: float | None = None
    verdict: Literal["better", "worse", "noise", "too_few", "one"] = "one"


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
        self._requests: FileCache[Request] = FileCache()
        self._headlines: FileCache[Headline | None] = FileCache()
        self._lock = threading.Lock()

    def request(self, evaluation: Evaluation) -> Request:
        """Return what was asked of an evaluation. Raises Problem where its file is missing or holds something else."""
        return self._requests.get(evaluation.id, [evaluation.folder / "request.json"], evaluation.request)

    def table(self, id: str) -> RowTable:
        """Return the table of an evaluation's rows. Raises Problem where there is none, or its request is none."""
        evaluation = self.evaluations.find(id)
        targets = list(dict.fromkeys(self.request(evaluation).targets))
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

    def headline(self, id: str, is_growing: bool = False) -> Headline | None:
        """Return the headline score of an evaluation, None while it is not known: it is made in the background, of one
        evaluation after the other. Raises Problem where there is no such evaluation.
        """
        evaluation = self.evaluations.find(id)
        file = evaluation.folder / HEADLINE
        known = self._headlines.get(id, [file], lambda: _headline_in(file))
        if known is None or tuple(map(tuple, known.stamps)) != stamps_of(evaluation):
            with self._lock:
                is_idle = not any(one.work for one in self._made.values())
            if is_idle:
                self.summary(id, is_growing, patience=0)
        return known

    def _make(self, made: _Made, table: RowTable, stamps: tuple) -> None:
        began = time.monotonic()
        found, fault = None, None
        try:
            settings = table.evaluation.request().settings
            found = summary(table, settings.seed, getattr(settings, "metrics", ()))
            if (headline := headline_of(found, stamps)) and not read_only.why():
                write_json(table.evaluation.folder / HEADLINE, headline.model_dump())
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


def headline_of(made: Summary, stamps: tuple) -> Headline | None:
    """Return what lists show of a summary, None where there is no score yet."""
    metric = made.headline
    if metric is None or not made.sentences:
        return None
    target = str(made.sentences[0].facts["target"])
    difference = made.differences[target].get(metric)
    return Headline(
        stamps=[list(one) for one in stamps],
        metric=metric,
        target=target,
        value=made.scores[target][metric].value,
        difference=difference.value if difference else None,
        verdict=verdict(difference) if difference else "one",
    )


def _headline_in(file: Path) -> Headline | None:
    try:
        return records.load(file, Headline)
    except Problem:
        return None  # it is made anew
