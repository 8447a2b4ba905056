"""The geometry of an evaluation's charts; the templates draw it, the browser computes nothing."""

import re
from dataclasses import dataclass

from studio.core.formatting import finite
from studio.evaluate.reports import metric_facts
from studio.evaluate.reports.row_table import RowTable
from studio.evaluate.reports.summary import Group, Summary, histogram, scatter
from studio.inference import target_names

WIDTH, HEIGHT = 320, 160
POINTS = 400  # of a scatter, at most: the page draws each
GROUPS = 80
_CHECKPOINT = re.compile(r"^(?P<run>.+)@checkpoint-(?P<step>\d{1,12})$")


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

    name: str
    rows: int
    spans: tuple[Span, ...]
    change: str
    verdict: str


@dataclass(frozen=True)
class Stairs:
    """A histogram of one target: the points of its outline as SVG has them."""

    number: int
    points: str


@dataclass(frozen=True)
class Distribution:
    """How a score is distributed. low, high: the ends of its axis; most: rows of the highest bin."""

    lines: tuple[Stairs, ...]
    low: str
    high: str
    most: int
    width: int = WIDTH
    height: int = HEIGHT


@dataclass(frozen=True)
class Dot:
    """A row in a scatter: its place, and what takes it in hand."""

    x: float
    y: float
    row: int


@dataclass(frozen=True)
class Scatter:
    """A target against the first. won, lost: rows, of those that are drawn, whose score is better or worse than the
    first's; None of a score that is neither good nor bad.
    """

    dots: tuple[Dot, ...]
    first: str
    second: str
    won: int | None
    lost: int | None
    low: str
    high: str
    size: int = HEIGHT


@dataclass(frozen=True)
class StepPoint:
    """A checkpoint: its place, step and score."""

    target: str
    x: float
    y: float
    step: int
    text: str
    is_best: bool


@dataclass(frozen=True)
class Steps:
    """A score against the step of training. line, loss, reference: points as SVG has them; loss is that of training,
    reference that of the reference answers, both on one scale.
    """

    run: str
    points: tuple[StepPoint, ...]
    line: str
    loss: str
    reference: str
    low: str
    high: str
    loss_low: str
    loss_high: str
    last_step: int
    best: str
    width: int = 2 * WIDTH
    height: int = HEIGHT


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


def groups(made: Summary, found: tuple[Group, ...]) -> tuple[GroupLine, ...]:
    """Return datasets, subjects or categories as lines; of several targets the change is that of the last."""
    last = made.targets[-1] if len(made.targets) > 1 else None
    lines = []
    for group in found[:GROUPS]:
        difference = group.differences.get(last)
        verdict = "" if difference is None else {True: "better", False: "worse", None: "noise"}[difference.is_better]
        change = metric_facts.shown(difference.value, made.headline, signed=True) if difference else ""
        lines.append(GroupLine(group.name, group.rows, spans(made, made.headline, group.scores), change, verdict))
    return tuple(lines)


def distribution(table: RowTable, metric: str) -> Distribution:
    """Return the histogram of a score, an outline for each target."""
    edges, counts = histogram(table, metric)
    most = max((max(of) for of in counts.values()), default=0)
    step, lines = WIDTH / (len(edges) - 1), []
    for number, target in enumerate(table.targets):
        points = [f"0,{HEIGHT}"]
        for at, count in enumerate(counts[target]):
            y = HEIGHT - (HEIGHT - 6) * count / (most or 1)
            points += [f"{at * step:.1f},{y:.1f}", f"{(at + 1) * step:.1f},{y:.1f}"]
        lines.append(Stairs(number, " ".join([*points, f"{WIDTH},{HEIGHT}"])))
    return Distribution(
        tuple(lines[:8]), metric_facts.shown(edges[0], metric), metric_facts.shown(edges[-1], metric), most
    )


def scattered(table: RowTable, metric: str, target: str) -> Scatter | None:
    """Return a target against the first, None where no row has both scores."""
    found = scatter(table, metric, target, POINTS)
    if not found:
        return None
    low, high = _scale([one for point in found for one in point[:2]], metric)
    across = (HEIGHT - 8) / (high - low)
    more, less = sum(y > x for x, y, _ in found), sum(y < x for x, y, _ in found)
    won, lost = {True: (more, less), False: (less, more), None: (None, None)}[
        metric_facts.facts(metric).higher_is_better
    ]
    dots = tuple(Dot(4 + across * (x - low), HEIGHT - 4 - across * (y - low), row) for x, y, row in found)
    return Scatter(
        dots,
        target_names.short(table.targets[0]),
        target_names.short(target),
        won,
        lost,
        metric_facts.shown(low, metric),
        metric_facts.shown(high, metric),
    )


def checkpoint_steps(targets: tuple[str, ...]) -> tuple[str, dict[str, int]]:
    """Return the run whose checkpoints are targets, and the step of each; ("", {}) where no run has two of them."""
    by_run: dict[str, dict[str, int]] = {}
    for target in targets:
        if found := _CHECKPOINT.match(target):
            by_run.setdefault(found["run"], {})[target] = int(found["step"])
    run = max(by_run, key=lambda one: len(by_run[one]), default="")
    return (run, by_run[run]) if run and len(by_run[run]) > 1 else ("", {})


def steps(made: Summary, metric: str, series: list) -> Steps | None:
    """Return a score against the step of training; None where the targets are no checkpoints of one run.

    Args:
        series: the run's loss while it trained, as [step, value, ...].
    """
    run, known = checkpoint_steps(made.targets)
    found = sorted((step, target) for target, step in known.items() if metric in made.scores[target])
    if len(found) < 2:
        return None
    losses = [(point[0], point[1]) for point in series if finite(point[0]) is not None and finite(point[1]) is not None]
    references = [(step, made.scores[one]["loss"].value) for step, one in found if "loss" in made.scores[one]]
    references = references if metric != "loss" else []
    last = max([found[-1][0], *(step for step, _ in losses)])
    values = [made.scores[target][metric].value for _, target in found]
    best = (max if metric_facts.is_higher_better(metric) else min)(values)
    low, high = min(values), max(values)
    nats = [value for _, value in (*losses, *references)]
    ends = (min(nats), max(nats)) if nats else (0.0, 0.0)
    points = tuple(
        StepPoint(target, 2 * WIDTH * step / (last or 1), y, step, metric_facts.shown(value, metric), value == best)
        for (step, target), value, y in zip(found, values, _heights(values, low, high), strict=True)
    )
    return Steps(
        run=run,
        points=points,
        line=" ".join(f"{one.x:.1f},{one.y:.1f}" for one in points),
        loss=_line(losses, ends, last),
        reference=_line(references, ends, last),
        low=metric_facts.shown(low, metric),
        high=metric_facts.shown(high, metric),
        loss_low=metric_facts.shown(ends[0], "loss"),
        loss_high=metric_facts.shown(ends[1], "loss"),
        last_step=last,
        best=next(one.target for one in points if one.is_best),
    )


def _line(found: list[tuple[float, float]], ends: tuple[float, float], last: float) -> str:
    """Return (step, value) as the points of a line, "" where there are none."""
    heights = _heights([value for _, value in found], *ends)
    return " ".join(
        f"{2 * WIDTH * step / (last or 1):.1f},{y:.1f}" for (step, _), y in zip(found, heights, strict=True)
    )


def _heights(values: list[float], low: float, high: float) -> list[float]:
    up = (HEIGHT - 24) / ((high - low) or 1)
    return [HEIGHT - 12 - up * (value - low) for value in values]
