"""The recipe of a run and the command that trains it without the studio."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from studio.core.i18n import Problem
from studio.core.storage import files
from studio.core.workspace import Workspace
from studio.train import runs
from studio.train.recipe import recipes
from studio.train.runs import manage_runs

TEMPLATE = "train/page/runs/recipe_text.html"
SHOWN_BYTES = 40_000


@dataclass(frozen=True)
class RecipeText:
    """The recipe as YAML, "" where nothing tells it. Of a run that left no recipe there is no command, as there is no
    file to name, and `unknown` are the settings that its files do not tell.
    """

    yaml: str
    command: str
    is_put_together: bool
    unknown: tuple[str, ...]


def recipe_text(workspace: Workspace, name: str, python_of: Callable[[dict], Path | None]) -> RecipeText | None:
    """Return the recipe of a run, None where no run is named.

    `python_of` gives the Python of the environment that a recipe's stage trains in, None where it is the studio's own.

    Raises:
        Problem: there is no such run, or its recipe cannot be read.
    """
    if not name:
        return None
    run = runs.find(workspace, name)
    if not files.exists(run.recipe_file):
        told = {name: value for name, value in run.recipe_if_any().items() if name not in manage_runs.PLACES}
        return RecipeText(recipes.to_yaml(told) if told else "", "", True, tuple(run.unknown()) if told else ())
    try:
        text = files.read_text(run.recipe_file, SHOWN_BYTES)
    except OSError as error:
        raise files.unreadable(run.recipe_file, error) from error
    try:
        python = python_of(run.recipe())
    except Problem:
        python = None  # what cannot be read is shown as it stands
    return RecipeText(text, recipes.command(run.recipe_file, python), False, ())
