"""The folders that the hubs' own programs make, and any other folder in which somebody keeps models: which of them are
models.

Hugging Face keeps `hub/models--owner--name/snapshots/<commit>` with links into `blobs`. ModelScope kept
`hub/owner/na___me` beside a link `na.me`, later `hub/models/owner/na___me`, and keeps
`models/owner--name/snapshots/<revision>` now.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from studio.core.storage import files, folders

# Folders between a cache's root and the folders of its models, which do not count as steps down.
BETWEEN = ("hub", "models", "huggingface", "modelscope")
# What the caches keep besides, in which nothing is a model.
NO_MODELS = ("blobs", "refs", "datasets", "locks", "._____temp", "spaces", "xet")
STEPS = 2  # how far below a folder its models are looked for: `owner/name`


def is_snapshot(folder: Path) -> bool:
    """Tell whether a model's folder is a snapshot in a hub's cache, whose files other programs share."""
    return folder.parent.name == "snapshots" and "--" in folder.parent.parent.name


def title(folder: Path) -> str:
    """Return what the model in a folder is called at its hub: a snapshot is named by a commit, and ModelScope writes
    `___` for a dot.
    """
    name = folder.name
    if is_snapshot(folder):
        # `models--owner--name` or `owner--name`; a model's own name may hold two dashes as well
        above = folder.parent.parent.name
        name = above.removeprefix("models--")
        name = name.partition("--")[2] or name
    return name.replace("___", ".")


def models_below(place: Path, is_model: Callable[[Path], bool]) -> list[Path]:
    """Return the folders of models in a place, by name: itself or those below it, each once, of several snapshots the
    one in use.

    Raises:
        OSError: the place cannot be read.
    """
    if is_model(place):
        return [place]
    os.listdir(place)
    found: dict[Path, Path] = {}
    for folder in _below(place, STEPS, BETWEEN, is_model):
        real = files.real(folder)
        # The link that ModelScope makes beside a folder has the model's real name, which `title` gives the folder too.
        if real not in found or found[real].is_symlink():
            found[real] = folder
    return list(found.values())


def _below(folder: Path, steps: int, between: tuple[str, ...], is_model: Callable[[Path], bool]) -> Iterator[Path]:
    if folder.name == "snapshots":
        yield from _in_use(folder, is_model)
        return
    if folders.is_folder(folder / "snapshots") and "--" in folder.name:
        yield from _in_use(folder / "snapshots", is_model)
        return
    for child in sorted(folders.entries(folder), key=lambda path: path.name.lower()):
        if child.name in NO_MODELS or child.name.startswith("datasets--") or not folders.is_folder(child):
            continue
        if is_model(child):
            yield child
        elif child.name in between:
            # each of them once on a way down, so that a link back up does not go on without end
            yield from _below(child, steps, tuple(one for one in between if one != child.name), is_model)
        elif steps > 1 or "--" in child.name:
            yield from _below(child, steps - 1, (), is_model) if steps else ()


def _in_use(snapshots: Path, is_model: Callable[[Path], bool]) -> list[Path]:
    """Return the snapshot that a hub's program would load: that of `refs/main` (or `master`), else the newest; none
    where none is a model.
    """
    found = sorted((path for path in folders.entries(snapshots) if is_model(path)), key=folders.modified)
    for branch in ("main", "master"):
        try:
            named = files.read_text(snapshots.parent / "refs" / branch, 1000).strip()
        except OSError:
            named = branch
        if chosen := [path for path in found if path.name == named]:
            return chosen
    return found[-1:]
