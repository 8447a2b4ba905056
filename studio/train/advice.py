"""Advice at the form: what the settings come to, and which of them a person of the field would look at twice."""

import itertools
import math
from functools import lru_cache
from pathlib import Path

from studio.accelerator import free_bytes
from studio.datasets import reading, registry
from studio.interface.language import Problem
from studio.models import tokenizer
from studio.train import disk, memory
from studio.workspace import Workspace

SAMPLED = 300
WAIT_S = 10  # for a tokenizer that nobody has tried; after that the advice is left for the next look


def advise(workspace: Workspace, recipe: dict) -> list[tuple[str, dict]]:
    """Return (key, facts) sentences on a complete recipe: total batch and steps, memory, and settings that are unusual.

    Steps are counted as the trainer does: batches of an epoch, over the accumulation, each rounded up, times the epochs. They are not
    known where a dataset does not say its rows or where rows are packed.
    """
    batch = recipe["per_device_train_batch_size"] * recipe["gradient_accumulation_steps"]
    steps = steps_of(workspace, recipe)
    found = [("train.advice_batch", {"batch": batch, "steps": f"{steps:,}"})] if steps else []
    if needed := memory.bytes_needed(recipe):
        free = free_bytes()
        key = "train.advice_memory" if needed <= free else "train.advice_too_large"
        found.append((key, {"needed": f"{needed / 2**30:.1f}", "free": f"{free / 2**30:.1f}"}))
    written, room = disk.bytes_needed(recipe, steps), disk.free_bytes(workspace.saves)
    if written > room:
        found.append(("train.advice_disk", {"needed": f"{written / 2**30:.1f}", "free": f"{room / 2**30:.1f}"}))
    found += _of_lengths(workspace, recipe)
    rank, alpha = recipe.get("lora_rank"), recipe.get("lora_alpha")
    if rank and alpha and alpha != 2 * rank:
        found.append(("train.advice_alpha", {"alpha": alpha, "usual": 2 * rank}))
    if not any(recipe.get(name) for name in ("bf16", "fp16", "pure_bf16")):
        found.append(("train.advice_fp32", {}))
    return found


def on_code(wish: dict, recipe: dict) -> list[tuple[str, dict]]:
    """Return a sentence where a recipe asked to run code of a model that has none."""
    asked = str(wish.get("trust_remote_code")).lower() == "true" and not recipe["trust_remote_code"]
    return [("train.advice_no_code", {})] if asked else []


def steps_of(workspace: Workspace, recipe: dict) -> int | None:
    """Return how many steps a complete recipe will train, None where that is not known before."""
    if recipe.get("max_steps", -1) > 0:
        return int(recipe["max_steps"])
    rows = [registry.dataset(workspace.data, name.strip()).rows for name in str(recipe["dataset"]).split(",")]
    if None in rows or recipe.get("packing") or recipe["stage"] == "pt":
        return None
    limit = recipe.get("max_samples") or math.inf
    share = recipe.get("val_size") or 0
    kept = sum(min(one, limit) for one in rows)
    kept -= share * kept if share < 1 else share
    batches = math.ceil(kept / recipe["per_device_train_batch_size"])
    return math.ceil(recipe["num_train_epochs"] * math.ceil(batches / recipe["gradient_accumulation_steps"])) or None


def _of_lengths(workspace: Workspace, recipe: dict) -> list[tuple[str, dict]]:
    """Say how the cutoff stands to the data, by the first rows of each file: their text alone, without the marks of a template."""
    counts, folder = [], Path(recipe["model_name_or_path"])
    try:
        if not tokenizer.require_loadable(folder, wait=WAIT_S):
            return []
    except Problem as problem:
        return [(problem.key, problem.facts)]
    for name in str(recipe["dataset"]).split(","):
        file = registry.dataset(workspace.data, name.strip()).file
        if file and file.is_file():
            counts += _lengths(file, file.stat().st_mtime_ns, folder / "tokenizer.json")
    if not counts:
        return []
    cut = sum(count > recipe["cutoff_len"] for count in counts)
    if cut:
        return [("train.advice_cut", {"share": f"{100 * cut / len(counts):.0f}", "longest": max(counts)})]
    return [("train.advice_short", {"longest": max(counts), "cutoff": recipe["cutoff_len"]})] if max(counts) * 4 < recipe["cutoff_len"] else []


@lru_cache(maxsize=64)
def _lengths(file: Path, modified: int, tokenizer_file: Path) -> list[int]:
    """Return the tokens of each of the first rows; `modified` is there so that a changed file is read again."""
    from tokenizers import Tokenizer

    if not tokenizer_file.is_file():
        return []
    encoder = Tokenizer.from_file(str(tokenizer_file))
    texts = [" ".join(_texts(row.value)) for row in itertools.islice(reading.rows(file), SAMPLED) if row.value is not None]
    return [len(encoding.ids) for encoding in encoder.encode_batch(texts)]


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for part in inner for text in _texts(part)]
