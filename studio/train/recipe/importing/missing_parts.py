"""What a recipe names that this studio does not have: its model, its data, runs that it builds on, files beside it."""

import re
from pathlib import Path

from studio.core.i18n import Problem
from studio.core.storage import files
from studio.core.workspace import Workspace
from studio.datasets.registry import dataset_info
from studio.models.library import library
from studio.train.recipe.importing.result import Missing
from studio.train.runs import adapters

HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
DATA = ("dataset", "eval_dataset")
FILES = ("deepspeed", "fsdp_config", "new_special_tokens_config")


def missing(workspace: Workspace, recipe: dict[str, object]) -> list[Missing]:
    """Return what a recipe names and this studio does not have, and what it must name and does not."""
    found = _model(workspace, recipe)
    for key in DATA:
        found += [
            Missing(key, name, "dataset")
            for name in _names(recipe.get(key))
            if not has_dataset(workspace, recipe, name)
        ]
    if not recipe.get("dataset") and not recipe.get("tokenized_path"):
        found.append(Missing("dataset", "", "choose"))
    for key in adapters.NAMED:
        found += [
            Missing(key, name, "run")
            for name in _names(recipe.get(key))
            if recipe.get(f"{key}_type") != "api" and not _has_run(workspace, key, name)
        ]
    return found + [Missing(key, value, "file") for key, value in lacking_files(recipe)]


def lacking_files(recipe: dict[str, object]) -> list[tuple[str, str]]:
    """Return (setting, path) of each file that a recipe names and that is not on this machine."""
    return [
        (key, recipe[key])
        for key in FILES
        if isinstance(recipe.get(key), str) and recipe[key] and not _is_there(recipe[key])
    ]


def model_of(workspace: Workspace, name: str) -> str | None:
    """Return what this studio calls the model that a recipe names: by its name, its folder, or its name on a hub; None
    where it has none.
    """
    for one in (name, name.rstrip("/\\").replace("\\", "/").rsplit("/", 1)[-1]):
        try:
            return library.title(library.find(workspace, one).path)
        except (Problem, OSError, ValueError):
            continue  # not by this name
    return None


def has_dataset(workspace: Workspace, recipe: dict[str, object], name: str) -> bool:
    """Tell whether the data folder that a recipe means (a relative one is the studio's own) has a sound dataset of this
    name.
    """
    folder = Path(str(recipe.get("dataset_dir") or ""))
    try:
        return dataset_info.dataset(folder if folder.is_absolute() else workspace.data, name).problem is None
    except (Problem, OSError, ValueError):
        return str(recipe.get("dataset_dir", "")).startswith(("ONLINE", "REMOTE:"))


def _model(workspace: Workspace, recipe: dict[str, object]) -> list[Missing]:
    name = str(recipe.get("model_name_or_path") or "")
    if not name:
        return [Missing("model_name_or_path", "", "choose")]
    if model_of(workspace, name):
        return []
    return [Missing("model_name_or_path", name, "download" if HUB_NAME.fullmatch(name) else "add")]


def _names(value: object) -> list[str]:
    return [one.strip() for one in str(value).split(",") if one.strip()] if value else []


def _has_run(workspace: Workspace, key: str, name: str) -> bool:
    try:
        folder = Path(adapters.resolved(workspace, {key: name})[key])
    except (Problem, OSError, ValueError):
        return False
    return files.exists(folder) or model_of(workspace, name) is not None


def _is_there(name: str) -> bool:
    return name.lstrip().startswith("{") or Path(name).is_absolute() and files.exists(Path(name))
