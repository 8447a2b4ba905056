"""What a person does with runs that are over: a note, a star, delete; and a recipe to start again from."""

from studio.core.i18n import Problem
from studio.core.jobs import Jobs
from studio.core.storage import folders, trash
from studio.core.workspace import Workspace
from studio.train import runs
from studio.train.recipe.importing import llamafactory_defaults, purpose

LONGEST_LABEL = 80  # characters
# Where a run stood, not what it was: left out when its recipe is used again.
PLACES = {"output_dir", "dataset_dir", "resume_from_checkpoint", "overwrite_output_dir"}


def note(workspace: Workspace, name: str, text: str) -> None:
    """Keep a note with a run. Raises Problem where there is no such run or the disk refuses."""
    run = runs.find(workspace, name)
    run.note(note=text.strip())


def rename(workspace: Workspace, name: str, label: str) -> str:
    """Call a run by another name on the page, and return what it is called now; "" gives it its first name back.

    Its folder and its name in addresses, recipes and evaluations stay: what was made of it finds it still. Raises
    Problem for a name that is too long, and as `note` does.
    """
    run, label = runs.find(workspace, name), " ".join(label.split())
    if len(label) > LONGEST_LABEL:
        raise Problem("train.label_long", most=LONGEST_LABEL)
    run.note(label=label)
    return run.label


def star(workspace: Workspace, name: str) -> bool:
    """Give a run a star, or take it away, and return whether it has one now. Raises Problem as `note` does."""
    run = runs.find(workspace, name)
    starred = not run.info().star
    run.note(star=starred)
    return starred


def size(run: runs.Run) -> int:
    """Return the bytes a run takes on the disk."""
    return folders.size_below(run.folder)


def delete(workspace: Workspace, jobs: Jobs, name: str) -> int:
    """Move a run with all its checkpoints into the trash and return the bytes that come free when that is emptied.

    Raises Problem where it is still at work, a job reads it, or the disk refuses.
    """
    run = runs.find(workspace, name)
    if runs.status(run).state in runs.ACTIVE:
        raise Problem("train.still_running", run=run.label)
    taken = trash.size(run.folder)
    with jobs.moving([run.folder]):
        trash.Trash(workspace).put(run.folder, "run", name)
    return taken


def again(run: runs.Run, changes: dict[str, object] | None = None) -> dict[str, object]:
    """Return the recipe of a run for a new one, with `changes`. Raises Problem where the run has no recipe.

    What it does not say is as LLaMA-Factory has it (see `llamafactory_defaults`), for that is how the run was trained.
    """
    recipe = {key: value for key, value in run.recipe().items() if key not in PLACES}
    sign = {llamafactory_defaults.SIGN: True} if purpose.of(recipe) == "training" else {}
    return recipe | sign | (changes or {})


def remedy(fault: str, recipe: dict[str, object]) -> dict[str, object]:
    """Return what to change in a recipe after a fault (its key), {} where only the person can know."""
    if fault == "train.disk_full":
        return {"save_total_limit": 1}
    if fault != "train.out_of_memory":
        return {}
    batch = _whole(recipe, "per_device_train_batch_size", 8)
    if batch > 1:
        half = batch // 2
        return {
            "per_device_train_batch_size": half,
            "gradient_accumulation_steps": _whole(recipe, "gradient_accumulation_steps", 1) * (batch // half),
        }
    if recipe.get("finetuning_type", "lora") == "lora" and not recipe.get("quantization_bit"):
        return {"quantization_bit": 4}
    return {"cutoff_len": max(128, _whole(recipe, "cutoff_len", 2048) // 2)}


def _whole(recipe: dict[str, object], name: str, standard: int) -> int:
    try:
        return int(float(recipe[name]))
    except (KeyError, TypeError, ValueError, OverflowError):  # not said, or no number
        return standard
