"""The list of evaluations, newest first, with state, models, data and headline score."""

from dataclasses import dataclass

from studio.core.formatting import finite
from studio.core.i18n import Problem
from studio.core.jobs import ACTIVE
from studio.evaluate import part_names
from studio.evaluate.evaluation import Evaluation
from studio.evaluate.page.context import EvaluateContext
from studio.evaluate.part_names import Name
from studio.evaluate.reports import metric_facts
from studio.evaluate.settings import Request
from studio.inference import target_names

TEMPLATE = "evaluate/page/listing/evaluation_list.html"
LISTED = 300


@dataclass(frozen=True)
class EvaluationRow:
    """An evaluation in the list. problem: why its request cannot be read; then nothing else of it is known."""

    id: str
    title: Name = ""
    state: str = ""
    progress: float | None = None
    models: str = ""
    parts: Name = ""
    note: str = ""
    created: float | None = None
    score: str = ""
    metric: str | dict = ""
    verdict: str = ""
    problem: Problem | None = None


@dataclass(frozen=True)
class EvaluationList:
    """The evaluations that fit what is sought."""

    rows: tuple[EvaluationRow, ...]
    is_search: bool


def evaluation_list(context: EvaluateContext, query: str = "") -> EvaluationList:
    """Return the newest LISTED evaluations, or those of them in which every word of the query stands."""
    words = query.lower().split()
    found = []
    for evaluation in context.service.evaluations.all():
        request = _request(context, evaluation)
        if all(word in _searched(evaluation, request) for word in words):
            is_readable = isinstance(request, Request)
            found.append(
                evaluation_row(context, evaluation, request) if is_readable else _unreadable(evaluation, request)
            )
        if len(found) >= LISTED:
            break
    return EvaluationList(tuple(found), bool(words))


def _request(context: EvaluateContext, evaluation: Evaluation) -> Request | Problem:
    try:
        return context.reports.request(evaluation)
    except Problem as problem:
        return problem


def _unreadable(evaluation: Evaluation, problem: Problem) -> EvaluationRow:
    return EvaluationRow(evaluation.id, title=evaluation.id, problem=problem)


def evaluation_row(context: EvaluateContext, evaluation: Evaluation, request: Request) -> EvaluationRow:
    """Return an evaluation as lists show it; one that was deleted meanwhile is told as that."""
    try:
        status = context.service.status(evaluation.id)
        headline = context.reports.headline(evaluation.id, status.state in ACTIVE)
    except Problem as problem:
        return EvaluationRow(evaluation.id, title=part_names.title(request, evaluation.label), problem=problem)
    return EvaluationRow(
        id=evaluation.id,
        title=part_names.title(request, evaluation.label),
        state=status.state,
        progress=finite(status.progress) if status.state in ACTIVE else None,
        models=" / ".join(evaluation.label(one) for one in request.targets[:4]),
        parts=part_names.shown(request.parts, evaluation.label),
        note=request.note,
        created=request.created,
        score=_score(headline),
        metric=metric_facts.name(headline.metric) if headline else "",
        verdict=headline.verdict if headline else "",
    )


def _score(headline) -> str:
    if headline is None:
        return ""
    value = metric_facts.shown(headline.value, headline.metric)
    if headline.difference is None:
        return value
    return f"{value} ({metric_facts.shown(headline.difference, headline.metric, signed=True)})"


def _searched(evaluation: Evaluation, request: Request | Problem) -> str:
    if isinstance(request, Problem):
        return evaluation.id.lower()
    targets = (target_names.title(evaluation.workspace, one) for one in request.targets)
    parts = (str(part_names.shown([one], evaluation.label)) for one in request.parts)
    told = [evaluation.id, request.title, request.note, request.kind, *targets, *request.parts, *parts]
    return " ".join(told).lower()
