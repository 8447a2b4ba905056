"""The benchmarks: those of the workspace, those that can be fetched, and those on their way."""

from dataclasses import dataclass

from studio.core import formatting
from studio.core.i18n import Problem
from studio.core.job import Job
from studio.core.sentences import Sentence
from studio.core.storage import records
from studio.evaluate.benchmarks import fetching, tasks
from studio.evaluate.page.context import EvaluateContext
from studio.models.hub.download import SOURCES

TEMPLATE = "evaluate/page/listing/task_list.html"


@dataclass(frozen=True)
class OnItsWay:
    """A benchmark that is being fetched. share: 0 to 1, None where it is not known. error: why it stopped."""

    job: str
    is_active: bool
    share: float | None
    message: Sentence | None
    error: Sentence | None


@dataclass(frozen=True)
class TaskRow:
    """A benchmark. is_free: whether its licence allows commercial use, None where that is not known."""

    name: str
    title: str
    licence: str
    is_free: bool | None
    questions: int
    subjects: int
    split: str
    is_here: bool
    problem: Problem | None
    coming: OnItsWay | None


@dataclass(frozen=True)
class TaskList:
    """All benchmarks; `sources` are the hubs that they can be fetched from."""

    rows: tuple[TaskRow, ...]
    sources: tuple[str, ...] = SOURCES


def task_list(context: EvaluateContext, _: str = "") -> TaskList:
    """Return all benchmarks."""
    coming = {str(job.facts.get("name")): job for job in reversed(context.downloads.jobs.all(fetching.KIND))}
    return TaskList(
        tuple(
            TaskRow(
                name=one.name,
                title=one.title,
                licence=one.licence,
                is_free=one.free,
                questions=one.questions,
                subjects=len(one.subjects),
                split=one.split,
                is_here=one.is_here,
                problem=one.problem,
                coming=_on_its_way(coming.get(one.name)) if not one.is_here else None,
            )
            for one in tasks.tasks(context.service.workspace)
        )
    )


def _on_its_way(job: Job | None) -> OnItsWay | None:
    if job is None or job.state == "finished":
        return None
    return OnItsWay(job.id, job.active, formatting.finite(job.progress), _told(job.message), _told(job.error))


def _told(sentence: object) -> Sentence | None:
    if sentence is None:
        return None
    try:
        return records.typed(sentence, Sentence, "sentence")
    except Problem as problem:
        return Sentence(key=problem.key, facts=problem.facts)
