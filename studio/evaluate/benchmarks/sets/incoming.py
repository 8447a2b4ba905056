"""A benchmark that a person brings: a folder, a file or a ZIP is copied into the workspace, and looked at there."""

import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from studio.core import reasons
from studio.core.i18n import Problem
from studio.core.storage import files, folders
from studio.core.storage.atomic import move, scratch
from studio.core.workspace import Workspace, is_safe
from studio.datasets.files.incoming.packed import plain_name
from studio.evaluate.benchmarks.sets import layouts
from studio.evaluate.benchmarks.sets.layouts import MOST_FILES, Benchmark
from studio.evaluate.benchmarks.sets.question_files import ENDINGS

LARGEST_BYTES = 2**30  # of all questions of a benchmark; the three that are known have 7 MB at the most
_BLOCK = 2**20
_BESIDE = ("licen", "readme")  # what is kept beside the questions, by the begin of its name


OTHERS = 10  # files of other kinds that may lie beside each file of questions


def folder_of(workspace: Workspace) -> Path:
    """Return the folder of all benchmarks of a workspace."""
    return workspace.data / "benchmarks"


def place(workspace: Workspace, path: Path, name: str = "") -> Path:
    """Return where `bring_in` would put a benchmark. Raises Problem where the name is none."""
    name = (name or (path.name if folders.is_folder(path) else plain_name(path.name))).strip()
    if not is_safe(name):
        raise Problem("benchmarks.bad_name", name=name)
    return workspace.inside(folder_of(workspace), name)


def bring_in(workspace: Workspace, path: Path, name: str = "") -> Benchmark:
    """Copy a benchmark into the workspace, and return it. Only files of questions, and licences, are copied.

    Args:
        path: a folder, a ZIP or a file of questions.
        name: what it is called from now on; empty: as `path` is.

    Raises:
        Problem: it is not there, holds no benchmark (see `layouts.look`), leads out of its folder, is too large, or
            there is one of that name.
    """
    target = place(workspace, path, name)
    if folders.exists(target):
        raise Problem("benchmarks.exists", name=target.name)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with scratch(target) as beside:
            made = beside / target.name
            made.mkdir()
            _copy(path, made)
            _unpack_inner(made)
            for _ in layouts.look(made).questions():  # every one is checked
                pass
            move(made, target)
    except OSError as error:
        raise Problem("workspace.unwritable", path=target.parent, reason=reasons.of(error)) from error
    return layouts.look(target)


def _copy(path: Path, made: Path) -> None:
    """Copy what counts of a folder, a ZIP or a file. Raises Problem, OSError of the place it is copied to."""
    if folders.is_folder(path):
        _copy_folder(path, made)
    elif not files.is_file(path):
        raise Problem("benchmarks.not_there", path=path)
    elif zipfile.is_zipfile(path):
        unpack(path, made)
    elif path.suffix.lower() in ENDINGS:
        _require_size(folders.size_of(path), path.name)
        shutil.copyfile(path, made / path.name)
    else:
        raise Problem("benchmarks.no_files", folder=path.name, types=" ".join((*ENDINGS, ".zip")))


def _copy_folder(path: Path, made: Path) -> None:
    total = count = 0
    for looked, file in enumerate(layouts.files_in_sight(path)):
        _require_few(looked // OTHERS, path.name)  # a home or a whole disk is no benchmark
        if not _counts(file.name) and file.suffix.lower() != ".zip":
            continue
        status = folders.status_of(file, follow=False)
        if not status or not stat.S_ISREG(status.st_mode):
            continue
        total, count = total + status.st_size, count + 1
        _require_size(total, path.name)
        _require_few(count, path.name)
        copy = made / file.relative_to(path)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)


def _unpack_inner(made: Path) -> None:
    """Unpack ZIPs that lie in a folder, as in the repositories of hubs, and put them away."""
    for file, _ in list(folders.below(made)):
        if file.suffix.lower() == ".zip":
            unpack(file, file.parent)
            file.unlink()


def unpack(path: Path, folder: Path) -> None:
    """Unpack the files of questions in a ZIP into a folder.

    Raises:
        Problem: it is damaged or locked, a name in it leads out of the folder, or it is too large.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            for entry in entries:
                _require_sound(entry, path.name)
            left, wanted = LARGEST_BYTES, [entry for entry in entries if _counts(PurePosixPath(entry.filename).name)]
            _require_few(len(wanted), path.name)
            for entry in wanted:
                left = _unpack_one(archive, entry, folder / entry.filename, left, path.name)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise Problem("benchmarks.bad_zip", file=path.name, reason=reasons.of(error)) from error


def _unpack_one(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, left: int, name: str) -> int:
    """Write one file of a ZIP, and return how many bytes may still come; what the ZIP says of sizes is not trusted."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(entry) as source, target.open("wb") as file:
        while block := source.read(_BLOCK):
            left -= len(block)
            _require_size(LARGEST_BYTES - left, name)
            file.write(block)
    return left


def _require_sound(entry: zipfile.ZipInfo, name: str) -> None:
    place = PurePosixPath(entry.filename)
    if entry.flag_bits & 1:
        raise Problem("benchmarks.locked_zip", file=name)
    is_link = stat.S_ISLNK(entry.external_attr >> 16)
    if place.is_absolute() or ".." in place.parts or "\\" in entry.filename or ":" in entry.filename or is_link:
        raise Problem("benchmarks.leads_out", file=name, entry=entry.filename)


def _require_size(size: int, name: str) -> None:
    if size > LARGEST_BYTES:
        raise Problem("benchmarks.too_large", file=name, gib=LARGEST_BYTES // 2**30)


def _require_few(count: int, name: str) -> None:
    if count > MOST_FILES:
        raise Problem("benchmarks.too_many_files", folder=name, most=f"{MOST_FILES:,}")


def _counts(name: str) -> bool:
    """Tell whether a file is one of questions, or a licence."""
    hidden = name.startswith((".", "__"))
    return not hidden and (Path(name).suffix.lower() in ENDINGS or name.casefold().startswith(_BESIDE))
