"""The names of models to be, and how a finished model takes its place in the folder of models."""

import os
from pathlib import Path

from studio.core.i18n import Problem
from studio.core.storage import atomic, files
from studio.core.workspace import Workspace, safe_name


def require_free(workspace: Workspace, name: str) -> Path:
    """Return the folder of a model to be. Raises Problem where the name is none, or there is something of that name."""
    folder = workspace.inside(workspace.models, safe_name(name))
    if is_taken(folder):
        raise Problem("models.name_taken", name=name)
    return folder


def is_taken(folder: Path) -> bool:
    """Tell whether something has a name: an older name of a model that is gone keeps no other from it."""
    return (files.exists(folder) or folder.is_symlink()) and not _leads_nowhere(folder)


def put(made: Path, folder: Path) -> None:
    """Put a finished model in its place, for which `folder` must not be taken. Raises OSError."""
    clear(folder)
    atomic.move(made, folder)


def clear(folder: Path) -> None:
    """Take away an older name of a model that is gone. Raises OSError."""
    if _leads_nowhere(folder):
        folder.unlink()


def is_older(folder: Path) -> bool:
    """Tell whether a folder is an older name of its neighbour, be it there or gone (see `manage.rename`)."""
    try:
        return "/" not in os.readlink(folder)
    except OSError:
        return False  # no link, or it is gone meanwhile


def _leads_nowhere(folder: Path) -> bool:
    return is_older(folder) and not files.exists(folder)
