"""The events of a run: one JSON object a line, only ever appended, from which progress, state and every chart are read."""

import json
import math
import os
import time
from pathlib import Path

import numpy as np
import orjson

POINTS_KEPT = 2000


def append(path: Path, event: str, **facts: object) -> None:
    """Append one event with the present time (seconds since 1970) to the file at `path`.

    A line that a killed process left torn is closed first, so that the new event stands on a line of its own. NaN and infinity,
    which JSON does not have, are written as the strings "nan", "inf" and "-inf".

    Raises:
        OSError: the disk is full or the file cannot be written.
    """
    line = json.dumps({"time": round(time.time(), 3), "event": event, **_plain(facts)}, ensure_ascii=False)
    with open(path, "ab+") as file:
        size = file.seek(0, os.SEEK_END)
        if size:
            file.seek(size - 1)
            if file.read(1) != b"\n":
                line = "\n" + line
        file.write((line + "\n").encode())


def read(path: Path, since: int = 0) -> tuple[list[dict], int]:
    """Return the whole events after byte `since`, and the byte after the last of them.

    A torn last line is left for the next reading; a torn line in the middle, closed by a later start, is passed over. A file that
    is not there has no events.
    """
    try:
        with open(path, "rb") as file:
            file.seek(since)
            tail = file.read()
    except FileNotFoundError:
        return [], since
    whole = tail[: tail.rfind(b"\n") + 1]
    return [event for event in map(_parse, whole.splitlines()) if event], since + len(whole)


def thinned(points: list[tuple], limit: int = POINTS_KEPT) -> list[tuple]:
    """Return at most about `limit` of `points` ((step, value, seconds)), keeping first, last and each bucket's lowest and highest.

    Values that are not finite (a loss that became NaN, written "nan") are kept, the first of each bucket: no spike and no fault vanishes.
    """
    if len(points) <= limit:
        return points
    values = np.array([point[1] for point in points], dtype=float)
    size = math.ceil(len(points) / (limit // 2))
    starts, finite = np.arange(0, len(points), size), np.isfinite(values)

    def buckets(of: np.ndarray, filler: float) -> np.ndarray:
        return np.append(of, np.full(len(starts) * size - len(points), filler)).reshape(-1, size)

    low = buckets(np.where(finite, values, np.inf), np.inf).argmin(axis=1) + starts
    high = buckets(np.where(finite, values, -np.inf), -np.inf).argmax(axis=1) + starts
    odd = buckets(~finite, 0).argmax(axis=1) + starts
    kept = np.unique(np.concatenate([[0, len(points) - 1], low, high, odd[~finite[odd]]]))
    return [points[index] for index in kept]


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


def _parse(line: bytes) -> dict | None:
    try:
        event = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return event if isinstance(event, dict) and "event" in event else None
