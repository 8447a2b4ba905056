"""Rows as the text of a CSV file that a person opens in a table program."""

import csv
import io
from collections.abc import Iterable

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # begins a cell that a table program would compute


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Return rows of cells, the head first, as CSV. It begins with a mark that makes Excel read it as UTF-8."""
    file = io.StringIO()
    csv.writer(file).writerows(map(_safe, row) for row in rows)
    return "\ufeff" + file.getvalue()


def _safe(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
