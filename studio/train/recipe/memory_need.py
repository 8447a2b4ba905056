"""The memory that a recipe takes, by the one estimator of `studio.models.fit`, with rows no longer than those of its
data.
"""

from dataclasses import replace
from pathlib import Path

from studio.core.i18n import Problem
from studio.core.storage.file_cache import FileCache
from studio.datasets.files import reading
from studio.datasets.registry import dataset_info
from studio.models.memory import fit
from studio.models.memory.model_shape import read_shape

# Larger files are not looked through for their longest row: their rows are taken to fill the cutoff length.
MAX_BYTES_READ = 8 * 2**20
# Ordinary text has two bytes or more to a token, in any writing; a template puts a few dozen tokens around it.
BYTES_PER_TOKEN = 2
AROUND = 64


def bytes_needed(recipe: dict[str, object]) -> int:
    """Return the bytes that training a complete recipe takes at its peak; 0 where the sizes of its model cannot be
    read.
    """
    try:
        shape = read_shape(Path(recipe["model_name_or_path"]))
    except Problem:
        return 0
    plan = fit.plan_of(recipe)
    return fit.estimate(shape, replace(plan, seq=min(plan.seq, longest(recipe)))).total


def longest(recipe: dict[str, object]) -> int:
    """Return how many tokens the longest row may have at most: the cutoff length where rows are packed or are not
    looked through.
    """
    cutoff = int(recipe.get("cutoff_len") or 2048)
    packed = recipe.get("packing") if recipe.get("packing") is not None else recipe.get("stage") == "pt"
    if packed or not recipe.get("dataset") or not recipe.get("dataset_dir"):
        return cutoff
    lengths = [_longest_of(Path(recipe["dataset_dir"]), name.strip()) for name in str(recipe["dataset"]).split(",")]
    return min(cutoff, max(cutoff if one is None else one // BYTES_PER_TOKEN + AROUND for one in lengths))


def _longest_of(folder: Path, name: str) -> int | None:
    """Return the bytes of the longest row of a dataset, None where it is not looked through."""
    try:
        dataset = dataset_info.dataset(folder, name)
        if dataset.problem or dataset.file is None or dataset.entry.get("columns", {}).get("images"):
            return None
        if (
            not dataset.file.is_file()
            or dataset.file.suffix not in (".json", ".jsonl")
            or dataset.file.stat().st_size > MAX_BYTES_READ
        ):
            return None
        return _longest_rows.get(dataset.file, [dataset.file], lambda: _longest_row(dataset.file))
    except (Problem, OSError):
        return None  # the recipe's own check tells what is wrong with the data


_longest_rows: FileCache[int] = FileCache(64)


def _longest_row(path: Path) -> int:
    """Return the bytes of the longest row of a file."""
    return max((row.size for row in reading.rows(path)), default=0)
