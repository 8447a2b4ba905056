"""Compared runs as parallel coordinates: an axis for each setting in which they differ and one for the loss, a line for
each run.
"""

import math
from dataclasses import dataclass

from studio.core import formatting

MOST_AXES = 7
WIDTH, HEIGHT, LEFT, TOP = 150, 190, 70, 26  # pixels: between two axes, of an axis, and around all
LOG_FROM = 20  # how many times the least the greatest must be, for an axis to be logarithmic


@dataclass(frozen=True)
class Axis:
    """An upright axis at `x`: `label` is the setting, "" for the figure; its ticks are (pixels from the top, text)."""

    label: str
    x: int
    ticks: tuple[tuple[float, str], ...]


@dataclass(frozen=True)
class Line:
    """A run's line: `points` as SVG has them, `colour` the number of its colour, `title` what it is called."""

    run: str
    title: str
    colour: int
    points: str
    is_best: bool


@dataclass(frozen=True)
class ParallelPlot:
    """The whole plot; sizes in pixels."""

    axes: tuple[Axis, ...]
    lines: tuple[Line, ...]
    width: int
    height: int = HEIGHT + 2 * TOP
    top: int = TOP
    bottom: int = TOP + HEIGHT


def parallel_plot(rows: list, settings: dict[str, list], figure: str) -> ParallelPlot | None:
    """Return the plot of compared runs, None where fewer than two have the figure or they differ in no setting.

    Args:
        rows: of a comparison, in the order in which the runs were chosen.
        settings: the values of those that differ, in the order of `rows`.
        figure: the name of the field of a row that is the last axis; its label is left to the template.
    """
    with_figure = [row for row in rows if getattr(row, figure) is not None]
    if len(with_figure) < 2 or not settings:
        return None
    columns = dict(list(settings.items())[:MOST_AXES])
    scales = [_scale(values) for values in columns.values()] + [_scale([getattr(row, figure) for row in rows])]
    values = list(zip(*columns.values(), [getattr(row, figure) for row in rows], strict=True))
    lines = []
    for at, row in enumerate(rows):
        points = " ".join(
            f"{_x(axis)},{scale.height(value):.1f}"
            for axis, (scale, value) in enumerate(zip(scales, values[at], strict=True))
            if value is not None
        )
        lines.append(Line(row.name, row.title, row.colour, points, figure in row.best))
    axes = tuple(
        Axis(name, _x(at), scale.ticks()) for at, (name, scale) in enumerate(zip([*columns, ""], scales, strict=True))
    )
    # The best one is drawn last, on top of the others.
    return ParallelPlot(axes, tuple(sorted(lines, key=lambda line: line.is_best)), _x(len(scales) - 1) + LEFT)


def _x(axis: int) -> int:
    return LEFT + WIDTH * axis


@dataclass(frozen=True)
class _Numbers:
    """A scale of numbers; `log` where they go over orders of magnitude."""

    least: float
    most: float
    log: bool
    shown: tuple[float, ...]

    def height(self, value: float) -> float:
        """Return how far from the top a value stands, the greatest on top."""
        if self.least == self.most:
            return TOP + HEIGHT / 2
        turn = math.log if self.log else float
        share = (turn(value) - turn(self.least)) / (turn(self.most) - turn(self.least))
        return TOP + HEIGHT * (1 - share)

    def ticks(self) -> tuple[tuple[float, str], ...]:
        return tuple((self.height(value), formatting.measured(value)) for value in self.shown)


@dataclass(frozen=True)
class _Texts:
    """A scale of anything else: its values at even distances, in their order."""

    shown: tuple[str, ...]

    def height(self, value: object) -> float:
        """Return how far from the top a value stands."""
        return TOP + HEIGHT * (self.shown.index(str(value)) + 0.5) / len(self.shown)

    def ticks(self) -> tuple[tuple[float, str], ...]:
        return tuple((self.height(one), one[:24]) for one in self.shown)


def _scale(values: list) -> _Numbers | _Texts:
    known = [value for value in values if value is not None]
    if not all(_is_number(value) for value in known):
        return _Texts(tuple(dict.fromkeys(map(str, known))))
    different = sorted(set(known))
    least, most = different[0], different[-1]
    shown = different if len(different) <= 5 else [least, most]
    return _Numbers(least, most, least > 0 and most / least >= LOG_FROM, tuple(shown))


def _is_number(value: object) -> bool:
    return formatting.finite(value) is not None
