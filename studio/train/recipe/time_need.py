"""The time that a recipe will take, by a run that was like it: what nothing was measured of is not told."""

import statistics

from studio.core.workspace import Workspace
from studio.train import runs

LIKE = (
    "model_name_or_path",
    "dataset",
    "stage",
    "finetuning_type",
    "quantization_bit",
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
    "cutoff_len",
)
LOOKED_AT = 40
POINTS = 200


def seconds_needed(workspace: Workspace, recipe: dict[str, object], steps: int | None) -> float | None:
    """Return the seconds that the steps of a complete recipe take, by the newest run with the same model, data, method
    and batch on this machine; None where there is none, or the steps are not known.
    """
    if not steps:
        return None
    wanted = _signature(recipe)
    for run in runs.all_runs(workspace)[:LOOKED_AT]:
        if _signature(run.recipe_if_any()) == wanted and (each := _seconds_of_step(runs.status(run))):
            return each * steps
    return None


def _signature(recipe: dict[str, object]) -> tuple[str, ...]:
    return tuple(str(recipe.get(name) or "") for name in LIKE)


def _seconds_of_step(status: runs.Status) -> float | None:
    """Return the median of what a step took, None where fewer than two were logged."""
    points = status.series.get("loss", [])[-POINTS:]
    pairs = zip(points, points[1:], strict=False)
    took = [
        (later[2] - earlier[2]) / (later[0] - earlier[0])
        for earlier, later in pairs
        if later[0] > earlier[0] and None not in (earlier[2], later[2]) and later[2] > earlier[2]
    ]
    return statistics.median(took) if took else None
