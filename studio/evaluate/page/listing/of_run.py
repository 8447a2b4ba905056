"""The evaluations of one run, and of its checkpoints, on the run's own page."""

from dataclasses import dataclass

from studio.core.i18n import Problem
from studio.evaluate.page.context import EvaluateContext
from studio.evaluate.page.listing.evaluation_list import EvaluationRow, evaluation_row
from studio.train import runs

TEMPLATE = "evaluate/page/listing/of_run.html"
MOST = 20


@dataclass(frozen=True)
class EvaluationsOfRun:
    """The newest evaluations in which a run, or a checkpoint of it, was asked. checkpoints: how many there are now."""

    run: str
    checkpoints: int
    rows: tuple[EvaluationRow, ...]


def of_run(context: EvaluateContext, name: str) -> EvaluationsOfRun | None:
    """Return the evaluations of a run, None where no run is named. Raises Problem where there is no such run."""
    if not name:
        return None
    run = runs.find(context.service.workspace, name)
    found = []
    for evaluation in context.service.evaluations.all():
        try:
            request = context.reports.request(evaluation)
        except Problem:
            continue  # the list of all says what is wrong with it
        if any(target.partition("@")[0] == run.name for target in request.targets):
            found.append(evaluation_row(context, evaluation, request))
        if len(found) == MOST:
            break
    return EvaluationsOfRun(run.name, len(run.checkpoints()), tuple(found))
