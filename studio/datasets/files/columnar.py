"""Rows of Parquet and Arrow files, read group by group so that a page costs one group and not the file."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from studio.core import reasons
from studio.core.i18n import Problem

BATCH = 256


@contextlib.contextmanager
def _errors_as_problems(path: Path):
    """Tell what pyarrow says of a file that is not whole."""
    from pyarrow import ArrowException

    try:
        yield
    except (
        ArrowException,
        OSError,
        ValueError,
        TypeError,
        LookupError,
        OverflowError,
        MemoryError,
        RecursionError,
    ) as error:
        raise Problem("datasets.unreadable", file=path, reason=reasons.of(error)) from error


def describe(path: Path, kind: str) -> tuple[int, list[str]]:
    """Return how many rows a file has, and its columns. Raises Problem where it is not whole."""
    if kind == "parquet":
        from pyarrow.parquet import ParquetFile

        with _errors_as_problems(path), ParquetFile(path) as file:
            return file.metadata.num_rows, list(file.schema_arrow.names)
    table = _arrow(path)
    return table.num_rows, list(table.schema.names)


def _arrow(path: Path):
    """Return the table of an Arrow file or stream, left on disk: pages of it are read when they are touched."""
    import pyarrow as pa

    with _errors_as_problems(path):
        source = pa.memory_map(str(path))
        try:
            return pa.ipc.open_file(source).read_all()
        except pa.ArrowInvalid:  # the `datasets` library writes streams under this ending
            source.seek(0)
            return pa.ipc.open_stream(source).read_all()


def rows(path: Path, kind: str, offset: int = 0) -> Iterator[dict]:
    """Yield the rows from `offset` on as plain values; bytes are told by their length. Raises Problem where the file is
    not whole.
    """
    for batch in _batches(path, kind, offset):
        with _errors_as_problems(path):
            batch.validate(full=True)  # offsets that lead out of a damaged file would be followed
            found = [plain(row) for row in batch.to_pylist()]
        yield from found


def _batches(path: Path, kind: str, offset: int) -> Iterator:
    if kind == "arrow":
        yield from _arrow(path).slice(offset).to_batches(max_chunksize=BATCH)
        return
    from pyarrow.parquet import ParquetFile

    with _errors_as_problems(path), ParquetFile(path) as file:
        groups = list(range(file.metadata.num_row_groups))
        while groups and offset >= (count := file.metadata.row_group(groups[0]).num_rows):
            offset -= count
            groups.pop(0)
        for batch in file.iter_batches(batch_size=BATCH, row_groups=groups):
            if offset < batch.num_rows:
                yield batch.slice(offset)
            offset = max(0, offset - batch.num_rows)


def plain(value: object) -> object:
    """Return a value of a column as JSON has it: bytes are told by their length, what JSON does not have becomes
    text.
    """
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    return value if isinstance(value, str | int | float | bool | None) else str(value)
