"""Advice at the form: what the settings come to, and which of them a person of the field would look at twice."""

import itertools
from pathlib import Path

from studio.core.device_lease import free_bytes
from studio.core.i18n import Problem
from studio.core.storage.file_cache import FileCache
from studio.core.workspace import Workspace
from studio.datasets.files import reading
from studio.models.library import tokenizer_files
from studio.train.recipe import disk_need, memory_need
from studio.train.recipe.validation import mixture, sources

SAMPLED = 300
WAIT_S = 10  # for a tokenizer that nobody has tried; after that the advice is left for the next look


def advise(workspace: Workspace, recipe: dict[str, object]) -> list[tuple[str, dict]]:
    """Return (key, facts) sentences on a complete recipe: total batch and steps, memory, and settings that are unusual.

    Steps are those of `mixture.measure`; they are left out where a dataset does not say its rows, and told as about
    where they are not counted.
    """
    batch = recipe["per_device_train_batch_size"] * recipe["gradient_accumulation_steps"]
    amount = mixture.measure(workspace, recipe)
    steps = amount.steps
    key = "train.advice_batch" if amount.exact else "train.advice_batch_about"
    found = [(key, {"batch": batch, "steps": f"{steps:,}"})] if steps else []
    if needed := memory_need.bytes_needed(recipe):
        free = free_bytes()
        key = "train.advice_memory" if needed <= free else "train.advice_too_large"
        found.append((key, {"needed": f"{needed / 2**30:.1f}", "free": f"{free / 2**30:.1f}"}))
    written, room = disk_need.bytes_needed(recipe, steps), disk_need.free_bytes(workspace.saves)
    if written > room:
        found.append(("train.advice_disk", {"needed": f"{written / 2**30:.1f}", "free": f"{room / 2**30:.1f}"}))
    found += _of_lengths(workspace, recipe)
    rank, alpha = recipe.get("lora_rank"), recipe.get("lora_alpha")
    if rank and alpha and alpha != 2 * rank:
        found.append(("train.advice_alpha", {"alpha": alpha, "usual": 2 * rank}))
    if not any(recipe.get(name) for name in ("bf16", "fp16", "pure_bf16")):
        found.append(("train.advice_fp32", {}))
    return found


def on_code(overrides: dict[str, object], recipe: dict[str, object]) -> list[tuple[str, dict]]:
    """Return a sentence where a recipe asked to run code of a model that has none."""
    asked = str(overrides.get("trust_remote_code")).lower() == "true" and not recipe["trust_remote_code"]
    return [("train.advice_no_code", {})] if asked else []


def on_folder(overrides: dict[str, object], recipe: dict[str, object]) -> list[tuple[str, dict]]:
    """Return a sentence where a recipe names a folder of data that is not there, and the studio's own is read in its
    place.
    """
    stated = overrides.get("dataset_dir")
    if stated and not Path(str(stated)).is_absolute() and not sources.on_hubs(str(stated)) and sources.is_other(stated):
        return [("train.advice_data_folder", {"said": stated, "folder": recipe["dataset_dir"]})]
    return []


def steps_of(workspace: Workspace, recipe: dict[str, object]) -> int | None:
    """Return how many steps a complete recipe will train, None where that is not known before. Raises Problem as
    `mixture.measure` does.
    """
    return mixture.measure(workspace, recipe).steps


def _of_lengths(workspace: Workspace, recipe: dict[str, object]) -> list[tuple[str, dict]]:
    """Say how the cutoff stands to the data, by the first rows of each file: their text alone, without the marks of a
    template.
    """
    counts, folder = [], Path(recipe["model_name_or_path"])
    try:
        if not tokenizer_files.require_loadable(folder, wait=WAIT_S):
            return []
    except Problem as problem:
        return [(problem.key, problem.facts)]
    for dataset in sources.described(workspace, recipe, "dataset"):
        file = dataset.file
        if file and file.is_file():
            counts += _lengths(file, folder / "tokenizer.json")
    if not counts:
        return []
    cut = sum(count > recipe["cutoff_len"] for count in counts)
    if cut:
        return [("train.advice_cut", {"share": f"{100 * cut / len(counts):.0f}", "longest": max(counts)})]
    return (
        [("train.advice_short", {"longest": max(counts), "cutoff": recipe["cutoff_len"]})]
        if max(counts) * 4 < recipe["cutoff_len"]
        else []
    )


_row_lengths: FileCache[list[int]] = FileCache(64)


def _lengths(file: Path, tokenizer_file: Path) -> list[int]:
    """Return the tokens of each of the first rows, counted once for each state of the two files."""
    files = (file, tokenizer_file)
    return _row_lengths.get(files, files, lambda: _counted(*files))


def _counted(file: Path, tokenizer_file: Path) -> list[int]:
    from tokenizers import Tokenizer

    if not tokenizer_file.is_file():
        return []
    encoder = Tokenizer.from_file(str(tokenizer_file))
    texts = [
        " ".join(_texts(row.value)) for row in itertools.islice(reading.rows(file), SAMPLED) if row.value is not None
    ]
    return [len(encoding.ids) for encoding in encoder.encode_batch(texts)]


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for part in inner for text in _texts(part)]
