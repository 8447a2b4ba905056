"""Which folders in `saves/` are runs, and which look like runs and cannot be used, with the reason."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from studio.core import reasons
from studio.core.i18n import Problem
from studio.core.plain import shown
from studio.core.storage import files, folders
from studio.core.workspace import safe_name

EVENTS = "events.jsonl"
CHECKPOINT = re.compile(r"checkpoint-([0-9]{1,15})")
LOG = "trainer_log.jsonl"
# What a run of the command line or of LlamaBoard leaves: any of these, or a checkpoint, in a folder without events
# makes it one.
TRACES = (LOG, "trainer_state.json", "training_args.bin", "adapter_config.json")


@dataclass
class Found:
    """runs: {name: folder} of what can be used. odd: {name as it can be shown: why it cannot}."""

    runs: dict[str, Path] = field(default_factory=dict)
    odd: dict[str, Problem] = field(default_factory=dict)


def scan(saves: Path) -> Found:
    """Return the runs in `saves/<model>/<method>/<run>/`. What vanishes meanwhile is not there; what begins with a dot
    is not looked at.
    """
    found = Found()
    real = os.path.realpath(saves)
    for model in _folders(saves, saves, found):
        _tell_misplaced(Path(model.path), saves, found)
        for method in _folders(Path(model.path), saves, found):
            _tell_misplaced(Path(method.path), saves, found)
            for run in _folders(Path(method.path), saves, found):
                _take(run, real if any(map(_is_link, (model, method, run))) else None, saves, found)
    return found


def _take(entry: os.DirEntry, real: str | None, saves: Path, found: Found) -> None:
    """Put a folder to the runs, or to the odd ones; `real` is where saves is, for a folder that a link leads to."""
    folder = Path(entry.path)
    name = str(folder.relative_to(saves))
    if not files.is_file(folder / EVENTS) and not is_of_another_tool(folder):
        try:
            os.lstat(folder / EVENTS)
            found.odd[shown(name)] = Problem("train.odd_events", run=name, file=EVENTS)
        except PermissionError as error:
            found.odd[shown(name)] = Problem("train.odd_folder", run=name, reason=reasons.of(error))
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


def _tell_misplaced(folder: Path, saves: Path, found: Found) -> None:
    """Put a run that lies less deep than runs do to the odd ones, with where it belongs."""
    if any(files.is_file(folder / name) for name in (EVENTS, *TRACES)) and not CHECKPOINT.fullmatch(folder.name):
        name = str(folder.relative_to(saves))
        found.odd[shown(name)] = Problem("train.odd_place", run=name)


def is_of_another_tool(folder: Path) -> bool:
    """Tell whether a folder that has no events holds what LLaMA-Factory leaves of a run; a checkpoint is a part of one,
    and none itself.
    """
    if CHECKPOINT.fullmatch(folder.name):
        return False
    return any(files.is_file(folder / name) for name in TRACES) or any(
        files.is_file(path / name) for path in checkpoint_folders(folder) for name in TRACES
    )


def checkpoint_folders(folder: Path) -> list[Path]:
    """Return the folders of a run's checkpoints, whole or not, by their steps."""
    found = [
        (int(match[1]), path)
        for path in folders.matching(folder, "checkpoint-*")
        if (match := CHECKPOINT.fullmatch(path.name))
    ]
    return [path for _, path in sorted(found)]


def _folders(folder: Path, saves: Path, found: Found) -> Iterator[os.DirEntry]:
    try:
        with os.scandir(folder) as entries:
            yield from [entry for entry in entries if not entry.name.startswith(".") and _is_folder(entry)]
    except (FileNotFoundError, NotADirectoryError):
        return  # removed meanwhile
    except OSError as error:
        name = str(folder.relative_to(saves))
        found.odd[shown(name)] = Problem("train.odd_folder", run=name, reason=reasons.of(error))


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
