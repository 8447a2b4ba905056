"""Any page of a data file of any size at once: the places of its rows, found in the background and kept on disk.

`Indexes.of(path)` gives the rows of a file or of a folder of files; the same object until the file changes. While the
places are being found, what is found already can be read.
"""

import hashlib
import json
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from studio.core import reasons
from studio.core.i18n import Problem
from studio.core.plain import plain
from studio.core.sentences import Sentence
from studio.core.storage import files, records
from studio.core.storage.atomic import move, scratch
from studio.core.storage.folders import is_folder
from studio.core.storage.records import Record
from studio.core.workspace import write_json
from studio.datasets.files import columnar, reading
from studio.datasets.files.reading import Form, Row

# A smaller file is scanned again faster than its index is found on disk.
KEEP_FROM = 8 * 2**20
_PAIR = 16
_FLUSH_ROWS = 50_000
_FLUSH_BYTES = 16 * 2**20
_SEARCH_BYTES = 2**20


@dataclass
class Found:
    """What a search found: the numbers of rows, and the row to go on from (None at the end). `share` of the file, 0 to
    1, is searched.
    """

    rows: list[int] = field(default_factory=list)
    next: int | None = None
    share: float = 1.0


class IndexRecord(Record):
    """What is kept of the index of a data file, beside the places of its rows."""

    size: Annotated[int, Field(ge=0)]
    modified: int
    form: str
    count: Annotated[int, Field(ge=0, lt=2**48)]
    fault: Sentence | None


