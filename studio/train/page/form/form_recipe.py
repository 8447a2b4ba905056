"""How what stands in the form becomes a recipe, and how a recipe comes to stand in the form."""

from dataclasses import dataclass

from studio.core.i18n import Problem
from studio.core.workspace import Workspace
from studio.datasets.registry import identity
from studio.models.library import library
from studio.train.recipe import recipes
from studio.train.recipe.importing import form, llamafactory_defaults

# The methods that the form offers, and what each says beside LLaMA-Factory's `finetuning_type`.
METHODS = {
    "lora": {},
    "qlora4": {"quantization_bit": 4},
    "qlora8": {"quantization_bit": 8},
    "oft": {},
    "full": {},
    "freeze": {},
}
WITH_LORA_SETTINGS = ("lora", "qlora4", "qlora8")


@dataclass(frozen=True)
class FormValues:
    """What the form holds: the method, a value for each box that the recipe or its defaults have one for, and the
    settings that have no box.
    """

    method: str
    boxes: dict[str, object]
    further: dict[str, object]


def recipe_of(method: str, boxes: dict[str, object], further: dict[str, object]) -> dict[str, object]:
    """Return the recipe that stands in the form; it is LLaMA-Factory's own (see `llamafactory_defaults`).

    Args:
        method: one of METHODS.
        boxes: {setting: what its box holds}; the datasets are a list.
        further: the settings that have no box.

    Raises:
        Problem: one of `further` has a box, which would change nothing from then on; with its field.
    """
    for setting in further:
        if setting in boxes or setting == "finetuning_type":
            raise Problem("train.has_box", field=setting, setting=setting)
    recipe = {llamafactory_defaults.SIGN: True} | boxes | METHODS[method]
    recipe["dataset"] = ",".join(recipe["dataset"] or [])
    if recipe["stage"] != "ppo":
        recipe.pop("reward_model")
    recipe["finetuning_type"] = finetuning_type(method)
    has_lora = recipe["finetuning_type"] == "lora"
    return {key: value for key, value in recipe.items() if has_lora or key not in recipes.LORA_SETTINGS} | further


def values_of(workspace: Workspace, recipe: dict[str, object], keys: list[str]) -> FormValues:
    """Return what the form holds for a recipe: what it says, else what it means where it is silent.

    `keys` are the settings that have a box. Raises Problem where a folder that it names holds no dataset.
    """
    model = str(recipe.get("model_name_or_path") or recipes.STARTER_MODEL)
    values = recipes.defaults(parameters(workspace, model)) | llamafactory_defaults.unstated(recipe) | recipe
    if "lora_rank" in recipe and not recipe.get("lora_alpha"):
        values["lora_alpha"] = 2 * int(recipe["lora_rank"])  # as LLaMA-Factory trains a recipe without an alpha
    values |= {
        "model_name_or_path": form.model(workspace, values),
        "dataset": form.datasets(workspace, values),
        "template": recipe.get("template", ""),
    }
    method = method_of(recipe)
    has_place = {*keys, "finetuning_type", llamafactory_defaults.SIGN, *METHODS[method]}
    return FormValues(
        method=method,
        boxes={key: values[key] for key in keys if key in values},
        further={key: value for key, value in recipe.items() if key not in has_place},
    )


def finetuning_type(method: str) -> str:
    """Return LLaMA-Factory's word for a method of the form: QLoRA is LoRA on a quantised model."""
    return "lora" if method.startswith("qlora") else method


def method_of(recipe: dict[str, object]) -> str:
    """Return the form's word for a recipe's method: LoRA on 4 or 8 bit is QLoRA."""
    method, bits = recipe.get("finetuning_type", "lora"), recipe.get("quantization_bit")
    return f"qlora{bits}" if method == "lora" and bits in (4, 8) else method


def models(workspace: Workspace) -> list[str]:
    """Return the names of the models that can be trained; the starter model where there is none yet."""
    return [model.name for model in library.usable(workspace)] or [recipes.STARTER_MODEL]


def parameters(workspace: Workspace, model: str) -> int | None:
    """Return the number of parameters of a model, None where it is not known."""
    try:
        return library.find(workspace, model).params
    except Problem:
        return None


def asks_identity(workspace: Workspace, datasets: list[str]) -> bool:
    """Tell whether one of some datasets has a place for the name and the author of an assistant."""
    try:
        return identity.has_placeholders(workspace.data, ",".join(datasets))
    except Problem:
        return False
