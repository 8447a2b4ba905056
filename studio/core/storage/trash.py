"""Deleting moves into a trash, from which a thing comes back to where it stood, until the person empties it.

```
trash = Trash(workspace)
id = trash.put(workspace.models / "Old", "model", "Old")      # also a list of paths that belong together
trash.restore(id)                                             # refuses to overwrite
trash.empty(id)                                               # for good; empty() for all
```

An item is a folder `.trash/<id>/` with `record.json` and what was deleted, by number. It lies beside what it was taken
from, so that deleting is a rename: in the workspace, or in the added folder, or in the disk of its own that `models/`,
`saves/` or `data/` is. A record names its places inside that folder only, so that a record from elsewhere cannot bring
a thing anywhere else. Links are moved, never followed.
"""

import contextlib
import errno
import os
import re
import secrets
import shutil
import stat
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from studio.core import reasons
from studio.core.i18n import Problem
from studio.core.storage import files, records
from studio.core.workspace import Workspace, write_json

FOLDER = ".trash"
_RECORD = "record.json"
_GOING = ".emptying-"
_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{8}")
_changing = threading.Lock()


class Deleted(records.Record):
    """The record of an item: what it was, where its parts stood (in the folder that holds the trash), when it was
    deleted, its bytes.
    """

    kind: str
    title: str
    stood: list[str]
    when: float
    bytes: int
    facts: dict = {}


@dataclass(frozen=True)
class Item:
    """One thing in the trash. `stood` are full paths, `when` seconds since 1970; `fault` says why it cannot be
    restored, None where it can.
    """

    id: str
    kind: str
    title: str
    stood: tuple[Path, ...]
    when: float
    bytes: int
    facts: dict = field(default_factory=dict)
    fault: Problem | None = None


