"""Recipes that are kept under a name, and how a recipe goes out as a command; `recipe_import` brings those of other
programs in.
"""

import shlex
from pathlib import Path

import yaml

from studio.core.i18n import Problem
from studio.core.storage import files, folders, records, yaml_file
from studio.core.workspace import Workspace, is_safe, write_whole
from studio.train.recipe import arguments
from studio.train.recipe.importing import purpose, recipe_reading

EXECUTOR = "executor"  # stands beside the settings in the draft of the form


def folder(workspace: Workspace) -> Path:
    """Return where saved recipes are kept."""
    return workspace.saves / ".recipes"


def saved(workspace: Workspace) -> list[str]:
    """Return the names of the saved recipes."""
    return [
        path.stem
        for path in folders.matching(folder(workspace), "*.yaml")
        if files.is_file(path) and is_safe(path.name)
    ]


def save(workspace: Workspace, name: str, recipe: dict[str, object]) -> None:
    """Keep a recipe under a name, in place of the one that had it. Raises Problem for a bad name, a secret or a full
    disk.
    """
    typed_recipe = arguments.judged(recipe)
    path = workspace.inside(folder(workspace), f"{name.strip()}.yaml")
    write_whole(path, yaml.safe_dump(typed_recipe, sort_keys=False, allow_unicode=True))


def load(workspace: Workspace, name: str) -> dict[str, object]:
    """Return a saved recipe. Raises Problem where there is none."""
    path = workspace.inside(folder(workspace), f"{name}.yaml")
    if not files.exists(path):
        raise Problem("train.no_recipe", name=name)
    try:
        return recipe_reading.read(files.read_text(path, yaml_file.LARGEST_BYTES)).whole
    except OSError as error:
        raise files.unreadable(path, error) from error


def handed_over(text: str) -> dict[str, object]:
    """Return the settings that another part of the page hands to the form, in JSON, without the executor beside them.

    Raises:
        Problem: they are no settings, LLaMA-Factory knows no such setting, or they train nothing.
    """
    found = {key: value for key, value in _parsed(text).items() if key != EXECUTOR}
    purpose.require_training(found)
    return arguments.judged(found)


def handed_executor(text: str) -> str:
    """Return the executor in what is handed to the form, "" where none is; what is no JSON is told by `handed_over`."""
    try:
        return str(_parsed(text).get(EXECUTOR, ""))
    except Problem:
        return ""


def _parsed(text: str) -> dict[str, object]:
    try:
        found = records.parse(text)
    except ValueError as error:
        raise Problem("recipe_import.no_settings") from error
    if not isinstance(found, dict):
        raise Problem("recipe_import.no_settings")
    return found


def to_shell(recipe: dict[str, object]) -> str:
    """Return a recipe as one command, each setting on a line of its own."""
    lines = [
        f"    --{name} {shlex.quote(str(value).lower() if isinstance(value, bool) else str(value))}"
        for name, value in recipe.items()
    ]
    return " \\\n".join(["llamafactory-cli train", *lines])
