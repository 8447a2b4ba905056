"""Scores as bars with their intervals, [0, 100] percent of a scale that all of them share."""

from collections.abc import Callable
from dataclasses import dataclass

from studio.core.formatting import finite
from studio.evaluate.part_names import Name
from studio.evaluate.reports import metric_facts
from studio.evaluate.reports.summary import Group, Summary

GROUPS = 80


@dataclass(frozen=True)
class Span:
    """A score on a scale of 0 to 100 percent: where it lies, and from where to where its interval reaches."""

    number: int
    at: float
    left: float
    width: float
    text: str
    low: str
    high: str


@dataclass(frozen=True)
class GroupLine:
    """A dataset, subject or category: its spans, and what the last target won or lost."""

    name: Name
    rows: int
    spans: tuple[Span, ...]
    change: str
    verdict: str


def _scale(values: list[float], metric: str) -> tuple[float, float]:
    """Return the ends of an axis on which all of some values lie."""
    best = metric_facts.facts(metric).best
    known = [one for one in values if finite(one) is not None]
    if best:
        return 0.0, best
    low, high = min(known, default=0.0), max(known, default=1.0)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def spans(made: Summary, metric: str, scores: dict) -> tuple[Span, ...]:
    """Return the scores of the targets on one scale; `scores` are intervals by target."""
    known = [one for target in made.targets if (one := made.scores[target].get(metric))]
    ends = [
        value for one in [*known, *scores.values()] for value in (one.value, one.low, one.high) if value is not None
    ]
    low, high = _scale(ends, metric)
    return tuple(
        _span(number, scores[target], metric, low, high)
        for number, target in enumerate(made.targets)
        if target in scores
    )


def _span(number: int, one, metric: str, low: float, high: float) -> Span:
    def at(value: float | None) -> float:
        return 100 * min(1.0, max(0.0, ((one.value if value is None else value) - low) / (high - low)))

    left, right = at(one.low), at(one.high)
    told = [metric_facts.shown(value, metric) for value in (one.value, one.low, one.high)]
    return Span(number, at(one.value), left, right - left, *told)


def groups(made: Summary, found: tuple[Group, ...], called: Callable[[str], Name] = str) -> tuple[GroupLine, ...]:
    """Return datasets, subjects or categories, by what they are called, as lines; of several targets the change is that
    of the last.
    """
    last = made.targets[-1] if len(made.targets) > 1 else None
    lines = []
    for group in found[:GROUPS]:
        difference = group.differences.get(last)
        verdict = "" if difference is None else {True: "better", False: "worse", None: "noise"}[difference.is_better]
        change = metric_facts.shown(difference.value, made.headline, signed=True) if difference else ""
        lines.append(
            GroupLine(called(group.name), group.rows, spans(made, made.headline, group.scores), change, verdict)
        )
    return tuple(lines)
