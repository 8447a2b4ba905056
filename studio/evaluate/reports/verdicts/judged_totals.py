"""What a judge said of the answers of an evaluation, in sum."""

from collections import defaultdict

from studio.evaluate.evaluation import Evaluation, Judged
from studio.evaluate.scores.pairwise_judge import JudgedTotal, Judgement, total


def judged_totals(evaluation: Evaluation, targets: list[str], seed: int = 42) -> dict[str, JudgedTotal]:
    """Return by target how its answers did against those of the first; {} where nobody judged.

    Args:
        seed: of the interval and the test.
    """
    found: dict[str, dict[int, Judgement]] = defaultdict(dict)
    for one in evaluation.read(Judged):
        orders = (*one.orders, None, None)[:2]
        found[one.target][one.row] = Judgement(one.verdict, orders, tuple(one.odd), one.fault is not None)
    return {target: total(found[target].values(), seed) for target in targets if target in found}