class TextRows:
    """The rows of one JSON, CSV, TSV or plain text file."""

    def __init__(self, path: Path, form: Form, folder: Path):
        self.path, self.form = path, form
        self.size, self.modified, _ = files.stamp(path)
        self.count = 0
        self.done = False
        self.fault: Problem | None = None
        self._scanned = 0
        self._folder = folder
        self._name = name_of(path)
        self._moved = threading.Condition()
        self._pairs = self._remembered() or tempfile.TemporaryFile(prefix="rows-")
        if not self.done:
            threading.Thread(target=self._build, name="index", daemon=True).start()

    @property
    def share(self) -> float:
        """How much of the file is indexed, 0 to 1."""
        return 1.0 if self.done else min(1.0, self._scanned / max(1, self.size))

    def current(self) -> bool:
        """Tell whether the file is still the one that was indexed."""
        return files.stamp(self.path)[:2] == (self.size, self.modified)

    def wait(self, rows: int | None = None, seconds: float = 60) -> bool:
        """Wait until so many rows (all, where None) are indexed; tell whether they are."""
        with self._moved:
            return self._moved.wait_for(lambda: self.done or (rows is not None and self.count >= rows), seconds)

    def page(self, offset: int, limit: int) -> list[Row]:
        """Return up to `limit` rows from row `offset` (from 0) on, as far as they are indexed."""
        if limit <= 0 or offset < 0:
            return []
        pairs = self.places(offset, limit)
        with self._opened() as file:
            return list(reading.read(file, self.path, self.form, pairs.tolist(), offset + 1))

    def raw(self, number: int) -> str:
        """Return row `number` (from 1) as it is written in the file, what is no UTF-8 replaced; "" for one too long to
        be a row.
        """
        start, end = self.places(number - 1, 1)[0].tolist()
        if end - start > reading.LONGEST_ROW:
            return ""
        with self._opened() as file:
            file.seek(start)
            return file.read(end - start).decode("utf-8", "replace")

    def _opened(self):
        try:
            return files.open_file(self.path)
        except OSError as error:
            raise Problem("datasets.unreadable", file=self.path, reason=reasons.of(error)) from error

    def places(self, offset: int, limit: int) -> np.ndarray:
        """Return begin and end of up to `limit` rows from row `offset` (from 0) on, as far as they are indexed."""
        limit = max(0, min(limit, self.count - offset))
        raw = os.pread(self._pairs.fileno(), limit * _PAIR, offset * _PAIR)
        return np.frombuffer(raw, np.int64).reshape(-1, 2)

    def locate(self, number: int) -> tuple["TextRows", int]:
        """Return the file that holds row `number` (from 1), and its number there. Raises Problem where there is no such
        row.
        """
        if not 1 <= number <= self.count:
            raise Problem("datasets.no_row", file=self.path, row=number, rows=self.count)
        return self, number

    def find(self, text: str, offset: int = 0, limit: int = 20, seconds: float = 2.0) -> Found:
        """Search the indexed rows from row `offset` (from 0) on for `text`, without regard to case, for at most so
        long.
        """
        found, end = Found(), time.monotonic() + seconds
        needles = _needles(text)
        with self._opened() as file:
            while offset < self.count:
                pairs = self.places(offset, 20_000)
                pairs = pairs[: max(1, int(np.searchsorted(pairs[:, 1], pairs[0, 0] + _SEARCH_BYTES)))]
                for row in self._matching(file, pairs, needles, text.casefold(), offset + 1):
                    found.rows.append(row)
                    if len(found.rows) >= limit:
                        return self._paused(found, row)
                offset += len(pairs)
                if time.monotonic() > end:
                    return self._paused(found, offset)
        return found

    def _paused(self, found: Found, offset: int) -> Found:
        found.share = offset / max(1, self.count)
        found.next = offset if offset < self.count else None
        return found

    def _matching(self, file, pairs: np.ndarray, needles: set[bytes], text: str, number: int) -> Iterator[int]:
        first, last = int(pairs[0, 0]), int(pairs[-1, 1])
        if last - first > reading.LONGEST_ROW:
            return
        file.seek(first)
        block = file.read(last - first)
        small = block.lower()
        places = np.array([at for needle in needles for at in _everywhere(needle, small)], np.int64) + first
        for at in np.unique(np.searchsorted(pairs[:, 1], places, side="right")).tolist():
            start, end = pairs[at] - first
            row = reading.parse(self.path, self.form, number + at, block[start:end])
            # The bytes of a row hold its field names and escapes too: only what its values say counts.
            if row.value is not None and says(row.value, text):
                yield number + at

    def _remembered(self):
        """Return the index kept on disk if it is of this very file and sound, else None: it is made again then."""
        try:
            kept = records.load(self._folder / f"{self._name}.json", IndexRecord)
            if (kept.size, kept.modified, kept.form) != (self.size, self.modified, str(self.form)):
                return None
            pairs = files.open_file(self._folder / f"{self._name}.rows")
        except (OSError, Problem):
            return None
        if os.fstat(pairs.fileno()).st_size != kept.count * _PAIR or not _in_order(pairs, kept.count, self.size):
            pairs.close()
            return None
        self.count, self.done = kept.count, True
        self.fault = kept.fault and kept.fault.problem()
        return pairs

    def _build(self) -> None:
        try:
            reading.require_utf8(self.path, self.form)
            with files.open_file(self.path) as file:
                self._collect(file)
            if self.size >= KEEP_FROM:
                self._keep()
        except Problem as problem:
            self.fault = problem
        except OSError as error:
            self.fault = reading.unreadable(self.path, error)
        with self._moved:
            self.done = True
            self._moved.notify_all()

    def _collect(self, file) -> None:
        waiting: list[np.ndarray] = []
        rows = 0
        try:
            for pairs in reading.scan(file, self.path, self.form):
                waiting.append(pairs.astype(np.int64, copy=False))
                rows += len(pairs)
                if rows >= _FLUSH_ROWS or file.tell() - self._scanned >= _FLUSH_BYTES or self.count == 0:
                    self._scanned = file.tell()
                    self._append(waiting, rows)
                    waiting, rows = [], 0
        except Problem as problem:
            self.fault = problem
        self._append(waiting, rows)

    def _append(self, waiting: list[np.ndarray], rows: int) -> None:
        if rows:
            os.pwrite(self._pairs.fileno(), np.concatenate(waiting).tobytes(), self.count * _PAIR)
        with self._moved:
            self.count += rows
            self._moved.notify_all()

    def _keep(self) -> None:
        if not self.current():
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        with scratch(self._folder) as folder:
            whole = folder / "rows"
            with whole.open("wb") as file:
                for offset in range(0, self.count, _FLUSH_ROWS):
                    file.write(self.places(offset, _FLUSH_ROWS).tobytes())
            move(whole, self._folder / f"{self._name}.rows")
        fault = {"key": self.fault.key, "facts": plain(self.fault.facts)} if self.fault else None
        write_json(
            self._folder / f"{self._name}.json",
            {
                "file": str(self.path),
                "size": self.size,
                "modified": self.modified,
                "form": str(self.form),
                "count": self.count,
                "fault": fault,
            },
        )


