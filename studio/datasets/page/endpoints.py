"""What a script, and the page, can ask of the datasets: of their list and their entries, of their rows, of new data."""

from collections.abc import Callable
from pathlib import Path

from studio.core.i18n import Problem, Words
from studio.datasets.page import endpoints_new_data, endpoints_rows
from studio.datasets.page.schemas import DatasetResult, FolderResult, IntakeResult
from studio.datasets.registry import dataset_info, entries
from studio.datasets.registry.collection import Collection
from studio.web.shared_results import NameResult


def endpoints(collection: Collection, words: Words) -> list[Callable]:
    """Return the endpoints of datasets; problems inside their results are told in `words`."""
    return [
        *_of_the_list(collection, words),
        *endpoints_new_data.endpoints(collection, words),
        *endpoints_rows.endpoints(collection, words),
        *_of_entries(collection),
        *_of_folders(collection),
    ]


def _of_the_list(collection: Collection, words: Words) -> list[Callable]:
    def datasets_list() -> list[DatasetResult]:
        """Return every dataset of every data folder; one that cannot be used says why."""
        datasets = [each for folder in collection.folders() for each in _listed(collection, folder, words)]
        fault = collection.fault()
        return datasets + ([_faulty(dataset_info.PLACES, collection.folder, words.tell(fault))] if fault else [])

    def datasets_intake(name: str) -> IntakeResult:
        """Return what was told when a dataset came in."""
        return IntakeResult.of(collection.intakes.of(collection.find(name)), words)

    return [datasets_list, datasets_intake]


def _listed(collection: Collection, folder: Path, words: Words) -> list[DatasetResult]:
    try:
        datasets = collection.datasets(folder)
    except Problem as problem:
        if folder == collection.folder:
            raise
        # A folder that was added and is broken must not hide the others.
        return [_faulty(str(folder), folder, words.tell(problem))]
    return [
        DatasetResult(
            name=collection.name_of(one),
            format=one.format,
            stage=one.stage,
            rows=one.rows,
            file=str(one.file or ""),
            problem=words.tell(one.problem) if one.problem else None,
            size_bytes=one.size,
            folder=str(folder),
            left_out=intake.left_out,
            not_taken=list(intake.not_taken),
        )
        for one in datasets
        for intake in [collection.intakes.of(one)]
    ]


def _faulty(name: str, folder: Path, problem: str) -> DatasetResult:
    return DatasetResult(
        name=name,
        format="",
        stage="",
        rows=None,
        file="",
        problem=problem,
        size_bytes=None,
        folder=str(folder),
        left_out=0,
        not_taken=[],
    )


def _of_entries(collection: Collection) -> list[Callable]:
    def datasets_entry(name: str) -> dict[str, object]:
        """Return the entry of a dataset as it stands in dataset_info.json."""
        return collection.find(name).entry

    def datasets_edit_entry(name: str, entry: str, was: str = "") -> NameResult:
        """Replace the entry of a dataset by JSON text, if it is still `was`, JSON text too."""
        home, short = collection.home_of(name)
        entries.replace(home, short, entries.parsed(entry, short), endpoints_rows.parsed_was(was) if was else None)
        return NameResult(name=name)

    def datasets_rename(name: str, new: str) -> NameResult:
        """Give a dataset another name."""
        home, short = collection.home_of(name)
        with collection.jobs.moving([home / short], [home / new.strip()]):
            entries.rename(home, short, new.strip())
        key = new.strip() if home == collection.folder else str(home / new.strip())
        return NameResult(name=collection.name_of(collection.find(key)))

    def datasets_remove(name: str, with_file: bool = False) -> NameResult:
        """Move a dataset's entry into the trash, with its file only where `with_file` says so."""
        home, short = collection.home_of(name)
        with collection.jobs.moving([home / short]):
            entries.remove(home, short, collection.trash(), with_file)
        return NameResult(name=name)

    def datasets_link(name: str) -> NameResult:
        """Register a dataset of another data folder in the workspace's own without copying it."""
        return NameResult(name=collection.link(name))

    return [datasets_entry, datasets_edit_entry, datasets_rename, datasets_remove, datasets_link]


def _of_folders(collection: Collection) -> list[Callable]:
    def datasets_add_folder(folder: str) -> FolderResult:
        """Make a folder of the person's one of the studio's data folders."""
        return FolderResult(folder=str(entries.add_place(collection.folder, folder)))

    def datasets_remove_folder(folder: str) -> FolderResult:
        """Take an added data folder out of the studio; nothing in it is touched."""
        entries.drop_place(collection.folder, folder)
        return FolderResult(folder=folder)

    return [datasets_add_folder, datasets_remove_folder]
