"""The forms that hold out a part of a dataset, draw a sample, mix sets, and look for rows that are in two sets."""

from dataclasses import dataclass

from studio.core.i18n import Words
from studio.datasets.analysis import DatasetAnalysis
from studio.datasets.page.analysis.job_state import JobState, at_work, fault_of

TEMPLATE = "datasets/page/analysis/new_sets.html"
SHARES = ("8:1:1", "7:2:1", "9:1")


@dataclass(frozen=True)
class NewSetsContext:
    """What new sets can be made of the dataset `name`, which is called `short` in its own folder.

    `others` are the sets that it can be compared with, `shares` those of the parts into which it can be dealt; `job` is
    at work on it, `fault` says why the last one failed.
    """

    name: str
    short: str
    others: list[str]
    shares: tuple[str, ...]
    job: JobState | None
    fault: str


def new_sets(words: Words, analysis: DatasetAnalysis, name: str) -> NewSetsContext | None:
    """Return what can be made of a dataset, None where there is no dataset with a file. Raises Problem for an unknown
    one.
    """
    if not name:
        return None
    collection = analysis.collection
    dataset, job = collection.find(name), analysis.newest_job("derive", name)
    if dataset.file is None:
        return None
    others = [
        one.name
        for one in collection.datasets(collection.folder)
        if one.file and not one.problem and one.name != dataset.name
    ]
    return NewSetsContext(name, dataset.name, others, SHARES, at_work(words, job), fault_of(words, job))
