"""The list of the datasets in every data folder."""

from dataclasses import dataclass
from pathlib import Path

from studio.core.i18n import Problem, Words
from studio.datasets.registry import dataset_info
from studio.datasets.registry.collection import Collection
from studio.datasets.registry.dataset_info import Dataset

TEMPLATE = "datasets/page/browse/dataset_list.html"


@dataclass(frozen=True)
class DatasetRow:
    """`key` is the name by which the whole studio knows it; `state` is the colour of its dot; `rows` and `size_bytes`
    are None where they are not known.
    """

    key: str
    name: str
    format: str
    stage: str
    state: str
    rows: int | None
    size_bytes: int | None
    is_on_hub: bool
    problem: Problem | None


@dataclass(frozen=True)
class FolderRow:
    """A data folder; `path` is "" for the workspace's own. `has_datasets` tells whether there are any at all,
    `datasets` are those that were searched for, `problem` why they cannot be read.
    """

    path: str
    datasets: list[DatasetRow]
    has_datasets: bool
    problem: Problem | None = None


@dataclass(frozen=True)
class DatasetListContext:
    """`fault` is that of the list of the folders that the person added."""

    folders: list[FolderRow]
    fault: Problem | None


def dataset_list(words: Words, collection: Collection, query: str) -> DatasetListContext:
    """Return the datasets whose name, format or stage (as it is called in `words`) has every word of `query`."""
    terms = query.lower().split()
    folders = [_folder(words, collection, folder, terms) for folder in collection.folders()]
    return DatasetListContext(folders, collection.fault())


def stage_name(words: Words, stage: str) -> str:
    """Return what a stage is called; "?" for that of an entry that cannot be used."""
    return words("datasets.stage_" + stage) if stage else "?"


def hub_address(entry: dict) -> str:
    """Return where an entry's data comes from when it names no file, as `hf_hub_url: owner/name`; "" where it is
    nowhere.
    """
    return next((f"{key}: {entry[key]}" for key in dataset_info.HUBS if entry.get(key)), "")


def _folder(words: Words, collection: Collection, folder: Path, terms: list[str]) -> FolderRow:
    path = "" if folder == collection.folder else str(folder)
    try:
        datasets = collection.datasets(folder)
    except Problem as problem:
        return FolderRow(path, [], False, problem)
    rows = [
        dataset_row(words, collection, dataset)
        for dataset in datasets
        if all(
            term in f"{dataset.name} {dataset.format} {dataset.stage} {stage_name(words, dataset.stage)}".lower()
            for term in terms
        )
    ]
    return FolderRow(path, rows, bool(datasets))


def dataset_row(words: Words, collection: Collection, dataset: Dataset) -> DatasetRow:
    """Return the row of a dataset."""
    return DatasetRow(
        collection.name_of(dataset),
        dataset.name,
        dataset.format,
        stage_name(words, dataset.stage),
        "failed" if dataset.problem else "waiting" if dataset.rows is None and dataset.file else "finished",
        dataset.rows,
        dataset.size,
        bool(hub_address(dataset.entry)),
        dataset.problem,
    )