class Trash:
    """The trash of a workspace, and of folders of the person's `beside` it. Any thread may call any method."""

    def __init__(self, workspace: Workspace, beside: Sequence[Path] = ()):
        self._workspace, self._beside = workspace, tuple(beside)

    def put(self, path: Path | Iterable[Path], kind: str, title: str, facts: dict | None = None) -> str:
        """Move a file, folder or link, or several that belong together, into the trash and return the item's id.

        Args:
            path: inside the workspace's `data/`, `models/` or `saves/`, or inside a folder beside it; none at all where
                `facts` say it all.
            kind: "model", "run", "dataset" or another that the words `trash.kind_<kind>` name.
            title: what the person calls it.
            facts: what else is needed to bring it back, as JSON.

        Raises:
            Problem: it is not there, lies elsewhere, on another disk than the folder it is in, or the disk refuses;
                nothing is moved then.
        """
        paths = [path] if isinstance(path, Path) else list(path)
        with _changing:
            homes = [self._home(one) for one in paths]
            home = homes[0][0] if homes else self._workspace.root
            if any(other != home for other, _ in homes):
                raise Problem("trash.elsewhere", path=paths[0])
            id = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(4)}"
            sources = [home / place for _, place in homes]
            record = Deleted(
                kind=kind,
                title=title,
                stood=[place.as_posix() for _, place in homes],
                when=time.time(),
                bytes=sum(map(size, sources)),
                facts=facts or {},
            )
            folder = self._made(home) / id
            try:
                folder.mkdir()
                write_json(folder / _RECORD, record.model_dump())
                _move(list(zip(sources, _parts(folder, len(sources)), strict=True)))
            except BaseException as error:
                shutil.rmtree(folder, ignore_errors=True)
                if isinstance(error, OSError):
                    raise _problem_of(error, paths[0] if paths else folder) from error
                raise
        return id

    def find(self, id: str) -> Item:
        """Return one item. Raises Problem where there is none."""
        home = self._home_of(id)
        return self._item(home, home / FOLDER / id)

    def restore(self, id: str) -> tuple[Path, ...]:
        """Bring an item back to where it stood, and return its paths.

        Raises:
            Problem: there is no such item, its record is bad, something stands in its place, or the disk refuses; it
                stays in the trash.
        """
        with _changing:
            home = self._home_of(id)
            item, folder = self._item(home, home / FOLDER / id), home / FOLDER / id
            if item.fault:
                raise item.fault
            if taken := next((path for path in item.stood if os.path.lexists(path)), None):
                raise Problem("trash.taken", path=taken)
            try:
                for path in item.stood:
                    path.parent.mkdir(parents=True, exist_ok=True)
                _move(list(zip(_parts(folder, len(item.stood)), item.stood, strict=True)))
            except OSError as error:
                raise _problem_of(error, item.stood[0]) from error
            shutil.rmtree(folder, ignore_errors=True)
        return item.stood

    def empty(self, id: str | None = None) -> int:
        """Delete an item for good, or all that is in the trash, and return the bytes that came free.

        Each is renamed first, so that a kill half-way leaves no half item; what such a kill left goes too. What cannot
        be deleted keeps none of the others: whole, it stays in the list, and what is left of half an item is tried
        again each time.

        Raises:
            Problem: there is no such item, or of what was to go something cannot be deleted.
        """
        with _changing:
            doomed = (
                [(self._home_of(id), id)]
                if id is not None
                else [(home, one.name) for home in self._homes() for one in _folders(home)]
            )
            faults: list[OSError] = []
            left = self._remove_leftovers()
            freed = sum(_emptied(home / FOLDER / one, faults) for home, one in doomed)
            # What an earlier deletion left is the business of nobody who deletes one other item.
            for error in [*faults, *(left if id is None else ())][:1]:
                raise _problem_of(error, Path(error.filename or self._workspace.root / FOLDER)) from error
        return freed

    def _remove_leftovers(self) -> list[OSError]:
        """Remove what a deletion left that was killed or refused, and return what keeps the rest of it."""
        faults = []
        for home in self._homes():
            for leftover in (home / FOLDER).glob(_GOING + "*") if _is_folder(home / FOLDER) else ():
                try:
                    _remove(leftover)
                except OSError as error:
                    faults.append(error)
        return faults

    def _homes(self) -> list[Path]:
        """Return the folders that have a trash or may get one, the workspace first. Each of its folders on a disk of
        its own is one too.
        """
        root = files.real(self._workspace.root)
        homes = [root]
        for folder in (self._workspace.data, self._workspace.models, self._workspace.saves, *self._beside):
            real = files.real(folder)
            with contextlib.suppress(OSError):  # not there: nothing is in its trash
                if (
                    real.is_dir()
                    and real not in homes
                    and (not real.is_relative_to(root) or real.stat().st_dev != root.stat().st_dev)
                ):
                    homes.append(real)
        return homes

    def _home(self, path: Path) -> tuple[Path, PurePosixPath]:
        """Return the folder in whose trash a path goes, and the path inside that folder; the path itself is not
        followed if it is a link.
        """
        real = files.real(path.parent) / path.name
        if path.name in ("", ".", "..") or not os.path.lexists(real):
            raise Problem("trash.gone", path=path)
        inside = [home for home in self._homes() if real.is_relative_to(home) and real != home]
        for home in sorted(inside, key=lambda one: len(one.parts), reverse=True)[:1]:
            place = PurePosixPath(real.relative_to(home).as_posix())
            if self._is_place(home, place):
                return home, place
        raise Problem("trash.elsewhere", path=path)

    def _is_place(self, home: Path, place: PurePosixPath) -> bool:
        """Tell whether things stand at a place inside a home that may be deleted and come back there."""
        if (
            not place.parts
            or place.is_absolute()
            or ".." in place.parts
            or place.parts[0] == FOLDER
            or "\0" in str(place)
        ):
            return False
        if home == files.real(
            self._workspace.root
        ):  # by default the project's own folder, whose other files are none of ours
            return len(place.parts) > 1 and place.parts[0] in ("data", "models", "saves")
        return files.real((home / place).parent).is_relative_to(home)

    def _made(self, home: Path) -> Path:
        folder = home / FOLDER
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _problem_of(error, folder) from error
        if not _is_folder(folder):
            raise Problem("trash.no_folder", path=folder)
        return folder

    def _home_of(self, id: str) -> Path:
        for home in self._homes() if _ID.fullmatch(id) else ():
            if _is_folder(home / FOLDER) and _is_folder(home / FOLDER / id):
                return home
        raise Problem("trash.no_item", id=id)

    def _item(self, home: Path, folder: Path) -> Item:
        try:
            record = records.load(folder / _RECORD, Deleted)
            places = [PurePosixPath(place) for place in record.stood]
            if not all(
                self._is_place(home, place) and files.real((home / place).parent).is_relative_to(home)
                for place in places
            ):
                raise Problem("trash.bad_place", id=folder.name)
            if not all(os.path.lexists(part) for part in _parts(folder, len(places))):
                raise Problem("trash.incomplete", id=folder.name)
        except (Problem, OSError, ValueError) as error:
            fault = error if isinstance(error, Problem) else Problem("trash.bad_place", id=folder.name)
            return Item(folder.name, "unknown", folder.name, (), 0.0, 0, fault=fault)
        return Item(
            folder.name,
            record.kind,
            record.title,
            tuple(home / place for place in places),
            record.when,
            record.bytes,
            record.facts,
        )

    def list(self) -> list[Item]:  # the last of the class, since its name hides the type below it
        """Return what is in the trash, the newest first. One whose record cannot be read has its `fault`."""
        found = [self._item(home, folder) for home in self._homes() for folder in _folders(home)]
        return sorted(found, key=lambda item: (item.when, item.id), reverse=True)


