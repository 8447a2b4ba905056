"""Which folders in `saves/` are runs, and which look like runs and cannot be used, with the reason."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from studio.core import files
from studio.interface.language import Problem, shown
from studio.workspace import safe_name

EVENTS = "events.jsonl"
LOG = "trainer_log.jsonl"


@dataclass
class Found:
    """runs: {name: folder} of what can be used. odd: {name as it can be shown: why it cannot}."""

    runs: dict[str, Path] = field(default_factory=dict)
    odd: dict[str, Problem] = field(default_factory=dict)


def scan(saves: Path) -> Found:
    """Return the runs in `saves/<model>/<method>/<run>/`. What vanishes meanwhile is not there; what begins with a dot is not looked at."""
    found = Found()
    real = os.path.realpath(saves)
    for model in _folders(saves, saves, found):
        for method in _folders(Path(model.path), saves, found):
            for run in _folders(Path(method.path), saves, found):
                _take(run, real if any(map(_is_link, (model, method, run))) else None, saves, found)
    return found


def _take(entry: os.DirEntry, real: str | None, saves: Path, found: Found) -> None:
    """Put a folder to the runs, or to the odd ones; `real` is where saves is, for a folder that a link leads to."""
    folder = Path(entry.path)
    whole = [name for name in (EVENTS, LOG) if files.is_file(folder / name)]
    name = str(folder.relative_to(saves))
    if not whole:
        try:
            os.lstat(folder / EVENTS)
            found.odd[shown(name)] = Problem("train.odd_events", run=name, file=EVENTS)
        except PermissionError as error:
            found.odd[shown(name)] = Problem("train.odd_folder", run=name, reason=files.reason(error))
        except OSError:
            return  # no run at all
        return
    try:
        safe_name(name, parts=3)
    except Problem:
        found.odd[shown(name)] = Problem("train.odd_name", run=name)
        return
    if real and not os.path.realpath(folder).startswith(real + os.sep):
        found.odd[name] = Problem("train.odd_link", run=name)
        return
    found.runs[name] = folder


def _folders(folder: Path, saves: Path, found: Found) -> Iterator[os.DirEntry]:
    try:
        with os.scandir(folder) as entries:
            yield from [entry for entry in entries if not entry.name.startswith(".") and _is_folder(entry)]
    except (FileNotFoundError, NotADirectoryError):
        return  # removed meanwhile
    except OSError as error:
        name = str(folder.relative_to(saves))
        found.odd[shown(name)] = Problem("train.odd_folder", run=name, reason=files.reason(error))


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # a link in a circle


def _is_link(entry: os.DirEntry) -> bool:
    try:
        return entry.is_symlink()
    except OSError:
        return True
