"""How a recipe would be trained, and what is wrong with it, before anything starts."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from studio.core import reasons
from studio.core.i18n import Problem
from studio.core.workspace import Workspace
from studio.train.recipe import advice, disk_need, memory_need, recipes, time_need
from studio.train.runs import adapters


@dataclass(frozen=True)
class RecipePreview:
    """A recipe as it would be trained. command: what trains it without the studio, "" where it cannot be trained.
    place: model and method, below which the run is put; next_name: what it is called there if the person gives no name.
    memory: bytes at the peak; disk: bytes of what is kept; steps in all; seconds, by a run that was like it; each None
    where it is not known. advice: sentences, each a key with its facts.
    """

    yaml: str
    problems: list[Problem]
    command: str = ""
    memory: int | float | None = None
    disk: int | float | None = None
    place: tuple[str, str] | None = None
    next_name: str = ""
    steps: int | None = None
    seconds: float | None = None
    advice: list[tuple[str, dict[str, object]]] = field(default_factory=list)


def preview(
    workspace: Workspace, overrides: dict[str, object], python_of: Callable[[dict[str, object]], Path | None]
) -> RecipePreview:
    """Return how a recipe that may still be wrong would be trained.

    Args:
        overrides: LLaMA-Factory's arguments; what they leave out takes the studio's defaults.
        python_of: gives the Python that a complete recipe is trained with, None for the studio's own.
    """
    try:
        return _judged(workspace, overrides, python_of)
    except Exception as error:  # whatever it is, the form goes on and nothing starts that could not be judged
        return unjudged(overrides, error)


def unjudged(overrides: dict[str, object], error: Exception) -> RecipePreview:
    """Return the preview of a recipe that could not be judged, with the fault as its problem."""
    problem = error if isinstance(error, Problem) else None
    if problem is None:
        logging.getLogger(__name__).error("a recipe cannot be judged", exc_info=error)
        problem = Problem("train.preview_failed", reason=reasons.of_fault(error))
    return RecipePreview(_as_yaml(overrides), [problem])


def _judged(workspace: Workspace, overrides: dict[str, object], python_of: Callable) -> RecipePreview:
    recipe, problems = recipes.draft(workspace, adapters.resolved(workspace, overrides), recipes.this_machine())
    place = recipes.place(recipe)
    folder = workspace.saves.joinpath(*place) / "new-run"
    recipe["output_dir"] = str(folder)
    if problems:
        return RecipePreview(recipes.to_yaml(recipe), problems)
    steps = advice.steps_of(workspace, recipe)
    return RecipePreview(
        recipes.to_yaml(recipe),
        [],
        recipes.command(folder / "recipe.yaml", python_of(recipe)),
        memory_need.bytes_needed(recipe),
        disk_need.bytes_needed(recipe, steps),
        place,
        recipes.next_name(workspace, recipe),
        steps,
        time_need.seconds_needed(workspace, recipe, steps),
        [*advice.advise(workspace, recipe), *advice.on_code(overrides, recipe), *advice.on_folder(overrides, recipe)],
    )


def _as_yaml(overrides: dict[str, object]) -> str:
    """Return a recipe that may be anything as YAML, "" where it has none."""
    try:
        return recipes.to_yaml(overrides)
    except (yaml.YAMLError, RecursionError, ValueError):
        return ""
