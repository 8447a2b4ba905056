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
import os
from pathlib import Path
from typing import Annotated, TypeVar

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from studio.core import reasons
from studio.core.i18n import Problem, Reason
from studio.core.storage import files

LARGEST_BYTES = 256 * 2**20  # no record of the studio comes near it; larger is not read into memory
DEEPEST = (
    100  # no record of the studio comes near it; what is nested deeper chokes whoever walks it, or writes it out again
)


class Record(BaseModel):
    """A stored record: fields are coerced to their types or refused; what a later release added is passed over."""

    model_config = ConfigDict(extra="ignore", arbitrary_types_allowed=False, validate_default=False, defer_build=True)


# Seconds since 1970, up to the year 9999: beyond it no clock can tell them.
Moment = Annotated[float, Field(ge=0, le=253_402_300_799, allow_inf_nan=False)]


def _is_text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("it is no text")
    return value


# A text that may hold halves of characters, as names of files do that are not UTF-8; pydantic's own refuses them.
Text = Annotated[object, AfterValidator(_is_text)]

Kind = TypeVar("Kind", bound=BaseModel)


def parse_or(otherwise: object, text: bytes | str) -> object:
    """Return the JSON value of `text`, or `otherwise` where it is none that `parse` takes."""
    try:
        return parse(text)
    except ValueError:
        return otherwise


def parse(text: bytes | str) -> object:
    """Return the JSON value of `text`. Raises ValueError for what is none, also where it is nested more than DEEPEST
    levels deep.

    NaN and Infinity, which Python writes and JSON does not have, are taken.
    """
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        value = _leniently(text)  # NaN, a name that is not UTF-8: Python's own reader knows them
    except UnicodeEncodeError as error:
        raise ValueError(Reason("reasons.characters")) from error
    brackets = (b"[", b"{") if isinstance(text, bytes) else ("[", "{")
    if sum(map(text.count, brackets)) > DEEPEST and _deeper_than(value, DEEPEST):
        raise ValueError(Reason("reasons.nested"))
    return value


def _leniently(text: bytes | str) -> object:
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError(Reason("reasons.nested")) from error


def _deeper_than(value: object, levels: int) -> bool:
    """Tell whether lists and objects stand inside each other more than so many levels deep."""
    level = [value]
    for _ in range(levels):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return False
    return any(isinstance(one, dict | list) for one in level)


def read(path: Path) -> object:
    """Return the JSON value that a file holds. Raises Problem where it is not there, too large, or no JSON."""
    try:
        with files.open_file(path) as file:
            if (size := os.fstat(file.fileno()).st_size) > LARGEST_BYTES:
                raise Problem("records.too_large", file=path.name, gib=f"{size / 2**30:.1f}")
            return parse(file.read())
    except OSError as error:
        raise files.unreadable(path, error) from error
    except ValueError as error:
        raise Problem("records.no_json", file=path.name, reason=reasons.of(error)) from error


def load(path: Path, kind: type[Kind]) -> Kind:
    """Return the record that a file holds. Raises Problem with the file, the first wrong field and what to do."""
    return typed(read(path), kind, path.name)


def typed(value: object, kind: type[Kind], file: str) -> Kind:
    """Return `value`, which came from the file called `file`, as a record. Raises Problem with the first field that is
    wrong.
    """
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        field, reason = reasons.field(error)
        raise Problem("records.wrong_field", file=file, field=field, reason=reason) from error
    except RecursionError as error:
        raise Problem("records.no_json", file=file, reason=Reason("reasons.nested")) from error


def set_aside(path: Path) -> None:
    """Keep a file that cannot be used under another name, `<file>.damaged`, before it is written anew. Raises Problem
    where the disk refuses.
    """
    try:
        path.replace(path.with_name(path.name + ".damaged"))
    except FileNotFoundError:
        return
    except OSError as error:
        raise Problem("workspace.unwritable", path=path, reason=reasons.of(error)) from error
