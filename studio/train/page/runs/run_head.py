"""The head of a run: state, progress, numbers, facts, the fault if it has one, and what can be done."""

from dataclasses import dataclass

from studio.core import formatting
from studio.core.i18n import Problem
from studio.core.sentences import Sentence
from studio.core.workspace import Workspace
from studio.train import notifications, runs
from studio.train.execution import adoption
from studio.train.page.runs.run_progress import Progress, progress
from studio.train.recipe import recipes
from studio.train.runs import manage_runs

TEMPLATE = "train/page/runs/run_head.html"
NUMBERS = ("learning_rate", "grad_norm", "tokens_per_second")


@dataclass(frozen=True)
class Fault:
    """What ended a run; `recipe` is its recipe with `changes` against that, None where only the person can know."""

    sentence: Sentence
    changes: dict[str, object]
    recipe: dict[str, object] | None


@dataclass(frozen=True)
class AfterTheEnd:
    """What can be done with a run that is over; `recipe` is for a new run, None where it left none."""

    recipe: dict[str, object] | None
    has_star: bool
    note: str
    bytes: int


@dataclass(frozen=True)
class RunHead:
    """The head of a run. `actions` names its buttons in their order; `numbers` and `facts` are pairs of a word and its
    value; `moment` is in seconds since 1970.
    """

    name: str
    model: str
    method: str
    short: str
    label: str
    moment: float | None
    actions: tuple[str, ...]
    epochs_had: str
    progress: Progress
    fault: Fault | None
    damage: tuple[Problem, ...]
    warnings: tuple[Sentence, ...]
    numbers: tuple[tuple[str, str], ...]
    facts: tuple[tuple[str, str], ...]
    after: AfterTheEnd | None


def run_head(workspace: Workspace, name: str) -> RunHead | None:
    """Return the head of a run, None where no run is named. Raises Problem where there is no such run."""
    if not name:
        return None
    run = runs.find(workspace, name)
    status = runs.status(run)
    model, method, short = run.name.split("/")
    return RunHead(
        name=run.name,
        model=model,
        method=method,
        short=short,
        label=run.label,
        moment=status.started or run.info().created,
        actions=_actions(run, status),
        epochs_had=f"{status.epoch:.3g}",
        progress=progress(run, status),
        fault=_fault(run, status),
        damage=tuple(run.faults(status)),
        warnings=_warnings(status),
        numbers=_numbers(status),
        facts=_facts(status),
        after=None if status.state in runs.ACTIVE else _after_the_end(run),
    )


def recipe_again(run: runs.Run, changes: dict[str, object]) -> dict[str, object] | None:
    """Return the recipe of a run for a new one, with changes; None where a run of another tool left none."""
    try:
        return manage_runs.again(run, changes)
    except Problem:
        return None


def _actions(run: runs.Run, status: runs.Status) -> tuple[str, ...]:
    if status.state == "queued":
        return ("queue_remove",) if run.is_by_hand else ("queue_first", "queue_remove")
    if status.state in ("preparing", "running"):
        return ("stop", "abort")
    if status.state == "stopping":
        return ()
    checkpoints = run.checkpoints()
    can_resume = bool(checkpoints) and recipes.is_resumable(run)
    lacks_data = can_resume and run.is_foreign and bool(adoption.missing(run))
    actions = []
    if lacks_data:
        actions += ["resume_with_data"] if status.state != "finished" else []
    elif status.state != "finished" and can_resume:
        actions += ["resume"]
    elif status.state == "interrupted" and not run.is_foreign:
        actions += ["restart"]
    if can_resume and not lacks_data:
        actions += ["more_epochs"]
    if checkpoints or runs.has_weights(run.folder):
        actions += ["compare"]
    return tuple(actions)


def _fault(run: runs.Run, status: runs.Status) -> Fault | None:
    if not status.error:
        return None
    key = status.error["key"]
    changes = manage_runs.remedy(key, run.recipe_if_any())
    return Fault(
        sentence=Sentence(key=key, facts=status.error.get("facts", {})),
        changes=changes,
        recipe=recipe_again(run, changes) if changes else None,
    )


def _warnings(status: runs.Status) -> tuple[Sentence, ...]:
    """Return the newest warning of each kind, and that a run at work is silent."""
    newest = {warning["key"]: warning for warning in status.warnings}
    found = [Sentence(key=key, facts=warning.get("facts", {})) for key, warning in newest.items()]
    if (seconds := notifications.silence(status)) is not None:
        found.append(Sentence(key="train.warn_silent", facts={"time": formatting.duration(seconds)}))
    return tuple(found)


def _numbers(status: runs.Status) -> tuple[tuple[str, str], ...]:
    if not status.series:
        return ()

    def last(name: str) -> object:
        points = status.series.get(name)
        return points[-1][1] if points else None

    found = [("loss", formatting.measured(status.loss))]
    found += [(name, formatting.measured(last(name))) for name in NUMBERS]
    found += [("epoch", f"{status.epoch:.2f}")] if status.epoch else []
    found += [("eval_loss", formatting.measured(last("eval_loss")))] if last("eval_loss") is not None else []
    return tuple(found)


def _facts(status: runs.Status) -> tuple[tuple[str, str], ...]:
    """Return what the run said of itself as it began, () where it has not yet."""
    facts = status.facts
    if not facts:
        return ()
    trainable, parameters, epochs = facts.get("trainable"), facts.get("parameters"), facts.get("epochs")
    share = (
        f"{trainable:,} / {parameters:,} ({100 * trainable / parameters:.2f} %)"
        if parameters and trainable is not None
        else None
    )
    values = {
        "examples": facts.get("examples"),
        "epochs": None if epochs is None else f"{epochs:g}",
        "total_batch": facts.get("batch"),
        "steps": facts.get("total_steps"),
        "trainable": share,
        "device": facts.get("device"),
    }
    return tuple((word, formatting.NONE if value is None else str(value)) for word, value in values.items())


def _after_the_end(run: runs.Run) -> AfterTheEnd:
    info = run.info()
    return AfterTheEnd(recipe=recipe_again(run, {}), has_star=info.star, note=info.note, bytes=manage_runs.size(run))
