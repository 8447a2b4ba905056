"""A new run on top of what an old one learned: adapters named as runs, `<run>` or `<run>@<checkpoint>`."""

import contextlib
from pathlib import Path

from studio.core.i18n import Problem
from studio.core.storage import files, folders
from studio.core.workspace import Workspace, plain_part
from studio.models.library import library
from studio.train import runs
from studio.train.runs import lineage

VALUE_HEAD = "value_head.safetensors"
NAMED = ("adapter_name_or_path", "ref_model_adapters", "reward_model_adapters", "reward_model")
MODELS = ("ref_model", "reward_model")


def resolved(workspace: Workspace, overrides: dict[str, object]) -> dict[str, object]:
    """Return a recipe in which the names of runs and of models beside the first have become folders.

    A recipe that names no model takes that of its adapter's run.

    Raises:
        Problem: there is no such run, checkpoint or model, it holds no weights, or it was trained on another model.
    """
    recipe = dict(overrides)
    for key in NAMED:
        if recipe.get(key):
            recipe[key] = ",".join(str(_folder(workspace, name) or name) for name in lineage.names_in(recipe[key]))
    recipe |= _whole_of_one(recipe)
    for key in MODELS:
        if recipe.get(key) and not _is_address(recipe, key):
            name = str(recipe[key]).strip()
            recipe[key] = str(_folder(workspace, name) or _model(workspace, key, name))
    run = first(workspace, overrides)
    if run and (files.is_file(run.recipe_file) or run.recipe_if_any().get("model_name_or_path")):
        base = run.setting("model_name_or_path")
        recipe["model_name_or_path"] = recipe.get("model_name_or_path") or base
        chosen, has = (library.title(Path(one)) for one in (recipe["model_name_or_path"], base))
        if chosen != has:
            raise Problem("executors.other_model", adapter=run.name, base=has, model=chosen)
    return recipe


def reads(recipe: dict[str, object]) -> list[Path]:
    """Return the places that a complete recipe reads: folders of models and adapters, and those that stand for its
    datasets (see `Collection.place_of`).
    """
    found = [one for key in ("model_name_or_path", *MODELS, *NAMED) for one in lineage.names_in(recipe.get(key))]
    home = Path(str(recipe.get("dataset_dir") or "."))
    data = [home / one for key in ("dataset", "eval_dataset") for one in lineage.names_in(recipe.get(key))]
    return [path for path in [*map(Path, found), *data] if path.is_absolute()]


def _is_address(recipe: dict[str, object], key: str) -> bool:
    """Tell whether a setting names a server: PPO can ask one for its rewards."""
    return key == "reward_model" and (recipe.get("reward_model_type") == "api" or "://" in str(recipe[key]))


def _model(workspace: Workspace, field: str, name: str) -> str:
    """Return the folder of a model by its name in the list, or of one that a path leads to. Raises Problem with the
    field.
    """
    if Path(name).is_absolute() and files.is_file(Path(name) / "adapter_config.json"):
        return name  # a run's or another's adapter
    path = Path(name)
    for known in (name, library.title(path)) if not path.is_absolute() else (name,):
        with contextlib.suppress(Problem):  # the next may be one
            return str(library.find(workspace, known).path)
    if folders.is_folder(path):
        return str(path.absolute())
    raise Problem("models.missing", field=field, name=name, folder=workspace.models)


def _whole_of_one(recipe: dict[str, object]) -> dict[str, object]:
    """Return what a recipe that goes on from one adapter has to say besides: the adapters below it, and the tokens that
    were added.

    Several adapters in a recipe are a list that somebody made, and stay as they are.
    """
    begun = lineage.names_in(recipe.get("adapter_name_or_path"))
    folder = Path(begun[0]) if len(begun) == 1 else None
    if folder is None or not folder.is_absolute():
        return {}
    grown = dict(lineage.vocabulary(lineage.recipe_beside(folder)))
    found = {key: value for key, value in grown.items() if recipe.get(key) in (None, "")}
    whole = lineage.with_below(folder)
    if len(whole) > 1 and recipe.get("quantization_bit"):
        raise Problem("executors.below_quantized", adapter=folder.name, count=len(whole) - 1)
    return found | {"adapter_name_or_path": ",".join(map(str, whole))}


def first(workspace: Workspace, overrides: dict[str, object]) -> runs.Run | None:
    """Return the run whose adapter a recipe begins with, None where it begins with none or with a plain folder."""
    names = overrides.get("adapter_name_or_path") or ""
    name = (names if isinstance(names, list) else str(names).split(","))[0].strip() if names else ""
    return runs.find(workspace, name.partition("@")[0]) if _is_run(workspace, name) else None


def on(workspace: Workspace, model: str) -> list[str]:
    """Return the adapters that runs have trained on a model, the newest run first: `<run>`, then its checkpoints
    `<run>@<checkpoint>`.
    """
    found = []
    for run in _made_on(workspace, model, "adapter_config.json"):
        if not _is_reward(run):
            found += [
                *([run.name] if runs.has_weights(run.folder) else []),
                *(f"{run.name}@{one}" for one in reversed(run.checkpoints())),
            ]
    return found


def reward_models(workspace: Workspace, model: str) -> list[str]:
    """Return the runs that trained a reward model on a model, the newest first."""
    return [run.name for run in _made_on(workspace, model, VALUE_HEAD) if _is_reward(run)]


def _made_on(workspace: Workspace, model: str, sign: str) -> list[runs.Run]:
    found: dict[runs.Run, float] = {}
    for run in runs.all_runs(workspace) if model else ():
        if _is_on(run, model):
            places = [run.folder / sign, *(run.folder / name / sign for name in run.checkpoints())]
            if written := [files.stamp(path)[1] for path in places if files.is_file(path)]:
                found[run] = written[0]
    return sorted(found, key=found.__getitem__, reverse=True)


def _is_on(run: runs.Run, model: str) -> bool:
    """Tell whether a run was trained on a model. The folders of another program may have any names, and two models may
    share one of ours: then the recipe says it.
    """
    folder = run.name.split("/")[0]
    if not run.is_foreign and folder not in (model, plain_part(model)):
        return False
    base = library.title(Path(str(run.recipe_if_any().get("model_name_or_path") or "")))
    return model in (folder, base) if run.is_foreign else base in ("", model)


def _is_reward(run: runs.Run) -> bool:
    # PPO leaves a value head too; only the recipe tells the two apart.
    return files.is_file(run.folder / VALUE_HEAD) and run.recipe_if_any().get("stage") == "rm"


def _is_run(workspace: Workspace, name: str) -> bool:
    if not name or Path(name).is_absolute() or name.count("/") != 2:
        return False
    return "@" in name or folders.is_folder(workspace.saves / name) or not files.exists(Path(name))


def _folder(workspace: Workspace, name: str) -> Path | None:
    if not _is_run(workspace, name):
        return None
    run_name, _, checkpoint = name.partition("@")
    run = runs.find(workspace, run_name)
    whole = run.checkpoints()
    if checkpoint and checkpoint not in whole:
        raise Problem("executors.no_such_checkpoint", run=run_name, checkpoint=checkpoint)
    if checkpoint:
        return run.folder / checkpoint
    if runs.has_weights(run.folder):
        return run.folder
    if not whole:
        raise Problem("executors.no_weights", run=run_name)
    return run.folder / whole[-1]
