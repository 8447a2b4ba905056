"""The head of an evaluation: what was asked, how far it is, what it says, and what can be done with it."""

from dataclasses import dataclass

from studio.core import formatting
from studio.core.formatting import finite
from studio.core.i18n import Problem
from studio.core.jobs import ACTIVE
from studio.core.sentences import Sentence
from studio.core.storage import records
from studio.evaluate import part_names
from studio.evaluate.evaluation import Evaluation, Event
from studio.evaluate.page.context import EvaluateContext
from studio.evaluate.part_names import Name
from studio.evaluate.reports.plots import KINDS
from studio.evaluate.reports.report_files import FORMS
from studio.evaluate.reports.summary import Summary
from studio.inference import target_names

TEMPLATE = "evaluate/page/listing/evaluation_head.html"
NOTES = 6
STOPPED = ("stopped", "failed", "interrupted")


@dataclass(frozen=True)
class EvaluationHead:
    """The head of an evaluation. progress: 0 to 1; left: seconds; both None where they are not known.

    problem: why its request cannot be read; it can only be deleted then. sentences: what it says. warnings: what must
    be known to believe it. notes: the newest that happened.
    """

    id: str
    title: Name
    problem: Problem | None = None
    kind: str = "predict"
    note: str = ""
    created: float | None = None
    targets: tuple[str, ...] = ()
    parts: Name = ""
    state: str = ""
    progress: float | None = None
    left: float | None = None
    message: Sentence | None = None
    error: Sentence | None = None
    sentences: tuple[Sentence, ...] = ()
    warnings: tuple[Sentence, ...] = ()
    notes: tuple[Sentence, ...] = ()
    is_made: bool = False
    can_stop: bool = False
    can_resume: bool = False
    metric: str = ""
    forms: tuple[str, ...] = FORMS
    plots: tuple[str, ...] = KINDS[:3]


def evaluation_head(context: EvaluateContext, id: str) -> EvaluationHead | None:
    """Return the head of an evaluation, None where none is named. Raises Problem where there is none."""
    if not id:
        return None
    evaluation = context.service.evaluations.find(id)
    try:
        request = context.reports.request(evaluation)
    except Problem as problem:
        return EvaluationHead(id, id, problem)
    status = context.service.status(id)
    is_active = status.state in ACTIVE
    made = context.reports.summary(id, is_active, patience=0.3)
    return EvaluationHead(
        id=id,
        title=part_names.title(request, evaluation.label),
        kind=request.kind,
        note=request.note,
        created=request.created,
        targets=tuple(target_names.title(evaluation.workspace, one) for one in request.targets),
        parts=part_names.shown(request.parts, evaluation.label),
        state=status.state,
        progress=finite(status.progress),
        left=status.left_s if is_active else None,
        message=_sentence(status.message) if is_active else None,
        error=_sentence(status.error),
        sentences=tuple(_labelled(evaluation, made, one) for one in made.sentences) if made else (),
        warnings=tuple(_warnings(evaluation, made)) if made else (),
        notes=tuple(_notes(evaluation.read(Event))),
        is_made=made is not None,
        can_stop=is_active and status.state != "stopping",
        can_resume=status.state in STOPPED,
        metric=(made.headline or "") if made else "",
        plots=KINDS if made and made.subjects else KINDS[:3],
    )


def _sentence(told: object) -> Sentence | None:
    """Return what a job says, None where it says nothing."""
    if told is None:
        return None
    try:
        return records.typed(told, Sentence, "sentence")
    except Problem as problem:
        return Sentence(key=problem.key, facts=problem.facts)


def _labelled(evaluation: Evaluation, made: Summary, sentence: Sentence) -> Sentence:
    """Return a sentence of the summary that calls models as the page does."""
    facts = {key: evaluation.label(value) if value in made.targets else value for key, value in sentence.facts.items()}
    return Sentence(key=sentence.key, facts=facts)


def _warnings(evaluation: Evaluation, made: Summary):
    """Yield what must be known before a score is believed, each kind once for all models."""
    for name in ("trained", "cut", "at_limit", "failed"):
        found = [(evaluation.label(one), getattr(counts, name)) for one, counts in made.counts.items()]
        who = ", ".join(f"{label} {count}" for label, count in found if count)
        if who:
            yield Sentence(key=f"evaluating.warn_{name}", facts={"who": who, "rows": made.rows})
    if who := ", ".join(f"{evaluation.label(one)} {of.failed}" for one, of in made.judged.items() if of.failed):
        yield Sentence(key="evaluating.warn_unjudged", facts={"who": who})
    if made.unusable:
        yield Sentence(key="evaluating.warn_unusable", facts={"count": formatting.whole(made.unusable)})


def _notes(events: list[Event]):
    """Yield the newest sentences of what happened, each once."""
    told: dict[str, Sentence] = {}
    for event in events:
        if event.key:
            one = Sentence(key=event.key, facts=event.facts)
            told.pop(repr(one), None)
            told[repr(one)] = one
    yield from list(told.values())[-NOTES:]