class ColumnRows:
    """The rows of one Parquet or Arrow file, which keeps their places itself."""

    done, share, fault = True, 1.0, None

    def __init__(self, path: Path, form: Form, folder: Path):
        self.path, self.form = path, form
        self.size, self.modified, _ = files.stamp(path)
        self.count = columnar.describe(path, form.kind)[0]

    current, locate = TextRows.current, TextRows.locate

    def wait(self, rows: int | None = None, seconds: float = 60) -> bool:
        """Tell that every row can be read."""
        return True

    def page(self, offset: int, limit: int) -> list[Row]:
        """Return up to `limit` rows from row `offset` (from 0) on."""
        if limit <= 0 or offset < 0:
            return []
        values = columnar.rows(self.path, self.form.kind, offset)
        return [
            Row(number, value) for number, value in zip(range(offset + 1, offset + limit + 1), values, strict=False)
        ]

    def find(self, text: str, offset: int = 0, limit: int = 20, seconds: float = 2.0) -> Found:
        """Search the rows from row `offset` (from 0) on for `text`, without regard to case, for at most so long."""
        found, end, wanted = Found(), time.monotonic() + seconds, text.casefold()
        for number, value in enumerate(columnar.rows(self.path, self.form.kind, offset), start=offset + 1):
            if says(value, wanted):
                found.rows.append(number)
            if len(found.rows) >= limit or time.monotonic() > end:
                found.next, found.share = (number if number < self.count else None), number / self.count
                break
        return found


class FolderRows:
    """The rows of the files of a folder, one file after the other."""

    def __init__(self, parts: list):
        self.parts = parts

    @property
    def count(self) -> int:
        """How many rows are indexed."""
        return sum(part.count for part in self._open())

    @property
    def done(self) -> bool:
        """Whether every part is indexed."""
        return all(part.done for part in self.parts)

    @property
    def share(self) -> float:
        """How much of the files is indexed, 0 to 1."""
        whole = sum(part.size for part in self.parts)
        return sum(part.share * part.size for part in self.parts) / whole if whole else 1.0

    @property
    def fault(self) -> Problem | None:
        """The first fault of a part."""
        return next((part.fault for part in self.parts if part.fault), None)

    def current(self) -> bool:
        """Tell whether the files are still those that were indexed."""
        return all(part.current() for part in self.parts)

    def wait(self, rows: int | None = None, seconds: float = 60) -> bool:
        """Wait until so many rows (all, where None) are indexed; tell whether they are."""
        end = time.monotonic() + seconds
        for part in self.parts:
            if rows is not None and self.count >= rows:
                return True
            if not part.wait(None, end - time.monotonic()):
                return False
        return True

    def page(self, offset: int, limit: int) -> list[Row]:
        """Return up to `limit` rows from row `offset` (from 0) on, as far as they are indexed."""
        rows, before = [], 0
        for part in self._open():
            inside = part.page(max(0, offset - before), limit - len(rows)) if offset < before + part.count else []
            rows += [Row(row.number + before, row.value, row.problem, row.size) for row in inside]
            before += part.count
        return rows

    def locate(self, number: int) -> tuple[TextRows | ColumnRows, int]:
        """Return the file that holds row `number` (from 1), and its number there. Raises Problem where there is no such
        row.
        """
        before = 0
        for part in self._open():
            if before < number <= before + part.count:
                return part, number - before
            before += part.count
        raise Problem("datasets.no_row", file=self.parts[0].path.parent, row=number, rows=before)

    def find(self, text: str, offset: int = 0, limit: int = 20, seconds: float = 2.0) -> Found:
        """Search the indexed rows from row `offset` (from 0) on for `text`, without regard to case, for at most so
        long.
        """
        found, before, end = Found(), 0, time.monotonic() + seconds
        for part in self._open():
            if offset < before + part.count:
                one = part.find(
                    text, max(0, offset - before), limit - len(found.rows), max(0.0, end - time.monotonic())
                )
                found.rows += [number + before for number in one.rows]
                if one.next is not None:
                    return Found(found.rows, one.next + before, (one.next + before) / self.count)
            before += part.count
        return found

    def _open(self) -> Iterator:
        """The parts whose rows can be numbered: those that are indexed, and the one that is being."""
        for part in self.parts:
            yield part
            if not part.done:
                return


