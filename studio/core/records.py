"""Stored records are typed. What stands on disk may have been written by another release, another program or an enemy.

```
class Bookmark(Record):
    name: str
    step: int = 0

bookmark = load(path, Bookmark)          # a Bookmark, or Problem: which file, which field, what to do
value = parse(line)                      # JSON that may be anything, or ValueError
```
"""

import json
from pathlib import Path
from typing import TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from studio.interface.language import Problem

LARGEST_BYTES = 256 * 2**20  # no record of the studio comes near it; larger is not read into memory


class Record(BaseModel):
    """A stored record: fields are coerced to their types or refused; what a later release added is passed over."""

    model_config = ConfigDict(extra="ignore", arbitrary_types_allowed=False, validate_default=False)


Kind = TypeVar("Kind", bound=BaseModel)


def parse(text: bytes | str) -> object:
    """Return the JSON value of `text`. Raises ValueError for what is none, also where it is nested too deeply to be read.

    NaN and Infinity, which Python writes and JSON does not have, are taken.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        pass  # NaN, or a whole number of over 64 bits, which Python's own reader knows
    except UnicodeEncodeError as error:
        raise ValueError("it holds a character that is none") from error
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def read(path: Path) -> object:
    """Return the JSON value that a file holds. Raises Problem where it is not there, too large, or no JSON."""
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise Problem("records.too_large", file=path.name, gib=f"{path.stat().st_size / 2**30:.1f}")
        return parse(path.read_bytes())
    except OSError as error:
        raise Problem("records.unreadable", file=path.name, reason=error.strerror or type(error).__name__) from error
    except ValueError as error:
        raise Problem("records.no_json", file=path.name, reason=str(error)[:200]) from error


def load(path: Path, kind: type[Kind]) -> Kind:
    """Return the record that a file holds. Raises Problem with the file, the first wrong field and what to do."""
    return typed(read(path), kind, path.name)


def typed(value: object, kind: type[Kind], file: str) -> Kind:
    """Return `value`, which came from the file called `file`, as a record. Raises Problem with the first field that is wrong."""
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "-"
        raise Problem("records.wrong_field", file=file, field=field[:100], reason=first["msg"][:200]) from error
    except RecursionError as error:
        raise Problem("records.no_json", file=file, reason="it is nested too deeply") from error
