"""All rows of an evaluation as a table: one page at a time, sorted, filtered, searched, while it grows.

What is kept are numbers: where the lines of a row stand in the files, and the scores as arrays. Texts are read for the
rows of a page only, so that a table of 100,000 rows opens and sorts at once.
"""

import json
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TypeVar

import numpy
from pydantic import ValidationError

from studio.core.storage import records
from studio.core.storage.records import Record
from studio.evaluate import part_names
from studio.evaluate.evaluation import EvaluatedRow, Evaluation, Prediction, ReferenceLoss, RowScores
from studio.evaluate.part_names import Name
from studio.evaluate.reports.columns.answer_facts import AnswerFacts
from studio.evaluate.reports.columns.corpus import CORPUS, CorpusColumns
from studio.evaluate.reports.columns.growing import parsed
from studio.evaluate.reports.columns.label_columns import LabelColumns
from studio.evaluate.reports.columns.line_index import LineIndex, Tail
from studio.evaluate.reports.columns.score_columns import RowFacts, ScoreColumns
from studio.evaluate.reports.metric_facts import best_of, is_higher_better
from studio.evaluate.reports.row_query import RowQuery, require_known

Kind = TypeVar("Kind", bound=Record)
LOSS = "loss"
ORDERS_KEPT = 16
WRONG_BELOW = 0.5  # of the best that a score can be


@dataclass(frozen=True)
class TableRow:
    """A row with what belongs to it, by target. A record is None where its line cannot be used. scores: by metric, as
    the summary has them.
    """

    number: int
    row: EvaluatedRow | None
    predictions: dict[str, Prediction]
    scores: dict[str, dict[str, float]]
    losses: dict[str, ReferenceLoss]


@dataclass(frozen=True)
class TablePage:
    """Rows of a table from `offset` on; `total` fit the question, of `all` that there are."""

    rows: tuple[TableRow, ...]
    offset: int
    total: int
    all: int


