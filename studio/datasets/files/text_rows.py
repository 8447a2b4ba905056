"""The rows of one text file: the places where they begin and end, found in the background and kept on disk.

While the places are being found, the rows that are found already can be read and searched.
"""

import contextlib
import hashlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
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
from studio.core.storage.records import Record
from studio.core.workspace import write_json
from studio.datasets.files import reading, row_places
from studio.datasets.files.reading import Form, Row
from studio.datasets.files.row_places import RowPlaces
from studio.datasets.files.row_search import RowMatches, contains, places_of

STORE_FROM_BYTES = 8 * 2**20  # bytes; a smaller file is scanned again faster than its index is found on disk
_FLUSH_ROWS = 50_000
_FLUSH_BYTES = 16 * 2**20
_SEARCH_BYTES = 2**20


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
        self._name = index_name(path)
        self._moved = threading.Condition()
        self._places = self._stored() or RowPlaces()

    @property
    def _stored_places(self) -> Path:
        return self._folder / f"{self._name}.rows"

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
        try:
            return self._places.read(offset, min(limit, self.count - offset))
        except OSError:  # what is kept on disk may be deleted at any time
            self._places = self._found_again()
            return self._places.read(offset, limit)

    def locate(self, number: int) -> tuple["TextRows", int]:
        """Return the file that holds row `number` (from 1), and its number there. Raises Problem where there is no such
        row.
        """
        if not 1 <= number <= self.count:
            raise Problem("datasets.no_row", file=self.path, row=number, rows=self.count)
        return self, number

    def find(self, text: str, offset: int = 0, limit: int = 20, seconds: float = 2.0) -> RowMatches:
        """Search the indexed rows from row `offset` (from 0) on for `text`, without regard to case, for at most so
        long.
        """
        result, end = RowMatches(), time.monotonic() + seconds
        places = places_of(text)
        with self._opened() as file:
            while offset < self.count:
                pairs = self.places(offset, 20_000)
                pairs = pairs[: max(1, int(np.searchsorted(pairs[:, 1], pairs[0, 0] + _SEARCH_BYTES)))]
                for row in self._matching(file, pairs, places, text.casefold(), offset + 1):
                    result.rows.append(row)
                    if len(result.rows) >= limit:
                        return self._paused(result, row)
                offset += len(pairs)
                if time.monotonic() > end:
                    return self._paused(result, offset)
        return result

    def _paused(self, result: RowMatches, offset: int) -> RowMatches:
        result.share = offset / max(1, self.count)
        result.next = offset if offset < self.count else None
        return result

    def _matching(
        self, file, pairs: np.ndarray, places: Callable[[bytes], Iterator[int]], text: str, number: int
    ) -> Iterator[int]:
        first, last = int(pairs[0, 0]), int(pairs[-1, 1])
        if last - first > reading.LONGEST_ROW:
            return
        file.seek(first)
        block = file.read(last - first)
        found = np.array(list(places(block.lower())), np.int64) + first
        for at in np.unique(np.searchsorted(pairs[:, 1], found, side="right")).tolist():
            start, end = pairs[at] - first
            row = reading.parse(self.path, self.form, number + at, block[start:end])
            # The bytes of a row hold its field names and escapes too: only what its values say counts.
            if row.value is not None and contains(row.value, text):
                yield number + at

    def _stored(self):
        """Return the index kept on disk if it is of this very file and sound, else None: it is made again then."""
        try:
            record = records.load(self._folder / f"{self._name}.json", IndexRecord)
            if (record.size, record.modified, record.form) != (self.size, self.modified, str(self.form)):
                return None
            places = RowPlaces(self._stored_places)
            if places.count != record.count or not places.are_in_order(self.size):
                return None
        except (OSError, Problem):
            return None
        self.count, self.done = record.count, True
        self.fault = record.fault and record.fault.problem()
        return places

    def build(self) -> None:
        """Find the places of all rows, where they are not known yet; what goes wrong is the file's fault."""
        if self.done:
            return
        try:
            reading.require_utf8(self.path, self.form)
            with files.open_file(self.path) as file:
                self._collect(file)
        except Problem as problem:
            self.fault = problem
        except (OSError, MemoryError) as error:
            self.fault = reading.unreadable(self.path, error)
        else:
            self._keep()
        finally:
            with self._moved:
                self.done = True
                self._moved.notify_all()

    def _found_again(self) -> RowPlaces:
        found = RowPlaces()
        with self._opened() as file, contextlib.suppress(Problem):  # its fault is known
            for pairs in reading.scan(file, self.path, self.form):
                found.append(pairs)
        return found

    def _collect(self, file) -> None:
        waiting: list[np.ndarray] = []
        rows = 0
        try:
            for pairs in reading.scan(file, self.path, self.form):
                waiting.append(pairs)
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
            self._places.append(np.concatenate(waiting))
        with self._moved:
            self.count += rows
            self._moved.notify_all()

    def _keep(self) -> None:
        """Keep a large file's index on disk. The file is sound where that fails, and read through again next time."""
        if self.size < STORE_FROM_BYTES and self.count <= row_places.IN_MEMORY:
            return
        try:
            self._store()
        except (OSError, MemoryError, Problem) as error:
            logging.getLogger(__name__).warning("the index of %s is not kept: %s", self.path, error)

    def _store(self) -> None:
        if not self.current():
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        with scratch(self._folder) as folder:
            whole = folder / "rows"
            self._places.write_to(whole)
            move(whole, self._stored_places)
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
        self._places.keep(self._stored_places)


def index_name(path: Path) -> str:
    """Return the name under which what is known of a data file is kept."""
    return hashlib.sha256(os.fsencode(files.real(path))).hexdigest()[:24]
