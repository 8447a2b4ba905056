"""How many rows, batches and steps a recipe comes to: as LLaMA-Factory mixes its datasets, holds rows out of them, and
packs them.
"""

import math
import types
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from studio.core import llamafactory, reasons
from studio.core.i18n import Problem
from studio.core.workspace import Workspace
from studio.datasets.registry.dataset_info import Dataset
from studio.train.recipe.validation import packing, sources

# LLaMA-Factory's own mixing is done on as many numbers as there are rows; beyond this many it would be felt at each
# look.
TRIED_ROWS = 200_000
LEAST_SHARE = 1e-6  # a `val_size` up to this holds nothing out


@dataclass(frozen=True)
class Amount:
    """How much a recipe trains: `examples` an epoch and the `steps` in all, each None where unknown; `exact` whether
    they are counted.
    """

    examples: int | None = None
    steps: int | None = None
    exact: bool = True


def measure(workspace: Workspace, recipe: dict[str, object]) -> Amount:
    """Return what a complete recipe trains in all.

    Raises:
        Problem: nothing would be left to train on, or the mixture cannot be made.
    """
    datasets = sources.described(workspace, recipe, "dataset")
    mixture = _mixed(datasets, recipe)
    _check_eval_mixture(workspace, recipe)
    if recipe.get("streaming"):
        _require_streamable(datasets, mixture, recipe)
    train, held_out = _split(mixture, recipe)
    amount = packing.packed(datasets, recipe, train) if packing.is_packed(recipe) else train
    if recipe.get("stage") == "pt" and packing.is_packed(recipe):
        _require_held_out_blocks(workspace, recipe, datasets, held_out)
    examples, exact = amount if isinstance(amount, tuple) else (amount, _is_exact(mixture))
    steps = _steps(examples, recipe)
    return Amount(examples, steps, exact or int(recipe.get("max_steps") or -1) > 0)


def _require_held_out_blocks(
    workspace: Workspace, recipe: dict[str, object], datasets: Sequence[Dataset], held_out: int | None
) -> None:
    """Raise Problem where the rows that are held out do not fill one block either, for which the run would end."""
    evaluated = sources.described(workspace, recipe, "eval_dataset")
    apart = [[one] for one in evaluated] if recipe.get("eval_on_each_dataset") else [evaluated] if evaluated else []
    parts = [("eval_dataset", part, _mixed(part, recipe)) for part in apart] + (
        [("val_size", datasets, held_out)] if held_out else []
    )
    for field, part, rows in parts:
        try:
            packing.packed(part, recipe, rows)
        except Problem as problem:
            raise Problem(
                "train.too_little_held_out", **{**problem.facts, "field": field, "cutoff": packing.block(recipe)}
            ) from problem


def rows_of(dataset: Dataset, recipe: dict[str, object]) -> int | None:
    """Return how many rows LLaMA-Factory takes of a dataset: its `num_samples`, cut at the recipe's `max_samples`."""
    rows = dataset.rows
    if not recipe.get("streaming") and isinstance(dataset.entry.get("num_samples"), int):
        rows = dataset.entry["num_samples"]
    limit = recipe.get("max_samples")
    return min(rows, int(limit)) if rows is not None and limit else rows


def _mixed(datasets: Sequence[Dataset], recipe: dict[str, object]) -> int | None:
    """Return the rows of the mixture, None where a part of it is not counted."""
    rows = tuple(rows_of(dataset, recipe) for dataset in datasets)
    strategy, odds = str(recipe.get("mix_strategy") or "concat"), _odds(recipe)
    if strategy != "concat" and len(rows) > 1:
        _try_mixing(
            min(len(rows), 9),
            strategy,
            odds if odds is None or len(odds) == len(rows) else None,
            int(recipe.get("seed") or 42),
        )
        if odds is not None and len(odds) != len(rows):
            raise Problem("train.odds", field="interleave_probs", count=len(odds), datasets=len(rows))
    if not rows or None in rows:
        return None
    if len(rows) == 1 or strategy == "concat":
        return sum(rows)
    largest = max(rows) * len(rows)
    if largest > TRIED_ROWS:
        return (
            None
            if odds
            else {"interleave_under": min(rows) * len(rows), "interleave_over": largest}.get(strategy, sum(rows))
        )
    return _interleaved(rows, strategy, odds, int(recipe.get("seed") or 42))


