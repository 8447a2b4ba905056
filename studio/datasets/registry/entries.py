"""Changing `dataset_info.json`: add, edit, rename and remove entries, and the list of data folders.

What cannot be read is never written: a broken or write-protected file is told and left as it stands.
"""

import os
import threading
from pathlib import Path

from studio.core import reasons
from studio.core.i18n import Problem
from studio.core.storage import files, records
from studio.core.storage.folders import is_folder, status_of
from studio.core.storage.trash import Item, Trash
from studio.core.workspace import safe_name, write_json
from studio.datasets.registry import dataset_info
from studio.datasets.registry.dataset_info import INFO, PLACES

_writing = threading.Lock()


def add(data_folder: Path, name: str, entry: dict) -> None:
    """Add an entry.

    Raises:
        Problem: the name is not plain or is taken, the entry is not one that LLaMA-Factory can read, or the file cannot
            be written.
    """
    _require_plain(name)
    dataset_info.require_sound(name, entry)
    dataset_info.require_inside(data_folder, name, entry)
    with _writing:
        info = changeable(data_folder)
        if name in info:
            raise Problem("datasets.name_taken", name=name, file=data_folder / INFO)
        write_json(_target(data_folder), {**info, name: entry})


def link(data_folder: Path, where: Path) -> str:
    """Add the entry of a dataset of another data folder, `where` its folder and name, without copying the data; return
    its name.

    Raises:
        Problem: it is unknown, broken, or its name is taken.
    """
    dataset = dataset_info.dataset(where.parent, where.name)
    if dataset.problem:
        raise dataset.problem
    entry = dict(dataset.entry)
    if dataset.file:
        entry["file_name"] = str(files.real(dataset.file))
    add(data_folder, dataset.name, entry)
    return dataset.name


def replace(data_folder: Path, name: str, entry: dict, was: object = None) -> None:
    """Put `entry` in the place of the one called `name`. Raises Problem as `add` does, and where there is no such
    entry, or it is not `was` any more.
    """
    dataset_info.require_sound(name, entry)
    dataset_info.require_inside(data_folder, name, entry)
    with _writing:
        info = changeable(data_folder)
        _require_known(data_folder, info, name)
        # What is no object is shown as an empty one, so that it can be mended.
        shown = info[name] if isinstance(info[name], dict) else {}
        if was is not None and shown != was:
            raise Problem("datasets.entry_changed", name=name, file=data_folder / INFO)
        write_json(_target(data_folder), {**info, name: entry})


def rename(data_folder: Path, old: str, new: str) -> None:
    """Give the entry called `old` another name, in its place. Raises Problem where it is unknown, or the new name is
    bad or taken.
    """
    _require_plain(new)
    with _writing:
        info = changeable(data_folder)
        _require_known(data_folder, info, old)
        if new != old and new in info:
            raise Problem("datasets.name_taken", name=new, file=data_folder / INFO)
        write_json(_target(data_folder), {new if name == old else name: entry for name, entry in info.items()})


def take_back(data_folder: Path, name: str) -> None:
    """Take out an entry that was added a moment ago. Raises Problem where the disk refuses."""
    with _writing:
        _write_without(data_folder, changeable(data_folder), name)


def _write_without(data_folder: Path, info: dict, name: str) -> None:
    write_json(_target(data_folder), {each: entry for each, entry in info.items() if each != name})


def remove(data_folder: Path, name: str, trash: Trash, with_file: bool = False) -> str:
    """Move an entry into the trash, and its file or folder of files too where `with_file` says so and no other entry
    names it.

    Returns:
        The item's id in the trash (see `restore`).

    Raises:
        Problem: there is no such entry, another one needs the file, or the file lies outside the data folder.
    """
    with _writing:
        info = changeable(data_folder)
        _require_known(data_folder, info, name)
        path = _own_file(data_folder, info, name) if with_file else None
        facts = {"name": name, "entry": info[name], "home": str(data_folder)}
        id = trash.put([path] if path else [], "dataset", name, facts)
        try:
            _write_without(data_folder, info, name)
        except Problem:
            trash.restore(id)
            raise
        return id


def places(item: Item) -> list[Path]:
    """Return the place of the entry that `restore` brings back, none for another kind of item."""
    name, home = item.facts.get("name"), item.facts.get("home")
    return [Path(home) / name] if item.kind == "dataset" and isinstance(name, str) and isinstance(home, str) else []


