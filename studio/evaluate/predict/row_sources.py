"""Where the rows of an evaluation come from: datasets by name, a run's own data, and what a run held out.

```
"alpaca_zh"             a dataset, as Datasets names it
"held-out:<run>"        the part of a run's data that `val_size` kept from its training, row for row
```

A set that says `{{name}}` is read as the runs that are evaluated trained it: from the filled copy in their folder.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from studio.core import llamafactory
from studio.core.i18n import Problem
from studio.datasets import derive
from studio.datasets.files.reading import Row
from studio.datasets.files.row_index import Rows
from studio.datasets.registry import dataset_info
from studio.datasets.registry.collection import Collection
from studio.datasets.registry.dataset_info import Dataset
from studio.datasets.schema.observed_schema import Shape
from studio.inference.target_names import runs_left
from studio.train import runs
from studio.train.recipe import data_stamps
from studio.train.recipe.validation.mixture import LEAST_SHARE
from studio.train.runs.lineage import names_in

HELD_OUT = "held-out:"
PAGE = 1000
WAIT_S = 3600.0  # for a file to be indexed; what waits is a job, which can be cancelled


def places(collection: Collection, names: Sequence[str]) -> list[Path]:
    """Return where the rows that names stand for come from: the places of the datasets, and the folders of runs."""
    found = [collection.place_of(name) for name in names if not name.startswith(HELD_OUT)]
    held_out = [name.removeprefix(HELD_OUT) for name in names if name.startswith(HELD_OUT)]
    return [*found, *(run.folder for run in runs_left(collection.workspace, held_out))]


@dataclass(frozen=True)
class RowSource:
    """One dataset of an evaluation: its name, its entry of `dataset_info.json`, where the paths of its images begin,
    its rows, and the numbers of those that may be asked (None: all).
    """

    name: str
    entry: dict
    folder: Path
    rows: Rows
    allowed: list[int] | None = None

    @property
    def shape(self) -> Shape:
        """Return which fields its rows have."""
        return Shape.of(self.entry)

    def count(self) -> int:
        """Return how many rows may be asked; waits for the file to be indexed. Raises Problem where it cannot be."""
        self.rows.wait(seconds=WAIT_S)
        if self.rows.fault:
            raise self.rows.fault
        return self.rows.count if self.allowed is None else len(self.allowed)

    def chosen(self, most: int, choose: str, seed: int) -> list[int]:
        """Return the numbers of `most` rows (0: of all), the first or drawn by the seed, in the order of the file.

        Raises:
            Problem: the set is empty.
        """
        count = self.count()
        if not count:
            raise Problem("evaluate.empty_set", dataset=self.name)
        number = min(most or count, count)
        places = list(range(number)) if choose == "first" else derive.sample(count, number, seed)
        return places if self.allowed is None else [self.allowed[place] for place in places]

    def values(self, numbers: list[int]) -> list[tuple[int, dict | Problem]]:
        """Return (number, row) of rows in ascending order; a row that cannot be read as its fault. Waits as `count`.

        Raises Problem where the file cannot be indexed.
        """
        self.count()
        found: list[tuple[int, dict | Problem]] = []
        for start in range(0, len(numbers), PAGE):
            wanted = numbers[start : start + PAGE]
            # Rows drawn far apart are read one by one, neighbours in one go.
            near = wanted[-1] - wanted[0] < 4 * len(wanted)
            page = self.rows.page(wanted[0], wanted[-1] - wanted[0] + 1) if near else []
            for number in wanted:
                row = page[number - wanted[0] : number - wanted[0] + 1] if near else self.rows.page(number, 1)
                found.append((number, self._value(number, row[0] if row else None)))
        return found

    def _value(self, number: int, row: Row | None) -> dict | Problem:
        if row and isinstance(row.value, dict):
            return row.value
        return (row and row.problem) or Problem("evaluate.row_gone", dataset=self.name, row=number + 1)


def find(collection: Collection, name: str, targets: list[str], are_chosen: bool = False) -> RowSource:
    """Return the rows that a name stands for.

    Args:
        targets: those that are evaluated, or that a model is made of; the first run among them that is still there and
            trained a filled copy of the set decides.
        are_chosen: the rows that are asked were chosen before; which of them may be need not be told then.

    Raises:
        Problem: there is no such set, its rows do not lie on this disk, it is of another stage, or it cannot be told
            which rows a run held out.
    """
    if name.startswith(HELD_OUT):
        return _held_out(collection, name, are_chosen)
    dataset = collection.find(name)
    folder = dataset.home
    for run in runs_left(collection.workspace, targets):
        data = Path(str(run.recipe().get("dataset_dir") or ""))
        if name in names_in(run.recipe().get("dataset")) and data.is_relative_to(run.folder):
            dataset, folder = dataset_info.dataset(data, name), collection.folder
            break
    return _source(collection, name, dataset, folder)


def sources_of(collection: Collection, run: runs.Run) -> list[RowSource]:
    """Return the datasets that a run was trained on, in its order. Raises Problem where one is gone."""
    recipe = run.recipe()
    data = Path(str(recipe.get("dataset_dir") or collection.folder))
    media = Path(str(recipe.get("media_dir") or data))
    return [
        _source(collection, name, dataset_info.dataset(data, name, tuple(collection.folders())), media, any_stage=True)
        for name in names_in(recipe.get("dataset"))
    ]


def training_rows(collection: Collection, run: runs.Run) -> list[tuple[RowSource, list[int], list[int]]]:
    """Return (source, numbers trained, numbers held out) of each dataset of a run, as LLaMA-Factory divides them.

    `max_samples` takes the first of each; `val_size` is split off by datasets' `train_test_split` with the run's seed,
    over all sets one behind the other (data/loader.py, data/data_utils.py). Where rows are streamed, interleaved or
    drawn by `num_samples`, which of them are held out cannot be told: all count as trained.

    Raises:
        Problem: the recipe cannot be read, or a dataset is gone, or was changed since, where only a part was trained.
    """
    recipe, sources = run.recipe(), sources_of(collection, run)
    most, whole = recipe.get("max_samples"), [one.count() for one in sources]
    counts = [min(count, int(most)) if most else count for count in whole]
    size = float(recipe.get("val_size") or 0) if _can_tell(recipe, sources) else 0.0
    if size > LEAST_SHARE or counts != whole:
        _require_same(collection, run)
    held = set(_split(run, size, sum(counts)))
    divided, start = [], 0
    for source, count in zip(sources, counts, strict=True):
        numbers = range(count)
        divided.append(
            (source, [n for n in numbers if start + n not in held], [n for n in numbers if start + n in held])
        )
        start += count
    return divided


def _held_out(collection: Collection, name: str, are_chosen: bool) -> RowSource:
    run = runs.find(collection.workspace, name.removeprefix(HELD_OUT))
    if are_chosen and len(sources := sources_of(collection, run)) == 1:
        return replace(sources[0], name=name)
    parts = [(source, held) for source, _, held in training_rows(collection, run) if held]
    if not parts:
        raise Problem("evaluate.nothing_held_out", run=run.label)
    if len(parts) > 1:
        raise Problem("evaluate.held_out_of_many", run=run.label, datasets=", ".join(one.name for one, _ in parts))
    source, held = parts[0]
    return RowSource(name, source.entry, source.folder, source.rows, held)


def _require_same(collection: Collection, run: runs.Run) -> None:
    """Raise Problem where a dataset of a run is not what it was when the run was started. A run of which no stamps were
    kept passes.
    """
    now = data_stamps.of(collection.workspace, run.recipe())
    if changed := [name for name, stamp in run.info().data_stamps.items() if now.get(name) != stamp]:
        raise Problem("evaluate.split_untold", run=run.label, datasets=", ".join(changed))


def _split(run: runs.Run, size: float, count: int) -> list[int]:
    """Return the numbers of the rows that a `val_size` holds out of `count`. Raises Problem where it leaves none."""
    if size <= LEAST_SHARE or not count:
        return []
    llamafactory.load()
    from datasets import Dataset

    seed = int(run.recipe().get("seed", 42))
    rows = Dataset.from_dict({"row": list(range(count))})
    try:
        parts = rows.train_test_split(test_size=int(size) if size > 1 else size, seed=seed)
    except ValueError as error:  # fewer rows than the run was trained with
        datasets = ", ".join(names_in(run.recipe().get("dataset")))
        raise Problem("evaluate.split_untold", run=run.label, datasets=datasets) from error
    return parts["test"]["row"]


def _can_tell(recipe: dict, sources: list[RowSource]) -> bool:
    mixed = recipe.get("mix_strategy", "concat") != "concat" and len(sources) > 1
    return not (recipe.get("streaming") or mixed or any(one.entry.get("num_samples") for one in sources))


def _source(collection: Collection, name: str, dataset: Dataset, folder: Path, any_stage: bool = False) -> RowSource:
    if dataset.problem:
        raise dataset.problem
    if dataset.file is None:
        raise Problem("datasets.on_a_hub", name=dataset.name)
    if dataset.stage != "sft" and not any_stage:
        raise Problem("evaluate.other_stage", dataset=name, stage=dataset.stage)
    return RowSource(name, dataset.entry, folder, collection.indexes.of(dataset.file))
