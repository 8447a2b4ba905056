"""One run: its folder and the files in it, as anybody may read them at any time."""

import socket
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from studio.core.i18n import Problem, Reason
from studio.core.storage import files
from studio.train.runs import events, llamaboard_runs
from studio.train.runs.run_status import Status
from studio.train.runs.stored import listing, origin, reconstructed, run_info, stored_recipe
from studio.train.runs.stored.run_info import RunInfo

WEIGHTS = (
    "adapter_model.safetensors",
    "adapter_model.bin",
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
)


@dataclass(frozen=True)
class Run:
    """One run by its name, `<model>/<method>/<run>`, and the files of its folder.

    `order` is the id in the queue by which whoever has this object trains the run; states and faults that
    it tells carry it.
    """

    name: str
    folder: Path
    order: str = field(default="", compare=False)

    @property
    def label(self) -> str:
        """What the run is called on the page: as a person named it later, else the last part of its name."""
        return self.info().label or self.name.split("/")[-1]

    @property
    def is_by_hand(self) -> bool:
        """Whether commands on several machines train this run, and not the queue."""
        return self.info().executor == "nodes"

    @property
    def recipe_file(self) -> Path:
        """The file of the recipe: the studio's, or that which LlamaBoard writes; the studio's where there is none."""
        ours, theirs = self.folder / "recipe.yaml", self.folder / "training_args.yaml"
        return ours if files.is_file(ours) or not files.is_file(theirs) else theirs

    @property
    def is_foreign(self) -> bool:
        """Whether LlamaBoard or the command line made this run: it has what LLaMA-Factory leaves but no events."""
        return not files.is_file(self.events_file) and listing.is_of_another_tool(self.folder)

    @property
    def left_no_recipe(self) -> bool:
        """Whether the recipe of this run must be put together from its other files (see `reconstructed`)."""
        return not files.is_file(self.recipe_file) and self.is_foreign

    @property
    def info_file(self) -> Path:
        """What the studio wrote beside the recipe (see `run_info`)."""
        return self.folder / "run.json"

    @property
    def events_file(self) -> Path:
        """What happened, a line each (see `events`): state and curves come from it alone."""
        return self.folder / "events.jsonl"

    @property
    def log_file(self) -> Path:
        """What the process printed; of a run of LlamaBoard its own log."""
        theirs = self.folder / "running_log.txt"  # LlamaBoard's
        return theirs if files.is_file(theirs) and self.is_foreign else self.folder / "run.log"

    def recipe(self) -> dict[str, object]:
        """Return the recipe as it was started; of a run that left none what its files say of it, less `unknown`.

        Raises Problem where the file is missing or not a recipe.
        """
        if self.left_no_recipe and (found := reconstructed.read(self.folder).recipe):
            base = found.get("model_name_or_path")
            return found | ({"model_name_or_path": origin.model(self.folder.parents[3], str(base))} if base else {})
        return stored_recipe.read(self.recipe_file)

    def unknown(self) -> list[str]:
        """Return the settings that the recipe must have and that nothing in the folder says, of a run that left no
        recipe.
        """
        return reconstructed.read(self.folder).unknown if self.left_no_recipe else []

    def recipe_if_any(self) -> dict[str, object]:
        """Return the recipe as it was started, {} where there is none or it cannot be read; `faults` then says why."""
        try:
            return self.recipe() if files.exists(self.recipe_file) or self.is_foreign else {}
        except Problem:
            return {}

    def setting(self, name: str) -> str:
        """Return a setting of the recipe that is text. Raises Problem where the recipe cannot be read or does not say
        it.
        """
        found = self.recipe()
        if value := found.get(name):
            return str(value)
        if name == "template" and "model_name_or_path" in found and self.left_no_recipe:
            return origin.template(Path(str(found["model_name_or_path"])))
        reason = Reason("reasons.of_field", field=name, reason=Reason("reasons.field_missing"))
        raise Problem("train.recipe_unreadable", path=self.recipe_file, reason=reason)

    def info(self) -> RunInfo:
        """Return what the studio wrote beside the recipe, without what is wrong there (see `faults`)."""
        return run_info.read(self.info_file)[0]

    def faults(self, status: Status) -> list[Problem]:
        """Return what is wrong with the files of the run's folder, as far as the studio reads them; `status` is that of
        the run.
        """
        found = [fault] if (fault := run_info.read(self.info_file)[1]) else []
        found += reconstructed.read(self.folder).faults if self.left_no_recipe else []
        try:
            if files.exists(self.recipe_file):
                self.recipe()
        except Problem as unreadable:
            if files.exists(self.recipe_file):  # else the run has just been deleted
                found.append(unreadable)
        if count := status.unreadable:
            found.append(
                Problem(
                    "train.lines_unreadable",
                    count=count,
                    file=llamaboard_runs.source(self.folder).name if self.is_foreign else self.events_file.name,
                )
            )
        return found

    def say(self, event: str, /, **facts: object) -> None:
        """Append one event (see `events.append`); a state and a fault say which start they belong to."""
        if self.order and event in ("state", "error"):
            facts = {"order": self.order, **facts}
        events.append(self.events_file, event, **facts)

    def own(self, pid: int | None = None) -> None:
        """Write down that a process, this one where none is named, now works on the run, so that its death can be
        noticed.

        Raises:
            Problem: the folder cannot be written.
            psutil.NoSuchProcess: the process has ended already.
        """
        process = psutil.Process(pid)
        order = {"order": self.order} if self.order else {}
        self.note(pid=process.pid, pid_started=process.create_time(), host=socket.gethostname(), **order)

    def note(self, **facts: object) -> None:
        """Put facts into what the studio keeps beside the recipe. Raises Problem where the folder cannot be written."""
        run_info.update(self.info_file, facts)

    def resumable_step(self) -> int | None:
        """Return the step of the newest complete checkpoint, None where there is none."""
        whole = self.checkpoints()
        return _step(whole[-1]) if whole else None

    def checkpoints(self) -> list[str]:
        """Return the names of the complete checkpoints, oldest first.

        The trainer writes `trainer_state.json` after everything else, so a checkpoint without it, or with a torn one,
        is half-written and not offered.
        """
        found = [path for path in listing.checkpoint_folders(self.folder) if _is_closed(path / "trainer_state.json")]
        return [path.name for path in sorted(found, key=lambda path: _step(path.name)) if has_weights(path)]


def has_weights(folder: Path) -> bool:
    """Tell whether a folder holds weights that can be loaded: an adapter or a whole model."""
    return any(files.is_file(folder / name) for name in WEIGHTS)


def _is_closed(state_file: Path) -> bool:
    """Tell whether the last file of a checkpoint is there to its end, which a full disk may have cut off."""
    try:
        return files.end_of(state_file, 64).rstrip().endswith(b"}")
    except OSError:
        return False


def _step(name: str) -> int | None:
    match = listing.CHECKPOINT.fullmatch(name)
    return int(match[1]) if match else None
