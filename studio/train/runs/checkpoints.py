"""The best checkpoint: what a recipe needs so that one can be told, stopping when none gets better, and which one it
is.
"""

from studio.core.i18n import Problem
from studio.train.runs import Run, Status

MEASURED = ("load_best_model_at_end", "early_stopping_steps")
WITHOUT_BEST = ("rm", "ppo")  # LLaMA-Factory's trainers of these stages cannot load a best checkpoint


def settled(recipe: dict[str, object]) -> dict[str, object]:
    """Return a complete recipe with what its settings for checkpoints need: when to evaluate, and by which metric.

    What is held out is measured as often as checkpoints are saved. `early_stopping_steps` counts evaluations, though
    LLaMA-Factory calls them steps; 0 of it, or of `save_total_limit`, asks for nothing.

    Raises:
        Problem: nothing is held out to measure, the stage cannot, or a checkpoint would be saved that was not measured.
    """
    recipe = {key: value for key, value in recipe.items() if key not in (*MEASURED, "save_total_limit") or value}
    held_out = recipe.get("val_size") or recipe.get("eval_dataset")
    asked = [key for key in MEASURED if recipe.get(key)]
    if recipe["stage"] == "ppo" and asked or recipe["stage"] in WITHOUT_BEST and recipe.get("load_best_model_at_end"):
        raise Problem("checkpoints.not_for_stage", field=asked[0], stage=recipe["stage"].upper())
    if asked and not held_out:
        raise Problem("checkpoints.nothing_held_out", field="val_size")
    if held_out:
        strategy = recipe.get("save_strategy", "steps")
        measure = {
            "eval_strategy": "steps" if strategy in ("no", "best") else strategy,
            "per_device_eval_batch_size": recipe["per_device_train_batch_size"],
        }
        steps = {"eval_steps": recipe["save_steps"]} if measure["eval_strategy"] == "steps" else {}
        recipe = measure | steps | recipe
    if recipe.get("load_best_model_at_end"):
        _every_one_is_measured(recipe)
    if asked:
        recipe.setdefault("metric_for_best_model", "eval_loss")
    return recipe


def _every_one_is_measured(recipe: dict[str, object]) -> None:
    saved, measured = recipe.get("save_strategy", "steps"), recipe["eval_strategy"]
    if saved == "no" or saved != measured and saved != "best":
        raise Problem("checkpoints.other_strategy", field="save_strategy", saved=saved, measured=measured)
    save, every = float(recipe["save_steps"]), float(recipe.get("eval_steps") or 0)
    if saved == measured == "steps":
        # In millionths, as transformers compares shares of a run, for which 0.3 / 0.1 is no whole number.
        if not every or (save < 1) != (every < 1) or round(save * 1e6) % round(every * 1e6):
            raise Problem("checkpoints.not_a_multiple", field="save_steps", save=f"{save:g}", every=f"{every:g}")


def measured(run: Run, status: Status) -> tuple[str, dict[str, float]]:
    """Return the metric by which a run's checkpoints are judged, and its value at each of the complete ones that was
    measured.
    """
    metric = str(run.recipe_if_any().get("metric_for_best_model") or "eval_loss")
    metric = metric if metric.startswith("eval_") else f"eval_{metric}"
    values = {point[0]: point[1] for point in status.series.get(metric, []) if isinstance(point[1], (int, float))}
    steps = {name: int(name.rpartition("-")[2]) for name in run.checkpoints()}
    return metric, {name: values[step] for name, step in steps.items() if step in values}


def best(metric: str, values: dict[str, float]) -> str | None:
    """Return the name of the best checkpoint, the earliest of equals; None where none was measured."""
    better = min if metric.endswith("loss") else max
    return better(values, key=values.__getitem__) if values else None
