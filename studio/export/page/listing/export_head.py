"""The head of an export: how far it is, or what can be done with the model that was made."""

from dataclasses import dataclass, replace

from studio.core.formatting import finite
from studio.core.i18n import Problem
from studio.core.jobs import ACTIVE, Job
from studio.core.sentences import Sentence
from studio.core.storage import records
from studio.export import model_forms, record
from studio.export.model_forms import Forms
from studio.export.page.context import ExportContext, job_in_hand, model_in_hand
from studio.models.library import library

TEMPLATE = "export/page/listing/export_head.html"
PARTS = ("record", "card", "forms", "push")
PARTS_OF_FORMS = ("record", "card", "push")  # templates stand with the 16-bit model, or in the GGUF itself


@dataclass(frozen=True)
class JobState:
    """A job that has made no model yet. progress: 0 to 1, None where it is not known."""

    id: str
    title: Sentence
    state: str
    progress: float | None
    message: Sentence | None
    error: Sentence | None
    is_active: bool
    can_resume: bool


@dataclass(frozen=True)
class ExportHead:
    """What is in hand: a job, or the model `name`. problem: why the model's record cannot be read. types: of forms of
    another model, `base`. loads: it can answer here. is_served: it can be
    chosen in Deploy by this name. made_by: the job that is in hand and has made it, so that the model is taken in its
    place.
    """

    job: JobState | None = None
    name: str = ""
    sources: str = ""
    base: str = ""
    created: float | None = None
    problem: Problem | None = None
    types: str = ""
    loads: bool = True
    is_served: bool = True
    parts: tuple[str, ...] = PARTS
    made_by: str = ""


def export_head(context: ExportContext, hand: str) -> ExportHead | None:
    """Return the head of what is in hand, None where nothing is. Raises Problem where it is gone, or no export."""
    if not hand:
        return None
    name = model_in_hand(context, hand)
    if not name:
        return ExportHead(job_state(context, job_in_hand(context, hand)))
    return replace(_of_model(library.find(context.workspace, name)), made_by="" if name == hand else hand)


def _of_model(model: library.Model) -> ExportHead:
    """Return the head of an exported model. Raises Problem where it is none."""
    try:
        forms = model_forms.of_folder(model.path)
        found = None if forms else record.of_model(model.path)
    except Problem as problem:
        return ExportHead(name=model.name, problem=problem)
    if forms:
        return _of_forms(model, forms)
    if found is None:
        raise Problem("export.no_export", name=model.name)
    return ExportHead(None, model.name, ", ".join(map(str, found.targets)), str(found.base), found.created)


def _of_forms(model: library.Model, forms: Forms) -> ExportHead:
    """Return the head of GGUF files, which answer once Deploy serves them, or of quantised weights."""
    return ExportHead(
        name=model.name,
        base=str(forms.source),
        created=model_forms.made_at(forms),
        types=", ".join(str(form.type) for form in forms.forms),
        loads=all(str(form.type).startswith("bnb") for form in forms.forms),
        is_served=not any(form.file for form in forms.forms),
        parts=PARTS_OF_FORMS,
    )


def job_state(context: ExportContext, job: Job) -> JobState:
    """Return how far a job is."""
    return JobState(
        id=job.id,
        title=Sentence(key=job.title, facts=job.facts),
        state=job.state,
        progress=finite(job.progress),
        message=sentence_of(job.message) if job.active else None,
        error=sentence_of(job.error),
        is_active=job.state in ACTIVE and job.state != "stopping",
        can_resume=context.jobs.can_resume(job.id),
    )


def sentence_of(told: object) -> Sentence | None:
    """Return what a job says, None where it says nothing; what is no sentence is told as that."""
    if told is None:
        return None
    try:
        return records.typed(told, Sentence, "sentence")
    except Problem as problem:
        return Sentence(key=problem.key, facts=problem.facts)