class RowTable:
    """The table of one evaluation. Any thread may call any method."""

    def __init__(self, evaluation: Evaluation, targets: list[str]):
        self.evaluation, self.targets = evaluation, targets
        self.rows = LineIndex(evaluation.file(EvaluatedRow))
        self.predictions = LineIndex(evaluation.file(Prediction), targets)
        self.losses = LineIndex(evaluation.file(ReferenceLoss), targets)
        self.facts = RowFacts(evaluation.file(EvaluatedRow), targets)
        self.scores = LineIndex(evaluation.file(RowScores), targets)
        self.answers = AnswerFacts(evaluation.file(Prediction), targets)
        self._scores = ScoreColumns(evaluation.file(RowScores), targets)
        self._loss = ScoreColumns(evaluation.file(ReferenceLoss), targets, LOSS)
        self.corpus = CorpusColumns(evaluation, self.rows, self.predictions, self.scores, targets)
        self.labels = LabelColumns(evaluation, self.rows, self.predictions, targets)
        self._lock = threading.RLock()
        self._orders: OrderedDict[tuple, numpy.ndarray] = OrderedDict()
        self._version = 0

    def label(self, target: str) -> str:
        """Return what a target is called now, in few words."""
        return self.evaluation.label(target)

    def part(self, name: str) -> Name:
        """Return what a dataset, a task or a held-out part is called."""
        return part_names.shown([name], self.label)

    @property
    def count(self) -> int:
        """The rows that there are, those without a usable line not counted."""
        with self._lock:
            return int((self.rows.begin[:, 0] >= 0).sum())

    @property
    def size(self) -> int:
        """The number of the last row, and one."""
        return self.rows.count

    def grow(self) -> int:
        """Take up where rows, answers and scores stand, and return a number that changes when something has come."""
        with self._lock:
            if any([self.rows.grow(), self.predictions.grow(), self.scores.grow()]):
                self._version += 1
            return self._version

    def grow_scores(self) -> int:
        """Take up what they say too, and return a number that changes when something has come."""
        with self._lock:
            self.grow()
            if any([self._scores.grow(), self._loss.grow()]):
                self._version += 1
            return self._version

    def grow_facts(self) -> RowFacts:
        """Return what the rows say of themselves, as far as they have come."""
        with self._lock:
            self.facts.grow()
            return self.facts

    @property
    def metrics(self) -> tuple[str, ...]:
        """The keys of the scores that there are."""
        with self._lock:
            return tuple(dict.fromkeys((*self._scores.metrics, *self._loss.metrics)))

    def column(self, metric: str) -> numpy.ndarray:
        """Return [row, target] of a score, NaN where there is none."""
        with self._lock:
            return (self._loss if metric == LOSS else self._scores).column(metric, self.size)

    def statistics(self) -> dict[str, numpy.ndarray]:
        """Return by metric [row, target, number] of the scores that there are, NaN where a row has none: what the score
        of many rows is made of, which is the mean of their own scores, or is made of the sums of a corpus (`CORPUS`).
        """
        with self._lock:
            size, columns = self.size, {metric: self.column(metric) for metric in self.metrics}
        metrics = [metric for metric, column in columns.items() if numpy.isfinite(column).any()]
        found = {metric: columns[metric][..., None] for metric in metrics if metric not in CORPUS}
        found |= self.corpus.of(metrics, size)
        return {metric: found[metric] for metric in metrics if metric in found}

    def page(self, query: RowQuery, offset: int = 0, limit: int = 20) -> TablePage:
        """Return rows from `offset` on, in the order that is asked for. Raises Problem (see `require_known`)."""
        with self._lock:
            order = self.order(query)
            numbers = [int(one) for one in order[offset : offset + limit]]
            return TablePage(self._read(numbers), offset, len(order), self.count)

    def row(self, number: int) -> TableRow:
        """Return one row with the losses of its reference; its record is None where there is none."""
        with self._lock:
            self.grow_scores()
            self.losses.grow()
            return self._read([number], with_losses=True)[0]

    def order(self, query: RowQuery) -> numpy.ndarray:
        """Return the numbers of the rows that fit a question, in its order. Raises Problem (see `require_known`)."""
        with self._lock:
            key = (self.grow_scores(), query)
            if key not in self._orders:
                require_known(query, self.targets, self.metrics)
                self._orders[key] = self._ordered(query)
                while len(self._orders) > ORDERS_KEPT:
                    self._orders.popitem(last=False)
            return self._orders[key]

    def _ordered(self, query: RowQuery) -> numpy.ndarray:
        chosen = self.rows.begin[:, 0] >= 0
        if query != RowQuery(sort=query.sort, target=query.target, find=query.find):
            chosen = chosen & self._fitting(query)
        if query.find:
            chosen = chosen & self._saying(query.find)
        numbers = numpy.flatnonzero(chosen)
        metric, by_change, highest_first = query.sorted_by()
        if not metric:
            return numbers
        values = self._sort_values(metric, by_change, query.target)[numbers]
        order = numpy.argsort(-values if highest_first else values, kind="stable")  # NaN is last in either
        return numbers[order]

    def _sort_values(self, metric: str, by_change: bool, target: str) -> numpy.ndarray:
        column = self.column(metric)
        if not by_change:
            return column[:, self.targets.index(target) if target else 0]
        change = column[:, self.targets.index(target) if target else -1] - column[:, 0]
        change = change.round(9)  # what differs in the last bits only stays in the order of the data
        return change if is_higher_better(metric) else -change

    def _fitting(self, query: RowQuery) -> numpy.ndarray:
        size, facts = self.size, self.grow_facts()
        fits = numpy.ones(size, bool)
        for fact in ("dataset", "subject"):
            if wanted := getattr(query, fact):
                fits &= facts.of(fact, size) == facts.names[fact].get(wanted, -2)
        columns = slice(None) if not query.target else [self.targets.index(query.target)]
        if query.trained:
            fits &= facts.trained(size)[:, columns].any(axis=1) == (query.trained == "yes")
        if query.wrong:
            fits &= self._wrong()[:, columns].any(axis=1)
        if query.metric:
            values = self.column(query.metric)[:, columns]
            low = -numpy.inf if query.low is None else query.low
            high = numpy.inf if query.high is None else query.high
            fits &= ((values >= low) & (values <= high)).any(axis=1)
        return fits

    def _wrong(self) -> numpy.ndarray:
        """Return [row, target]: whether an answer has less than half of what its headline score can be."""
        metric = best_of(self.metrics)
        if metric is None:
            return numpy.zeros((self.size, len(self.targets)), bool)
        return self.column(metric.key) < WRONG_BELOW * metric.best

    def _saying(self, text: str) -> numpy.ndarray:
        """Return which rows say a text in their question, reference, choices or answers."""
        needle = text.lower()
        found = numpy.zeros(self.size, bool)
        for path in (self.rows, self.predictions):
            for line in _candidates(path, needle):
                row = line.get("row")
                if isinstance(row, int) and 0 <= row < self.size and _says(line, needle):
                    found[row] = True
        return found

    def _read(self, numbers: list[int], with_losses: bool = False) -> tuple[TableRow, ...]:
        rows = [_record(line, EvaluatedRow) for line in self.rows.lines([(one, 0) for one in numbers])]
        answers = self._by_target(self.predictions, numbers, Prediction)
        losses = self._by_target(self.losses, numbers, ReferenceLoss) if with_losses else [{}] * len(numbers)
        return tuple(
            TableRow(number, rows[at], answers[at], self._scores_of(number), losses[at])
            for at, number in enumerate(numbers)
        )

    def _scores_of(self, number: int) -> dict[str, dict[str, float]]:
        """Return {target: {metric: score}} of a row from the columns, into which a score may come from any line of any
        file.
        """
        found = {
            target: self._scores.of(number, code) | self._loss.of(number, code)
            for code, target in enumerate(self.targets)
        }
        return {target: scores for target, scores in found.items() if scores}

    def _by_target(self, index: LineIndex, numbers: list[int], kind: type[Kind]) -> list[dict[str, Kind]]:
        lines = iter(index.lines([(one, code) for one in numbers for code in range(len(self.targets))]))
        made = [{target: _record(next(lines), kind) for target in self.targets} for _ in numbers]
        return [{target: one for target, one in of_row.items() if one is not None} for of_row in made]


