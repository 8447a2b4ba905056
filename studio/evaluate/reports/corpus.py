"""Scores of a corpus, which are not the mean of its rows: what each row adds to the sums, kept as arrays that grow."""

import numpy

from studio.evaluate.reports.line_index import LineIndex, Tail
from studio.evaluate.reports.score_columns import PARSED_AT_ONCE, parsed
from studio.evaluate.scores import intervals
from studio.evaluate.scores.intervals import Comparison, Interval
from studio.evaluate.scores.metric import METRICS, AnsweredRow, ScoreSettings


class CorpusColumns:
    """The statistics of the corpus scores of an evaluation, [row, target, number]; NaN where there are none.

    `metrics` are those that somebody asked for. Its owner calls one method at a time.
    """

    def __init__(self, rows: LineIndex, predictions: LineIndex, targets: list[str]):
        self._rows, self._answers = rows, predictions
        self._codes = {name: code for code, name in enumerate(targets)}
        self._forget()

    def _forget(self) -> None:
        self._tail = Tail(self._answers.path)
        self._columns: dict[str, numpy.ndarray] = {}
        self._metrics: tuple[str, ...] = ()

    def grow(self, metrics: tuple[str, ...]) -> None:
        """Take up the answers that have come, for those of `metrics` that are scores of a corpus."""
        wanted = tuple(one for one in metrics if one in METRICS and METRICS[one].corpus)
        if self._tail.is_replaced() or wanted != self._metrics:
            self._forget()
            self._metrics = wanted
        if not wanted:
            return
        for block, _ in self._tail.blocks(PARSED_AT_ONCE):
            self._take([one for one in parsed(block, _passed_over) if self._is_answer(one)])

    def interval(self, metric: str, code: int, seed: int) -> Interval | None:
        """Return the score of a target over all its rows; None where it has none, or the mean of rows is meant."""
        column = self._columns.get(metric)
        if column is None:
            return None
        rows = column[:, code][numpy.isfinite(column[:, code, 0])]
        return intervals.corpus_interval(rows, METRICS[metric].corpus.score, seed) if len(rows) else None

    def compared(self, metric: str, code: int, seed: int) -> Comparison | None:
        """Return how the score of a target differs from that of the first, over the rows that both have."""
        column = self._columns.get(metric)
        if column is None:
            return None
        both = numpy.isfinite(column[:, 0, 0]) & numpy.isfinite(column[:, code, 0])
        if not both.any():
            return None
        return intervals.corpus_paired(column[both, 0], column[both, code], METRICS[metric].corpus.score, seed)

    def _is_answer(self, record: object) -> bool:
        return (
            isinstance(record, dict)
            and isinstance(record.get("row"), int)
            and 0 <= record["row"] < self._rows.count
            and isinstance(record.get("target"), str)
            and record["target"] in self._codes
            and isinstance(record.get("text"), str)
        )

    def _take(self, answers: list[dict]) -> None:
        """Take up answers, with the reference as the model's template has it, else as the row has it."""
        answers = [one for one in answers if one.get("finished") != "failed"]
        lines = self._rows.lines([(one["row"], 0) if one.get("label") is None else (-1, 0) for one in answers])
        for answer, line in zip(answers, lines, strict=True):
            row = next(parsed(line, _passed_over), None) if line else None
            reference = row.get("reference") if isinstance(row, dict) else answer.get("label")
            if isinstance(reference, str) and reference.strip():
                self._put(answer["row"], self._codes[answer["target"]], AnsweredRow(answer["text"], reference))

    def _put(self, row: int, code: int, answered: AnsweredRow) -> None:
        for metric in self._metrics:
            numbers = METRICS[metric].corpus.statistics(answered, ScoreSettings())
            column = self._columns.get(metric)
            if column is None:
                column = numpy.full((0, len(self._codes), len(numbers)), numpy.nan)
            if row >= len(column):
                more = max(row + 1, self._rows.count) - len(column)
                column = numpy.concatenate((column, numpy.full((more, *column.shape[1:]), numpy.nan)))
            column[row, code] = numbers
            self._columns[metric] = column


def _passed_over() -> None:
    return
