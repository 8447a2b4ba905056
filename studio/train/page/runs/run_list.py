"""The list of runs, newest first, with state, loss and a small curve."""

from dataclasses import dataclass
from functools import lru_cache

from studio.core.i18n import Problem
from studio.core.workspace import Workspace
from studio.train import runs

TEMPLATE = "train/page/runs/run_list.html"
LISTED = 500
ODD_LISTED = 20
CURVE_POINTS = 60
CURVE_WIDTH, CURVE_HEIGHT = 56, 14


@dataclass(frozen=True)
class RunRow:
    """A run in the list. `curve` are the points of its loss as SVG has them, "x,y x,y", in a box of CURVE_WIDTH by
    CURVE_HEIGHT; "" where it has fewer than two. A text, because a list of runs has tens of thousands of points.
    """

    name: str
    model: str
    method: str
    label: str
    state: str
    has_star: bool
    shows_steps: bool
    step: int
    total_steps: int
    loss: float | None
    faults: tuple[Problem, ...]
    curve: str


@dataclass(frozen=True)
class RunList:
    """The runs that are listed; `odd` says of what looks like a run why it cannot be used, `odd_more` counts those not
    told.
    """

    rows: tuple[RunRow, ...]
    odd: tuple[Problem, ...]
    odd_more: int
    is_search: bool
    curve_width: int = CURVE_WIDTH
    curve_height: int = CURVE_HEIGHT


def run_list(workspace: Workspace, query: str = "") -> RunList:
    """Return the newest LISTED runs; with a query, those that fit it (see `fitting`)."""
    usable, unusable = runs.usable_and_odd(workspace)
    is_search = bool(query.strip())
    odd = [] if is_search else [fault for _, fault in sorted(unusable.items())]
    return RunList(
        rows=tuple(map(_row, fitting(usable, query)[:LISTED])),
        odd=tuple(odd[:ODD_LISTED]),
        odd_more=max(0, len(odd) - ODD_LISTED),
        is_search=is_search,
    )


def fitting(found: list[runs.Run], query: str) -> list[runs.Run]:
    """Return the runs in whose name, state, data, note or star every word of the query occurs.

    `sort:loss`, `sort:time` and `sort:name` in it order them: lowest loss, longest time, by name.
    """
    words = query.lower().split()
    order = next((word.removeprefix("sort:") for word in words if word.startswith("sort:")), "")
    words = [word for word in words if not word.startswith("sort:")]
    chosen = [run for run in found if all(word in _searched(run) for word in words)] if words else found
    if order == "name":
        return sorted(chosen, key=lambda run: (run.label, run.name))
    if order == "loss":
        return sorted(chosen, key=lambda run: (runs.status(run).loss is None, runs.status(run).loss or 0))
    if order == "time":
        return sorted(chosen, key=lambda run: runs.status(run).took() or 0, reverse=True)
    return chosen


def _searched(run: runs.Run) -> str:
    info, dataset = run.info(), run.recipe_if_any().get("dataset", "")
    said = (run.name, runs.status(run).state, dataset, info.note, info.title, info.label, "star" if info.star else "")
    return " ".join(map(str, said)).lower()


def _row(run: runs.Run) -> RunRow:
    status = runs.status(run)
    model, method, _ = run.name.split("/")
    return RunRow(
        name=run.name,
        model=model,
        method=method,
        label=run.label,
        state=status.state,
        has_star=run.info().star,
        shows_steps=status.state in runs.ACTIVE and bool(status.total_steps),
        step=status.step,
        total_steps=status.total_steps,
        loss=status.loss,
        faults=tuple(run.faults(status)),
        curve=_curve(status),
    )


def _curve(status: runs.Status) -> str:
    points = status.series.get("loss", [])
    return _drawn(tuple(points[:: max(1, len(points) // CURVE_POINTS)]))


@lru_cache(maxsize=2 * LISTED)  # most runs are over, and the list is drawn once a second
def _drawn(points: tuple[tuple[int, object, float], ...]) -> str:
    """Return points of a series, (step, value, seconds), as SVG has them; a value that is no number is passed over."""
    points = [point for point in points if isinstance(point[1], (int, float))]
    if len(points) < 2:
        return ""
    values = [point[1] for point in points]
    low, bottom = min(values), CURVE_HEIGHT - 1
    across, up = CURVE_WIDTH / (points[-1][0] or 1), (CURVE_HEIGHT - 2) / ((max(values) - low) or 1)
    return " ".join(f"{across * step:.1f},{bottom - up * (value - low):.1f}" for step, value, _ in points)
