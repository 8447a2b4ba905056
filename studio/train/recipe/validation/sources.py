"""The data that a recipe names, in `dataset` and in `eval_dataset`: which folder it is in, and whether the stage can
learn from it.
"""

from pathlib import Path, PurePath, PureWindowsPath

from studio.core.i18n import Problem
from studio.core.storage import files
from studio.core.workspace import Workspace
from studio.datasets.registry import dataset_info
from studio.datasets.registry.dataset_info import Dataset
from studio.train.recipe.validation import checked

FIELDS = ("dataset", "eval_dataset")
# Where LLaMA-Factory looks when there is no folder: each name is that of a set on a hub.
ON_HUBS = ("ONLINE", "REMOTE:")
# What LLaMA-Factory learns from in each stage, by the stage of the dataset. Pre-training and PPO read only what is
# asked.
ACCEPTED = {
    "sft": ("sft",),
    "pt": ("pt", "sft", "kto"),
    "dpo": ("dpo",),
    "rm": ("dpo",),
    "kto": ("kto",),
    "ppo": ("sft", "pt", "kto"),
}


def names(value: object) -> list[str]:
    """Return the names in a setting that LLaMA-Factory takes as a list or as text with commas, each once."""
    listed = value if isinstance(value, list | tuple) else str(value or "").split(",")
    return list(dict.fromkeys(name for one in listed if (name := str(one).strip())))


def on_hubs(folder: str) -> bool:
    """Tell whether a `dataset_dir` stands for a hub and not for a folder."""
    return folder == ON_HUBS[0] or folder.startswith(ON_HUBS[1])


def folder(workspace: Workspace, stated: object) -> str:
    """Return the folder that a recipe's `dataset_dir` means: the studio's data folder, or one of the person's own by
    its whole path.

    A path that is not whole would depend on where the studio was started. It is looked for in the workspace; where
    there is no data folder it means the studio's, as `data` does in every recipe that is made for LLaMA-Factory.

    Raises:
        Problem: the whole path leads to no data folder.
    """
    if stated in (None, ""):
        return str(workspace.data)
    path = Path(str(stated)).expanduser()
    if on_hubs(str(stated)):
        return str(stated)
    if path.is_absolute() or PureWindowsPath(str(stated)).is_absolute():
        if "\0" in str(stated) or not files.is_file(path / dataset_info.INFO):
            raise Problem("train.no_data_folder", field="dataset_dir", folder=stated, file=dataset_info.INFO)
        return str(path)
    inside = workspace.root / path
    return str(inside) if is_other(stated) and files.is_file(inside / dataset_info.INFO) else str(workspace.data)


def is_other(path: object) -> bool:
    """Tell whether a path that is not whole calls a data folder by another name than `data`."""
    return PurePath(str(path).replace("\\", "/").rstrip("/") or ".").name not in ("data", "")


def described(workspace: Workspace, recipe: dict[str, object], field: str) -> list[Dataset]:
    """Return the datasets that a complete recipe names in a field; none for names on a hub.

    Raises:
        Problem: one of them is not there.
    """
    home = str(recipe.get("dataset_dir") or workspace.data)
    if on_hubs(home):
        return []
    return [dataset_info.dataset(Path(home), name, trusted(workspace)) for name in names(recipe.get(field))]


def trusted(workspace: Workspace) -> tuple[Path, ...]:
    """Return the folders that data may be in besides the one that names it: a run's own copy names the others by their
    whole paths.
    """
    return (workspace.data, *dataset_info.known_places(workspace.data))


def problems(workspace: Workspace, recipe: dict[str, object]) -> list[Problem]:
    """Return what is wrong with the data that a complete recipe names, each with its field."""
    found = []
    accepted = ACCEPTED.get(str(recipe.get("stage")))
    for field in FIELDS:
        for name in names(recipe.get(field)):
            try:
                for dataset in described(workspace, {**recipe, field: name}, field):
                    found += [_at(field, dataset.problem)] if dataset.problem else []
                    if not dataset.problem and accepted and dataset.stage not in accepted:
                        found.append(
                            Problem(
                                "train.dataset_stage",
                                field=field,
                                dataset=name,
                                has=dataset.stage,
                                wanted=recipe["stage"],
                            )
                        )
                    elif (
                        not dataset.problem
                        and dataset.file
                        and (stop := checked.stop(workspace.saves, recipe, dataset))
                    ):
                        found.append(_at(field, stop))
            except Problem as problem:
                found.append(_at(field, problem))
    if recipe.get("tokenized_path") and not names(recipe.get("dataset")):
        found.append(Problem("train.tokenized_needs_names", field="dataset", folder=recipe["tokenized_path"]))
    return found


def _at(field: str, problem: Problem) -> Problem:
    return Problem(problem.key, **{"field": field, **problem.facts})
