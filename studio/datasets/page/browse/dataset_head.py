"""The head of a dataset: what it is, where it lies, what is wrong with it, what can be done."""

from dataclasses import dataclass

from studio.core import formatting
from studio.core.i18n import Problem, Words
from studio.datasets.page.browse.dataset_list import hub_address, stage_name
from studio.datasets.registry.collection import Collection
from studio.datasets.registry.dataset_info import Dataset

TEMPLATE = "datasets/page/browse/dataset_head.html"
TRAINED = ("sft", "pt", "dpo", "kto")
ENTRY_FACTS = ("subset", "split", "folder", "num_samples")


@dataclass(frozen=True)
class LeftOut:
    """The rows that were left out when a dataset came in from `file`: `count` of them, the reasons of the first, and
    how many `more` there are.
    """

    file: str
    count: int
    reasons: list[str]
    more: int


@dataclass(frozen=True)
class DatasetHead:
    """`key` is the name by which the whole studio knows the dataset; `location` a path or a hub's address; `facts` are
    pairs of a word and its value; `warnings` tell what of it is not trained.
    """

    key: str
    name: str
    location: str
    problem: Problem | None
    facts: list[tuple[str, str]]
    can_undo: bool
    train_as: dict | None
    left_out: LeftOut | None
    warnings: list[str]


@dataclass(frozen=True)
class DatasetHeadContext:
    """`head` is None while no dataset is in hand."""

    head: DatasetHead | None


def dataset_head(words: Words, collection: Collection, key: str) -> DatasetHeadContext:
    """Return the head of a dataset. Raises Problem where there is none of that name."""
    if not key:
        return DatasetHeadContext(None)
    dataset = collection.find(key)
    intake = collection.intakes.of(dataset)
    warnings = [note.tell(words) for note in intake.notes]
    if intake.not_taken:
        warnings.append(words("datasets.fields_not_trained", fields=", ".join(intake.not_taken)))
    reasons = [problem.tell(words) for problem in intake.problems]
    return DatasetHeadContext(
        DatasetHead(
            key,
            dataset.name,
            str(dataset.file) if dataset.file else hub_address(dataset.entry),
            dataset.problem,
            _facts(words, collection, dataset) if dataset.entry else [],
            bool(dataset.file) and collection.editor.can_undo(dataset.file),
            {"stage": dataset.stage, "dataset": key} if dataset.stage in TRAINED and not dataset.problem else None,
            LeftOut(intake.source, intake.left_out, reasons, max(0, intake.left_out - len(reasons)))
            if intake.left_out
            else None,
            warnings,
        )
    )


def _facts(words: Words, collection: Collection, dataset: Dataset) -> list[tuple[str, str]]:
    rows = formatting.whole(dataset.rows) if dataset.rows is not None else _counting(words, collection, dataset)
    values = {
        "format": dataset.format,
        "stage": stage_name(words, dataset.stage),
        "rows": rows,
        "size": formatting.size(dataset.size),
    }
    entry = {f"entry_{key}": str(dataset.entry[key]) for key in ENTRY_FACTS if dataset.entry.get(key) is not None}
    return [(words("datasets." + name), value) for name, value in (values | entry).items()]


def _counting(words: Words, collection: Collection, dataset: Dataset) -> str:
    if dataset.file is None or dataset.problem:
        return formatting.NONE
    return words("datasets.counting", share=formatting.whole(100 * collection.indexes.of(dataset.file).share))
