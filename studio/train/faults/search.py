"""The row, field and file at which a run ended, looked for in its datasets where the error itself does not name
them.
"""

import time
import traceback
from collections.abc import Callable
from pathlib import Path

from studio.core.i18n import Problem
from studio.core.storage import atomic
from studio.datasets.encoding.loading import stops
from studio.datasets.encoding.loading.judge import judge
from studio.datasets.registry import dataset_info
from studio.datasets.registry.dataset_info import Dataset
from studio.train.recipe.validation import sources

# Sentences about data of which some name no row, no field, no file, or only the row of a mixture.
UNPLACED = (
    "faults.data",
    "faults.data_row",
    "faults.data_file",
    "faults.types",
    "faults.type_changes",
    "faults.tools",
    "faults.tools_row",
)
SECONDS = 60.0
MOST_BYTES = 64 * 2**20  # larger data is not read again by a process that should end


class _TooLong(Exception):
    """The search has taken its time."""


def better(problem: Problem, recipe: dict[str, object], run: Path) -> Problem:
    """Return a fault that names row, field and file, where LLaMA-Factory's reader finds them in the sets of a recipe;
    else `problem`.

    Args:
        problem: what the error itself says (see `faults.explain`).
        recipe: of the run that ended.
        run: the folder of the run that ended, <workspace>/saves/<model>/<method>/<run>.
    """
    home = str(recipe.get("dataset_dir") or "")
    if problem.key not in UNPLACED or not home or sources.on_hubs(home):
        return problem
    ends = time.monotonic() + SECONDS
    try:
        found = _sets(recipe, Path(home), run.parents[3] / "data")
        for dataset in sorted(found, key=lambda one: one.name != problem.facts.get("dataset")):
            if placed := _found(dataset, recipe, run, ends, problem, alone=len(found) == 1):
                return placed
    except _TooLong:
        print(f"the row was not found in {SECONDS:.0f} s")
    except Exception:  # what the error itself said is still right, and is told
        traceback.print_exc()
    return problem


def _sets(recipe: dict[str, object], home: Path, data: Path) -> list[Dataset]:
    found, media = (
        [],
        str(recipe.get("media_dir") or home),
    )  # a run with its own copy of a set names the folder of all others there
    for name in sources.names([*sources.names(recipe.get("dataset")), *sources.names(recipe.get("eval_dataset"))]):
        try:
            found.append(dataset_info.dataset(home, name, (data, Path(media), *dataset_info.known_places(data))))
        except Problem:
            continue  # not there: what the error said is about this, or about another set
    return [one for one in found if one.file and (one.size or 0) <= MOST_BYTES]


def _found(
    dataset: Dataset, recipe: dict[str, object], run: Path, ends: float, problem: Problem, alone: bool
) -> Problem | None:
    if time.monotonic() > ends:
        raise _TooLong
    with atomic.scratch(run) as folder:
        settings = {name: recipe[name] for name in ("template", "tool_format") if recipe.get(name)}
        verdict = judge(dataset.file, dataset.entry, dataset.home, folder, settings, _until(ends))
    ending = [pair for pair in stops.of(verdict) if pair[0]]
    if alone:  # else the row that the error names is one of the mixture
        ending.sort(key=lambda pair: pair[0] != problem.facts.get("row"))
    if not ending:
        return None
    row, fault = ending[0]
    if problem.key == "faults.type_changes" and (row, fault.field) == (
        problem.facts.get("row"),
        problem.facts.get("column"),
    ):
        return problem
    return stops.problem_of(dataset.name, dataset.file, row, fault)


def _until(ends: float) -> Callable[[int], None]:
    def told(done: int) -> None:
        if time.monotonic() > ends:
            raise _TooLong

    return told
