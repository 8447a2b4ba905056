"""The events of a run: one JSON object a line, only ever appended, from which progress, state and every chart are read.

Whoever reads them gets only events that are as they should be; in the place of a line that cannot be used stands
`UNREADABLE`, once.
"""

import json
import math
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import orjson
from pydantic import Field, ValidationError

from studio.core.storage import jsonl
from studio.core.storage.records import Moment, Record

POINTS_KEPT = 2000
STATES = ("queued", "preparing", "running", "stopping", "finished", "stopped", "failed", "interrupted")
UNREADABLE = {"event": "unreadable"}
LATEST = 253_402_300_799  # the end of the year 9999, as `records.Moment`
MOST_STEPS = 2**53
Step = Annotated[int, Field(ge=0, le=MOST_STEPS)]


class State(Record):
    """The run is in another state."""

    time: Moment
    state: Literal[STATES]
    order: str | None = None
    saved: bool | None = None
    resumed_from: str | None = None


class Facts(Record):
    """What a person checks when training begins."""

    time: Moment
    step: Step = 0
    total_steps: Step = 0
    examples: Step | None = None
    epochs: Annotated[float, Field(allow_inf_nan=False)] | None = None
    batch: Step | None = None
    trainable: Step | None = None
    parameters: Step | None = None
    device: str = ""
    processes: Step | None = None


class Warned(Record):
    """Something is wrong with the numbers: the key of a sentence and its facts."""

    time: Moment
    step: Step
    key: str
    facts: dict[str, object] = {}


class Probed(Record):
    """The model answered a probe question."""

    time: Moment
    step: Step
    question: str
    answer: str


class Failed(Record):
    """The fault that ended the run: the key of a sentence and its facts."""

    time: Moment
    key: str
    facts: dict[str, object] = {}
    order: str | None = None
    sentence: str = ""


KINDS = {"state": State, "facts": Facts, "warning": Warned, "probe": Probed, "error": Failed}


def append(path: Path, event: str, /, **facts: object) -> None:
    """Append one event with the present time (seconds since 1970) to the file at `path`.

    A line that a killed process left torn is closed first, so that the new event stands on a line of its own. NaN and
    infinity, which JSON does not have, are written as the strings "nan", "inf" and "-inf".

    Raises:
        OSError: the disk is full or the file cannot be written.
    """
    line = {"time": round(time.time(), 3), "event": event, **_plain(facts)}
    jsonl.append(path, json.dumps(line, ensure_ascii=False))


def read(path: Path, since: int = 0) -> tuple[list[dict[str, object]], int]:
    """Return the whole events after byte `since`, and the byte after the last of them.

    A torn last line is left for the next reading; a torn line in the middle, closed by a later start, is passed over.
    For each other line that is no event, or one whose values cannot be, there is `UNREADABLE`. A file that is not
    there, or is no plain file, has no events.
    """
    lines, following = jsonl.read(path, since)
    return list(of_lines(lines)), following


def of_lines(lines: Iterable[bytes | None]) -> Iterator[dict]:
    """Yield the events of lines as `jsonl.read` gives them; see `read`. One after the other, so that they need not all
    be in memory.
    """
    return filter(None, map(_event, lines))


def thinned(points: list[tuple], limit: int = POINTS_KEPT) -> list[tuple]:
    """Return at most about `limit` of `points` ((step, value, seconds)), keeping first, last and each bucket's lowest
    and highest.

    Values that are not finite (a loss that became NaN, written "nan") are kept, the first of each bucket: no spike and
    no fault vanishes.
    """
    if len(points) <= limit:
        return points
    return [points[index] for index in kept(np.array([point[1] for point in points], dtype=float), limit)]


def kept(values: np.ndarray, limit: int = POINTS_KEPT) -> np.ndarray:
    """Return the places of those values that `thinned` keeps of more than `limit`."""
    size = math.ceil(len(values) / (limit // 2))
    starts, finite = np.arange(0, len(values), size), np.isfinite(values)

    def buckets(of: np.ndarray, filler: float) -> np.ndarray:
        return np.append(of, np.full(len(starts) * size - len(values), filler)).reshape(-1, size)

    low = buckets(np.where(finite, values, np.inf), np.inf).argmin(axis=1) + starts
    high = buckets(np.where(finite, values, -np.inf), -np.inf).argmax(axis=1) + starts
    not_finite = buckets(~finite, 0).argmax(axis=1) + starts
    return np.unique(np.concatenate([[0, len(values) - 1], low, high, not_finite[~finite[not_finite]]]))


def measured(value: object) -> object:
    """Return a value of a series as it is shown: a finite number, or "nan", "inf" or "-inf". Raises ValueError for any
    other.
    """
    if not isinstance(value, str | bool | int | float) or isinstance(value, str) and len(value) > 50:
        raise ValueError(value)
    try:
        number = float(value)
    except OverflowError:  # a whole number beyond any that Python turns into a float
        number = math.inf if value > 0 else -math.inf
    if not math.isfinite(number):
        return str(number)
    return value if type(value) in (float, int) else number


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    return value.item() if hasattr(value, "item") else str(value)


def _event(line: bytes | None) -> dict[str, object] | None:
    """Return the event of a line, None where the line is torn or empty, `UNREADABLE` where it is none."""
    if line is None:
        return UNREADABLE
    try:
        event = orjson.loads(line)
        kind = event["event"]
        # By hand, not by a model: a long run has a hundred thousand of these.
        if kind == "metrics":
            if (
                type(event["step"]) is int
                and 0 <= event["step"] <= MOST_STEPS
                and 0 <= event["time"] <= LATEST
                and (type(event.get("epoch")) in _NUMBER_OR_NONE)
            ):
                values = event["values"]
                if not _NUMBERS.issuperset(map(type, values.values())):
                    event["values"] = {name: measured(value) for name, value in values.items() if value is not None}
                return event
            return UNREADABLE
        if kind == "step":
            return (
                event
                if type(event["step"]) is int and 0 <= event["step"] <= MOST_STEPS and 0 <= event["time"] <= LATEST
                else UNREADABLE
            )
        if kind in KINDS:
            return {"event": kind, **KINDS[kind].model_validate(event).model_dump(exclude_unset=True)}
        # A later release may write more kinds; that there was one is all that is read of them.
        return {"event": kind} if isinstance(kind, str) and kind != UNREADABLE["event"] else UNREADABLE
    except orjson.JSONDecodeError:
        return None if jsonl.is_torn(line) else UNREADABLE
    except (ValidationError, ValueError, TypeError, KeyError, AttributeError):
        return UNREADABLE


_NUMBERS = frozenset((float, int))
_NUMBER_OR_NONE = frozenset((float, int, type(None)))
