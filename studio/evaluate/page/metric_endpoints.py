"""What a script, and the page, can do with scores of the person's own."""

from collections.abc import Callable

from studio.core import trust
from studio.core.i18n import Words
from studio.evaluate.page.context import EvaluateContext
from studio.evaluate.page.listing.own_metric_list import OwnMetricFile, own_metric_file, own_metric_list
from studio.evaluate.page.schemas import OwnMetricResult


def endpoints(context: EvaluateContext, words: Words) -> list[Callable]:
    """Return the endpoints of own scores."""

    def evaluate_own_metrics() -> list[OwnMetricResult]:
        """Return the scores of the folder `metrics/`, with their code and whether it may run."""
        return [_result(one, words) for one in own_metric_list(context).files]

    def evaluate_metric_trust(name: str, allowed: bool, digest: str = "") -> OwnMetricResult:
        """Allow the code of an own score to run, or forbid it again, and return it.

        To allow it, `digest` names the code that the person read, as `evaluate_own_metrics` or the page gave it.
        """
        file = own_metric_file(context, name)
        if allowed:
            trust.grant(file.path, digest, file.key)
        else:
            trust.revoke(file.path)
        return _result(own_metric_file(context, name), words)

    return [evaluate_own_metrics, evaluate_metric_trust]


def _result(file: OwnMetricFile, words: Words) -> OwnMetricResult:
    problem = file.fault or file.content.problem
    return OwnMetricResult(
        name=file.name,
        key=file.key,
        code=file.content.text,
        digest=file.digest,
        allowed=file.is_allowed,
        problem=words.tell(problem) if problem else None,
    )
