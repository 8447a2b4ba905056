"""Whether the code of the models that a recipe names may run: by the consent that the person gave, whatever the recipe
says.
"""

from pathlib import Path

from studio.core import trust
from studio.core.storage import files, folders
from studio.train.runs import Run

MODELS = ("model_name_or_path", "ref_model", "reward_model")


def settled(recipe: dict[str, object], otherwise: bool = True) -> dict[str, object]:
    """Return a recipe with `trust_remote_code` as it may be.

    It is true only where a model that the recipe names asks for code and the person consented to all code of all of
    them. Where none asks for code it has no meaning, and is false.

    Args:
        recipe: with folders in the place of names.
        otherwise: what counts where the recipe does not say it: whether to run code that is consented to.

    Raises:
        Problem: the recipe wants code to run that the person has not consented to.
    """
    stated = recipe.get("trust_remote_code")
    asking = [folder for folder in _folders(recipe) if trust.asks(folder)]
    if stated is True:
        for folder in asking:
            trust.require(folder)
    granted = otherwise if stated is None else stated is True
    return {**recipe, "trust_remote_code": bool(asking) and granted and all(map(trust.is_granted, asking))}


def check(run: Run) -> None:
    """Raise Problem where the recipe of a run wants code to run that the person has not consented to."""
    if run.recipe_file.is_file():  # without one there is nothing to train, which whoever trains it tells
        settled(run.recipe(), otherwise=False)


def digests(recipe: dict[str, object]) -> list[str]:
    """Return what stands for the consented code of a recipe's models, for the other machines of a group that trains it
    together.
    """
    return [trust.code_of(folder).digest for folder in _folders(recipe) if trust.allows(folder)]


def _folders(recipe: dict[str, object]) -> list[Path]:
    """Return the folders of the models that a recipe names. An adapter's code is never asked for, and what is no folder
    here never runs.
    """
    named = [Path(str(recipe[name])) for name in MODELS if recipe.get(name)]
    return [
        folder
        for folder in named
        if folders.is_folder(folder)
        and (files.exists(folder / "config.json") or not files.exists(folder / "adapter_config.json"))
    ]
