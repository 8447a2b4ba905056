"""Where each row of a text file begins and ends, found block by block so that a file of any size takes little memory.

Each scanner is a generator over an open binary file. It yields arrays of shape (rows, 2): the offsets of the first byte
of each row and of the byte after its last. Rows found before a fault are yielded before the Problem is raised.
"""

import contextlib
import csv
import io
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np

from studio.core.i18n import Problem
from studio.datasets.files.incoming.dialect import Dialect, is_blank, is_open

# Small enough that a block and what is computed of it stay in the processor's cache.
BLOCK = 2**18
_QUOTE, _BACKSLASH, _LF, _CR = ord('"'), ord("\\"), 10, 13
_RECORDS = 20_000


def lines(file: BinaryIO, keep_blank: bool = False) -> Iterator[np.ndarray]:
    """Yield the lines from where `file` stands, without those that hold only white space unless `keep_blank`.

    Lines of JSON end at LF. Those of plain text, which alone keep the blank ones, end at a lone CR too, as they do for
    LLaMA-Factory.
    """
    start = offset = file.tell()
    carried = False
    while block := file.read(BLOCK):
        if keep_blank and block[-1] == _CR:  # whether an LF follows decides what it is
            block += file.read(1)
        ends = _line_ends(np.frombuffer(block, np.uint8), keep_blank) + offset
        pairs = (
            np.column_stack((np.concatenate(([start], ends[:-1] + 1)), ends))
            if len(ends)
            else np.empty((0, 2), np.int64)
        )
        if len(ends):
            yield pairs if keep_blank else pairs[_not_blank(pairs, block, offset, carried)]
            start, carried = int(ends[-1]) + 1, False
        carried = carried or bool(block[max(0, start - offset) :].strip())
        offset += len(block)
    if start < offset and (carried or keep_blank):
        yield np.array([[start, offset]])


def _line_ends(block: np.ndarray, universal: bool) -> np.ndarray:
    """Return the places at which lines end: each LF, and where `universal` each CR without one."""
    ends = block == _LF
    if universal:
        ends[:-1] |= (block[:-1] == _CR) & (block[1:] != _LF)
        ends[-1] |= block[-1] == _CR
    return np.flatnonzero(ends)


def _not_blank(pairs: np.ndarray, block: bytes, offset: int, carried: bool) -> np.ndarray:
    firsts = np.frombuffer(block, np.uint8)[np.maximum(pairs[:, 0] - offset, 0)]
    mask = firsts > 32
    for at in np.flatnonzero(~mask):
        mask[at] = bool(block[max(0, pairs[at, 0] - offset) : pairs[at, 1] - offset].strip())
    if carried:  # the first of these lines began in an earlier block, and not with white space alone
        mask[0] = True
    return mask


class OpenQuote(Exception):
    """The quoted field of the last record of a table is never closed."""


def records(file: BinaryIO, dialect: Dialect) -> Iterator[np.ndarray]:
    """Yield the records of delimited text, in which a quoted field may hold line breaks. Those before the first row are
    yielded too.

    Raises:
        csv.Error: it is no table.
        OpenQuote: the last of the records yielded has a quoted field that the file never closes.
    """
    csv.field_size_limit(2**31 - 1)
    start = consumed = file.tell()
    before = start
    # Latin-1 gives one character for each byte; only the places of quotes, delimiters and line ends matter here. With
    # this `newline` a line ends at CR, LF or CRLF, and keeps its end.
    text = io.TextIOWrapper(file, encoding="latin-1", newline="")

    def counted() -> Iterator[str]:
        nonlocal consumed
        for line in text:
            consumed += len(line)
            yield line

    try:
        reader = dialect.reader(counted())
        while batch := list(islice(_ends(reader, lambda: consumed), _RECORDS)):
            ends = np.array([end for end, _ in batch])
            starts = np.concatenate(([start], ends[:-1]))
            start, before = int(ends[-1]), int(starts[-1])
            yield np.column_stack((starts, ends))[[not is_blank(fields) for _, fields in batch]]
    finally:
        with contextlib.suppress(ValueError):  # the file may be closed already
            text.detach()
    file.seek(before)
    if is_open(file.read(start - before).decode("latin-1"), dialect):
        raise OpenQuote


def _ends(reader, consumed) -> Iterator[tuple[int, list[str]]]:
    for fields in reader:
        yield consumed(), fields


