"""Who trains a run. The one of today is this process itself: it starts at once, because the libraries are warm."""

import queue
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from studio.accelerator import Accelerator
from studio.interface.language import Problem
from studio.models import library
from studio.train import recipe as recipes
from studio.train import runs
from studio.train.execute import execute
from studio.train.recorder import StopWish
from studio.workspace import Workspace, write_json


@dataclass(frozen=True)
class Order:
    """A run that waits for its turn, and the checkpoint it goes on from."""

    run: runs.Run
    wish: StopWish
    resume: Path | None


class InProcess:
    """Trains runs one after another in a thread of this process. What holds for every executor: `start` and `stop`."""

    name = "in-process"

    def __init__(self, workspace: Workspace, accelerator: Accelerator):
        self.workspace, self.accelerator = workspace, accelerator
        self._orders: queue.Queue[Order] = queue.Queue()
        self._wishes: dict[str, StopWish] = {}
        threading.Thread(target=self._work, name="training", daemon=True).start()

    def start(self, run: runs.Run, resume: Path | None = None) -> None:
        """Put a run in the queue; it begins at once where nothing else is training. Raises Problem where its folder is unwritable."""
        wish = StopWish()
        self._wishes[run.name] = wish
        run.own()
        run.say("state", state="queued")
        self._orders.put(Order(run, wish, resume))

    def stop(self, run: runs.Run, save: bool) -> None:
        """Ask a run of this executor to stop, with a checkpoint or without. Raises Problem where it is not at work here."""
        wish = self._wishes.get(run.name)
        if wish is None:
            raise Problem("train.not_running", run=run.name)
        wish.ask(save)
        run.say("state", state="stopping")

    def active(self) -> list[str]:
        """Return the names of the runs that are at work or wait, in their order."""
        return list(self._wishes)

    def _work(self) -> None:
        while True:
            order = self._orders.get()
            try:
                self._train(order)
            except Exception as error:
                # The disk may refuse even the last word of a run; the next run must still get its turn.
                print(f"{order.run.name}: {type(error).__name__}: {error}", file=sys.stderr)
            finally:
                self._wishes.pop(order.run.name, None)
                self.accelerator.release("training")

    def _train(self, order: Order) -> None:
        if order.wish.asked.is_set():
            order.run.say("state", state="stopped", saved=False)
            return
        try:
            recipe = order.run.recipe()
            model = library.find(self.workspace, recipe["model_name_or_path"])
            gone = self.accelerator.hold("training", recipes.bytes_needed(recipe, model.params))
            if gone:
                order.run.say("put_away", who=gone)
        except Problem as problem:
            order.run.say("error", key=problem.key, facts=problem.facts, sentence=str(problem))
            order.run.say("state", state="failed")
            return
        execute(order.run, order.wish, order.resume)


class Trainer:
    """What the page and the API ask of training."""

    def __init__(self, workspace: Workspace, accelerator: Accelerator):
        self.workspace = workspace
        self.executor = InProcess(workspace, accelerator)

    def preview(self, wish: dict) -> dict:
        """Return {yaml, command, problems, memory} for a recipe that may still be wrong; problems are Problem objects."""
        try:
            recipe = recipes.complete(self.workspace, wish, recipes.this_machine())
            folder = self.workspace.saves / Path(recipe["model_name_or_path"]).name / recipe["finetuning_type"] / "new-run"
            recipe["output_dir"] = str(folder)
            recipes.check(recipe)
        except Problem as problem:
            return {"yaml": recipes.to_yaml(wish), "command": "", "problems": [problem], "memory": None}
        model = library.find(self.workspace, recipe["model_name_or_path"])
        return {
            "yaml": recipes.to_yaml(recipe),
            "command": recipes.command(folder / "recipe.yaml"),
            "problems": [],
            "memory": recipes.bytes_needed(recipe, model.params),
        }

    def start(self, wish: dict, options: dict, executor: str = "in-process") -> runs.Run:
        """Make a run of a recipe and hand it to the executor. Raises Problem, and then nothing is left behind."""
        if executor != self.executor.name:
            raise Problem("train.no_executor", executor=executor, known=self.executor.name)
        run = recipes.prepare(self.workspace, wish, options, recipes.this_machine())
        write_json(run.info_file, {"title": options.get("title", ""), "note": options.get("note", ""), "created": time.time(),
                                   "executor": self.executor.name, "versions": _versions()})
        self.executor.start(run)
        return run

    def stop(self, name: str, save: bool = True) -> runs.Run:
        """Stop a run, with a checkpoint that can be resumed or without. Raises Problem where it is not at work."""
        run = runs.find(self.workspace, name)
        if runs.status(run).state not in runs.ACTIVE:
            raise Problem("train.not_running", run=name)
        self.executor.stop(run, save)
        return run

    def resume(self, name: str) -> runs.Run:
        """Go on with a run from its newest complete checkpoint. Raises Problem where it is at work or has none."""
        run = runs.find(self.workspace, name)
        if runs.status(run).state in runs.ACTIVE:
            raise Problem("train.still_running", run=name)
        checkpoints = run.checkpoints()
        if not checkpoints:
            raise Problem("train.no_checkpoint", run=name)
        self.executor.start(run, run.folder / checkpoints[-1])
        return run


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("llamafactory", "transformers", "peft", "torch")}
