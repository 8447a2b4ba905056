"""What a script can ask of training."""

import time
from collections.abc import Callable

from studio.core.i18n import Problem, Words
from studio.core.sentences import Sentence
from studio.core.workspace import Workspace
from studio.train import notifications, runs
from studio.train.execution import multi_node
from studio.train.execution.training_service import TrainingService
from studio.train.page import schemas
from studio.train.recipe import saved_recipes
from studio.train.recipe.importing import missing_parts, recipe_reading
from studio.train.runs import manage_runs
from studio.web.shared_results import JobResult, NameResult, StateResult


def endpoints(trainer: TrainingService, words: Words) -> list[Callable]:
    """Return the endpoints of this room; problems inside their results are told in `words`."""
    return [
        *_of_environments(trainer),
        *_of_runs(trainer, words),
        *_of_run_state(trainer.workspace, words),
        *_of_many(trainer),
        *_of_keeping(trainer),
        *_of_recipes(trainer, words),
        *_of_notices(trainer, words),
    ]


def following_metrics(workspace: Workspace) -> Callable[[str, int, float], schemas.MetricsResult]:
    """Return what tells the points of a run after a byte of its events, once there are some or after some seconds."""

    def train_metrics(run: str, since: int, wait_s: float) -> schemas.MetricsResult:
        found = runs.find(workspace, run)
        return schemas.MetricsResult(**vars(runs.metrics(found, since, wait_s)), label=found.label)

    return train_metrics


def _options(options: schemas.StartOptions | None) -> dict[str, object]:
    return options.model_dump(exclude_none=True) if options else {}


def _queue(trainer: TrainingService) -> list[schemas.QueuedRun]:
    return [schemas.QueuedRun(**vars(entry)) for entry in trainer.queue()]


def _of_environments(trainer: TrainingService) -> list[Callable]:
    def train_environment(name: str = "ppo") -> schemas.EnvironmentResult:
        """Begin to make the environment in which a stage trains, or go on with it, and return {job}."""
        is_ready = trainer.environments.is_ready(name)
        return schemas.EnvironmentResult(job=None if is_ready else trainer.environments.make(name).id)

    return [train_environment]


def _of_runs(trainer: TrainingService, words: Words) -> list[Callable]:
    def train_preview(recipe: dict[str, object]) -> schemas.PreviewResult:
        """Return {yaml, command, problems, memory, disk, steps, seconds, advice} for a recipe that may be wrong."""
        preview = trainer.preview(recipe)
        return schemas.PreviewResult(
            yaml=preview.yaml,
            command=preview.command,
            problems=[words.tell(problem) for problem in preview.problems],
            memory=preview.memory,
            disk=preview.disk,
            steps=preview.steps,
            seconds=preview.seconds,
            advice=[words(key, **facts) for key, facts in preview.advice],
        )

    def train_start(
        recipe: dict[str, object], executor: str = "in-process", options: schemas.StartOptions | None = None
    ) -> schemas.RunResult:
        """Start a run and return {run}; what the recipe leaves out takes the studio's defaults.

        A recipe with `do_train: true` is LLaMA-Factory's own, as `train_recipe` returns it: what it leaves out takes
        LLaMA-Factory's defaults, and it names its model and its dataset. The preview goes by the same.

        `executor` is "in-process", "worker", "torchrun" or "ray".
        """
        return schemas.RunResult(run=trainer.start(recipe, _options(options), executor).name)

    def train_stop(run: str, save: bool = True) -> StateResult:
        """Stop a run, with a checkpoint or without, and return {state}."""
        return StateResult(state=runs.status(trainer.stop(run, save)).state)

    def train_kill(run: str) -> StateResult:
        """End a run's process by force and return {state}."""
        return StateResult(state=runs.status(trainer.kill(run)).state)

    def train_resume(
        run: str, checkpoint: str | None = None, epochs: float | None = None, dataset: str | None = None
    ) -> schemas.RunResult:
        """Go on from a checkpoint, the newest where none is named, with more epochs in all if said, and return {run}.

        `dataset` names the data of a run of the command line whose files do not say it.
        """
        return schemas.RunResult(run=trainer.resume(run, checkpoint, epochs, dataset).name)

    def train_restart(run: str) -> schemas.RunResult:
        """Train a run again from the beginning in its own folder, without its checkpoints, and return {run}."""
        return schemas.RunResult(run=trainer.restart(run).name)

    return [train_preview, train_start, train_stop, train_kill, train_resume, train_restart]


