"""Files that may not be what their name says: a folder, a pipe, a device, a link that leads nowhere, a name that no
path can have.

Opening a pipe waits for ever and a device never ends, so nothing that stands on disk is opened but through `open_file`.
What goes wrong is an OSError, always: a name with a NUL in it, or with a character that no file name can hold, too.
"""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from studio.core import reasons
from studio.core.i18n import Problem, Reason

# Windows has neither pipes among its files nor a fork; there, a file is text unless it is said to be none.
_FLAGS = os.O_RDONLY
for _name in ("O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
    _FLAGS |= getattr(os, _name, 0)


def open_file(path: Path) -> BinaryIO:
    """Return a plain file opened to be read. Raises OSError where it is missing, no plain file, or unreadable."""
    try:
        number = os.open(path, _FLAGS)
    except ValueError as error:
        raise OSError(errno.EINVAL, Reason("reasons.bad_name")) from error
    try:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise OSError(errno.EINVAL, Reason("reasons.not_plain"))
        return os.fdopen(number, "rb")
    except BaseException:
        os.close(number)
        raise


def status(path: Path) -> os.stat_result:
    """Return what `os.stat` says. Raises OSError, also for a name that no path can have."""
    try:
        return os.stat(path)
    except ValueError as error:
        raise OSError(errno.EINVAL, Reason("reasons.bad_name")) from error


def exists(path: Path) -> bool:
    """Tell whether a path leads to something that can be looked at."""
    try:
        status(path)
    except OSError:
        return False
    return True


def is_file(path: Path) -> bool:
    """Tell whether a path leads to a plain file."""
    try:
        return stat.S_ISREG(status(path).st_mode)
    except OSError:
        return False


def expanded(path: str) -> Path:
    """Return the path that a person typed, with `~` for their home; as typed where there is no such home."""
    try:
        return Path(path.strip()).expanduser()
    except RuntimeError:
        return Path(path.strip())


def stamp(path: Path) -> tuple[int, int, int]:
    """Return (size in bytes, time of the last change in ns, inode) of a file; zeros where there is none: it changes
    when the file does.
    """
    try:
        found = status(path)
    except OSError:
        return 0, 0, 0
    return found.st_size, found.st_mtime_ns, found.st_ino


def real(path: Path) -> Path:
    """Return a path with its links followed, as far as they lead anywhere: links in a circle, and names that none can
    have, stay.
    """
    try:
        return Path(os.path.realpath(path))
    except (OSError, ValueError):
        return Path(os.path.abspath(path))


def overlap(one: Path, other: Path) -> bool:
    """Tell whether two paths are one place, or one lies in the other, whatever links lead there."""
    one, other = real(one), real(other)
    return one.is_relative_to(other) or other.is_relative_to(one)


def read_text(path: Path, most: int = 16 * 2**20) -> str:
    """Return the text of a plain file, what is no UTF-8 in it replaced. Raises OSError where it cannot be read or has
    over `most` bytes.
    """
    with open_file(path) as file:
        text = file.read(most + 1)
    if len(text) > most:
        raise OSError(errno.EFBIG, Reason("reasons.larger_than", size=f"{most / 2**20:.0f} MiB"))
    return text.decode("utf-8", "replace")


def end_of(path: Path, most: int, since: int = 0) -> bytes:
    """Return the last bytes of a plain file, at most `most` and none before byte `since`. Raises OSError."""
    return tail(path, most, since)[1]


def tail(path: Path, most: int, since: int = 0) -> tuple[int, bytes]:
    """Return at which byte the last bytes of a plain file begin, and them, as `end_of` does. Raises OSError."""
    with open_file(path) as file:
        start = file.seek(max(since, file.seek(0, os.SEEK_END) - most))
        return start, file.read(most)


def unreadable(path: Path, error: OSError) -> Problem:
    """Return the fault of a file that cannot be read."""
    return Problem("records.unreadable", file=path.name, reason=reasons.of(error))
