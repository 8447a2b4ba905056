"""The figures of all rows as arrays: every score by target, and what is known of each row. They grow with the files."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy
import orjson

from studio.core.formatting import finite
from studio.core.storage import records
from studio.evaluate.reports.line_index import MOST_ROWS, Tail

PARSED_AT_ONCE = 2**20  # bytes: what is made of them goes before the next come, which is twice as quick as all at once
MOST_METRICS = 64  # a file that names more is none of the studio's
FACTS = ("dataset", "subject", "category", "task", "answer")


class ScoreColumns:
    """The scores of an evaluation, as [row, target] arrays of 64-bit floats; NaN where there is none.

    Reads `scores.jsonl`, and of another such file, as `losses.jsonl`, the number in one field.
    """

    def __init__(self, path: Path, targets: list[str], field: str = "scores"):
        self._path, self._codes, self._field = path, {name: code for code, name in enumerate(targets)}, field
        self._forget()

    def _forget(self) -> None:
        self._tail = Tail(self._path)
        self._columns: dict[str, numpy.ndarray] = {}
        self.unusable = 0

    def grow(self) -> bool:
        """Take up what has come to the file; tell whether something has."""
        changed = self._tail.is_replaced()
        if changed:
            self._forget()
        for block, _ in self._tail.blocks(PARSED_AT_ONCE):
            changed = True
            self._take(block)
        return changed

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

    def _take(self, block: bytes) -> None:
        groups: dict[tuple, tuple[list, list, list]] = {}
        for record in parsed(block, self._count_unusable):
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

    def _count_unusable(self) -> None:
        self.unusable += 1

    def _put(self, names: tuple, rows: numpy.ndarray, codes: numpy.ndarray, values: numpy.ndarray) -> None:
        needed = int(rows.max()) + 1
        for place, name in enumerate(names):
            column = self._columns.get(name)
            if column is None:
                if len(self._columns) >= MOST_METRICS:
                    continue
                column = numpy.full((needed, len(self._codes)), numpy.nan)
            if len(column) < needed:
                # Grown by half more than is needed: a file that comes line by line is not copied at each line.
                more = numpy.full((max(needed, len(column) * 3 // 2) - len(column), len(self._codes)), numpy.nan)
                column = numpy.concatenate((column, more))
            column[rows, codes] = values[:, place]
            self._columns[name] = column


class RowFacts:
    """What the rows of an evaluation say of themselves: their data, and who was trained on them.

    A text of FACTS is kept as its number in `names`.
    """

    def __init__(self, path: Path, targets: list[str]):
        self._path, self._targets = path, targets
        self._forget()

    def _forget(self) -> None:
        self._tail = Tail(self._path)
        self._rows: list[tuple] = []
        self._trained: list[tuple[int, int]] = []
        self.names: dict[str, dict[str, int]] = {fact: {} for fact in FACTS}
        self._made: dict[str, numpy.ndarray] = {}
        self.unusable = 0

    def grow(self) -> bool:
        """Take up what has come to the file; tell whether something has."""
        changed = self._tail.is_replaced()
        if changed:
            self._forget()
        for block, _ in self._tail.blocks(PARSED_AT_ONCE):
            changed = True
            for record in parsed(block, self._count_unusable):
                self._take(record)
        if changed:
            self._made = {}
        return changed

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

    def _count_unusable(self) -> None:
        self.unusable += 1

    def _take(self, record: object) -> None:
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


def parsed(block: bytes, on_fault: Callable[[], None]) -> Iterator[object]:
    """Yield the values of a block of JSON lines; torn and empty lines are passed over, and others that are none told.

    All lines at once where all are JSON, which is much quicker than one by one.
    """
    try:
        values = orjson.loads(b"[" + block.rstrip().replace(b"\n", b",") + b"]")
    except orjson.JSONDecodeError:
        values = _line_by_line(block, on_fault)  # one of them is none: which, is found so
    yield from values


def _line_by_line(block: bytes, on_fault: Callable[[], None]) -> Iterator[object]:
    for line in block.split(b"\n"):
        if not line.strip():
            continue
        try:
            yield records.parse(line)
        except ValueError:
            if not line.startswith(b"{") or line.endswith(b"}"):
                on_fault()


def _numbers(values: list[tuple]) -> numpy.ndarray:
    """Return rows of scores as numbers, NaN for what is none."""
    try:
        found = numpy.array(values, float)
    except (TypeError, ValueError, OverflowError):
        clean = [[numpy.nan if finite(one) is None else float(one) for one in row] for row in values]
        found = numpy.array(clean, float)
    found[~numpy.isfinite(found)] = numpy.nan
    return found.reshape(len(values), -1)
