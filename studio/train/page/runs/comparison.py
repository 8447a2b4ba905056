"""Runs side by side: their results, and the settings in which they differ."""

from dataclasses import dataclass

from studio.core.i18n import Problem
from studio.core.workspace import Workspace
from studio.train import runs

TEMPLATE = "train/page/runs/comparison.html"
# Folders differ in every run and say nothing of it.
PASSED_OVER = {"output_dir", "dataset_dir"}
MOST = 8


@dataclass(frozen=True)
class Column:
    """The results of one run; `took` in seconds, None where it has not ended."""

    title: str
    state: str
    loss: float | None
    best_loss: float | None
    best_eval_loss: float | None
    step: int
    total_steps: int
    took: float | None


@dataclass(frozen=True)
class Comparison:
    """A column for each run; `settings` are those that differ, each with its value in each run. `faults` tell of the
    names that stand for no run. `is_asked` is false while fewer than two runs are named.
    """

    is_asked: bool
    columns: tuple[Column, ...] = ()
    settings: tuple[tuple[str, tuple[object, ...]], ...] = ()
    faults: tuple[Problem, ...] = ()


def comparison(workspace: Workspace, arg: str) -> Comparison:
    """Return the runs named in `arg`, joined by `|`, beside each other, MOST of them at most."""
    names = [name for name in arg.split("|") if name][:MOST]
    if len(names) < 2:
        return Comparison(is_asked=False)
    found: list[runs.Run] = []
    faults: list[Problem] = []
    for name in names:
        try:
            found.append(runs.find(workspace, name))
        except Problem as fault:
            faults.append(fault)
    short = [run.name.split("/")[-1] for run in found]
    titles = [one if short.count(one) == 1 else run.name for one, run in zip(short, found, strict=True)]
    settings = differences([run.recipe_if_any() for run in found])
    return Comparison(
        is_asked=True,
        columns=tuple(map(_column, titles, map(runs.status, found))),
        settings=tuple((name, tuple(values)) for name, values in settings.items()),
        faults=tuple(faults),
    )


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


def _column(title: str, status: runs.Status) -> Column:
    return Column(
        title=title,
        state=status.state,
        loss=status.loss,
        best_loss=best_loss(status),
        best_eval_loss=best_loss(status, "eval_loss"),
        step=status.step,
        total_steps=status.total_steps,
        took=status.ended - status.started if status.ended and status.started else None,
    )
