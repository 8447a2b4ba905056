"""The rows of the files of a folder, one file after the other."""

import time
from collections.abc import Iterator

from studio.core.i18n import Problem
from studio.datasets.files.column_rows import ColumnRows
from studio.datasets.files.reading import Row
from studio.datasets.files.row_search import RowMatches
from studio.datasets.files.text_rows import TextRows


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

    def find(self, text: str, offset: int = 0, limit: int = 20, seconds: float = 2.0) -> RowMatches:
        """Search the indexed rows from row `offset` (from 0) on for `text`, without regard to case, for at most so
        long.
        """
        result, before, end = RowMatches(), 0, time.monotonic() + seconds
        for part in self._open():
            if offset < before + part.count:
                one = part.find(
                    text, max(0, offset - before), limit - len(result.rows), max(0.0, end - time.monotonic())
                )
                result.rows += [number + before for number in one.rows]
                if one.next is not None:
                    return RowMatches(result.rows, one.next + before, (one.next + before) / self.count)
            before += part.count
        return result

    def _open(self) -> Iterator:
        """The parts whose rows can be numbered: those that are indexed, and the one that is being."""
        for part in self.parts:
            yield part
            if not part.done:
                return
