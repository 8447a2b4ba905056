"""The trash of a studio: that of its workspace, and of the folders that the person added."""

from pathlib import Path

from studio.core.i18n import Problem
from studio.core.jobs import Jobs
from studio.core.storage.trash import Trash
from studio.core.workspace import Workspace
from studio.datasets.registry import dataset_info, entries
from studio.models.library import model_folders


def whole(workspace: Workspace) -> Trash:
    """Return the trash of the workspace and of all added folders that are known now."""
    return Trash(workspace, [*_added(model_folders.folders, workspace), *_added(dataset_info.places, workspace.data)])


def restore(workspace: Workspace, jobs: Jobs, id: str) -> list[Path]:
    """Bring an item back to where it stood and return its paths; a dataset's entry too. Raises Problem, also where a
    job is making what stands there, and then it stays in the trash.
    """
    trash = whole(workspace)
    item = trash.find(id)
    with jobs.moving(new=[*item.stood, *entries.places(item)]):
        if item.kind == "dataset":
            entries.restore(item, trash, [workspace.data, *_added(dataset_info.places, workspace.data)])
        else:
            trash.restore(id)
    return list(item.stood)


def _added(listed, where) -> list[Path]:
    try:
        return listed(where)
    except Problem:
        return []  # told where the folders are shown; the workspace's own trash can be used without them
