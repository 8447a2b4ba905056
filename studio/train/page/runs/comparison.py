"""Runs side by side: their results, and the settings in which they differ."""

from dataclasses import dataclass, replace

from studio.core import formatting
from studio.core.i18n import Problem
from studio.core.workspace import Workspace
from studio.train import runs
from studio.train.page.runs.parallel_plot import ParallelPlot, parallel_plot

TEMPLATE = "train/page/runs/comparison.html"
COLOURS = 8  # as many as assets/compare.js and the styles have
# Folders differ in every run and say nothing of it.
PASSED_OVER = {"output_dir", "dataset_dir"}
MOST = 24


# The figures of a run of which the least is the best, and by which the table is sorted.
FIGURES = ("loss", "best_loss", "best_eval_loss", "took")


@dataclass(frozen=True)
class Row:
    """The results of one run; `took` in seconds, None where it has not ended. `settings` are its values of those that
    differ, `best` the figures in which no other run has less; `colour` is the number of the colour that its lines have.
    """

    name: str
    title: str
    state: str
    loss: float | None
    best_loss: float | None
    best_eval_loss: float | None
    step: int
    total_steps: int
    took: float | None
    settings: tuple[object, ...]
    colour: int
    best: tuple[str, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """A row for each run, in the order of `sort` (a figure, "name" or a setting), as they were chosen where it is "".

    `settings` are those that differ; `plot` shows how they lead to `plot_figure`. `faults` tell of the names that stand
    for no run. `is_asked` is false while fewer than two runs are named.
    """

    is_asked: bool
    rows: tuple[Row, ...] = ()
    settings: tuple[str, ...] = ()
    sort: str = ""
    faults: tuple[Problem, ...] = ()
    plot: ParallelPlot | None = None
    plot_figure: str = ""


def comparison(workspace: Workspace, arg: str) -> Comparison:
    """Return the runs named in the first line of `arg`, joined by `|`, MOST of them at most, sorted by its second."""
    chosen, _, sort = arg.partition("\n")
    names = [name for name in chosen.split("|") if name][:MOST]
    if len(names) < 2:
        return Comparison(is_asked=False)
    found: list[runs.Run] = []
    faults: list[Problem] = []
    for name in names:
        try:
            found.append(runs.find(workspace, name))
        except Problem as fault:
            faults.append(fault)
    short = [run.label for run in found]
    titles = [one if short.count(one) == 1 else run.name for one, run in zip(short, found, strict=True)]
    settings = differences([run.recipe_if_any() for run in found])
    rows = [
        _row(run, title, tuple(values[at] for values in settings.values()), at % COLOURS)
        for at, (run, title) in enumerate(zip(found, titles, strict=True))
    ]
    rows = _with_best(rows)
    figure = "best_eval_loss" if any(row.best_eval_loss is not None for row in rows) else "best_loss"
    return Comparison(
        is_asked=True,
        rows=tuple(_sorted(rows, sort, list(settings))),
        settings=tuple(settings),
        sort=sort,
        faults=tuple(faults),
        plot=parallel_plot(rows, settings, figure),
        plot_figure=figure,
    )


def _with_best(rows: list[Row]) -> list[Row]:
    """Mark in which figures each run has the least of all; where there are no two, none is the best."""
    least = {}
    for figure in FIGURES:
        values = [value for row in rows if (value := getattr(row, figure)) is not None]
        least[figure] = min(values) if len(set(values)) > 1 else None
    return [
        replace(row, best=tuple(one for one in FIGURES if least[one] is not None and getattr(row, one) == least[one]))
        for row in rows
    ]


def _sorted(rows: list[Row], sort: str, settings: list[str]) -> list[Row]:
    """Return rows by what they are sorted by, the least first; those without it come last."""
    if sort == "name":
        return sorted(rows, key=lambda row: row.title)
    if sort in FIGURES:
        return sorted(rows, key=lambda row: _place(getattr(row, sort)))
    if sort in settings:
        at = settings.index(sort)
        return sorted(rows, key=lambda row: _place(row.settings[at]))
    return rows


def _place(value: object) -> tuple[int, float, str]:
    """Return where a value stands among others of any kind: numbers first, then texts, then what is not said."""
    if value is None:
        return 2, 0.0, ""
    number = formatting.finite(value)
    return (1, 0.0, str(value)) if number is None else (0, number, "")


def differences(recipes: list[dict[str, object]]) -> dict[str, list]:
    """Return {setting: [its value in each recipe, None where it is not said]} of the settings that are not the same in
    all.
    """
    names = dict.fromkeys(name for recipe in recipes for name in recipe if name not in PASSED_OVER)
    rows = {name: [recipe.get(name) for recipe in recipes] for name in names}
    return {name: values for name, values in rows.items() if any(value != values[0] for value in values[1:])}


def best_loss(status: runs.Status, name: str = "loss") -> float | None:
    """Return the lowest value of a series, None where it has no number."""
    return min((point[1] for point in status.series.get(name, []) if isinstance(point[1], (int, float))), default=None)


def _row(run: runs.Run, title: str, settings: tuple[object, ...], colour: int) -> Row:
    status = runs.status(run)
    return Row(
        name=run.name,
        title=title,
        state=status.state,
        loss=status.loss,
        best_loss=best_loss(status),
        best_eval_loss=best_loss(status, "eval_loss"),
        step=status.step,
        total_steps=status.total_steps,
        took=status.took(),
        settings=settings,
        colour=colour,
    )
