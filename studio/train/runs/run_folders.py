"""The folder of all runs, `saves/<model>/<method>/<run>/`: which there are, and room for a new one."""

import itertools
import shutil
from pathlib import Path

from studio.core import reasons
from studio.core.i18n import Problem
from studio.core.storage import files, folders
from studio.core.workspace import Workspace, is_safe
from studio.train.runs import llamaboard_runs
from studio.train.runs.run import Run
from studio.train.runs.stored import listing

WEIGHT_PATTERNS = ("*.safetensors", "*.safetensors.index.json", "*.bin", "*.bin.index.json")


def find(workspace: Workspace, name: str) -> Run:
    """Return the run called `<model>/<method>/<run>`. Raises Problem where there is none, or the name is not safe."""
    folder = workspace.inside(workspace.saves, name, parts=3)
    run = Run(name, folder)
    if not files.is_file(run.events_file) and not run.is_foreign:
        raise Problem("train.no_run", run=name)
    return run


def all_runs(workspace: Workspace) -> list[Run]:
    """Return every run in `saves/`, newest first, also those that LlamaBoard or the command line made there."""
    return usable_and_odd(workspace)[0]


def usable_and_odd(workspace: Workspace) -> tuple[list[Run], dict[str, Problem]]:
    """Return every run in `saves/`, newest first, and what looks like one and cannot be used: {its name, as it can be
    shown: why}.
    """
    found = listing.scan(workspace.saves)
    return sorted((Run(name, folder) for name, folder in found.runs.items()), key=_started, reverse=True), found.odd


def _started(run: Run) -> float:
    return (
        run.info().created
        or files.stamp(llamaboard_runs.source(run.folder) if run.is_foreign else run.events_file)[1] / 1e9
    )


def make(workspace: Workspace, model: str, method: str, title: str) -> Run:
    """Make the folder of a new run, `<title>-<n>` with the first n that is free, and return the run. Raises Problem."""
    for number in range(1, 100_000):
        name = f"{model}/{method}/{title}-{number}"
        folder = workspace.inside(workspace.saves, name, parts=3)
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise Problem("workspace.unwritable", path=folder, reason=reasons.of(error)) from error
        return Run(name, folder)
    raise Problem("workspace.bad_name", name=title)


def make_named(workspace: Workspace, model: str, method: str, name: str) -> Run:
    """Make the folder of a new run with a name of the person's own, and return the run. Raises Problem, with the field
    `run_name`, where the name is not plain or is taken.
    """
    run = require_free(workspace, model, method, name)
    try:
        run.folder.mkdir(parents=True)
    except FileExistsError as error:  # in the moment since
        raise Problem("train.name_taken", name=name, field="run_name") from error
    except OSError as error:
        raise Problem("workspace.unwritable", path=run.folder, reason=reasons.of(error)) from error
    return run


def require_free(workspace: Workspace, model: str, method: str, name: str) -> Run:
    """Return the run that would have a name. Raises Problem, with the field `run_name`, where it is not plain or is
    taken.
    """
    if not is_safe(name):
        raise Problem("train.name_not_plain", name=name, field="run_name")
    folder = workspace.inside(workspace.saves, f"{model}/{method}/{name}", parts=3)
    if files.exists(folder):
        raise Problem("train.name_taken", name=name, field="run_name")
    return Run(f"{model}/{method}/{name}", folder)


def free_name(workspace: Workspace, model: str, method: str, title: str) -> str:
    """Return the name that `make` would give now."""
    folder = workspace.saves / model / method
    return next(f"{title}-{number}" for number in itertools.count(1) if not files.exists(folder / f"{title}-{number}"))


def learned(run: Run) -> list[Path]:
    """Return what a run has learned so far: its checkpoint folders, whole or not, and the weights beside them."""
    found = (path for pattern in WEIGHT_PATTERNS for path in folders.matching(run.folder, pattern))
    weights = [path for path in found if path.name != "training_args.bin"]
    return [*listing.checkpoint_folders(run.folder), *weights]


def remove_half_written(run: Run) -> list[str]:
    """Remove checkpoints that were never finished (a full disk, a kill) and return their names. For a run that is not
    at work.
    """
    whole = set(run.checkpoints())
    torn = [path for path in listing.checkpoint_folders(run.folder) if path.name not in whole]
    for path in torn:
        shutil.rmtree(path, ignore_errors=True)
    return [path.name for path in torn if not path.exists()]
