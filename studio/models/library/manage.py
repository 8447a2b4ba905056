"""Renaming and deleting models: never one that is in use, and never half of it."""

from collections.abc import Callable
from pathlib import Path

from studio.core import reasons
from studio.core.i18n import Problem
from studio.core.jobs import Jobs
from studio.core.storage import atomic, files, folders
from studio.core.storage.trash import Trash, size
from studio.core.workspace import Workspace, safe_name
from studio.models.library import library, model_folders, model_names
from studio.models.library.library import Model

Guard = Callable[[Model], None]  # raises Problem where the model is in use now


def rename(workspace: Workspace, jobs: Jobs, name: str, new: str, guard: Guard, users: int = 0) -> Model:
    """Give the model a new name and return it.

    Args:
        workspace: where it is.
        jobs: those of the workspace: none of them reads the model, or makes one under the new name, meanwhile.
        name: the model.
        new: its new name, one plain part of a path.
        guard: refuses for a model that is in use.
        users: how many know the model by its folder or its name. The old name then stays as a link, so that they find
            it still.

    Raises:
        Problem: no such model in the list, no plain name, a name that is taken or that a job is making, a model in use
            or in a hub's cache, or the disk refuses, links too; the model has its name then.
    """
    model = _own(workspace, name, guard)
    target = model.path.parent / safe_name(new)
    is_back = target.is_symlink() and files.real(target) == files.real(model.path)  # to an older name of its own
    with jobs.moving([model.path], [target]):
        if not is_back and model_names.is_taken(target):
            raise Problem("models.name_taken", name=new)
        try:
            with atomic.scratch(model.path.parent) as place:
                older = _older(place, model, target.name, users) if users else None
                if is_back:
                    target.unlink()
                model_names.clear(target)
                model.path.rename(target)
                if older:
                    older.rename(model.path)
        except OSError as error:
            raise Problem("workspace.unwritable", path=target, reason=reasons.of(error)) from error
    return library.scan(target, new)


def _older(place: Path, model: Model, new: str, users: int) -> Path:
    """Return the link that is to stand under a model's old name, made before anything is renamed: exFAT and many
    network disks take none, Windows asks for a right to make it. Raises Problem then.
    """
    link = place / "older"
    try:
        link.symlink_to(new, target_is_directory=True)
    except OSError as error:
        facts = {"name": model.name, "folder": model.path.parent, "count": users, "reason": reasons.of(error)}
        raise Problem("models.no_links", **facts) from error
    return link


def delete(workspace: Workspace, jobs: Jobs, name: str, guard: Guard) -> int:
    """Move the model's folder into the trash, with the older names of it, and return the bytes that come free when that
    is emptied.

    Raises:
        Problem: no such model in the list, one in use, in a hub's cache or an added folder itself, or the disk refuses.
    """
    model = _own(workspace, name, guard)
    older = [
        link
        for link in folders.entries(model.path.parent)
        if link != model.path and link.is_symlink() and files.real(link) == files.real(model.path)
    ]
    taken = size(model.path)
    with jobs.moving([model.path]):
        Trash(workspace, model_folders.folders(workspace)).put([model.path, *older], "model", name)
    return taken


def _own(workspace: Workspace, name: str, guard: Guard) -> Model:
    """Return a model that may be renamed or deleted: one of the list, whose folder is not itself one that the person
    added.
    """
    model = library.find(workspace, name)
    if model.path not in library.listed(workspace):
        raise Problem("models.not_listed", name=name)
    if model.path in model_folders.folders(workspace):
        raise Problem("models.is_place", folder=model.path)
    if library.in_hub_cache(model.path):
        raise Problem("models.in_hub_cache", name=name)
    guard(model)
    return model
