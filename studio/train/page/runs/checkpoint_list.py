"""The checkpoints of a run, newest first, what can be done from each, and the picture of the run's loss."""

import base64
import math
from dataclasses import dataclass

from studio.core import formatting
from studio.core.storage import files
from studio.core.workspace import Workspace
from studio.train import runs
from studio.train.execution import adoption
from studio.train.page.runs.run_head import recipe_again
from studio.train.recipe import recipes
from studio.train.runs import checkpoints

TEMPLATE = "train/page/runs/checkpoint_list.html"
PICTURE_BYTES = 4 * 2**20
NEVER = ("no", False)  # YAML reads a bare no as false
LLAMAFACTORYS_STEPS = 500  # from one checkpoint to the next, where a recipe does not say it


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint; `value` is what was measured at it, `recipe_on_top` trains on its adapter, None if it has none."""

    name: str
    value: float | None
    is_best: bool
    recipe_on_top: dict[str, object] | None


@dataclass(frozen=True)
class CheckpointList:
    """`resume`: how the run goes on from one of them: "", "from_here" or "with_data"; `picture` is Base64 of a PNG.

    Of a run that has none, `is_over` says that none will come, `saves` whether its recipe asks for any, and
    `first_step` at which step the first is saved, None where that is not known before.
    """

    run: str
    folder: str
    metric: str
    resume: str
    rows: tuple[Checkpoint, ...]
    picture: str
    is_over: bool
    saves: bool
    first_step: int | None


def checkpoint_list(workspace: Workspace, name: str) -> CheckpointList | None:
    """Return the checkpoints of a run, None where no run is named. Raises Problem where there is no such run."""
    if not name:
        return None
    run = runs.find(workspace, name)
    status, recipe = runs.status(run), run.recipe_if_any()
    metric, values = checkpoints.measured(run, status)
    best = checkpoints.best(metric, values)
    return CheckpointList(
        run=run.name,
        folder=str(run.folder),
        metric=metric,
        resume=_resume(run),
        rows=tuple(
            Checkpoint(one, values.get(one), one == best, _recipe_on_top(run, one))
            for one in reversed(run.checkpoints())
        ),
        picture=_picture(run),
        is_over=status.state not in runs.ACTIVE,
        saves=recipe.get("save_strategy") not in NEVER,
        first_step=_first_step(recipe, status),
    )


def _first_step(recipe: dict[str, object], status: runs.Status) -> int | None:
    """Return the step at which a run saves first, as transformers' trainer does: at its last at the latest. None where
    nothing here says it: by epochs, by what is measured, in PPO's own loop, or before the run has told its steps.
    """
    every = formatting.finite(recipe.get("save_steps", LLAMAFACTORYS_STEPS))
    if not recipe or recipe.get("stage") == "ppo" or recipe.get("save_strategy", "steps") != "steps":
        return None
    if every is None or every <= 0 or not status.total_steps:
        return None
    first = min(math.ceil(every * status.total_steps) if every < 1 else int(every), status.total_steps)
    return first if first >= status.step else None  # else it was saved, and somebody removed it


def _resume(run: runs.Run) -> str:
    if runs.status(run).state in runs.ACTIVE or not recipes.is_resumable(run):
        return ""
    return "with_data" if run.is_foreign and adoption.missing(run) else "from_here"


def _recipe_on_top(run: runs.Run, checkpoint: str) -> dict[str, object] | None:
    if not files.is_file(run.folder / checkpoint / "adapter_config.json"):
        return None
    return recipe_again(run, {"adapter_name_or_path": f"{run.name}@{checkpoint}"})


def _picture(run: runs.Run) -> str:
    path = run.folder / "training_loss.png"
    if not 0 < files.stamp(path)[0] <= PICTURE_BYTES or not files.is_file(path):
        return ""
    with files.open_file(path) as file:
        return base64.b64encode(file.read(PICTURE_BYTES)).decode()