def _record(line: bytes | None, kind: type[Kind]) -> Kind | None:
    if line is None:
        return None
    try:
        return kind.model_validate(records.parse(line))
    except (ValueError, ValidationError):
        return None  # the index counts it, and the page says that the row cannot be read


def _candidates(index: LineIndex, needle: str):
    """Yield the records of a file in whose line the text may stand."""
    written = json.dumps(needle, ensure_ascii=False)[1:-1]
    for block, _ in Tail(index.path).blocks():
        if written.isascii():
            encoded = written.encode()
            lines = [line for line in block.split(b"\n") if encoded in line.lower()]
        else:
            texts = block.decode("utf-8", "replace").lower().split("\n")
            lines = [line for line, text in zip(block.split(b"\n"), texts, strict=True) if written in text]
        for line in lines:
            yield from (one for one in parsed(line) if isinstance(one, dict))


def _says(record: dict, needle: str) -> bool:
    texts = [record.get(name) for name in ("text", "reference", "system", "subject")]
    choices, messages = record.get("choices"), record.get("messages")
    texts += choices if isinstance(choices, list) else []
    texts += [one.get("content") for one in messages if isinstance(one, dict)] if isinstance(messages, list) else []
    return any(needle in one.lower() for one in texts if isinstance(one, str))
