"""Scores of a corpus, which are not the mean of its rows: what each row adds to the sums, kept as arrays that grow.

`sums.jsonl` says it of every answer. Of one that was scored before there was such a file it is counted again.
"""

import threading
from collections.abc import Iterable, Iterator

import numpy

from studio.core.formatting import finite
from studio.evaluate.evaluation import Evaluation, RowSums
from studio.evaluate.reports.columns.answer_texts import answer_texts
from studio.evaluate.reports.columns.growing import GrowingFile, enlarged, parsed
from studio.evaluate.reports.columns.line_index import LineIndex
from studio.evaluate.scores.metric import METRICS, AnsweredRow, row_statistics

AT_ONCE = 500  # answers whose texts are read at a time
CORPUS = {key: metric.corpus for key, metric in METRICS.items() if metric.corpus}


class CorpusColumns(GrowingFile):
    """The statistics of the corpus scores of an evaluation, [row, target, number]; NaN where there are none.

    Its owner has `rows`, `answers` and `scores`, indices of those files, grow first.
    """

    def __init__(
        self, evaluation: Evaluation, rows: LineIndex, answers: LineIndex, scores: LineIndex, targets: list[str]
    ):
        self._rows, self._answers, self._scores = rows, answers, scores
        self._codes = {name: code for code, name in enumerate(targets)}
        self._lock = threading.Lock()  # of its own: to count the texts of many answers again takes long
        super().__init__(evaluation.file(RowSums))

    def _forget(self) -> None:
        self._wanted: tuple[str, ...] = ()
        self._columns: dict[str, numpy.ndarray] = {}
        # the byte at which the answer begins that was counted last, -1 where none was
        self._counted = numpy.full((0, len(self._codes)), -1, numpy.int64)

    def of(self, metrics: Iterable[str], rows: int) -> dict[str, numpy.ndarray]:
        """Take up the answers that have been scored, and return [row, target, number] for so many rows of those of
        `metrics` that are scores of a corpus; one that no row has is left out. Any thread may call it.
        """
        with self._lock:
            self._count(metrics)
            found = {}
            for metric, column in self._columns.items():
                found[metric] = numpy.full((rows, *column.shape[1:]), numpy.nan)
                found[metric][: len(column)] = column[:rows]
            return found

    def _count(self, metrics: Iterable[str]) -> None:
        wanted = tuple(one for one in metrics if one in CORPUS)
        if self._tail.is_replaced() or wanted != self._wanted:
            self._start()
            self._wanted = wanted
        if not wanted:
            return
        self.grow()
        rows = min(self._answers.count, self._scores.count, self._rows.count)
        self._counted = enlarged(self._counted, rows, -1)
        missing = (self._scores.begin[:rows] >= 0) & (self._counted[:rows] != self._answers.begin[:rows])
        places = [(int(row), int(code)) for row, code in numpy.argwhere(missing)]
        for start in range(0, len(places), AT_ONCE):
            self._count_again(places[start : start + AT_ONCE])

    def _take(self, found: Iterator[object]) -> None:
        for record in found:
            try:
                row, code, sums = record["row"], self._codes[record["target"]], dict(record["sums"])
                if type(row) is not int or not 0 <= row < self._rows.count:
                    raise ValueError(row)
            except (KeyError, TypeError, ValueError):
                self.unusable += 1
                continue
            self._put(row, code, sums)
            if row < self._answers.count:
                self._counted = enlarged(self._counted, row + 1, -1)
                self._counted[row, code] = self._answers.begin[row, code]

    def _count_again(self, places: list[tuple[int, int]]) -> None:
        lines = self._answers.lines(places)
        found = [record for line in lines if line for record in parsed(line)]
        for one in answer_texts(found, self._rows, self._codes):
            answered = AnsweredRow(one.text, one.reference or "")
            self._put(one.row, one.code, row_statistics(self._wanted, answered))
        for place in places:  # those too whose line is none: they are not looked for again
            self._counted[place] = self._answers.begin[place]

    def _put(self, row: int, code: int, sums: dict[str, list[int]]) -> None:
        for metric in self._wanted:
            corpus, numbers = CORPUS[metric], sums.get(metric)
            if not _are_numbers(numbers, corpus.numbers):
                continue
            column = self._columns.get(metric)
            if column is None:
                column = numpy.empty((0, len(self._codes), corpus.numbers))
            column = self._columns[metric] = enlarged(column, row + 1, numpy.nan)
            column[row, code] = numbers


def _are_numbers(values: object, count: int) -> bool:
    return isinstance(values, list) and len(values) == count and all(finite(one) is not None for one in values)
