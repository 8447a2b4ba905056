"""Files of JSON objects, one a line, only ever appended to: a process that is killed loses at most the line it was
writing.
"""

import json
from pathlib import Path

from studio.core import reasons
from studio.core.i18n import Problem
from studio.core.storage import files, jsonl, records
from studio.core.storage.records import Kind


def append(path: Path, value: dict) -> None:
    """Append one object, on the disk when this returns. A line that was left torn is closed first.

    Raises:
        Problem: the disk is full or the file cannot be written; the file is then as it was.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        jsonl.append(path, json.dumps(value, ensure_ascii=False), durable=True)
    except OSError as error:
        raise Problem("workspace.unwritable", path=path, reason=reasons.of(error)) from error


def read(path: Path, kind: type[Kind]) -> tuple[list[Kind], int]:
    """Return the records of a file, oldest first, and how many lines are none. Torn lines are passed over; no file has
    none.

    Raises:
        Problem: the file cannot be read.
    """
    try:
        files.open_file(path).close()
    except FileNotFoundError:
        return [], 0
    except OSError as error:
        raise Problem("votes.unreadable", path=path, reason=reasons.of(error)) from error
    values, unreadable = [], 0
    for line in jsonl.read(path, last_too=True)[0]:
        try:
            values.append(kind.model_validate(records.parse(line if line is not None else b"-")))
        except ValueError:  # pydantic's own fault is one too
            unreadable += line is None or not jsonl.is_torn(line)
    return values, unreadable
