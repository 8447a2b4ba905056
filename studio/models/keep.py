"""Renaming and deleting models: never one that is in use, and never half of it."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from studio.core import folders
from studio.interface.language import Problem
from studio.models import library
from studio.models.library import Model
from studio.workspace import Workspace, safe_name

Guard = Callable[[Model], None]  # raises Problem where the model is in use now
_DELETING = ".deleting-"


def rename(workspace: Workspace, name: str, new: str, guard: Guard, runs: int = 0) -> Model:
    """Give the model a new name and return it.

    Args:
        workspace: where it is.
        name: the model.
        new: its new name, one plain part of a path.
        guard: refuses for a model that is in use.
        runs: how many runs know the model by its folder. The old name then stays as a link, so that they find it still.

    Raises:
        Problem: no such model, no plain name, a name that is taken, a model in use or in a hub's cache, or the disk refuses.
    """
    model = _own(workspace, name, guard)
    target = model.path.parent / safe_name(new)
    if target.is_symlink() and target.resolve() == model.path.resolve():
        target.unlink()  # back to its older name
    if target.exists() or target.is_symlink():
        raise Problem("models.name_taken", name=new)
    try:
        model.path.rename(target)
        if runs:
            model.path.symlink_to(target.name, target_is_directory=True)
    except OSError as error:
        raise Problem("workspace.unwritable", path=target, reason=error.strerror) from error
    return library.look(target, new)


def delete(workspace: Workspace, name: str, guard: Guard) -> int:
    """Delete the model's folder and return the bytes that came free.

    It is renamed first, so that a kill half-way leaves no half model in the list; what such a kill left is removed as well.

    Raises:
        Problem: no such model, one in use or in a hub's cache, or the disk refuses.
    """
    model = _own(workspace, name, guard)
    freed = bytes_freed(model.path)
    try:
        for link in model.path.parent.iterdir():
            if link.is_symlink() and link.resolve() == model.path.resolve() and link != model.path:
                link.unlink()
        if model.path.is_symlink():
            model.path.unlink()
        else:
            model.path.rename(model.path.with_name(f"{_DELETING}{os.getpid()}-{model.path.name}"))
        for leftover in model.path.parent.glob(f"{_DELETING}*"):
            shutil.rmtree(leftover)
    except OSError as error:
        raise Problem("workspace.unwritable", path=model.path, reason=error.strerror) from error
    return freed


def bytes_freed(folder: Path) -> int:
    """Return the bytes that deleting a folder frees: links, and files that have another name elsewhere, free none."""
    if folder.is_symlink():
        return 0
    return sum(status.st_size for _, status in folders.below(folder) if status.st_nlink == 1)


def _own(workspace: Workspace, name: str, guard: Guard) -> Model:
    model = library.find(workspace, name)
    if library.in_hub_cache(model.path):
        raise Problem("models.in_hub_cache", name=name)
    guard(model)
    return model
