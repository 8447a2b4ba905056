"""Where the records of a row stand in a file of JSON lines, found without reading what they say.

`Evaluation.add` writes a record with its `row` first and its `target` second, so both are read from the beginning of a
line, thousands of lines at once. A line that begins otherwise is read as JSON.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy
import orjson

from studio.core.storage import files, jsonl

BLOCK = 16 * 2**20
MOST_ROWS = 20_000_000  # a row beyond it is no row of the studio's, and would cost memory for all before it
DIGITS = 8
BEGIN = b'{"row": '
_CLOSED = ord("}")


class Tail:
    """What has come to a growing file since it was read last."""

    def __init__(self, path: Path):
        self.path, self.end, self._inode = path, 0, 0

    def is_replaced(self) -> bool:
        """Tell whether another file stands at the path, or the file is shorter than what was read of it."""
        size, _, inode = files.stamp(self.path)
        return size < self.end or self._inode not in (0, inode)

    def blocks(self, size: int = BLOCK) -> Iterator[tuple[bytes, int]]:
        """Yield whole lines, about `size` bytes of them at a time, and the byte at which they begin.

        A last line without its end is left for the next time. A file that is not there, or is no plain file, has no
        lines.
        """
        try:
            with files.open_file(self.path) as file:
                self._inode = files.stamp(self.path)[2]
                wanted = size
                while True:
                    file.seek(self.end)
                    block = file.read(wanted)
                    whole = block.rfind(b"\n") + 1
                    if not whole and len(block) == wanted and wanted <= jsonl.LONGEST_LINE:
                        wanted *= 4  # one long line
                        continue
                    if not whole and len(block) == wanted:
                        whole = len(block)  # the begin of a line that nobody keeps in memory
                    if not whole:
                        return
                    begin, self.end, wanted = self.end, self.end + whole, size
                    yield block[:whole], begin
        except OSError:
            return


class LineIndex:
    """The place of the last record of each row, and target, in a file.

    begin[row, target]: the byte at which it begins, -1 where there is none; length[row, target]: its bytes. A file
    without targets has one column. unusable: lines that are no record of a row. Its owner calls one method at a time.
    """

    def __init__(self, path: Path, targets: list[str] | None = None):
        self.path, self._targets = path, targets
        self._columns = 1 if targets is None else len(targets)
        self._patterns = [
            f', "target": {json.dumps(one, ensure_ascii=False)}'.encode("utf-8", "replace") for one in targets or ()
        ]
        self._forget()

    def _forget(self) -> None:
        self._tail = Tail(self.path)
        self.begin = numpy.full((0, self._columns), -1, numpy.int64)
        self.length = numpy.zeros((0, self._columns), numpy.int32)
        self.unusable = 0

    @property
    def count(self) -> int:
        """The number of the last row, and one."""
        return len(self.begin)

    def grow(self) -> bool:
        """Take up what has come to the file; tell whether something has."""
        changed = self._tail.is_replaced()
        if changed:
            self._forget()
        for block, at in self._tail.blocks():
            changed = True
            self._take(block, at)
        return changed

    def lines(self, places: list[tuple[int, int]]) -> list[bytes | None]:
        """Return the lines of (row, target) as they stand in the file, None where there is none."""
        found: list[bytes | None] = [None] * len(places)
        try:
            with files.open_file(self.path) as file:
                for number, (row, target) in enumerate(places):
                    if 0 <= row < self.count and (begin := int(self.begin[row, target])) >= 0:
                        file.seek(begin)
                        found[number] = file.read(int(self.length[row, target]))
        except OSError:
            return found
        return found

    def _take(self, block: bytes, at: int) -> None:
        data = numpy.frombuffer(block, numpy.uint8)
        ends = numpy.flatnonzero(data == ord("\n"))
        if not len(ends) or ends[-1] != len(data) - 1:
            ends = numpy.append(ends, len(data))
        starts = numpy.concatenate(([0], ends[:-1] + 1))
        rows, targets = self._keys(data, starts, ends)
        for one in numpy.flatnonzero(rows == -1):
            rows[one], targets[one] = self._read(block[starts[one] : ends[one]])
        usable = rows >= 0
        self.unusable += int((rows == -1).sum())
        self._place(rows[usable], targets[usable], starts[usable] + at, (ends - starts)[usable])

    def _place(self, rows, targets, begins, lengths) -> None:
        if not len(rows):
            return
        missing = int(rows.max()) + 1 - self.count
        if missing > 0:
            self.begin = numpy.concatenate((self.begin, numpy.full((missing, self._columns), -1, numpy.int64)))
            self.length = numpy.concatenate((self.length, numpy.zeros((missing, self._columns), numpy.int32)))
        self.begin[rows, targets], self.length[rows, targets] = begins, lengths  # of several, numpy keeps the last

    def _keys(self, data, starts, ends) -> tuple[numpy.ndarray, numpy.ndarray]:
        """Return the row and the number of the target of each line, -1 for a line that begins otherwise."""
        first = len(BEGIN) + DIGITS + 1
        padded = numpy.concatenate((data, numpy.zeros(first + max(map(len, self._patterns), default=0), numpy.uint8)))
        head = _windows(padded, first)[starts]
        fits = (head[:, : len(BEGIN)] == numpy.frombuffer(BEGIN, numpy.uint8)).all(axis=1)
        fits &= padded[numpy.maximum(ends - 1, 0)] == _CLOSED
        figures = head[:, len(BEGIN) :] - ord("0")  # what is no figure becomes more than 9
        count = (figures < 10).argmin(axis=1)  # 0 where there is none, or more than a row has
        rows = numpy.zeros(len(starts), numpy.int64)
        for place in range(DIGITS):
            rows = numpy.where(place < count, rows * 10 + figures[:, place], rows)
        targets = numpy.full(len(starts), 0 if self._targets is None else -1, numpy.int64)
        after = numpy.minimum(starts + len(BEGIN) + count, len(data))
        for number, pattern in enumerate(self._patterns):
            found = _windows(padded, len(pattern))[after] == numpy.frombuffer(pattern, numpy.uint8)
            targets[found.all(axis=1)] = number
        fits &= (count > 0) & (targets >= 0) & (rows < MOST_ROWS)
        return numpy.where(fits, rows, -1), targets

    def _read(self, line: bytes) -> tuple[int, int]:
        """Return the row and the number of the target that a line says, (-1, 0) for none, (-2, 0) for a torn line."""
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError:
            return (-2, 0) if jsonl.is_torn(line) else (-1, 0)
        row = value.get("row") if isinstance(value, dict) else None
        if not isinstance(row, int) or isinstance(row, bool) or not 0 <= row < MOST_ROWS:
            return -1, 0
        if self._targets is None:
            return row, 0
        target = value.get("target")
        return (row, self._targets.index(target)) if target in self._targets else (-1, 0)


def _windows(data: numpy.ndarray, width: int) -> numpy.ndarray:
    """Return `width` bytes from each byte on, without copying any."""
    return numpy.lib.stride_tricks.sliding_window_view(data, width)
