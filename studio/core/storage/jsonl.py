"""Files of one JSON object a line that only ever grow. One may be of any size, hold a line of any length, or be no file
at all.
"""

import errno
import os
from pathlib import Path

from studio.core.plain import shown
from studio.core.storage import files

LONGEST_LINE = 4 * 2**20  # bytes; a line of the studio has a few hundred, one with a long answer some ten thousand
BLOCK = 2**18  # larger ones cost more: the memory of each is new to the processor


def read(path: Path, since: int = 0, last_too: bool = False) -> tuple[list[bytes | None], int]:
    """Return the whole lines after byte `since`, and the byte after the last of them.

    A last line without its end is left for the next reading, unless it is wanted `last_too`. None stands for a line of
    more than `LONGEST_LINE` bytes, which is not kept in memory. A file that is not there, or is no plain file, has no
    lines.
    """
    found: list[bytes | None] = []
    try:
        with files.open_file(path) as file:
            file.seek(since)
            rest, too_long, at = b"", False, since
            while block := file.read(BLOCK):
                whole, end, last = block.rpartition(b"\n")
                if not end:
                    rest, too_long = (
                        (b"", True) if too_long or len(rest) + len(block) > LONGEST_LINE else (rest + block, False)
                    )
                else:
                    lines = (rest + whole).split(b"\n")
                    if too_long:
                        found.append(None)
                        del lines[0]
                    if max(map(len, lines), default=0) > LONGEST_LINE:
                        lines = [line if len(line) <= LONGEST_LINE else None for line in lines]
                    found += lines
                    too_long = len(last) > LONGEST_LINE
                    rest = b"" if too_long else last
                    since = at + len(whole) + 1
                at += len(block)
            if last_too and (too_long or rest.strip()):
                found.append(None if too_long else rest)
                since = at
    except OSError:
        return found, since
    return found, since


def append(path: Path, text: str, durable: bool = False) -> None:
    """Append one line, the JSON of an object. A line that a killed process left torn is closed first.

    Args:
        path: the file, which is made where it is missing.
        text: without the end of the line; halves of characters in it are written as they can be shown.
        durable: whether it is on the disk when this returns, also if the machine loses its power.

    Raises:
        OSError: the disk is full or the file cannot be written; the file is then as it was.
    """
    line = shown(text).encode() + b"\n"
    with open(path, "ab+", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        if size:
            file.seek(size - 1)
            line = line if file.read(1) == b"\n" else b"\n" + line
        written = _write(file, line)
        if written < len(line):
            if file.seek(0, os.SEEK_END) == size + written:  # else another process has written behind it
                file.truncate(size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        if durable:
            os.fsync(file.fileno())


def _write(file, line: bytes) -> int:
    """Return how many bytes could be written: on a full disk not all, or none."""
    try:
        return file.write(line)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return 0


def is_torn(line: bytes) -> bool:
    """Tell whether a line that is no JSON is empty or the begin of an object: what a process left that was killed, or
    found the disk full.
    """
    line = line.strip()
    return not line or line.startswith(b"{") and not line.endswith(b"}")
