"""Files of JSON objects, one a line, only ever appended to: a process that is killed loses at most the line it was writing."""

import errno
import json
import os
from pathlib import Path

from studio.interface.language import Problem


def append(path: Path, value: dict) -> None:
    """Append one object, on the disk when this returns. A line that was left torn is closed first.

    Raises:
        Problem: the disk is full or the file cannot be written; the file is then as it was.
    """
    line = json.dumps(value, ensure_ascii=False).encode() + b"\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "ab+", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            if size:
                file.seek(size - 1)
                line = line if file.read(1) == b"\n" else b"\n" + line
            if _write(file, line) < len(line):
                file.truncate(size)
                raise Problem("workspace.unwritable", path=path, reason=os.strerror(errno.ENOSPC))
            os.fsync(file.fileno())
    except OSError as error:
        raise Problem("workspace.unwritable", path=path, reason=error.strerror) from error


def _write(file, line: bytes) -> int:
    """Return how many bytes could be written: on a full disk not all, or none."""
    try:
        return file.write(line)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return 0


def read(path: Path) -> list[dict]:
    """Return the objects of a file, oldest first, none where there is no file; torn lines are passed over.

    Raises:
        Problem: the file cannot be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise Problem("votes.unreadable", path=path, reason=error.strerror) from error
    return [value for value in map(_parsed, content.splitlines()) if value is not None]


def _parsed(line: bytes) -> dict | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
