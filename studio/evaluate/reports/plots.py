"""Plots of an evaluation as PNG or SVG, drawn by matplotlib without a screen and without any state of the process."""

import io
import logging
from functools import cache

from studio.core.i18n import Problem, Words
from studio.evaluate.reports import metric_facts
from studio.evaluate.reports.row_table import RowTable
from studio.evaluate.reports.summary import Summary, histogram, scatter

KINDS = ("scores", "distribution", "scatter", "subjects")
FORMS = ("png", "svg")
COLOURS = ("#0f8f83", "#c2571a", "#5b63c7", "#a8327f", "#7c8a17", "#2f7fc1", "#8a5a2b", "#6b7280")
# The first of these that the machine has is asked for what the fonts of matplotlib do not have.
CHINESE = (
    "Noto Sans CJK SC",
    "Source Han Sans SC",
    "Noto Serif CJK SC",
    "WenQuanYi Micro Hei",
    "Microsoft YaHei",
    "PingFang SC",
    "SimHei",
)


def plot(kind: str, form: str, metric: str, table: RowTable, made: Summary, words: Words) -> bytes:
    """Return a plot as the bytes of a file.

    Args:
        kind: one of KINDS; "scatter" sets the last target against the first.
        form: one of FORMS.

    Raises:
        Problem: there is no such plot, or nothing to be drawn yet.
    """
    if kind not in KINDS or form not in FORMS:
        raise Problem("results.no_plot", kind=kind, form=form, known=", ".join(KINDS))
    if metric not in made.metrics or (kind == "subjects" and not made.subjects):
        raise Problem("results.nothing_to_draw")
    if kind == "scatter" and len(made.targets) < 2:
        raise Problem("results.one_target")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    height = 2.2 + 0.22 * len(made.subjects) if kind == "subjects" else 4.2
    figure = Figure(figsize=(7.5, height), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    name = metric_facts.told(metric, words)
    {"scores": _scores, "distribution": _distribution, "scatter": _scatter, "subjects": _subjects}[kind](
        axes, metric, name, table, made, words
    )
    axes.spines[["top", "right"]].set_visible(False)
    for text in figure.findobj(match=lambda one: hasattr(one, "set_fontfamily")):
        text.set_fontfamily(_fonts())
        text.set_parse_math(False)  # a dollar in a name is a dollar
    file = io.BytesIO()
    figure.savefig(file, format=form, metadata={"Date": None} if form == "svg" else None)
    return file.getvalue()


@cache
def _fonts() -> list[str]:
    """Return the fonts of a text: matplotlib's own, and one with Chinese where the machine has it."""
    from matplotlib.font_manager import fontManager

    known = {one.name for one in fontManager.ttflist}
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # what no font has is drawn as a box
    return ["DejaVu Sans", *[one for one in CHINESE if one in known][:1]]


def _labels(table: RowTable, made: Summary) -> list[str]:
    labels = [table.label(one) for one in made.targets]
    return [one if labels.count(one) == 1 else name for one, name in zip(labels, made.targets, strict=True)]


def _scores(axes, metric: str, name: str, table: RowTable, made: Summary, _words) -> None:
    for code, target in enumerate(made.targets):
        one = made.scores[target].get(metric)
        if one is not None:
            _bar(axes, code, one, COLOURS[code % len(COLOURS)])
    axes.set_xticks(range(len(made.targets)), _labels(table, made))
    axes.set_ylabel(name)


def _bar(axes, at: float, one, colour: str) -> None:
    axes.bar(at, one.value, 0.6, color=colour)
    if one.low is not None and one.high is not None:
        around = [[max(0.0, one.value - one.low)], [max(0.0, one.high - one.value)]]
        axes.errorbar(at, one.value, around, color="#333333", capsize=4, linewidth=1)


def _distribution(axes, metric: str, name: str, table: RowTable, made: Summary, words: Words) -> None:
    edges, counts = histogram(table, metric)
    for code, (target, label) in enumerate(zip(made.targets, _labels(table, made), strict=True)):
        axes.stairs(counts[target], edges, fill=True, alpha=0.35, color=COLOURS[code % len(COLOURS)], label=label)
    axes.set_xlabel(name)
    axes.set_ylabel(words("results.rows"))
    axes.legend(frameon=False)


def _scatter(axes, metric: str, name: str, table: RowTable, made: Summary, _words) -> None:
    points = scatter(table, metric, made.targets[-1])
    labels = _labels(table, made)
    axes.scatter([one[0] for one in points], [one[1] for one in points], s=9, alpha=0.5, color=COLOURS[0], linewidths=0)
    ends = [min((min(one[:2]) for one in points), default=0), max((max(one[:2]) for one in points), default=1)]
    axes.plot(ends, ends, color="#999999", linewidth=0.8)
    axes.set_xlabel(f"{name} · {labels[0]}")
    axes.set_ylabel(f"{name} · {labels[-1]}")


def _subjects(axes, metric: str, name: str, table: RowTable, made: Summary, _words) -> None:
    for at, group in enumerate(reversed(made.subjects)):
        for code, target in enumerate(made.targets):
            one = group.scores.get(target)
            if one is None:
                continue
            around = [[one.value - (one.low or one.value)], [(one.high or one.value) - one.value]]
            place = at + 0.12 * (code - (len(made.targets) - 1) / 2)
            axes.errorbar(
                one.value, place, xerr=around, fmt="o", markersize=4, color=COLOURS[code % len(COLOURS)], linewidth=1
            )
    axes.set_yticks(range(len(made.subjects)), [one.name for one in reversed(made.subjects)], fontsize=7)
    axes.set_xlabel(name)
    for code, label in enumerate(_labels(table, made)):
        axes.plot([], [], "o", color=COLOURS[code % len(COLOURS)], label=label)
    axes.legend(frameon=False, fontsize=8)