def _is_exact(mixture: int | None) -> bool:
    return mixture is not None


def _odds(recipe: dict[str, object]) -> tuple[float, ...] | None:
    stated = recipe.get("interleave_probs")
    if stated in (None, "", []):
        return None
    try:
        return tuple(float(one) for one in (stated if isinstance(stated, list) else str(stated).split(",")))
    except ValueError as error:
        raise Problem("train.bad_value", field="interleave_probs", value=stated, wanted="0.7,0.3") from error


def _try_mixing(parts: int, strategy: str, odds: tuple[float, ...] | None, seed: int) -> None:
    """Raise Problem where the installed libraries cannot mix so, whatever the rows."""
    if odds is None or parts == len(odds):
        _interleaved((2,) * parts, strategy, odds, seed)


@lru_cache(maxsize=256)
def _interleaved(rows: tuple[int, ...], strategy: str, odds: tuple[float, ...] | None, seed: int) -> int:
    """Return how many rows LLaMA-Factory's own mixing of sets of so many rows gives. Raises Problem with the library's
    words.
    """
    llamafactory.load()
    from datasets import Dataset as Table
    from llamafactory.data import data_utils

    plan = types.SimpleNamespace(mix_strategy=strategy, interleave_probs=list(odds) if odds else None, streaming=True)
    try:
        return len(data_utils.merge_dataset([Table.from_dict({"row": range(count)}) for count in rows], plan, seed))
    except (ValueError, KeyError, IndexError, TypeError) as error:
        field = "interleave_probs" if "robabilities" in str(error) else "mix_strategy"
        raise Problem("train.cannot_mix", field=field, strategy=strategy, reason=reasons.of(error)) from error


def _check_eval_mixture(workspace: Workspace, recipe: dict[str, object]) -> None:
    """Raise Problem where the held-out sets, which are mixed in the same way, cannot be mixed or are empty."""
    held_out = sources.described(workspace, recipe, "eval_dataset")
    if len(held_out) > 1 and not recipe.get("eval_on_each_dataset"):
        try:
            _mixed(held_out, recipe)
        except Problem as problem:
            raise Problem(
                problem.key, **{**problem.facts, "field": problem.facts.get("field", "eval_dataset")}
            ) from problem


def _split(mixture: int | None, recipe: dict[str, object]) -> tuple[int | None, int | None]:
    """Return (rows to train on, rows held out), by the rules of `datasets`. Raises Problem where none is left for
    either.
    """
    share = float(recipe.get("val_size") or 0)
    if mixture is None or share <= LEAST_SHARE or recipe.get("eval_dataset"):
        return mixture, 0
    if recipe.get("streaming"):
        held_out = int(share)
    else:
        held_out = int(share) if share > 1 else math.ceil(share * mixture)
    if share == 1 and not recipe.get("streaming") or held_out >= mixture or held_out < 1:
        raise Problem("train.nothing_left", field="val_size", value=f"{share:g}", rows=mixture)
    return mixture - held_out, held_out


def _require_streamable(datasets: Sequence[Dataset], mixture: int | None, recipe: dict[str, object]) -> None:
    """Raise Problem where LLaMA-Factory cannot cut the files into as many parts as there are processes that read
    them.
    """
    workers = int(recipe.get("dataloader_num_workers") or 0)
    files = [dataset for dataset in datasets if dataset.file]
    if files and workers < 1:
        raise Problem("train.streaming_workers", field="dataloader_num_workers")
    for dataset in files:
        if dataset.rows is not None and dataset.rows < workers:
            raise Problem(
                "train.streaming_parts",
                field="dataloader_num_workers",
                workers=workers,
                dataset=dataset.name,
                rows=dataset.rows,
            )


def _steps(examples: int | None, recipe: dict[str, object]) -> int | None:
    """Return the steps, as transformers counts them: batches of an epoch, over the accumulation, each rounded up, times
    the epochs.
    """
    if int(recipe.get("max_steps") or -1) > 0:
        return int(recipe["max_steps"])
    if examples is None:
        return None
    batch = int(recipe["per_device_train_batch_size"])
    batches = examples // batch if recipe.get("dataloader_drop_last") else math.ceil(examples / batch)
    return math.ceil(
        float(recipe["num_train_epochs"]) * max(1, math.ceil(batches / int(recipe["gradient_accumulation_steps"])))
    )
