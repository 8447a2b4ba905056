"""The list of exports: what is being made, what failed, and the models that were made, newest first."""

from dataclasses import dataclass

from studio.core.formatting import finite
from studio.core.i18n import Problem
from studio.core.jobs import Job
from studio.core.sentences import Sentence
from studio.core.workspace import Workspace
from studio.export import model_forms, record
from studio.export.export_service import KINDS
from studio.export.model_forms import Forms
from studio.export.page.context import JOB, ExportContext
from studio.export.record import ExportRecord
from studio.inference import target_names
from studio.models.library.library import Model

TEMPLATE = "export/page/listing/export_list.html"
LISTED = 300


@dataclass(frozen=True)
class JobRow:
    """An export that is being made, or was not finished."""

    hand: str
    title: Sentence
    state: str
    progress: float | None


@dataclass(frozen=True)
class ExportRow:
    """An exported model. sources: what was merged. problem: why its record cannot be read; then nothing else of it is
    known.
    """

    name: str
    size: int
    created: float | None = None
    sources: str = ""
    problem: Problem | None = None


@dataclass(frozen=True)
class ExportList:
    """What fits what is sought."""

    jobs: tuple[JobRow, ...]
    rows: tuple[ExportRow, ...]
    is_search: bool


def export_list(context: ExportContext, query: str = "") -> ExportList:
    """Return the jobs that have not made their model, and the newest LISTED exports in which every word of the query
    stands.
    """
    words = query.lower().split()
    rows = [export_row(context.workspace, model, found) for model, found in record.exported(context.workspace)]
    rows += [forms_row(model, found) for model, found in model_forms.folders(context.workspace)]
    rows.sort(key=lambda row: -(row.created or 0.0))
    fitting = [row for row in rows if all(word in f"{row.name} {row.sources}".lower() for word in words)]
    return ExportList(tuple(map(job_row, unfinished(context))), tuple(fitting[:LISTED]), bool(words))


def unfinished(context: ExportContext) -> list[Job]:
    """Return the exports that are at work, or ended without a model, newest first."""
    found = [job for kind in KINDS for job in context.jobs.all(kind) if job.state != "finished"]
    return sorted(found, key=lambda job: job.created, reverse=True)


def job_row(job: Job) -> JobRow:
    """Return a job as the list shows it."""
    return JobRow(JOB + job.id, Sentence(key=job.title, facts=job.facts), job.state, finite(job.progress))


def export_row(workspace: Workspace, model: Model, found: ExportRecord | Problem) -> ExportRow:
    """Return an exported model as lists show it."""
    if isinstance(found, Problem):
        return ExportRow(model.name, model.size_bytes, problem=found)
    sources = " + ".join(target_names.label(workspace, str(one)) for one in found.targets)
    return ExportRow(model.name, model.size_bytes, found.created, sources)


def forms_row(model: Model, found: Forms | Problem) -> ExportRow:
    """Return a folder of GGUF files, or a quantised model, as lists show it."""
    if isinstance(found, Problem):
        return ExportRow(model.name, model.size_bytes, problem=found)
    types = ", ".join(str(form.type) for form in found.forms)
    size = sum(form.size for form in found.forms)
    return ExportRow(model.name, size, model_forms.made_at(found), f"{found.source} · {types}")
