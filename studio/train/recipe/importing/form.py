"""How a recipe from elsewhere stands in the form of a new run."""

from pathlib import Path

from studio.core.i18n import Problem
from studio.core.workspace import Workspace
from studio.train.recipe import arguments, dataset_choices
from studio.train.recipe.importing import here

# What changes what is learned: where an imported recipe says nothing, it means LLaMA-Factory's own default, not the
# studio's.
LEARNED_BY = (
    "learning_rate",
    "num_train_epochs",
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
    "cutoff_len",
    "lora_rank",
    "lora_dropout",
    "lr_scheduler_type",
    "warmup_steps",
    "max_grad_norm",
    "val_size",
    "seed",
)


def unstated_defaults(recipe: dict) -> dict:
    """Return what LLaMA-Factory does where a recipe says nothing, for the boxes of the form; no model and no dataset
    stand in for others.
    """
    known = arguments.arguments()
    found = {name: known[name].default for name in LEARNED_BY}
    rank = recipe.get("lora_rank", found["lora_rank"])
    return found | {"lora_alpha": 2 * rank, "model_name_or_path": "", "dataset": ""}


def datasets(workspace: Workspace, recipe: dict) -> list[str]:
    """Return the datasets of a recipe that are there, those of an added folder by the name under which they are
    linked.
    """
    names = [name.strip() for name in str(recipe.get("dataset") or "").split(",") if name.strip()]
    found = []
    for name in names:
        if Path(name).is_absolute():
            found += dataset_choices.taken(workspace, [name])
        elif here.has_dataset(workspace, recipe, name):
            found.append(name)
    return found


def with_value(choices: list, value: object) -> list:
    """Return the choices of a box with the value, or each of the values, that it is to hold."""
    offered = {choice[1] if isinstance(choice, tuple) else choice for choice in choices}
    values = value if isinstance(value, list) else [value]
    return [*choices, *(one for one in values if isinstance(one, str) and one and one not in offered)]


def require_named(recipe: dict) -> None:
    """Raise Problem where the form names no model or no data: the studio's own must not stand in for those of an
    import.
    """
    if not recipe.get("model_name_or_path"):
        raise Problem("recipe_import.no_model", field="model_name_or_path")
    if not recipe.get("dataset") and not recipe.get("tokenized_path"):
        raise Problem("recipe_import.no_dataset", field="dataset")
