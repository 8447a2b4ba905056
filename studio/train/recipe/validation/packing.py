"""How many blocks rows are packed into: pre-training text is cut into blocks, answers are laid side by side until a
block is full.
"""

import bisect
import json
import math
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from studio.core.i18n import Problem
from studio.core.processes import limited
from studio.core.storage import files
from studio.datasets.files import reading
from studio.datasets.registry.dataset_info import Dataset
from studio.datasets.schema.observed_schema import Shape, texts

MEASURED_BYTES = 8 * 2**20  # a larger file is not read through before a run
WAIT_S = 3.0  # then the blocks are left for the next look
TEMPLATE_TOKENS = 24  # what a chat template puts around a question and its answer, about
TOGETHER = 256


def is_packed(recipe: dict[str, object]) -> bool:
    """Tell whether LLaMA-Factory packs the rows: where that is said, and in pre-training where it is not."""
    stated = recipe.get("packing")
    return bool(recipe.get("neat_packing") or stated or (stated is None and recipe.get("stage") == "pt"))


def packed(datasets: Sequence[Dataset], recipe: dict[str, object], rows: int | None) -> tuple[int | None, bool]:
    """Return (blocks, whether they are counted and not estimated); the blocks are None where the files are not read
    through.

    Args:
        datasets: those that are trained on.
        recipe: a complete one.
        rows: how many of their rows are trained on, None where unknown.

    Raises:
        Problem: the text is too little for one block.
    """
    counts = [_counts(dataset, recipe) for dataset in datasets]
    if not counts or None in counts:
        return None, False
    size = block(recipe)
    lengths = [length for one in counts for length in one]
    simple = len(counts) == 1 or recipe.get("mix_strategy", "concat") == "concat"
    whole = rows == len(lengths) and simple
    if recipe.get("stage") == "pt":
        total = sum(lengths) if whole or not lengths or rows is None else math.ceil(sum(lengths) * rows / len(lengths))
        if total < size:
            raise Problem("train.too_little_to_pack", field="cutoff_len", tokens=total, cutoff=size)
        together = int(recipe.get("preprocessing_batch_size") or 1000)
        if not whole:
            return max(1, total // size), False
        blocks = sum(sum(part) // size for part in _batches(lengths, together))
        if not blocks:
            raise Problem("train.too_little_in_batch", field="cutoff_len", rows=together, cutoff=size)
        return blocks, True
    bins = _bins([min(size, length + TEMPLATE_TOKENS) for length in lengths], size)
    return max(1, math.ceil(bins * (rows or len(lengths)) / max(1, len(lengths)))), False


def block(recipe: dict[str, object]) -> int:
    """Return the tokens of a block: the cutoff length, less one where packing is asked for (LLaMA-Factory's
    hparams/data_args.py).
    """
    return int(recipe["cutoff_len"]) - (1 if recipe.get("packing") or recipe.get("neat_packing") else 0)


def _batches(lengths: list[int], together: int) -> Iterator[list[int]]:
    rest = iter(lengths)
    while part := list(islice(rest, together if together > 0 else None)):
        yield part


def _bins(lengths: list[int], size: int) -> int:
    """Return into how many blocks rows go, each into the one that it fills best."""
    rooms: list[int] = []
    for length in sorted(lengths, reverse=True):
        place = bisect.bisect_left(rooms, length)
        room = rooms.pop(place) if place < len(rooms) else size
        bisect.insort(rooms, room - length)
    return len(rooms)


def _counts(dataset: Dataset, recipe: dict[str, object]) -> list[int] | None:
    """Return the tokens of each row that is trained on, None where the file is not read through, or not yet."""
    tokenizer = Path(recipe["model_name_or_path"]) / "tokenizer.json"
    if dataset.file is None or dataset.size is None or dataset.size > MEASURED_BYTES or not files.is_file(tokenizer):
        return None
    shape = Shape.of(dataset.entry)
    asked = (
        [shape.columns[name] for name in ("prompt", "query") if name in shape.columns]
        if shape.format == "alpaca"
        else None
    )
    read = asked if recipe.get("stage") == "pt" else None
    stamp = (
        str(dataset.file),
        *((each.name, *files.stamp(each)) for each in reading.files_of(dataset.file)),
        str(tokenizer),
        files.stamp(tokenizer),
        json.dumps(read),
        json.dumps(dataset.entry),
    )
    counts = limited.call(
        "studio.train.recipe.validation.packing:token_counts",
        str(dataset.file),
        str(tokenizer),
        read,
        shape.fields(),
        stamp=stamp,
        wait=WAIT_S,
        limits=limited.Limits(file=dataset.file.name, of=dataset.name, seconds=30, mib=2048),
    )
    if counts is limited.PENDING:
        return None
    sampled, limit = dataset.entry.get("num_samples"), recipe.get("max_samples")
    if isinstance(sampled, int) and not recipe.get("streaming") and counts:
        counts = (counts * math.ceil(sampled / len(counts)))[:sampled]
    return counts[: int(limit)] if limit else counts


def token_counts(file: str, tokenizer: str, asked: list[str] | None, fields: list[str]) -> list[int]:
    """Return the tokens of each row of a file, with the one that ends it; runs in a child process with limits.

    Args:
        file: the data file.
        tokenizer: the `tokenizer.json` of the model.
        asked: the fields that pre-training reads, joined by line ends as LLaMA-Factory joins them; None for all of
            `fields`.
        fields: those that training reads.
    """
    from tokenizers import Tokenizer

    encoder = Tokenizer.from_file(tokenizer)
    encoder.no_truncation()
    encoder.no_padding()
    found: list[int] = []
    rows = (row.value for row in reading.rows(Path(file)) if row.value is not None)
    while part := list(islice(rows, TOGETHER)):
        joined = [_text(row, asked, fields) for row in part]
        found += [len(one.ids) + 1 for one in encoder.encode_batch(joined, add_special_tokens=False)]
    return found


def _text(row: dict[str, object], asked: list[str] | None, fields: list[str]) -> str:
    if asked is None:
        return "\n".join(text for field in fields for text in texts(row.get(field)))
    return "\n".join(value for field in asked if isinstance(value := row.get(field), str) and value)