def size(path: Path) -> int:
    """Return the bytes that deleting a path frees: links, and files that have another name elsewhere, free none."""
    files = (
        [path, *(Path(place) / name for place, _, names in os.walk(path) for name in names)]
        if not path.is_symlink()
        else []
    )
    total = 0
    for file in files:
        with contextlib.suppress(OSError):  # gone while we count
            status = file.lstat()
            total += status.st_size if stat.S_ISREG(status.st_mode) and status.st_nlink == 1 else 0
    return total


def _parts(folder: Path, count: int) -> list[Path]:
    return [folder / str(number) for number in range(count)]


def _folders(home: Path) -> list[Path]:
    """Return the folders of the items in a home's trash; a trash that is a link, or cannot be read, holds none."""
    if not _is_folder(home / FOLDER):
        return []
    try:
        return [
            Path(one.path)
            for one in os.scandir(home / FOLDER)
            if _ID.fullmatch(one.name) and one.is_dir(follow_symlinks=False)
        ]
    except OSError:
        return []


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False


def _move(pairs: list[tuple[Path, Path]]) -> None:
    """Rename each to its new place, or none of them. Raises OSError."""
    done = []
    try:
        for source, target in pairs:
            source.rename(target)
            done.append((source, target))
    except OSError:
        for source, target in reversed(done):
            target.rename(source)
        raise


def _remove(path: Path) -> None:
    """Delete a file, link or whole folder; a folder that is write-protected too, since the person asked for it. Raises
    OSError.
    """
    if not _is_folder(path):
        path.unlink()
        return
    for place, names, _ in os.walk(path):
        for name in [".", *names]:
            if _is_folder(Path(place) / name):
                with contextlib.suppress(OSError):  # the deletion itself tells what cannot be done
                    os.chmod(Path(place) / name, 0o700)
    shutil.rmtree(path)


def _emptied(folder: Path, faults: list[OSError]) -> int:
    """Delete the folder of an item, and return the bytes that came free; what keeps it goes to `faults`."""
    going, before = folder.with_name(_GOING + folder.name), size(folder)
    try:
        folder.rename(going)
        _remove(going)
    except OSError as error:
        faults.append(error)
        left = size(going) if _is_folder(going) else before
        if left == before and _is_folder(going):
            with contextlib.suppress(OSError):  # then it is tried again as what is left of half an item
                going.rename(folder)
        return before - left
    return before


def _problem_of(error: OSError, path: Path) -> Problem:
    if error.errno == errno.EXDEV:
        return Problem("trash.other_disk", path=path)
    return Problem("workspace.unwritable", path=path, reason=reasons.of(error))
