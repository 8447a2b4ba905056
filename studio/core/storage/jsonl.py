"""Files of one JSON object a line that only ever grow. One may be of any size, hold a line of any length, or be no file
at all.
"""

from pathlib import Path

from studio.core.storage import files

LONGEST_LINE = 4 * 2**20  # bytes; a line of the studio has a few hundred, one with a long answer some ten thousand
BLOCK = 16 * 2**20


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


def is_torn(line: bytes) -> bool:
    """Tell whether a line that is no JSON is empty or the begin of an object: what a process left that was killed, or
    found the disk full.
    """
    line = line.strip()
    return not line or line.startswith(b"{") and not line.endswith(b"}")
