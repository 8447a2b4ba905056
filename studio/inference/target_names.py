"""What may be asked: the names of models and of runs with their checkpoints, and what each name stands for."""

import contextlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from studio.core import trust
from studio.core.i18n import Problem
from studio.core.storage import files
from studio.core.workspace import Workspace
from studio.inference.local.model_target import ModelTarget
from studio.models.library import library
from studio.train import runs
from studio.train.recipe import recipes
from studio.train.runs import lineage

MOST = 4
SERVED = "served:"  # begins the name of a column that a server answers


def names(workspace: Workspace) -> list[str]:
    """Return every name on this machine that can be asked: models, then runs, newest first, each followed by its
    checkpoints.

    A checkpoint is called `<run>@<checkpoint>`. A model that cannot be loaded is none of them: Models says what it
    lacks.
    """
    listed = [model.name for model in library.usable(workspace)]
    for run in runs.all_runs(workspace):
        checkpoints = run.checkpoints()
        if runs.has_weights(run.folder) or checkpoints:
            listed += [run.name, *(f"{run.name}@{checkpoint}" for checkpoint in reversed(checkpoints))]
    return listed


def is_run(name: str) -> bool:
    """Tell whether a name is that of a run, or of a checkpoint of one."""
    return "/" in name and not name.startswith(SERVED)


def runs_left(workspace: Workspace, names: Iterable[str]) -> list[runs.Run]:
    """Return the runs among names that are still there: the record of a model may name one that was deleted since, or
    that another machine trained.
    """
    found = []
    for name in filter(is_run, names):
        with contextlib.suppress(Problem):
            found.append(runs.find(workspace, name.partition("@")[0]))
    return found


def folders(workspace: Workspace, names: Iterable[str]) -> list[Path]:
    """Return the folders of the models and runs that names stand for, with the models below the runs; a served model
    has none here, and what is gone is left out.
    """
    found = []
    for name in names:
        with contextlib.suppress(Problem):
            if is_run(name):
                run = runs.find(workspace, name.partition("@")[0])
                found.append(run.folder)
                found.append(Path(run.setting("model_name_or_path")))
            elif not name.startswith(SERVED):
                found.append(library.find(workspace, name).path)
    return found


def title(workspace: Workspace, name: str) -> str:
    """Return how a name is shown whole: of a served model first the model, then the server; of a run that a person
    named later that name, with the one that its folder has.
    """
    given = _given(workspace, name)
    return f"{given} ({name})" if given else served_title(name)


def label(workspace: Workspace, name: str) -> str:
    """Return how a name is shown where there is little room, as at the head of a column: of a run what it is called
    now, with the checkpoint; else the last part of the title.
    """
    given = _given(workspace, name)
    return "@".join([given, *name.split("@")[1:]]) if given else short(name)


def short(name: str) -> str:
    """Return the last part of a name, whatever the run is called now: for files and engines, which keep it."""
    return served_title(name).split("/")[-1]


def served_title(name: str) -> str:
    """Return how a served model is shown: first the model, then its server; another name as it is."""
    if not name.startswith(SERVED):
        return name
    server, _, model = name.removeprefix(SERVED).partition("/")
    return f"{model} · {server}"


def _given(workspace: Workspace, name: str) -> str:
    """Return what a person called a run later, "" where nobody did."""
    if is_run(name):
        with contextlib.suppress(Problem):  # it is gone, or a file and no run
            return runs.find(workspace, name.partition("@")[0]).info().label
    return ""


def choices(workspace: Workspace, wanted: Iterable[str]) -> list[tuple[str, str]]:
    """Return how each name is shown where one is chosen, and the name, each once."""
    return [(title(workspace, name), name) for name in dict.fromkeys(wanted)]


def with_base(workspace: Workspace, name: str) -> list[str]:
    """Return the names of a run's base and the run itself, of a model only its own. Raises Problem where the run or its
    base is gone.
    """
    if "/" not in name:
        return [library.find(workspace, name).name]
    run = runs.find(workspace, name.partition("@")[0])
    return [library.find(workspace, run.setting("model_name_or_path")).name, name]


def resolve(workspace: Workspace, chosen: list[str], bits: int | None = None) -> list[ModelTarget]:
    """Return what the names stand for, each once. A base model has the template of the first chosen run on it,
    like with like.

    Raises:
        Problem: nobody, or too many, or a name that stands for nothing.
    """
    unique = list(dict.fromkeys(chosen))
    if not 1 <= len(unique) <= MOST:
        raise Problem("chat.choose_some", most=MOST)
    tuned = {name: _tuned(workspace, name, bits) for name in unique if "/" in name}
    return [tuned[name] if name in tuned else _base(workspace, name, bits, tuned.values()) for name in unique]


def _tuned(workspace: Workspace, name: str, bits: int | None) -> ModelTarget:
    run_name, _, checkpoint = name.partition("@")
    run = runs.find(workspace, run_name)
    folder = workspace.inside(run.folder, checkpoint) if checkpoint else _newest(run)
    if not runs.has_weights(folder):
        raise Problem("chat.no_checkpoint", name=name)
    recipe = run.recipe()
    is_adapter = files.is_file(folder / "adapter_config.json")
    return ModelTarget(
        name=name,
        model=Path(run.setting("model_name_or_path")) if is_adapter else folder,
        adapter=folder if is_adapter else None,
        template=run.setting("template"),
        bits=bits,
        default_system=recipe.get("default_system"),
        thinking=recipe.get("enable_thinking", True),
        below=lineage.merged_below(recipe) if is_adapter else (),
        vocabulary=lineage.vocabulary(recipe) if is_adapter else (),
        own_code=bool(recipe.get("trust_remote_code"))
        and trust.allows(Path(run.setting("model_name_or_path")) if is_adapter else folder),
    )


def _newest(run: runs.Run) -> Path:
    checkpoints = run.checkpoints()
    return run.folder if runs.has_weights(run.folder) or not checkpoints else run.folder / checkpoints[-1]


def _base(workspace: Workspace, name: str, bits: int | None, tuned) -> ModelTarget:
    model = library.find(workspace, name)
    for target in tuned:
        if target.adapter and target.model == model.path:
            return replace(target, name=name, adapter=None, below=(), vocabulary=())
    allowed = trust.allows(model.path)
    return ModelTarget(
        name=name, model=model.path, adapter=None, template=recipes.template_for(model), bits=bits, own_code=allowed
    )
