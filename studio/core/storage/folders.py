"""Lists of folders in which others write at the same time: what vanishes while a list is made is passed over, never a
fault.

Names that begin with a dot are not listed unless they are asked for; no name that a person gives may begin so.
"""

import os
import stat
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path


def entries(folder: Path, hidden: bool = False) -> list[Path]:
    """Return what lies in a folder, by name, without hidden names unless asked; nothing where the folder is gone or not
    to be read.
    """
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    return [folder / name for name in sorted(names) if hidden or not name.startswith(".")]


def matching(folder: Path, pattern: str) -> list[Path]:
    """Return the paths in a folder that fit a pattern such as `*/*/events.jsonl`, by name; what vanishes meanwhile is
    passed over.

    A `*` does not stand for a hidden name. `**` is not known here (see `below`).
    """
    found = [folder]
    *between, last = pattern.split("/")
    for part in between:
        found = [one for above in found for one in _fitting(above, part) if is_folder(one)]
    return [one for above in found for one in _fitting(above, last) if exists(one)]


def below(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield every plain file under a folder with its status, hidden ones too; links are not followed, what vanishes is
    passed over.
    """
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            status = status_of(path, follow=False)
            if status and stat.S_ISREG(status.st_mode):
                yield path, status


def size_below(folder: Path) -> int:
    """Return the bytes of all plain files under a folder."""
    return sum(status.st_size for _, status in below(folder))


def status_of(path: Path, follow: bool = True) -> os.stat_result | None:
    """Return a file's status, None where it is gone or cannot be seen."""
    try:
        return os.stat(path, follow_symlinks=follow)
    except (OSError, ValueError):
        return None


def modified(path: Path) -> float:
    """Return when a file was last written, in seconds since 1970; 0 where it is gone."""
    status = status_of(path)
    return status.st_mtime if status else 0.0


def size_of(path: Path) -> int:
    """Return the bytes of a file; 0 where it is gone."""
    status = status_of(path)
    return status.st_size if status else 0


def exists(path: Path) -> bool:
    """Tell whether something is there, a link that leads nowhere included."""
    return status_of(path, follow=False) is not None


def is_folder(path: Path) -> bool:
    """Tell whether a folder is there, through a link too."""
    status = status_of(path)
    return status is not None and stat.S_ISDIR(status.st_mode)


def _fitting(folder: Path, part: str) -> list[Path]:
    if not any(sign in part for sign in "*?["):
        return [folder / part]
    return [one for one in entries(folder, hidden=part.startswith(".")) if fnmatchcase(one.name, part)]
