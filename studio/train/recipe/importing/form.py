"""How a recipe from elsewhere stands in the form of a new run."""

from pathlib import Path

from studio.core.workspace import Workspace
from studio.train.recipe import dataset_choices
from studio.train.recipe.importing import missing_parts
from studio.train.recipe.validation import sources


def datasets(workspace: Workspace, recipe: dict[str, object]) -> list[str]:
    """Return the datasets that a recipe names, those of an added folder by the name under which they are linked.

    One that is not here keeps its name: the preview tells of it and keeps Start shut, and no other stands in for it.
    """
    found = []
    for name in sources.names(recipe.get("dataset")):
        found += dataset_choices.taken(workspace, [name]) if Path(name).is_absolute() else [name]
    return found


def model(workspace: Workspace, recipe: dict[str, object]) -> str | None:
    """Return the model that a recipe names, as the studio calls it; one that is not here keeps its name. None where it
    names none: "" is no choice of the box, and gradio would refuse it at every preview.
    """
    name = str(recipe.get("model_name_or_path") or "")
    return (missing_parts.model_of(workspace, name) or name) if name else None


def with_value(choices: list, value: object) -> list:
    """Return the choices of a box with the value, or each of the values, that it is to hold."""
    offered = {choice[1] if isinstance(choice, tuple) else choice for choice in choices}
    values = value if isinstance(value, list) else [value]
    return [*choices, *(one for one in values if isinstance(one, str) and one and one not in offered)]