class _Array:
    """The state of a scan through one JSON array, carried from block to block."""

    def __init__(self, path: Path):
        self.path = path
        self.in_string = self.escaping = self.closed = False
        self.depth = self.rows = 0
        self.start: int | None = None
        self.between = b""
        self.usual = b","

    def feed(self, block: bytes, offset: int) -> np.ndarray:
        """Return the rows that end in `block`, which begins at `offset` of the file."""
        places, opens = self._brackets(np.frombuffer(block, np.uint8))
        depths = self.depth + np.cumsum(np.where(opens, 1, -1))
        starts, ends = places[opens & (depths == 2)], places[~opens & (depths == 1)] + 1
        closings = places[~opens & (depths == 0)]
        self._check_between(block, starts, ends, closings)
        if len(depths):
            self.depth = int(depths[-1])
        starts, ends = starts + offset, ends + offset
        if self.start is not None:
            starts = np.concatenate(([self.start], starts))
        self.start = int(starts[-1]) if len(starts) > len(ends) else None
        self.rows += len(ends)
        return np.column_stack((starts[: len(ends)], ends))

    def _brackets(self, block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the places of the brackets and braces outside strings, and which of them open."""
        # [ \ ] { | } are the bytes that become 0x7B to 0x7D with bit 0x20 set.
        places = np.flatnonzero((block == _QUOTE) | (((block | 0x20) - np.uint8(0x7B)) <= 2))
        codes = block[places]
        quotes = codes == _QUOTE
        escaped = self._escaped(places[codes == _BACKSLASH], len(block))
        if len(escaped) and len(places):
            found = np.minimum(np.searchsorted(places, escaped), len(places) - 1)
            quotes[found[places[found] == escaped]] = False
        inside = np.cumsum(quotes, dtype=np.int32) + self.in_string & 1
        if len(inside):
            self.in_string = bool(inside[-1])
        brackets = (inside == 0) & (codes != _QUOTE) & (codes != _BACKSLASH) & (codes != ord("|"))
        return places[brackets], (codes[brackets] == ord("[")) | (codes[brackets] == ord("{"))

    def _escaped(self, slashes: np.ndarray, length: int) -> np.ndarray:
        """Return the places that an odd run of backslashes stands before."""
        carried, self.escaping = self.escaping, False
        if not len(slashes):
            return np.array([0] if carried else [], np.int64)
        breaks = np.flatnonzero(np.diff(slashes) != 1)
        firsts, lasts = (
            slashes[np.concatenate(([0], breaks + 1))],
            slashes[np.concatenate((breaks, [len(slashes) - 1]))],
        )
        runs = lasts - firsts + 1
        lone = []
        if carried:
            if firsts[0] == 0:
                runs[0] += 1
            else:
                lone = [0]
        after = lasts[runs % 2 == 1] + 1
        if len(after) and after[-1] == length:
            self.escaping, after = True, after[:-1]
        return np.concatenate((np.array(lone, np.int64), after))

    def _check_between(self, block: bytes, starts: np.ndarray, ends: np.ndarray, closings: np.ndarray) -> None:
        """See that nothing but white space and one comma stands between two rows, and nothing after the array."""
        edges = sorted([*((at, True) for at in starts.tolist()), *((at, False) for at in ends.tolist())])
        last, row = 0, self.rows
        waiting = self.start is None
        for at, opening in edges:
            if opening:
                text = self.between + block[last:at] if last == 0 else block[last:at]
                if text != self.usual:
                    self._require_comma(text, row)
                self.between, waiting = b"", False
            else:
                row, last, waiting = row + 1, at, True
        rest = block[last:] if waiting else b""
        if len(closings) and waiting:
            closing = int(closings[0])
            inner = self.between + block[last:closing] if last == 0 else block[last:closing]
            if inner.strip(b" \t\r\n[" if row == 0 else b" \t\r\n"):
                raise Problem("datasets.stray", file=self.path, row=row + 1, text=_short(inner))
            self.closed, rest = True, block[closing + 1 :]
        if waiting:
            self._carry_over(rest if last or self.closed else self.between + rest, row)

    def _carry_over(self, rest: bytes, row: int) -> None:
        if self.closed:
            if rest.strip():
                raise Problem("datasets.after_end", file=self.path, row=row, text=_short(rest))
            rest = b""
        self.between = rest if len(rest) < 200 else rest.strip()[:200]

    def _require_comma(self, text: bytes, row: int) -> None:
        if text.strip() != (b"[" if row == 0 else b","):
            raise Problem("datasets.stray", file=self.path, row=row + 1, text=_short(text))
        self.usual = text


def array(file: BinaryIO, path: Path) -> Iterator[np.ndarray]:
    """Yield the rows of a JSON array from where `file` stands.

    Raises:
        Problem: something other than rows stands in the array or after it, or the file ends in the middle.
    """
    scan = _Array(path)
    offset = file.tell()
    while block := file.read(BLOCK):
        yield scan.feed(block, offset)
        offset += len(block)
    if not scan.closed:
        raise Problem("datasets.half", file=path, row=scan.rows)


def _short(text: bytes) -> str:
    shown = text.strip().strip(b",").strip()[:60].decode("utf-8", "replace")
    return shown or ","