def restore(item: Item, trash: Trash, homes: list[Path]) -> None:
    """Bring a removed entry back under its name, with its file where that was deleted too.

    Args:
        item: of the trash, of the kind "dataset".
        homes: the data folders that the studio has now.

    Raises:
        Problem: its data folder is none of them, its name is taken, or a file stands in its file's place; it stays in
            the trash.
    """
    name, entry, home = (item.facts.get(key) for key in ("name", "entry", "home"))
    if item.fault:
        raise item.fault
    if not isinstance(name, str) or not isinstance(home, str):
        raise Problem("trash.incomplete", id=item.id)
    if Path(home) not in homes:
        raise Problem("datasets.no_folder", folder=home)
    add(Path(home), name, entry)  # first, since it is what may be refused; an entry without its file says so by itself
    try:
        trash.restore(item.id)
    except Problem:
        with _writing:
            info = changeable(Path(home))
            write_json(_target(Path(home)), {each: one for each, one in info.items() if each != name})
        raise


def _own_file(data_folder: Path, info: dict, name: str) -> Path | None:
    """Return what `remove` may delete with the entry, None where there is nothing on this disk."""
    file_name = info[name].get("file_name") if isinstance(info[name], dict) else None
    if not isinstance(file_name, str) or not file_name or not files.exists(data_folder / file_name):
        return None
    # What the entry reads; of a link it is only the link that goes.
    path, folder = files.real(data_folder / file_name), files.real(data_folder)
    if path == folder or not path.is_relative_to(folder):
        raise Problem("datasets.not_ours", file=path, name=name)
    for other, entry in info.items():
        others = isinstance(entry, dict) and entry.get("file_name")
        if other != name and isinstance(others, str) and others and _overlap(files.real(data_folder / others), path):
            raise Problem("datasets.file_shared", file=path, name=other)
    return Path(os.path.normpath(data_folder / file_name))


def _overlap(one: Path, other: Path) -> bool:
    return one.is_relative_to(other) or other.is_relative_to(one)


def add_place(data_folder: Path, folder: str) -> Path:
    """Make a folder of the person's a data folder of the studio's, and return it. Raises Problem where it is none, or
    is one already.
    """
    path = files.expanded(folder)
    if not path.is_absolute() or not is_folder(path):
        raise Problem("datasets.no_folder", folder=folder)
    path = files.real(path)
    known = dataset_info.places(data_folder)
    if path in known or path == files.real(data_folder):
        raise Problem("datasets.folder_known", folder=path)
    write_json(data_folder / PLACES, {"folders": [str(each) for each in (*known, path)]})
    return path


def drop_place(data_folder: Path, folder: str) -> None:
    """Take a data folder out of the studio; nothing in it is touched. Raises Problem where it is none of the added
    ones.
    """
    known = dataset_info.places(data_folder)
    if Path(folder) not in known:
        raise Problem("datasets.no_folder", folder=folder)
    write_json(data_folder / PLACES, {"folders": [str(each) for each in known if each != Path(folder)]})


def _require_plain(name: str) -> None:
    safe_name(name)
    if "," in name or name != name.strip():  # LLaMA-Factory joins names by commas
        raise Problem("workspace.bad_name", name=name)


def _require_known(data_folder: Path, info: dict, name: str) -> None:
    if name not in info:
        raise Problem("datasets.unknown", name=name, file=data_folder / INFO)


def _target(data_folder: Path) -> Path:
    """Return the file that is replaced: what a link points to, so that the link stays."""
    return files.real(data_folder / INFO)


def changeable(data_folder: Path) -> dict:
    """Return `dataset_info.json` as it stands. Raises Problem where it is broken, loses an entry when written, or is
    write-protected.
    """
    info = dataset_info.read_info(data_folder)
    if twice := dataset_info.names_twice(data_folder):
        raise Problem("datasets.name_twice", name=sorted(twice)[0], file=data_folder / INFO)
    path = _target(data_folder)
    # Replacing needs no right to write the file itself, and root may write anything: the protection is what the person
    # meant.
    if (status := status_of(path)) and not status.st_mode & 0o222:
        raise Problem("datasets.info_protected", file=path)
    return info


def parsed(text: str, name: str) -> dict:
    """Return the entry that a person wrote as JSON. Raises Problem where it is none."""
    try:
        entry = records.parse(text)
    except ValueError as error:
        raise Problem(
            "datasets.entry_not_json", name=name, reason=reasons.kind(error), line=getattr(error, "lineno", 1)
        ) from error
    dataset_info.require_sound(name, entry)
    return entry
