"""What the page and the API ask of training: start, stop, resume, queue and sweep."""

import contextlib
import importlib.util
import secrets
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from studio.core.device_lease import DeviceLease
from studio.core.i18n import Problem
from studio.core.jobs import Job, Jobs, Places
from studio.core.storage import files
from studio.core.storage.trash import Trash
from studio.core.workspace import Workspace, write_json, write_whole
from studio.models.library import library
from studio.models.weights import weights_stamp
from studio.train import runs
from studio.train.execution import adoption, batch_search, devices, multi_node, recipe_preview
from studio.train.execution.dispatch import Dispatcher
from studio.train.execution.environments import Environments, versions
from studio.train.execution.recipe_preview import RecipePreview
from studio.train.recipe import data_stamps, recipes, sweep
from studio.train.runs import adapters

LIBRARIES = ("llamafactory", "transformers", "peft", "torch", "trl")
ONE_PROCESS = ("in-process", "worker")  # executors in which nothing sets up a group of processes
OWN_ENVIRONMENT = ("ppo",)  # stages that train with other libraries than the studio's


@dataclass(frozen=True)
class QueueEntry:
    """A run that waits or is at work. position: 0 is the next to start, None for one that is at work."""

    run: str
    position: int | None
    executor: str | None
    devices: list[int]


