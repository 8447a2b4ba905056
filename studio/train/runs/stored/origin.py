"""Where a run of another program came from: the model that its files name as that program saw it, found on this
machine.
"""

from pathlib import Path

from studio.core.i18n import Problem
from studio.core.storage import folders
from studio.core.workspace import Workspace
from studio.models.chat_template_match import template_match
from studio.models.library import library


def model(root: Path, named: str) -> str:
    """Return the folder of the model that a run names by a path or a hub's address, as it was named where there is none
    here.

    Args:
        root: the workspace's folder, from which the command line is often started.
        named: an absolute path, one from the place of the command, or `owner/name`.
    """
    path = Path(named)
    for folder in (path, root / path):
        if folder.is_absolute() and folders.is_folder(folder):
            return str(folder)
    try:
        return str(library.find(Workspace(root), library.title(path)).path)
    except Problem:
        return named


def template(folder: Path) -> str:
    """Return the template that belongs to the model in a folder. Imports LLaMA-Factory. Raises Problem where the folder
    is gone.
    """
    try:
        found = library.scan(folder, library.title(folder))
    except FileNotFoundError:
        raise Problem("models.missing", name=library.title(folder), folder=folder.parent) from None
    return template_match.of(folder, found.name, found.model_type).template
