"""JSON lines taken up as they come to a file, and arrays that grow with them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy
import orjson

from studio.core.storage import records
from studio.evaluate.reports.columns.line_index import Tail

PARSED_AT_ONCE = 2**20  # bytes: what is made of them goes before the next come, which is twice as quick as all at once


class GrowingFile:
    """What is known of a file of JSON lines that grows; `unusable` lines are none.

    A subclass says what is known before anything has come (`_forget`), and what records add to it (`_take`).
    """

    def __init__(self, path: Path):
        self._path = path
        self._start()

    def _start(self) -> None:
        self._tail, self.unusable = Tail(self._path), 0
        self._forget()

    def grow(self) -> bool:
        """Take up what has come to the file; tell whether something has."""
        changed = self._tail.is_replaced()
        if changed:
            self._start()
        for block, _ in self._tail.blocks(PARSED_AT_ONCE):
            changed = True
            self._take(parsed(block, self._count_unusable))
        return changed

    def _forget(self) -> None:
        raise NotImplementedError

    def _take(self, found: Iterator[object]) -> None:
        raise NotImplementedError

    def _count_unusable(self) -> None:
        self.unusable += 1


def enlarged(values: numpy.ndarray, rows: int, fill: float) -> numpy.ndarray:
    """Return `values`, [row, ...], with at least so many rows, the new ones full of `fill`.

    They become half more than there are, where that is more: a file that comes line by line is not copied at each line.
    """
    if len(values) >= rows:
        return values
    more = max(rows, len(values) * 3 // 2) - len(values)
    return numpy.concatenate((values, numpy.full((more, *values.shape[1:]), fill, values.dtype)))


def records_in(path: Path) -> Iterator[dict]:
    """Yield the records of a file as it stands now; what is none is passed over."""
    for block, _ in Tail(path).blocks(PARSED_AT_ONCE):
        yield from (one for one in parsed(block) if isinstance(one, dict))


def parsed(block: bytes, on_fault: Callable[[], None] = lambda: None) -> Iterator[object]:
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
