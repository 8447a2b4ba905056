"""The plots of a report as data; assets/plots.js draws them."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from studio.core.formatting import finite
from studio.core.i18n import Reason, Words
from studio.evaluate.reports import metric_facts
from studio.evaluate.reports.row_table import RowTable
from studio.evaluate.reports.summary import Summary, histogram, scatter

POINTS = 1000  # of a scatter, at most
PLACES = 5  # digits that are sent
MODELS = 8  # whose distributions are drawn: there are no more colours
BUTTONS = ("csv", "png", "svg", "full_screen")
_CHECKPOINT = re.compile(r"^(?P<run>.+)@checkpoint-(?P<step>\d{1,12})$")
Name = Reason | str


@dataclass(frozen=True)
class Line:
    """A line of a plot: its name, the number of its colour, a value at each place. scale: which axis its values are on.

    look: "stairs" has a value for what lies between two places, "faint" is there to be compared with.
    """

    name: Name
    number: int
    look: Literal["line", "dots", "stairs", "faint"]
    values: tuple[float | None, ...]
    scale: Literal["y", "right"] = "y"


@dataclass(frozen=True)
class Plot:
    """Lines over the places of one axis. unit: written behind a value. rows: of dots, the row that each is of, from 1.

    is_square: whether both axes have the same length and ends. has_zero: whether 0 is always in sight.
    """

    title: Name
    across: Name
    places: tuple[float, ...]
    lines: tuple[Line, ...]
    unit: str = ""
    rows: tuple[int, ...] = ()
    is_square: bool = False
    has_zero: bool = False

    def told(self, words: Words) -> dict:
        """Return it as the page's script takes it, in a language."""
        lines = [
            {
                "name": _told(one.name, words),
                "number": one.number % MODELS,
                "look": one.look,
                "values": _rounded(one.values),
                "scale": one.scale,
            }
            for one in self.lines
        ]
        return {
            "title": _told(self.title, words),
            "across": _told(self.across, words),
            "places": _rounded(self.places),
            "lines": lines,
            "unit": self.unit,
            "rows": list(self.rows),
            "row": words("evaluating.row"),
            "square": self.is_square,
            "zero": self.has_zero,
            "words": {name: words(f"charts.{name}") for name in BUTTONS},
        }


@dataclass(frozen=True)
class Scatter:
    """A target against the first. won, lost: rows, of those that are drawn, whose score is better or worse than the
    first's; None of a score that is neither good nor bad.
    """

    plot: Plot
    won: int | None
    lost: int | None


@dataclass(frozen=True)
class Steps:
    """A score, and the losses, against the step of training; `best` is the target with the best score."""

    plot: Plot
    best: str


def _told(name: Name, words: Words) -> str:
    return words(name.key, **name.facts) if isinstance(name, Reason) else name


def _rounded(values: Iterable[float | None]) -> list[float | None]:
    return [None if (number := finite(one)) is None else float(f"{number:.{PLACES}g}") for one in values]


def _sizes(metric: str, values: Iterable[float]) -> tuple[float, ...]:
    """Return scores as they are told: a share in percent."""
    each = 100 if _unit(metric) else 1
    return tuple(each * one for one in values)


def _unit(metric: str) -> str:
    return " %" if metric_facts.facts(metric).unit == "share" else ""


def distribution(table: RowTable, metric: str) -> Plot:
    """Return the histogram of a score, an outline for each target."""
    edges, counts = histogram(table, metric)
    lines = [
        Line(table.label(target), number, "stairs", tuple(counts[target]))
        for number, target in enumerate(table.targets[:MODELS])
    ]
    named = metric_facts.name(metric)
    title = Reason("evaluating.distribution", metric=named)
    return Plot(title, named, _sizes(metric, edges), tuple(lines), _unit(metric), has_zero=True)


def scattered(table: RowTable, metric: str, target: str) -> Scatter | None:
    """Return a target against the first, None where no row has both scores."""
    found = sorted(scatter(table, metric, target, POINTS))
    if not found:
        return None
    more, less = sum(y > x for x, y, _ in found), sum(y < x for x, y, _ in found)
    won, lost = {True: (more, less), False: (less, more), None: (None, None)}[
        metric_facts.facts(metric).higher_is_better
    ]
    across, up = (_sizes(metric, values) for values in list(zip(*found, strict=True))[:2])
    first, second = table.label(table.targets[0]), table.label(target)
    lines = (Line(first, 0, "faint", across), Line(second, table.targets.index(target), "dots", up))
    title = Reason("evaluating.scatter", first=first, second=second)
    rows = tuple(row + 1 for _, _, row in found)
    return Scatter(Plot(title, first, across, lines, _unit(metric), rows, is_square=True), won, lost)


def checkpoint_steps(targets: tuple[str, ...]) -> tuple[str, dict[str, int]]:
    """Return the run whose checkpoints are targets, and the step of each; ("", {}) where no run has two of them."""
    by_run: dict[str, dict[str, int]] = {}
    for target in targets:
        if found := _CHECKPOINT.match(target):
            by_run.setdefault(found["run"], {})[target] = int(found["step"])
    run = max(by_run, key=lambda one: len(by_run[one]), default="")
    return (run, by_run[run]) if run and len(by_run[run]) > 1 else ("", {})


def steps(made: Summary, metric: str, series: Sequence) -> Steps | None:
    """Return a score against the step of training; None where the targets are no checkpoints of one run.

    Args:
        series: the run's loss while it trained, as [step, value, ...].
    """
    _, known = checkpoint_steps(made.targets)
    found = sorted((step, target) for target, step in known.items() if metric in made.scores[target])
    if len(found) < 2:
        return None
    scores = {step: made.scores[target][metric].value for step, target in found}
    training = {point[0]: point[1] for point in series if finite(point[0]) is not None and finite(point[1]) is not None}
    references = {step: made.scores[one]["loss"].value for step, one in found if "loss" in made.scores[one]}
    if metric == "loss":
        references = {}
    places = sorted({*scores, *training, *references})
    named = metric_facts.name(metric)
    lines = [Line(named, 0, "line", _at(places, dict(zip(scores, _sizes(metric, scores.values()), strict=True))))]
    for key, number, values in (("training_loss", 1, training), ("reference_loss", 2, references)):
        if values:
            lines.append(Line(Reason(f"evaluating.{key}"), number, "line", _at(places, values), "right"))
    best = (max if metric_facts.is_higher_better(metric) else min)(found, key=lambda one: scores[one[0]])[1]
    title = Reason("evaluating.steps", metric=named)
    return Steps(Plot(title, Reason("charts.step"), tuple(places), tuple(lines), _unit(metric)), best)


def _at(places: Sequence[float], values: dict[float, float]) -> tuple[float | None, ...]:
    return tuple(values.get(place) for place in places)
