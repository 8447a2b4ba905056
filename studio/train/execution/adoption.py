"""A run of the command line or of LlamaBoard becomes the studio's own, so that it can go on from its checkpoint."""

import contextlib
import json
from collections.abc import Iterator

from studio.core.i18n import Problem
from studio.core.storage import files
from studio.core.workspace import Workspace, write_whole
from studio.train import runs
from studio.train.recipe import recipes
from studio.train.runs import llamaboard_runs, manage_runs

# Without one of these nothing can go on, and none of them may be made up.
REQUIRED = ("model_name_or_path", "dataset", "finetuning_type")


def missing(run: runs.Run) -> list[str]:
    """Return what a run's files must say and do not, so that a person has to."""
    found = run.recipe_if_any()
    return [name for name in REQUIRED if not found.get(name)]


@contextlib.contextmanager
def adopted(workspace: Workspace, run: runs.Run, dataset: str | None = None) -> Iterator[None]:
    """Write a run's recipe and what is known of its steps as the studio does, and take both back where what is done
    with it fails.

    Args:
        dataset: the names of the data it learned from, joined by commas, where its files do not say them.

    Raises:
        Problem: what must be known stands nowhere, or the recipe cannot be trained here.
    """
    overrides = {"dataset": dataset.strip()} if dataset and dataset.strip() else {}
    if lacking := [name for name in missing(run) if name not in overrides]:
        raise Problem("train.resume_unknown", run=run.name, unknown=", ".join(lacking), field=lacking[0])
    recipe = recipes.complete(workspace, manage_runs.again(run, overrides), recipes.this_machine()) | {
        "output_dir": str(run.folder)
    }
    recipes.check(recipe)
    history, ours = _history(run), run.folder / "recipe.yaml"
    before = files.read_text(ours) if files.is_file(ours) else None  # a run of the studio that lost its events
    write_whole(ours, recipes.to_yaml(recipe))
    try:
        write_whole(run.events_file, history)
        yield
    except (Problem, OSError):
        run.events_file.unlink(missing_ok=True)
        if before is None:
            ours.unlink(missing_ok=True)
        else:
            write_whole(ours, before)
        raise


def _history(run: runs.Run) -> str:
    """Return what is known of the steps of a run, as lines of events."""
    status, past = runs.status(run), llamaboard_runs.events(run.folder)
    began = [event for event in past if event["event"] == "state"]
    moment = past[-1].get("time", 0.0) if past else 0.0
    facts = {"time": status.started or moment, "event": "facts", "step": 0, "total_steps": status.total_steps}
    steps = [
        {name: value for name, value in event.items() if name != "total_steps"}
        for event in past
        if event["event"] in ("step", "metrics")
    ]
    last = {"time": status.last_time or moment, "event": "state", "state": status.state}
    return "".join(json.dumps(event) + "\n" for event in (*began, facts, *steps, last))
