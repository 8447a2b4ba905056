"""The disk that the checkpoints of a recipe will take, so that a disk too small for them is told before Start."""

import math
import shutil
from pathlib import Path

from studio.core.i18n import Problem
from studio.core.storage import folders
from studio.models.memory import fit
from studio.models.memory.model_shape import BYTES, ModelShape, read_shape
from studio.models.memory.plan import Plan

# Beside weights and optimizer: the trainer's state, random states, arguments; the tokenizer's files come on top.
SMALL_FILES = 2**20
TOKENIZER = ("tokenizer*", "vocab*", "merges.txt", "special_tokens_map.json")


def bytes_needed(recipe: dict[str, object], steps: int | None) -> int:
    """Return the bytes that training a complete recipe writes and keeps: its checkpoints, and the weights at its end.

    Args:
        recipe: LLaMA-Factory's arguments.
        steps: how many the run has, None where that is not known; then at least as many checkpoints as are certain are
            counted.

    Returns:
        0 where the sizes of the model cannot be read.
    """
    folder = Path(str(recipe["model_name_or_path"]))
    try:
        shape = read_shape(folder)
    except Problem:
        return 0
    plan = fit.plan_of(recipe)
    weights = _weights(shape, plan) + sum(
        folders.size_of(file) for pattern in TOKENIZER for file in folders.matching(folder, pattern)
    )
    states = 0 if recipe.get("save_only_model") else fit.estimate(shape, plan).optimizer
    return round(_at_once(recipe, steps) * (weights + states + SMALL_FILES) + weights)


def free_bytes(folder: Path) -> int:
    """Return the bytes that are free on the disk of a folder."""
    return shutil.disk_usage(folder).free


def _weights(shape: ModelShape, plan: Plan) -> float:
    """Return the bytes of the weights that a checkpoint holds: an adapter's, or all, those that are trained in their
    own type.
    """
    trained = plan.trained(shape)
    if plan.method == "lora":
        return trained * plan.trained_bytes(shape)
    return (shape.parameters - trained) * BYTES[shape.dtype] + trained * plan.trained_bytes(shape)


def _at_once(recipe: dict[str, object], steps: int | None) -> int:
    """Return how many checkpoints are on the disk at once at most: the new one is whole before an old one goes."""
    made = _made(recipe, steps)
    limit = int(recipe.get("save_total_limit") or 0)
    best = 1 if recipe.get("load_best_model_at_end") else 0
    return min(made, limit + 1 + best) if limit else made


def _made(recipe: dict[str, object], steps: int | None) -> int:
    strategy, every = recipe.get("save_strategy", "steps"), float(recipe.get("save_steps") or 500)
    if strategy == "no":
        return 0
    if strategy == "epoch":
        return math.ceil(float(recipe.get("num_train_epochs") or 3))
    if every < 1:
        share = math.ceil(1 / every)
        return min(share, steps) if steps else share
    return math.ceil(steps / every) if steps else 1
