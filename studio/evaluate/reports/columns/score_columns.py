"""The figures of all rows as arrays: every score by target, and what is known of each row. They grow with the files."""

from collections.abc import Iterator
from pathlib import Path

import numpy

from studio.core.formatting import finite
from studio.evaluate.reports.columns.growing import GrowingFile, enlarged
from studio.evaluate.reports.columns.line_index import MOST_ROWS

MOST_METRICS = 64  # a file that names more is none of the studio's
FACTS = ("dataset", "subject", "category", "task", "answer")


class ScoreColumns(GrowingFile):
    """The scores of an evaluation, as [row, target] arrays of 64-bit floats; NaN where there is none.

    Reads `scores.jsonl`, and of another such file, as `losses.jsonl`, the number in one field.
    """

    def __init__(self, path: Path, targets: list[str], field: str = "scores"):
        self._codes, self._field = {name: code for code, name in enumerate(targets)}, field
        super().__init__(path)

    def _forget(self) -> None:
        self._columns: dict[str, numpy.ndarray] = {}

    @property
    def metrics(self) -> tuple[str, ...]:
        """The keys of the scores that there are, in the order of the file."""
        return tuple(self._columns)

    def column(self, metric: str, rows: int) -> numpy.ndarray:
        """Return [row, target] of a metric for so many rows; all NaN for one that nobody scored."""
        whole = numpy.full((rows, len(self._codes)), numpy.nan)
        known = self._columns.get(metric)
        if known is not None:
            count = min(rows, len(known))
            whole[:count] = known[:count]
        return whole

    def of(self, row: int, code: int) -> dict[str, float]:
        """Return the scores of a row and the number of a target by the keys of the metrics, those left out that it does
        not have.
        """
        found = {name: column[row, code] for name, column in self._columns.items() if row < len(column)}
        return {name: float(value) for name, value in found.items() if not numpy.isnan(value)}

    def _take(self, found: Iterator[object]) -> None:
        groups: dict[tuple, tuple[list, list, list]] = {}
        for record in found:
            try:
                row, code = record["row"], self._codes[record["target"]]
                scores = record[self._field]
                scores = scores if isinstance(scores, dict) else {self._field: scores}
                if not 0 <= row < MOST_ROWS:
                    raise ValueError(row)
                group = groups.setdefault(tuple(scores), ([], [], []))
            except (KeyError, TypeError, ValueError):
                self.unusable += 1
                continue
            group[0].append(row)
            group[1].append(code)
            group[2].append(tuple(scores.values()))
        for names, (rows, codes, values) in groups.items():
            self._put(names, numpy.array(rows, numpy.int64), numpy.array(codes, numpy.int64), _numbers(values))

    def _put(self, names: tuple, rows: numpy.ndarray, codes: numpy.ndarray, values: numpy.ndarray) -> None:
        needed = int(rows.max()) + 1
        for place, name in enumerate(names):
            column = self._columns.get(name)
            if column is None:
                if len(self._columns) >= MOST_METRICS:
                    continue
                column = numpy.empty((0, len(self._codes)))
            column = enlarged(column, needed, numpy.nan)
            column[rows, codes] = values[:, place]
            self._columns[name] = column


class RowFacts(GrowingFile):
    """What the rows of an evaluation say of themselves: their data, and who was trained on them.

    A text of FACTS is kept as its number in `names`.
    """

    def __init__(self, path: Path, targets: list[str]):
        self._targets = targets
        super().__init__(path)

    def _forget(self) -> None:
        self._rows: list[tuple] = []
        self._trained: list[tuple[int, int]] = []
        self.names: dict[str, dict[str, int]] = {fact: {} for fact in FACTS}
        self._made: dict[str, numpy.ndarray] = {}

    def of(self, fact: str, rows: int) -> numpy.ndarray:
        """Return the numbers of a text of FACTS for so many rows, -1 for a row that is not there."""
        made = self._made.get(fact)
        if made is None or len(made) != rows:
            made = numpy.full(rows, -1, numpy.int32)
            usable = [one for one in self._rows if one[0] < rows]
            if usable:
                numbers = numpy.array([one[0] for one in usable], numpy.int64)
                made[numbers] = numpy.array([one[1 + FACTS.index(fact)] for one in usable], numpy.int32)
            self._made[fact] = made
        return made

    def trained(self, rows: int) -> numpy.ndarray:
        """Return [row, target]: whether the target's run was trained on the row."""
        made = numpy.zeros((rows, len(self._targets)), bool)
        known = [one for one in self._trained if one[0] < rows]
        if known:
            made[tuple(numpy.array(known, numpy.int64).T)] = True
        return made

    def text(self, fact: str, number: int) -> str:
        """Return the text of a number of `of`."""
        return next((text for text, one in self.names[fact].items() if one == number), "")

    def _take(self, found: Iterator[object]) -> None:
        self._made = {}
        for record in found:
            self._take_one(record)

    def _take_one(self, record: object) -> None:
        row = record.get("row") if isinstance(record, dict) else None
        if not isinstance(row, int) or isinstance(row, bool) or not 0 <= row < MOST_ROWS:
            self.unusable += 1
            return
        codes = []
        for fact in FACTS:
            known, text = self.names[fact], record.get(fact) or ""
            text = text if isinstance(text, str) else ""
            codes.append(known.setdefault(text, len(known)))
        trained = record.get("trained")
        trained = trained if isinstance(trained, list) else []
        self._trained += [(row, code) for code, name in enumerate(self._targets) if name in trained]
        self._rows.append((row, *codes))


def _numbers(values: list[tuple]) -> numpy.ndarray:
    """Return rows of scores as numbers, NaN for what is none."""
    try:
        found = numpy.array(values, float)
    except (TypeError, ValueError, OverflowError):
        clean = [[numpy.nan if finite(one) is None else float(one) for one in row] for row in values]
        found = numpy.array(clean, float)
    found[~numpy.isfinite(found)] = numpy.nan
    return found.reshape(len(values), -1)
