"""How the answers of an evaluation ended, how long they are and took, as arrays that grow with the file."""

from collections.abc import Iterator
from pathlib import Path

import numpy

from studio.core.formatting import finite
from studio.evaluate.reports.columns.growing import GrowingFile, enlarged
from studio.evaluate.reports.columns.line_index import MOST_ROWS

ENDINGS = ("stop", "length", "failed")


class AnswerFacts(GrowingFile):
    """Of each answer its ending, tokens, seconds, and whether it was cut, as [row, target] arrays.

    Of several answers to a row the last counts.
    """

    def __init__(self, path: Path, targets: list[str]):
        self._codes = {name: code for code, name in enumerate(targets)}
        super().__init__(path)

    def _forget(self) -> None:
        self._endings = numpy.full((0, len(self._codes)), -1, numpy.int8)
        self._figures = numpy.zeros((0, len(self._codes), 3))

    def answered(self, code: int) -> numpy.ndarray:
        """Return which rows a target has answered, whether or not it failed."""
        return self._endings[:, code] >= 0

    def failed(self, code: int) -> numpy.ndarray:
        """Return which rows a target failed at."""
        return self._endings[:, code] == ENDINGS.index("failed")

    def at_limit(self, code: int) -> numpy.ndarray:
        """Return which answers of a target ended with the most tokens allowed."""
        return self._endings[:, code] == ENDINGS.index("length")

    def cut(self, code: int) -> numpy.ndarray:
        """Return which prompts or references of a target the cutoff has shortened."""
        return self._figures[:, code, 2] > 0

    def tokens(self, code: int) -> float:
        """Return how many tokens a target has written."""
        return float(self._figures[:, code, 0].sum())

    def seconds(self, code: int) -> float:
        """Return how many seconds a target has taken."""
        return float(self._figures[:, code, 1].sum())

    def _fields(self, record: object) -> tuple | None:
        try:
            row, code = record["row"], self._codes[record["target"]]
            ending = ENDINGS.index(record.get("finished", "stop"))
            figures = [finite(record.get(name, 0)) or 0.0 for name in ("tokens", "seconds")]
            return (
                (row, code, ending, *figures, record.get("cut") is True)
                if 0 <= row < MOST_ROWS and isinstance(row, int)
                else None
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            return None  # the index of the file counts it

    def _take(self, found: Iterator[object]) -> None:
        fields = [one for record in found if (one := self._fields(record)) is not None]
        if not fields:
            return
        rows, codes, endings, *figures = (numpy.array(one) for one in zip(*fields, strict=True))
        self._endings = enlarged(self._endings, int(rows.max()) + 1, -1)
        self._figures = enlarged(self._figures, len(self._endings), 0)
        self._endings[rows, codes] = endings
        self._figures[rows, codes] = numpy.stack(figures, axis=1)
