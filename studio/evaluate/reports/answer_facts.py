"""How the answers of an evaluation ended, how long they are and took, as arrays that grow with the file."""

from pathlib import Path
from typing import Self

import numpy

from studio.core.formatting import finite
from studio.evaluate.reports.line_index import MOST_ROWS, Tail
from studio.evaluate.reports.score_columns import PARSED_AT_ONCE, parsed

ENDINGS = ("stop", "length", "failed")


class AnswerFacts:
    """Of each answer its ending, tokens, seconds, and whether it was cut, as [row, target] arrays.

    Of several answers to a row the last counts.
    """

    def __init__(self, path: Path, targets: list[str]):
        self._path, self._codes = path, {name: code for code, name in enumerate(targets)}
        self._forget()

    def _forget(self) -> None:
        self._tail = Tail(self._path)
        self._endings = numpy.full((0, len(self._codes)), -1, numpy.int8)
        self._figures = numpy.zeros((0, len(self._codes), 3))

    def grown(self) -> Self:
        """Take up what has come to the file."""
        if self._tail.is_replaced():
            self._forget()
        for block, _ in self._tail.blocks(PARSED_AT_ONCE):
            found = [self._fields(record) for record in parsed(block, _passed_over)]
            found = [one for one in found if one is not None]
            if found:
                self._put(found)
        return self

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

    def _put(self, found: list[tuple]) -> None:
        rows, codes, endings, *figures = (numpy.array(one) for one in zip(*found, strict=True))
        missing = int(rows.max()) + 1 - len(self._endings)
        if missing > 0:
            more = max(missing, len(self._endings) // 2)
            self._endings = numpy.concatenate(
                (self._endings, numpy.full((more, len(self._codes)), -1, self._endings.dtype))
            )
            self._figures = numpy.concatenate((self._figures, numpy.zeros((more, len(self._codes), 3))))
        self._endings[rows, codes] = endings
        self._figures[rows, codes] = numpy.stack(figures, axis=1)


def _passed_over() -> None:
    return
