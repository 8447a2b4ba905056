"""Thousands of logged steps at once: as columns, where reading each line by itself would take half a second.

What is said of a line here is what `events.of_lines` says of it: a stretch that holds anything unusual (a loss that is
no number, a line that is torn, a name of its own) is not read here at all, but line by line.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

import numpy as np

from studio.train.runs import events

MANY = 4096  # lines; fewer are read sooner one by one
STRETCH = 32768
MARK = b'"event": "metrics"'
_NAMES = {"time", "event", "step", "epoch", "total_steps", "values"}


@dataclass(frozen=True)
class Columns:
    """Logged steps one after the other. `epoch` is the last that was told, with its step, (0, None) where none
    was; a series has the places of its steps among `step`, and its values there.
    """

    time: np.ndarray
    step: np.ndarray
    epoch: tuple[int, float | None]
    series: dict[str, tuple[np.ndarray, np.ndarray]]


def stretches(lines: list[bytes | None]) -> Iterator[Columns | list[bytes | None]]:
    """Yield the same lines in their order: as columns where many of them are logged steps, else as they are."""
    if len(lines) < MANY:
        yield lines
        return
    start = 0
    are_metrics = [line is not None and line.find(MARK, 0, 80) > 0 for line in lines] + [False]
    while start < len(lines):
        end = _end(are_metrics, start)
        columns = _columns(lines[start:end]) if are_metrics[start] and end - start >= MANY // 4 else None
        yield columns or lines[start:end]
        start = end


def _end(are_metrics: list[bool], start: int) -> int:
    """Return where the stretch of one kind that begins at `start` ends, STRETCH lines further at the most."""
    try:
        end = are_metrics.index(not are_metrics[start], start)
    except ValueError:
        end = len(are_metrics) - 1
    return min(end, start + STRETCH, len(are_metrics) - 1)


def _columns(lines: list[bytes]) -> Columns | None:
    """Return lines as columns, None where one of them is not a plain logged step."""
    import pyarrow as pa
    from pyarrow import json

    try:
        table = json.read_json(
            BytesIO(b"\n".join(lines)), parse_options=json.ParseOptions(newlines_in_values=False)
        ).combine_chunks()
    except (pa.ArrowException, UnicodeDecodeError):
        return None
    if table.num_rows != len(lines) or not {"time", "event", "step", "values"} <= set(table.column_names) <= _NAMES:
        return None
    fields = {name: table.column(name).combine_chunks() for name in table.column_names}
    values = fields["values"]
    told = fields["event"].unique().to_pylist() == ["metrics"] and pa.types.is_struct(values.type)
    plain = ("time", "step", "epoch") if "epoch" in fields else ("time", "step")
    if not told or values.null_count or not all(_is_numbers(fields[name], pa) for name in plain):
        return None
    series = {values.type.field(at).name: values.field(at) for at in range(values.type.num_fields)}
    if not all(_is_numbers(one, pa) for one in series.values()):
        return None
    time, step = _array(fields["time"]), _array(fields["step"])
    if not _are_possible(time, step):
        return None
    found = {name: _told(one) for name, one in series.items()}
    if not all(np.isfinite(column).all() for _, column in found.values()):
        return None
    return Columns(time, step, _last(step, fields.get("epoch")), found)


def _is_numbers(column, pa) -> bool:
    kind = column.type
    return pa.types.is_int64(kind) or pa.types.is_float64(kind) or pa.types.is_null(kind)


def _array(column) -> np.ndarray:
    return column.to_numpy(zero_copy_only=False)


def _are_possible(time: np.ndarray, step: np.ndarray) -> bool:
    """Tell whether every line says when and at which step, as `events` takes it."""
    if step.dtype != np.int64 or time.dtype.kind not in "if":
        return False
    return bool(((step >= 0) & (step <= events.MOST_STEPS)).all() and ((time >= 0) & (time <= events.LATEST)).all())


def _told(column) -> tuple[np.ndarray, np.ndarray]:
    """Return the places at which a column says something, and what it says there."""
    if not column.null_count:
        return np.arange(len(column)), _array(column)
    places = np.flatnonzero(_array(column.is_valid()))
    return places, _array(column.drop_null())


def _last(step: np.ndarray, column) -> tuple[int, float | None]:
    """Return the last epoch that is none of 0, with its step; (0, None) where there is none."""
    if column is None:
        return 0, None
    places, told = _told(column)
    at = np.flatnonzero(told != 0) if len(told) else places
    return (step[places[at[-1]]].item(), told[at[-1]].item()) if len(at) else (0, None)
