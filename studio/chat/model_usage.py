"""Who uses a model: the chat now, the runs that were tuned on it, and other forms of it."""

from collections.abc import Callable
from pathlib import Path

from studio.core.i18n import Problem
from studio.core.workspace import Workspace
from studio.export import model_forms
from studio.inference.inference_service import InferenceService
from studio.models.library.library import Model
from studio.train import runs


def guard(service: InferenceService) -> Callable[[Model], None]:
    """Return a check that raises Problem for a model that the chat holds now."""

    def check(model: Model) -> None:
        if any(target.model.resolve() == model.path.resolve() for target in service.engine.targets()):
            raise Problem("models.used_by_chat", name=model.name)

    return check


def runs_on(workspace: Workspace) -> Callable[[Model], int]:
    """Return a count of the runs that name a model as their base."""
    return lambda model: len(_runs_of(workspace, model))


def users_of(workspace: Workspace) -> Callable[[Model], int]:
    """Return a count of the runs that name a model as their base, and of the folders with other forms of it."""
    return lambda model: len(_runs_of(workspace, model)) + len(model_forms.of_source(workspace, model.name))


def _runs_of(workspace: Workspace, model: Model) -> list[runs.Run]:
    return [
        run for run in runs.all_runs(workspace) if (base := _base_of(run)) and base.resolve() == model.path.resolve()
    ]


def _base_of(run: runs.Run) -> Path | None:
    """Return the base that a run's recipe names; a run without a readable recipe needs no model."""
    base = run.recipe_if_any().get("model_name_or_path")
    return Path(str(base)) if base else None
