"""The datasets that a run can be given: those of the workspace, and those of the added data folders, which are linked
when chosen.
"""

from pathlib import Path

from studio.core.i18n import Problem
from studio.core.storage import folders
from studio.core.workspace import Workspace
from studio.datasets.registry import dataset_info, entries
from studio.train.recipe.recipes import STAGES


def offered(workspace: Workspace, stage: str) -> list[tuple[str, str]]:
    """Return (label, name) of the sound datasets of a stage; one of an added folder goes by its full path until it is
    linked.
    """
    try:
        own = dataset_info.datasets(workspace.data)
        others = [
            each
            for folder in dataset_info.places(workspace.data)
            if folders.is_folder(folder)
            for each in dataset_info.datasets(folder)
        ]
    except Problem:
        # Told by Start and by the preview, where the person can act on it; an empty choice must not keep the page from
        # opening.
        return []
    names = {each.name for each in own}
    fitting = [each for each in (*own, *others) if each.problem is None and each.stage in STAGES[stage]]
    return [
        (each.name, each.name)
        if each.home == workspace.data
        else (f"{each.name} · {each.home}", str(each.home / each.name))
        for each in fitting
        if each.home == workspace.data or each.name not in names
    ]


def taken(workspace: Workspace, names: list[str]) -> list[str]:
    """Return names that a recipe can hold: a dataset of an added folder is linked into the workspace's own, without
    copying it.

    Raises:
        Problem: it is unknown, broken, or its name is taken there.
    """
    return [entries.link(workspace.data, Path(name)) if Path(name).is_absolute() else name for name in names]
