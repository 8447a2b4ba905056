"""The rows of one Parquet or Arrow file, which keeps their places itself."""

import time
from pathlib import Path

from studio.core.storage import files
from studio.datasets.files import columnar
from studio.datasets.files.reading import Form, Row
from studio.datasets.files.row_search import RowMatches, contains
from studio.datasets.files.text_rows import TextRows


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

    def find(self, text: str, offset: int = 0, limit: int = 20, seconds: float = 2.0) -> RowMatches:
        """Search the rows from row `offset` (from 0) on for `text`, without regard to case, for at most so long."""
        result, end, needle = RowMatches(), time.monotonic() + seconds, text.casefold()
        for number, value in enumerate(columnar.rows(self.path, self.form.kind, offset), start=offset + 1):
            if contains(value, needle):
                result.rows.append(number)
            if len(result.rows) >= limit or time.monotonic() > end:
                result.next, result.share = (number if number < self.count else None), number / self.count
                break
        return result