def name_of(path: Path) -> str:
    """Return the name under which what is known of a data file is kept."""
    return hashlib.sha256(os.fsencode(files.real(path))).hexdigest()[:24]


def _in_order(pairs, count: int, size: int) -> bool:
    """Tell whether the begins and ends of all rows lie in a file of `size` bytes, one after the other."""
    before = 0
    for offset in range(0, count, 2**20):
        found = np.frombuffer(os.pread(pairs.fileno(), min(2**20, count - offset) * _PAIR, offset * _PAIR), np.int64)
        if len(found) and (found[0] < before or found[-1] > size or (np.diff(found) < 0).any()):
            return False
        before = int(found[-1]) if len(found) else before
    return True


Rows = TextRows | ColumnRows | FolderRows


class Indexes:
    """The indexes of one studio, kept in `folder`."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._open: dict[Path, Rows] = {}
        self._lock = threading.Lock()

    def of(self, path: Path) -> Rows:
        """Return the rows of a file or of a folder of files; indexing begins where it must.

        Raises:
            Problem: it is not there, is no data file, or cannot be read at all.
        """
        with self._lock:
            rows = self._open.get(path)
            if (
                rows is None
                or not rows.current()
                or (isinstance(rows, FolderRows) and len(rows.parts) != len(reading.files_of(path)))
            ):
                parts = [self._file(each) for each in reading.files_of(path)]
                rows = self._open[path] = FolderRows(parts) if is_folder(path) else parts[0]
            return rows

    def _file(self, path: Path) -> TextRows | ColumnRows:
        form = reading.form_of(path)
        try:
            return (ColumnRows if form.kind in reading.COLUMNAR else TextRows)(path, form, self.folder)
        except OSError as error:
            raise reading.unreadable(path, error) from error


def _needles(text: str) -> set[bytes]:
    """Return the bytes by which `text` may stand in a file whose ASCII letters were made small: written out, or with
    JSON's escapes.
    """
    either = (text, text.lower(), text.upper())
    return {
        form.encode().lower()
        for each in either
        for form in (each, json.dumps(each)[1:-1], json.dumps(each, ensure_ascii=False)[1:-1])
    }


def _everywhere(needle: bytes, block: bytes) -> Iterator[int]:
    at = block.find(needle)
    while at >= 0:
        yield at
        at = block.find(needle, at + 1)


def says(value: object, text: str) -> bool:
    """Tell whether a value of a row says `text` (which is casefolded) anywhere, field names aside."""
    if isinstance(value, dict):
        return any(says(each, text) for each in value.values())
    if isinstance(value, list):
        return any(says(each, text) for each in value)
    return value is not None and text in str(value).casefold()
