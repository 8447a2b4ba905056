"""A sweep: every combination of a few values of two or three settings, each as a recipe of its own."""

import itertools
import math
import re

from studio.core.i18n import Problem

MOST_RUNS = 100


def read(text: str) -> dict[str, list]:
    """Return the grid of a text with a setting a line, `lora_rank: 8, 16`. Raises Problem, naming the line that cannot
    be read.
    """
    grid = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        setting, colon, values = line.partition(":")
        found = [value.strip() for value in values.split(",") if value.strip()]
        if not colon or not setting.strip() or not found:
            raise Problem("train.bad_grid", line=number)
        grid[setting.strip()] = found
    return grid


def combinations(recipe: dict[str, object], grid: dict[str, list]) -> list[tuple[dict[str, object], str]]:
    """Return (recipe, name) for every combination of the values in `grid`, the last setting changing fastest.

    The name says what differs: `learning_rate-0.001-lora_rank-8`.

    Raises:
        Problem: the grid is empty, a setting has no list of values, or there are more than MOST_RUNS combinations.
    """
    if not grid:
        raise Problem("executors.empty_grid")
    for setting, values in grid.items():
        if not isinstance(values, list) or not values:
            raise Problem("executors.no_values", setting=setting)
    count = math.prod(map(len, grid.values()))  # of a few long lists more than any memory holds
    if count > MOST_RUNS:
        raise Problem("executors.large_grid", runs=count, most=MOST_RUNS)
    found = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    return [({**recipe, **chosen}, _name(chosen)) for chosen in found]


def _name(chosen: dict[str, object]) -> str:
    parts = (f"{setting}-{value}" for setting, value in chosen.items())
    return re.sub(r"[^\w.+-]+", "-", "-".join(parts)).strip("-")[:100]
