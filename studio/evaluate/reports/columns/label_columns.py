"""Which label each answer of a classification names, and which its reference, as arrays that grow with the answers."""

from collections.abc import Iterator

import numpy

from studio.core.i18n import Problem
from studio.evaluate.evaluation import EvaluatedRow, Evaluation
from studio.evaluate.reports.columns.answer_texts import answer_texts
from studio.evaluate.reports.columns.growing import GrowingFile, enlarged, records_in
from studio.evaluate.reports.columns.line_index import LineIndex
from studio.evaluate.scores.classification import Confusion, label_of, labels_in

METRIC = "label"
_NONE = -1  # a label that an answer does not name
_UNKNOWN = -2  # no answer, or a reference without a label


class LabelColumns(GrowingFile):
    """The labels of an evaluation's answers and references, by their number, as [row, target] arrays.

    Its owner calls one method at a time.
    """

    def __init__(self, evaluation: Evaluation, rows: LineIndex, predictions: LineIndex, targets: list[str]):
        self._evaluation, self._rows = evaluation, rows
        self._codes = {name: code for code, name in enumerate(targets)}
        super().__init__(predictions.path)

    def _forget(self) -> None:
        self._labels: tuple[str, ...] = ()
        self._begun = -1  # rows that there were when the labels were looked for
        self._expected = numpy.full((0, len(self._codes)), _UNKNOWN, numpy.int16)
        self._named = self._expected.copy()

    def count(self, metrics: tuple[str, ...]) -> None:
        """Take up the answers that have come, where `metrics` say that this is a classification.

        Raises Problem where the request of the evaluation cannot be read.
        """
        if METRIC not in metrics:
            self._start()
            return
        if self._tail.is_replaced() or self._begun != self._rows.count:
            self._start()
            self._begun, self._labels = self._rows.count, self._found()
        if self._labels:
            self.grow()

    def confusion(self, target: str) -> Confusion | None:
        """Return how a target took labels for each other, None where it named none, or this is no classification."""
        code, size = self._codes[target], len(self._labels)
        expected, named = self._expected[:, code], self._named[:, code]
        there = (expected >= 0) & (named != _UNKNOWN)
        if not there.any():
            return None
        columns = numpy.where(named == _NONE, size, named)[there]
        counts = numpy.bincount(expected[there] * (size + 1) + columns, minlength=size * (size + 1))
        return Confusion(self._labels, tuple(map(tuple, counts.reshape(size, size + 1).tolist())))

    def _found(self) -> tuple[str, ...]:
        """Return the labels that were asked for, else those of the references, () where they are none."""
        if asked := tuple(getattr(self._evaluation.request().settings, "labels", ())):
            return asked
        references = (record.get("reference") for record in records_in(self._evaluation.file(EvaluatedRow)))
        try:
            return labels_in(one for one in references if isinstance(one, str))
        except Problem:
            return ()  # rows were changed by hand since their labels were scored

    def _take(self, found: Iterator[object]) -> None:
        for one in answer_texts(found, self._rows, self._codes):
            self._expected = enlarged(self._expected, one.row + 1, _UNKNOWN)
            self._named = enlarged(self._named, one.row + 1, _UNKNOWN)
            place = one.row, one.code
            self._expected[place] = self._number(one.reference, _UNKNOWN)
            self._named[place] = _UNKNOWN if one.reference is None else self._number(one.text, _NONE)

    def _number(self, text: str | None, otherwise: int) -> int:
        label = None if text is None else label_of(text, self._labels)
        return otherwise if label is None else self._labels.index(label)