def _of_run_state(workspace: Workspace, words: Words) -> list[Callable]:
    following = following_metrics(workspace)

    def train_runs() -> list[schemas.ListedRun]:
        """Return [{run, state, step, total_steps, loss, started, model, dataset, problem}], newest first."""
        found, unusable = runs.usable_and_odd(workspace)
        usable = [runs.summary(run) for run in found]
        odd = [
            runs.RunSummary(name, "unreadable", 0, 0, loss=None, started=None, model=None, dataset=None, problem=fault)
            for name, fault in unusable.items()
        ]
        return [
            schemas.ListedRun(**vars(one) | {"problem": words.tell(one.problem) if one.problem else None})
            for one in (*usable, *odd)
        ]

    def train_status(run: str) -> schemas.StatusResult:
        """Return {state, step, total_steps, loss, eta_s, error, resumable} of a run."""
        found = runs.find(workspace, run)
        status = runs.status(found)
        error = status.error and Sentence(key=status.error["key"], facts=status.error.get("facts", {})).tell(words)
        return schemas.StatusResult(
            state=status.state,
            step=status.step,
            total_steps=status.total_steps,
            loss=status.loss,
            eta_s=status.eta(),
            error=error,
            resumable=found.resumable_step(),
        )

    def train_metrics(run: str, since: int = 0) -> schemas.MetricsResult:
        """Return {series: {name: [[step, value, seconds]]}, next, state, label}: all that came after `since`, the
        last `next`.
        """
        return following(run, since, 0)

    return [train_runs, train_status, train_metrics]


def _of_many(trainer: TrainingService) -> list[Callable]:
    def train_queue() -> list[schemas.QueuedRun]:
        """Return [{run, position, executor, devices}], those at work first with the position null."""
        return _queue(trainer)

    def train_queue_move(run: str, position: int = 0) -> list[schemas.QueuedRun]:
        """Put a waiting run at a position, 0 being the next to start, and return the queue."""
        trainer.move(run, position)
        return _queue(trainer)

    def train_queue_remove(run: str) -> list[schemas.QueuedRun]:
        """Take a waiting run out of the queue and return the queue."""
        trainer.remove(run)
        return _queue(trainer)

    def train_sweep(
        recipe: dict[str, object],
        grid: dict[str, list[object]],
        executor: str = "in-process",
        options: schemas.StartOptions | None = None,
    ) -> schemas.RunsResult:
        """Start a run for every combination of the values in `grid`, {setting: [values]}, and return {runs}."""
        return schemas.RunsResult(runs=[run.name for run in trainer.sweep(recipe, grid, _options(options), executor)])

    def train_nodes(
        recipe: dict[str, object],
        count: int = 2,
        address: str = "",
        port: int = multi_node.PORT,
        options: schemas.StartOptions | None = None,
    ) -> schemas.NodesResult:
        """Make a run for several machines and return {run, commands}, a command to paste on each; `options` hold
        `processes` on each.
        """
        run, commands = trainer.nodes(recipe, _options(options), count, address, port)
        return schemas.NodesResult(run=run.name, commands=commands)

    return [train_queue, train_queue_move, train_queue_remove, train_sweep, train_nodes]


