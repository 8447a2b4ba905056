"""What the run in the form will cost, beside Start: steps, time, memory, disk; and what it goes on from."""

import re
import secrets
from dataclasses import dataclass

from studio.core.device_lease import free_bytes
from studio.core.i18n import Problem
from studio.core.workspace import Workspace
from studio.train import runs
from studio.train.execution.recipe_preview import RecipePreview
from studio.train.recipe import disk_need
from studio.train.runs import adapters

TEMPLATE = "train/page/form/run_cost.html"


@dataclass(frozen=True)
class RunCost:
    """Steps in all, seconds, bytes of memory and disk, each None where it is not known, and what is free of them.

    `fault` is why Start is shut. `begins_with` is the run whose adapter is trained on, "" for none, called
    `begins_label`, at `begins_step`, None where its files do not say one. Each answer has a turn of its own, so that
    the page knows it for a new one.
    """

    fault: BaseException | None
    steps: int | None
    seconds: float | None
    memory: float | None
    memory_free: float
    disk: float | None
    disk_free: float
    begins_with: str
    begins_label: str
    begins_step: int | None
    turn: str


def run_cost(
    workspace: Workspace, recipe: dict[str, object], preview: RecipePreview, problems: list[Problem]
) -> RunCost:
    """Return what a recipe costs by its preview, or the first of its problems."""
    run, begins_step = _beginning(workspace, recipe)
    return RunCost(
        fault=problems[0] if problems else None,
        steps=preview.steps,
        seconds=preview.seconds,
        memory=preview.memory or None,
        memory_free=free_bytes(),
        disk=preview.disk or None,
        disk_free=disk_need.free_bytes(workspace.saves),
        begins_with=run.name if run else "",
        begins_label=run.label if run else "",
        begins_step=begins_step,
        turn=secrets.token_hex(4),
    )


def _beginning(workspace: Workspace, recipe: dict[str, object]) -> tuple[runs.Run | None, int | None]:
    """Return the run whose adapter a recipe begins with, and the step at which it stood."""
    try:
        run = adapters.first(workspace, recipe)
    except Problem:  # the preview tells it
        return None, None
    if run is None:
        return None, None
    names = recipe["adapter_name_or_path"]
    checkpoint = str(names[0] if isinstance(names, list) else names).split(",")[0].partition("@")[2]
    number = re.search(r"(\d+)$", checkpoint)
    return run, int(number[1]) if number else runs.status(run).step or None
