"""What a recipe of LLaMA-Factory means where it says nothing.

A recipe with `do_train: true` is LLaMA-Factory's own: an imported one, that of a run, and all that the form holds. What
it does not say is as LLaMA-Factory has it, and its model and data are its own. Without `do_train` the settings are a
script's, or those of a button that names a model or a dataset: they are filled up with the studio's defaults, by which
a plain Start gives a tuned model. The form, the preview and every start go by this one sign.
"""

from studio.core.i18n import Problem
from studio.train.recipe import arguments

SIGN = "do_train"
# What changes what is learned. How often a run logs and saves is the studio's in any case.
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


def apply_to(recipe: dict[str, object]) -> bool:
    """Tell whether a recipe is LLaMA-Factory's own."""
    return str(recipe.get(SIGN)).lower() in arguments.YES


def unstated(recipe: dict[str, object]) -> dict[str, object]:
    """Return what LLaMA-Factory does where its own recipe says nothing, {} for one that the studio's defaults fill up.

    Imports LLaMA-Factory.
    """
    if not apply_to(recipe):
        return {}
    known = arguments.arguments()
    found = {name: known[name].default for name in LEARNED_BY}
    rank = recipe.get("lora_rank") or found["lora_rank"]
    return found | {"lora_alpha": 2 * int(rank), "model_name_or_path": "", "dataset": ""}


def require_named(recipe: dict[str, object]) -> None:
    """Raise Problem where LLaMA-Factory's own recipe names no model or no data: the studio's must not stand in."""
    if not apply_to(recipe):
        return
    if not recipe.get("model_name_or_path"):
        raise Problem("recipe_import.no_model", field="model_name_or_path")
    if not recipe.get("dataset") and not recipe.get("tokenized_path"):
        raise Problem("recipe_import.no_dataset", field="dataset")