def _of_keeping(trainer: TrainingService) -> list[Callable]:
    workspace = trainer.workspace

    def train_note(run: str, note: str = "") -> schemas.RunResult:
        """Keep a note with a run and return {run}."""
        manage_runs.note(workspace, run, note)
        return schemas.RunResult(run=run)

    def train_rename(run: str, label: str = "") -> schemas.LabelResult:
        """Call a run by another name on the page and return {label}; "" gives it its first name back. Its folder, and
        `run` in every other call, stay.
        """
        return schemas.LabelResult(label=manage_runs.rename(workspace, run, label))

    def train_star(run: str) -> schemas.StarResult:
        """Give a run a star, or take it away, and return {star}."""
        return schemas.StarResult(star=manage_runs.star(workspace, run))

    def train_delete(run: str) -> schemas.FreedResult:
        """Move a run with all its checkpoints into the trash and return {freed}, the bytes that come free when that is
        emptied.
        """
        return schemas.FreedResult(freed=manage_runs.delete(workspace, trainer.jobs, run))

    def train_batch(recipe: dict[str, object]) -> JobResult:
        """Start looking for the largest batch that fits, by real steps, and return {job}; its result is {batch, tried,
        reason}.
        """
        return JobResult(job=trainer.find_batch(recipe).id)

    return [train_batch, train_note, train_rename, train_star, train_delete]


def _of_recipes(trainer: TrainingService, words: Words) -> list[Callable]:
    workspace = trainer.workspace

    def train_recipe(text: str) -> schemas.ReadRecipeResult:
        """Return {recipe, taken, not_here, left_out, options, kind} for a text: LLaMA-Factory's YAML or JSON, a
        LlamaBoard configuration, or a command line.

        `not_here` is what this studio does not have. What trains nothing is refused.
        """
        found = recipe_reading.read(text)
        return schemas.ReadRecipeResult(
            recipe=found.whole,
            taken=list(found.recipe),
            not_here=[one.tell(words) for one in missing_parts.missing(workspace, found.recipe)],
            left_out=[one.tell(words) for one in found.left_out],
            options=found.options,
            kind=found.kind,
        )

    def train_recipes() -> list[str]:
        """Return the names of the saved recipes."""
        return saved_recipes.saved(workspace)

    def train_recipe_save(name: str, recipe: dict[str, object]) -> NameResult:
        """Keep a recipe under a name, in place of the one that had it, and return {name}."""
        saved_recipes.save(workspace, name, recipe)
        return NameResult(name=name.strip())

    def train_recipe_load(name: str) -> schemas.SavedRecipeResult:
        """Return {name, recipe} of a saved recipe."""
        return schemas.SavedRecipeResult(name=name, recipe=saved_recipes.load(workspace, name))

    return [train_recipe, train_recipes, train_recipe_save, train_recipe_load]


def _of_notices(trainer: TrainingService, words: Words) -> list[Callable]:
    workspace = trainer.workspace

    def train_notices(since: float = 0) -> schemas.NoticesResult:
        """Return {now, notices: [{id, run, label, text}]}: what happened to runs after a moment (seconds since 1970; 0:
        nothing yet), as a person is told.
        """
        now = time.time()
        found = notifications.since(workspace, since) if since else []
        notices = [
            schemas.Notice(
                id=one["id"],
                run=one["run"],
                label=one["label"],
                text=Sentence(key=one["key"], facts=one["facts"]).tell(words),
            )
            for one in found
        ]
        return schemas.NoticesResult(now=now, notices=notices)

    def train_webhook(address: str = "") -> schemas.HostResult:
        """Keep the address that notices are sent to, "" for none, and return {host}."""
        return schemas.HostResult(host=notifications.set_webhook(workspace.saves, address, words.language))

    def train_webhook_test() -> schemas.HostResult:
        """Send a test to the webhook and return {host}, once it took it."""
        address = notifications.webhook(workspace.saves)
        if not address:
            raise Problem("notices.none")
        notifications.send(address, words("notices.test_text"))
        return schemas.HostResult(host=notifications.host(workspace.saves))

    return [train_notices, train_webhook, train_webhook_test]
