"""Files are written whole or not at all, in a place that no list meets.

What is being written lies in a folder called `.writing`, at the top of the workspace (and of each disk that is mounted
in it), not beside its target. Where there is no such folder (a model in a folder of the person's), it lies beside after
all, under a name with a dot.
"""

import contextlib
import errno
import json
import os
import shutil
import socket
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from studio.core import reasons
from studio.core.i18n import Problem, Reason
from studio.core.storage.folders import entries, status_of

BEING_WRITTEN = ".writing"
_BESIDE = ".writing-"
LEFTOVER_S = (
    86_400.0  # what lies here for a day was left by a process that is gone, also where that cannot be seen from here
)


@contextlib.contextmanager
def scratch(target: Path) -> Iterator[Path]:
    """Give a new folder on the disk of `target` (a file to be, or a folder), seen by no list; it goes with what is left
    in it.

    What is whole is put from it in its place by `move`.

    Raises:
        OSError: the disk refuses.
    """
    folder = target if target.is_dir() else target.parent
    place = _place(folder)
    beginning = f"{'' if place else _BESIDE}{machine()}-{os.getpid()}-"
    with tempfile.TemporaryDirectory(dir=place or folder, prefix=beginning, ignore_cleanup_errors=True) as made:
        yield Path(made)


def write_whole(path: Path, text: str, mode: int = 0o666, beyond: str = "strict") -> None:
    """Replace `path` by `text` so that a reader sees the old file or the new one, never a half: written elsewhere, then
    renamed.

    `mode` are the most permissions that the file gets, of which the process's umask takes some; a folder that is made
    for a file of this person alone is theirs alone too. `beyond` says what is done with halves of characters, which
    names of files may hold that are not UTF-8: a name of Python's error handlers.

    Raises:
        Problem: the folder cannot be written, the disk is full, or the text cannot be written as UTF-8; the old file is
            left as it was.
    """
    try:
        content = text.encode("utf-8", beyond)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o777 if mode & 0o077 else 0o700)
        with scratch(path.parent) as folder:
            whole = folder / path.name
            with open(whole, "wb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            move(whole, path)
    except UnicodeEncodeError as error:
        raise Problem("workspace.unwritable", path=path, reason=Reason("reasons.characters")) from error
    except (OSError, ValueError) as error:
        raise Problem("workspace.unwritable", path=path, reason=reasons.of(error)) from error


def write_json(path: Path, value: object, mode: int = 0o666) -> None:
    """Replace `path` by `value` as JSON, whole or not at all (see `write_whole`)."""
    # Halves of characters are written as JSON writes them, \\udce9, and come back as they were.
    write_whole(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n", mode, "backslashreplace")


def move(whole: Path, target: Path) -> None:
    """Put a finished file or folder in its place, also where the place is on a disk that does not look like another; a
    folder must not be there yet, or be empty. Raises OSError.
    """
    try:
        whole.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        beside = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            if whole.is_dir():
                shutil.copytree(whole, beside, symlinks=True)
            else:
                shutil.copy2(whole, beside)
            beside.replace(target)
        finally:
            if beside.is_dir():
                shutil.rmtree(beside)
            else:
                beside.unlink(missing_ok=True)


def make_places(root: Path, folders: list[Path]) -> None:
    """Make the places for what is being written: one in `root`, and in each of `folders` that lies on another disk."""
    for folder in (root, *folders):
        if _place(folder) is None:
            # A folder that cannot be written is told when something is to be written there.
            with contextlib.suppress(OSError):
                (folder / BEING_WRITTEN).mkdir(exist_ok=True)


def clear_places(root: Path, folders: list[Path]) -> None:
    """Remove what processes that are gone were writing. One that lives keeps its own: workers outlive the studio."""
    for folder in (root, *folders):
        for one in entries(folder / BEING_WRITTEN):
            if _is_leftover(one, one.name):
                shutil.rmtree(one, ignore_errors=True)
        clear_beside(folder)


def clear_beside(folder: Path) -> None:
    """Remove what processes that are gone were writing in a folder itself, beside its target."""
    for one in entries(folder, hidden=True):
        if one.name.startswith((_BESIDE, ".reading-")) and _is_leftover(one, one.name.removeprefix(_BESIDE)):
            shutil.rmtree(one, ignore_errors=True)


def _place(folder: Path) -> Path | None:
    """Return the nearest place above `folder` for what is being written, if it lies on the same disk."""
    disk = status_of(folder)
    for above in (folder, *folder.absolute().parents):
        found = status_of(above / BEING_WRITTEN)
        if found and disk and stat.S_ISDIR(found.st_mode):
            writable = found.st_dev == disk.st_dev and os.access(above / BEING_WRITTEN, os.W_OK | os.X_OK)
            return above / BEING_WRITTEN if writable else None
    return None


def machine() -> str:
    """Return the name of this machine as it stands in the names of what is being written."""
    return socket.gethostname().replace("-", "_").replace("/", "_") or "here"


def _is_leftover(folder: Path, name: str) -> bool:
    import psutil  # launch.py looks at the starter model on a Python that has nothing yet

    host, _, rest = name.partition("-")
    number = rest.partition("-")[0]
    if host == machine() and number.isdecimal():
        return not psutil.pid_exists(int(number))
    return _age(folder) > LEFTOVER_S


def _age(path: Path) -> float:
    status = status_of(path, follow=False)
    return time.time() - status.st_mtime if status else 0.0