class TrainingService:
    """All runs of a workspace. What it starts waits in the queue until its devices are free."""

    def __init__(self, workspace: Workspace, accelerator: DeviceLease, jobs: Jobs | None = None):
        self.workspace, self.accelerator = workspace, accelerator
        self.jobs = jobs or Jobs(workspace)
        self.jobs.places(
            batch_search.KIND, Places(reads=lambda facts: [library.find(workspace, facts["model_name_or_path"]).path])
        )
        self.jobs.guard(self._require_unused)
        self.environments = Environments(self.jobs)
        self._pythons: dict[str, Path] = {}
        self._dispatcher = Dispatcher(workspace, accelerator, self._interpreter)

    @property
    def executors(self) -> list[str]:
        """Return the names of the executors, the usual one first."""
        return self._dispatcher.known

    def preview(self, overrides: dict[str, object]) -> RecipePreview:
        """Return how a recipe that may still be wrong would be trained."""
        return recipe_preview.preview(self.workspace, overrides, self.python_of)

    def python_of(self, recipe: dict[str, object]) -> Path | None:
        """Return the Python of the environment that a recipe's stage trains in, made or not, None where it is the
        studio's own.
        """
        stage = recipe.get("stage")
        return self.environments.place(stage) if stage in OWN_ENVIRONMENT else None

    def _interpreter(self, run: runs.Run) -> Path:
        """Return the Python that trains a run: one that this process was given, else by the stage. Raises Problem where
        it is not made.

        It is never read from the run's folder, which may have come from another person.
        """
        stage = run.recipe().get("stage")
        return self._pythons.get(run.name) or (
            self.environments.python(stage) if stage in OWN_ENVIRONMENT else Path(sys.executable)
        )

    def find_batch(self, overrides: dict[str, object]) -> Job:
        """Start looking for the largest batch that fits (see `batch.find`); the facts of the job say what it is of.
        Raises Problem where the recipe cannot be trained.
        """
        stated = {name: value for name, value in overrides.items() if value not in (None, "")}
        return self.jobs.start(
            batch_search.KIND,
            "batch.title",
            batch_search.subject(batch_search.trainable_recipe(self.workspace, overrides) | stated),
            work=lambda job: batch_search.find(self.workspace, self.accelerator, overrides, job).model_dump(),
        )

    def start(
        self,
        overrides: dict[str, object],
        options: dict[str, object],
        executor: str = "in-process",
        python: Path | None = None,
    ) -> runs.Run:
        """Make a run of a recipe and put it in the queue; it begins at once where its devices are free.

        Args:
            overrides: LLaMA-Factory's arguments; `adapter_name_or_path` may name runs, `<run>` or `<run>@<checkpoint>`.
            options: title, note, `probes` (questions), the identity's name and author, `devices` (GPU numbers),
                `processes` (without GPUs).
            executor: one of `executors`.
            python: the Python of another environment to train in, as long as this process lives; not for the in-process
                executor.

        Raises:
            Problem: what is wrong with them, and then nothing is left behind.
        """
        run = self._made(overrides, options, executor, python)
        self._dispatcher.add(run)
        return run

    def _made(
        self, overrides: dict[str, object], options: dict[str, object], executor: str, python: Path | None = None
    ) -> runs.Run:
        """Return a run that is ready for the queue (see `start`)."""
        if executor not in self._dispatcher.known:
            raise Problem("train.no_executor", executor=executor, known=", ".join(self._dispatcher.known))
        if executor == "ray" and not python and not importlib.util.find_spec("ray"):
            raise Problem("executors.no_ray")
        if overrides.get("stage") in OWN_ENVIRONMENT:
            python = python or self.environments.python(overrides["stage"])
            executor = "worker" if executor == "in-process" else executor
        run = self._prepare(overrides, options, executor)
        if python:
            self._pythons[run.name] = python
            run.note(versions=versions(LIBRARIES, python))
        return run

    def _prepare(self, overrides: dict[str, object], options: dict[str, object], executor: str) -> runs.Run:
        for problem in self.preview(overrides).problems:
            raise problem
        if overrides.get("deepspeed") and executor in ONE_PROCESS:
            raise Problem("train.needs_torchrun", field="deepspeed")
        machine = recipes.this_machine()
        spread = devices.spread(options, executor, machine.kind == "cuda")
        resolved = adapters.resolved(self.workspace, overrides)
        if spread.processes > 1 and machine.kind == "cpu":
            resolved = {"ddp_backend": "gloo", **resolved}
        parent = adapters.first(self.workspace, overrides)
        run = recipes.prepare(self.workspace, resolved, options, machine)
        write_json(
            run.info_file,
            {
                "title": options.get("title", ""),
                "note": options.get("note", ""),
                "created": time.time(),
                "executor": executor,
                **vars(spread),
                "probes": options.get("probes") or [],
                "parent": parent.name if parent else None,
                "sweep": options.get("sweep"),
                "versions": versions(LIBRARIES),
                "base_stamp": weights_stamp.of(Path(str(run.setting("model_name_or_path")))),
                "data_stamps": data_stamps.of(self.workspace, run.recipe()),
            },
        )
        return run

    def sweep(
        self,
        overrides: dict[str, object],
        grid: dict[str, list],
        options: dict[str, object],
        executor: str = "in-process",
    ) -> list[runs.Run]:
        """Start a run for every combination of the values in `grid` (see `sweep.combinations`), after all were made.

        Raises:
            Problem: the grid or one of its recipes is wrong, or one name is given to all; then none is started, and
                nothing is left behind.
        """
        if str(options.get("run_name") or "").strip():
            raise Problem("executors.one_name", name=options["run_name"], field="run_name")
        together, title = secrets.token_hex(4), options.get("title")
        made: list[runs.Run] = []
        try:
            for recipe, name in sweep.combinations(overrides, grid):
                called = {"title": f"{title}-{name}" if title else name, "sweep": together}
                made.append(self._made(recipe, options | called, executor))
        except (Problem, OSError):
            for run in made:
                shutil.rmtree(run.folder)
                self._pythons.pop(run.name, None)
            raise
        for run in made:
            self._dispatcher.add(run)
        return made

    def nodes(
        self,
        overrides: dict[str, object],
        options: dict[str, object],
        count: int,
        address: str,
        port: int = multi_node.PORT,
    ) -> tuple[runs.Run, list[str]]:
        """Make a run for several machines and return it with a command for each (see `nodes.commands`); `options` hold
        `processes`.

        Raises:
            Problem: what is wrong with them, and then nothing is left behind.
        """
        self.jobs.require("nodes")
        processes = options.get("processes", 1)
        if not isinstance(processes, int):
            raise Problem("executors.bad_processes", processes=processes)
        if options.get("devices"):
            raise Problem("executors.devices_of_nodes", field="devices")
        multi_node.commands(runs.Run("", self.workspace.saves), count, processes, address, port)
        run = self._prepare(overrides, {**options, "processes": count * processes}, "torchrun")
        run.note(executor="nodes", nodes=count, processes=count * processes, devices=[])
        run.say("state", state="queued")
        return run, multi_node.commands(run, count, processes, address, port)

    def stop(self, name: str, save: bool = True) -> runs.Run:
        """Stop a run, with a checkpoint that can be resumed or without. Raises Problem where it is not at work."""
        run = self._active(name)
        self._dispatcher.stop(run, save)
        return run

    def kill(self, name: str) -> runs.Run:
        """End a run by force, when it does not obey. Raises Problem where it is not at work, or is a thread of the
        studio.
        """
        run = self._active(name)
        self._dispatcher.kill(run)
        return run

    def resume(
        self, name: str, checkpoint: str | None = None, epochs: float | None = None, dataset: str | None = None
    ) -> runs.Run:
        """Go on with a run from a checkpoint, the newest complete one where none is named.

        With `epochs` it trains until so many are full, counted from its beginning: the recipe is written anew, the old
            one is kept
        as `recipe-<n>.yaml`, and a `max_steps` in it goes. The learning rate then follows the longer schedule from the
        step
        reached: after a cosine that had come down to 0 it jumps up to where a cosine over all the epochs would be. A
            constant
        schedule continues smoothly.

        A run of the command line or of LlamaBoard becomes the studio's own; `dataset` names its data where its files do
        not.

        Raises:
            Problem: it is at work, has no such checkpoint, or cannot be resumed.
        """
        run = self._idle(name)
        whole = run.checkpoints()
        if not whole:
            raise Problem("train.no_checkpoint", run=name)
        if checkpoint and checkpoint not in whole:
            raise Problem("executors.no_such_checkpoint", run=name, checkpoint=checkpoint)
        with adoption.adopted(self.workspace, run, dataset) if run.is_foreign else contextlib.nullcontext():
            recipe = run.recipe()
            if recipes.starts_over(recipe):
                raise Problem("executors.stage_starts_over", stage=recipe["stage"], method=recipe["finetuning_type"])
            if epochs is not None:
                _lengthen(run, recipe, epochs)
            self._dispatcher.add(run, checkpoint or whole[-1])
        return run

    def restart(self, name: str) -> runs.Run:
        """Train a run again from the beginning, in its own folder; what it had learned goes into the trash.

        Raises:
            Problem: it is at work, or its recipe cannot be trained (any more); then everything is as it was.
        """
        run = self._idle(name)
        _require_ours(run)
        recipes.require_startable(self.workspace, run.recipe())
        self._dispatcher.require_startable(run)
        trash = Trash(self.workspace)
        learned = runs.learned(run)
        with self.jobs.moving(learned):
            item = trash.put(learned, "checkpoints", name) if learned else None
        try:
            self._dispatcher.add(run)
        except Problem:
            if item:
                trash.restore(item)
            raise
        return run

    def end(self, seconds: float, on_wait: Callable[[runs.Run, float], None]) -> list[tuple[runs.Run, bool]]:
        """Let what this process trains save a checkpoint, because it is about to end (see `Dispatcher.end`)."""
        return self._dispatcher.end(seconds, on_wait)

    def others_at_work(self) -> int:
        """Return how many runs go on in processes of their own when the studio ends."""
        return self._dispatcher.others_at_work()

    def end_others(self) -> None:
        """Ask the processes that train beside the studio to save and end, because the machine ends with it."""
        self._dispatcher.end_others()

    def queue(self) -> list[QueueEntry]:
        """Return the runs that wait or are at work, those at work first."""
        queue = self._dispatcher.queue
        listed = [(queued, None) for queued in queue.at_work()] + [
            (queued, place) for place, queued in enumerate(queue.waiting())
        ]
        entries = []
        for queued, position in listed:
            info = runs.Run(queued.run, self.workspace.saves / queued.run).info()
            entries.append(QueueEntry(queued.run, position, info.executor, info.devices))
        return entries

    def held_up(self) -> list[Problem]:
        """Return of each run in the queue whose start, or end, the disk refuses now, why."""
        return self._dispatcher.held_up()

    def move(self, name: str, position: int) -> None:
        """Put a waiting run at a position, 0 being the next to start. Raises Problem where it does not wait."""
        self._dispatcher.queue.move(name, position)

    def remove(self, name: str) -> runs.Run:
        """Take a waiting run out of the queue; it can be started again later. Raises Problem where it does not wait."""
        run = runs.find(self.workspace, name)
        if runs.status(run).state != "queued":
            raise Problem("executors.not_waiting", run=name)
        self._dispatcher.stop(run, save=False)
        return run

    def _require_unused(self, path: Path) -> None:
        """Raise Problem where a run that waits or is at work reads a place: a model, another run, or a dataset."""
        for run in runs.all_runs(self.workspace):
            if runs.status(run).state in runs.ACTIVE:
                if any(files.overlap(one, path) for one in adapters.reads(run.recipe_if_any())):
                    raise Problem("models.used_by_run", name=path.name, run=run.label)

    def _active(self, name: str) -> runs.Run:
        run = runs.find(self.workspace, name)
        if runs.status(run).state not in runs.ACTIVE:
            raise Problem("train.not_running", run=run.label)
        return run

    def _idle(self, name: str) -> runs.Run:
        run = runs.find(self.workspace, name)
        if runs.status(run).state in runs.ACTIVE:
            raise Problem("train.still_running", run=run.label)
        if run.info().executor == "nodes":
            raise Problem("executors.by_hand", run=name)
        return run


def _require_ours(run: runs.Run) -> None:
    if run.is_foreign:
        raise Problem("executors.not_ours", run=run.name)


def _lengthen(run: runs.Run, recipe: dict[str, object], epochs: float) -> None:
    had = runs.status(run).epoch
    if isinstance(epochs, bool) or not isinstance(epochs, (int, float)) or epochs <= had:
        raise Problem("executors.fewer_epochs", epochs=epochs, had=f"{had:g}")
    number = 1 + len(list(run.folder.glob("recipe-*.yaml")))
    write_whole(run.folder / f"recipe-{number}.yaml", files.read_text(run.recipe_file))
    recipe.pop("max_steps", None)
    recipes.write_recipe(run, {**recipe, "num_train_epochs": float(epochs)})
