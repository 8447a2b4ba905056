"""What a script can ask of training."""

from collections.abc import Callable

from studio.interface.language import Problem, Words
from studio.train import runs
from studio.train.executors import Trainer


def endpoints(trainer: Trainer, words: Words) -> list[Callable]:
    """Return the endpoints of this room; problems inside their results are told in `words`."""
    workspace = trainer.workspace

    def train_preview(recipe: dict) -> dict:
        """Return {yaml, command, problems, memory} for a recipe that may still be wrong; memory in bytes."""
        preview = trainer.preview(recipe)
        return {**preview, "problems": [words.tell(problem) for problem in preview["problems"]]}

    def train_start(recipe: dict, executor: str = "in-process", options: dict | None = None) -> dict:
        """Start a run and return {run}; what the recipe leaves out takes the studio's defaults."""
        return {"run": trainer.start(recipe, options or {}, executor).name}

    def train_stop(run: str, save: bool = True) -> dict:
        """Stop a run, with a checkpoint or without, and return {state}."""
        return {"state": runs.status(trainer.stop(run, save)).state}

    def train_resume(run: str) -> dict:
        """Go on with a run from its newest complete checkpoint and return {run}."""
        return {"run": trainer.resume(run).name}

    def train_runs() -> list:
        """Return [{run, state, step, total_steps, loss, started, model, dataset}], newest first."""
        return [runs.summary(run) for run in runs.all_runs(workspace)]

    def train_status(run: str) -> dict:
        """Return {state, step, total_steps, loss, eta_s, error} of a run."""
        status = runs.status(runs.find(workspace, run))
        error = words.tell(Problem(status.error["key"], **status.error["facts"])) if status.error else None
        return {"state": status.state, "step": status.step, "total_steps": status.total_steps, "loss": status.loss, "eta_s": status.eta(),
                "error": error}

    def train_metrics(run: str, since: int = 0) -> dict:
        """Return {series: {name: [[step, value, seconds]]}, next, state, reset}: all that came after `since`, the last `next`."""
        return runs.metrics(runs.find(workspace, run), since)

    return [train_preview, train_start, train_stop, train_resume, train_runs, train_status, train_metrics]
