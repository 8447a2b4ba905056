"""What a run's model is made of beside its base and its own adapter: the adapters that LLaMA-Factory merged first, and
added tokens.
"""

from pathlib import Path

from studio.core.i18n import Problem
from studio.core.storage import files, records
from studio.models.library import model_config as configs
from studio.models.weights import tensor_headers
from studio.train.runs.stored import stored_recipe as stored

# Settings by which LLaMA-Factory makes a vocabulary larger (model/patcher.py), in training and in answering alike.
VOCABULARY = ("add_tokens", "add_special_tokens", "new_special_tokens_config", "resize_vocab", "init_special_tokens")
_GROWS = VOCABULARY[:4]


def names_in(value: object) -> list[str]:
    """Return the names in a setting that LLaMA-Factory takes as a list or with commas."""
    found = value if isinstance(value, list) else str(value or "").split(",")
    return [name for one in found if (name := str(one).strip())]


def merged_below(recipe: dict[str, object]) -> tuple[Path, ...]:
    """Return the folders of the adapters that were merged into the base before a run's own adapter was trained, in
    their order.

    As in LLaMA-Factory's model/adapter.py: of the adapters that a recipe begins with, the last is trained on unless a
    new one was asked for; where nothing can be merged, the last is trained on in any case.
    """
    begun = [Path(name) for name in names_in(recipe.get("adapter_name_or_path"))]
    if str(recipe.get("finetuning_type", "lora")) not in ("lora", "oft"):
        return ()
    is_new = _is_true(recipe.get("create_new_adapter")) and _can_merge(recipe)
    return tuple(begun if is_new else begun[:-1])


def _can_merge(recipe: dict[str, object]) -> bool:
    if recipe.get("quantization_bit") or any(_is_true(recipe.get(key)) for key in ("use_unsloth", "use_kt")):
        return False
    base = Path(str(recipe.get("model_name_or_path") or ""))
    if base.is_absolute() and tensor_headers.quantization(configs.read(base)[0]) is not None:
        return False
    return not _is_zero3(recipe.get("deepspeed"))


def _is_zero3(value: object) -> bool:
    if isinstance(value, str) and files.is_file(Path(value)):
        try:
            value = records.read(Path(value))
        except Problem:
            return False
    stage = value.get("zero_optimization") if isinstance(value, dict) else None
    return isinstance(stage, dict) and stage.get("stage") == 3


def _is_true(value: object) -> bool:
    return value is True or str(value).strip().lower() in ("true", "1", "yes")


def vocabulary(recipe: dict[str, object]) -> tuple[tuple[str, object], ...]:
    """Return the settings by which a run's vocabulary grew; none where it did not."""
    if not any(recipe.get(key) for key in _GROWS):
        return ()
    return tuple(
        (key, ",".join(value) if isinstance(value := recipe[key], list) else value)
        for key in VOCABULARY
        if recipe.get(key)
    )


def recipe_beside(folder: Path) -> dict[str, object]:
    """Return the recipe that made the adapter in a folder, which stands there or, of a checkpoint, above it; {} where
    there is none.
    """
    for file in (folder / "recipe.yaml", folder.parent / "recipe.yaml"):
        if files.is_file(file):
            try:
                return stored.read(file)
            except Problem:
                return {}
    return {}


def with_below(folder: Path) -> list[Path]:
    """Return an adapter's folder after those that were merged below it."""
    return [*merged_below(recipe_beside(folder)), folder]
