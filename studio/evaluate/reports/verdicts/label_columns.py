"""Which label each answer of a classification names, and which its reference, as arrays that grow with the answers."""

from collections.abc import Iterator

import numpy

from studio.core.i18n import Problem
from studio.evaluate.evaluation import EvaluatedRow, Evaluation
from studio.evaluate.reports.line_index import LineIndex, Tail
from studio.evaluate.reports.score_columns import PARSED_AT_ONCE, parsed
from studio.evaluate.scores.classification import Confusion, label_of, labels_in

METRIC = "label"
_NONE = -1  # a label that an answer does not name
_UNKNOWN = -2  # no answer, or a reference without a label


class LabelColumns:
    """The labels of an evaluation's answers and references, by their number, as [row, target] arrays.

    Its owner calls one method at a time.
    """

    def __init__(self, evaluation: Evaluation, rows: LineIndex, predictions: LineIndex, targets: list[str]):
        self._evaluation, self._rows, self._answers = evaluation, rows, predictions
        self._codes = {name: code for code, name in enumerate(targets)}
        self._forget()

    def _forget(self) -> None:
        self._tail = Tail(self._answers.path)
        self._labels: tuple[str, ...] = ()
        self._begun = 0  # rows that there were when the labels were looked for
        self._expected = numpy.full((0, len(self._codes)), _UNKNOWN, numpy.int16)
        self._named = self._expected.copy()

    def grow(self, metrics: tuple[str, ...]) -> None:
        """Take up the answers that have come, where `metrics` say that this is a classification.

        Raises Problem where the request of the evaluation cannot be read.
        """
        if METRIC not in metrics:
            self._forget()
            return
        if self._tail.is_replaced() or self._begun != self._rows.count:
            self._forget()
            self._begun = self._rows.count
            self._labels = self._found()
        if self._labels:
            for block, _ in self._tail.blocks(PARSED_AT_ONCE):
                self._take([one for one in parsed(block, _passed_over) if self._is_answer(one)])

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
        try:
            return labels_in(self._references())
        except Problem:
            return ()  # rows were changed by hand since their labels were scored

    def _references(self) -> Iterator[str]:
        for block, _ in Tail(self._evaluation.file(EvaluatedRow)).blocks(PARSED_AT_ONCE):
            for record in parsed(block, _passed_over):
                if isinstance(record, dict) and isinstance(record.get("reference"), str):
                    yield record["reference"]

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
        missing = self._rows.count - len(self._named)
        if missing > 0:
            more = numpy.full((missing, len(self._codes)), _UNKNOWN, numpy.int16)
            self._expected, self._named = (numpy.concatenate((one, more)) for one in (self._expected, self._named))
        # The reference as the model's template has it, else as the row has it.
        lines = self._rows.lines([(-1 if isinstance(one.get("label"), str) else one["row"], 0) for one in answers])
        for answer, line in zip(answers, lines, strict=True):
            row = next(parsed(line, _passed_over), None) if line else None
            reference = row.get("reference") if isinstance(row, dict) else answer.get("label")
            place = answer["row"], self._codes[answer["target"]]
            failed = answer.get("finished") == "failed" or not isinstance(reference, str)
            self._expected[place] = _UNKNOWN if failed else self._number(reference, _UNKNOWN)
            self._named[place] = _UNKNOWN if failed else self._number(answer["text"], _NONE)

    def _number(self, text: str, otherwise: int) -> int:
        label = label_of(text, self._labels)
        return otherwise if label is None else self._labels.index(label)


def _passed_over() -> None:
    return
