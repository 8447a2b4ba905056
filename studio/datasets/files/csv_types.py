"""What LLaMA-Factory makes of the texts in a CSV file: numbers, true and false, nothing. Its reader is pandas, in
pieces of 10,000 rows.
"""

import io
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path

from studio.datasets.files import reading
from studio.datasets.files.column_rows import ColumnRows
from studio.datasets.files.incoming.dialect import write_records
from studio.datasets.files.reading import Row
from studio.datasets.files.text_rows import TextRows

# `chunksize` of the CSV builder of the `datasets` library: a column has one type in each such piece.
PIECE = 10_000


def loaded(path: Path) -> Iterator[Row]:
    """Yield the rows of a data file with the values that LLaMA-Factory reads: those of a CSV file may be numbers,
    true, false or null.

    Raises:
        Problem: as `reading.rows` does.
    """
    number = 0
    for file in reading.files_of(path):
        form = reading.form_of(file)
        rows = reading.rows_of_file(file, form, number)
        for row in typed(rows) if form.kind == "csv" else rows:
            number = row.number
            yield row


def loaded_row(part: TextRows | ColumnRows, number: int) -> Row:
    """Return row `number` (from 1) of an indexed file with the values that LLaMA-Factory reads; see `loaded`."""
    if part.form.kind != "csv":
        return part.page(number - 1, 1)[0]
    first = (number - 1) // PIECE * PIECE
    part.wait(first + PIECE)
    return list(typed(part.page(first, PIECE)))[number - 1 - first]


def typed(rows: Iterable[Row]) -> Iterator[Row]:
    """Yield rows of texts with the values that pandas makes of them."""
    coming = iter(rows)
    while piece := list(islice(coming, PIECE)):
        values = iter(_as_pandas([row.value for row in piece if row.value is not None]))
        yield from (row if row.value is None else replace(row, value=next(values)) for row in piece)


def _as_pandas(rows: list[dict]) -> list[dict]:
    if not rows:
        return []
    import pandas
    import pyarrow

    text = io.StringIO()
    columns = list(rows[0])
    write_records(text, chain([columns], (row.values() for row in rows)))
    text.seek(0)
    frame = pandas.read_csv(text, skip_blank_lines=False)
    frame.columns = columns
    return pyarrow.Table.from_pandas(frame, preserve_index=False).to_pylist()


def keeps_texts(path: Path, fields: Iterable[str]) -> bool:
    """Tell whether LLaMA-Factory reads every text of these fields as it stands in the file; nothing may become null.

    Raises:
        Problem: the file cannot be read, or a row of it cannot: LLaMA-Factory would stop there.
    """
    for file in reading.files_of(path):
        form, columns = reading.form_of(file), set(fields)
        has_texts: dict[str, set[bool]] = {field: set() for field in columns}
        rows = reading.rows_of_file(file, form)
        while piece := list(islice(rows, PIECE)):
            if any(row.problem for row in piece):
                return False
            for field in columns:
                texts = [row.value.get(field, "") for row in piece]
                if [value or "" for value in _column(texts)] != texts:
                    return False
                # A piece in which a column is empty has no type that fits the text of another piece.
                has_texts[field].add(any(texts))
        if any(len(kinds) > 1 for kinds in has_texts.values()):
            return False
    return True


def _column(texts: list[str]) -> list:
    return [row["text"] for row in _as_pandas([{"text": text} for text in texts])]
