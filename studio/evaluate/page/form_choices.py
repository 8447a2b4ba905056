"""What the form of a new evaluation offers: models, datasets, scores, and what is missing for a start."""

from studio.core.i18n import Problem, Words
from studio.evaluate.benchmarks import tasks
from studio.evaluate.page.context import EvaluateContext
from studio.evaluate.page.schemas import BenchmarkOptions, PredictOptions
from studio.evaluate.predict.row_sources import HELD_OUT
from studio.evaluate.reports import metric_facts
from studio.evaluate.scores import own_metric
from studio.evaluate.scores.metric import METRICS, OWN
from studio.inference import target_names
from studio.train import runs
from studio.train.recipe.recipes import STARTER_MODEL
from studio.web import schema

KINDS = ("predict", "checkpoints", "benchmark")
NOT_CHOSEN = ("loss", "judge", "choice")  # the first follows from its switch, the others are of judges and benchmarks
RUNS_LISTED = 200

Choice = tuple[str, str]


def models(context: EvaluateContext, chosen: list[str] | None = None) -> list[Choice]:
    """Return who can be evaluated, as Chat names them, with those that are chosen already."""
    known = [*target_names.names(context.service.workspace), *context.inference.model_lists.columns()]
    return target_names.choices(context.service.workspace, [*known, *(chosen or [])])


def runs_with_checkpoints(context: EvaluateContext) -> list[str]:
    """Return the runs that have checkpoints, newest first."""
    found = runs.all_runs(context.service.workspace)[:RUNS_LISTED]
    return [run.name for run in found if run.checkpoints()]


def data(context: EvaluateContext, words: Words, chosen: list[str] | None = None) -> list[Choice]:
    """Return the data that models can be asked: the held-out parts of runs first, then the sets with instructions."""
    found = [
        (words("evaluating.held_out", run=target_names.title(context.service.workspace, run.name)), HELD_OUT + run.name)
        for run in runs.all_runs(context.service.workspace)[:RUNS_LISTED]
        if run.recipe_if_any().get("val_size")
    ]
    found += [(name, name) for name in context.collection.instruction_sets()]
    return [*found, *[(name, name) for name in chosen or [] if name not in [value for _, value in found]]]


def first_choice(context: EvaluateContext) -> tuple[list[str], list[str]]:
    """Return who and what a form begins with: the newest run that can be asked and its base, and the part that it held
    out; the starter and nothing, where there is no such run.
    """
    workspace = context.service.workspace
    askable = set(target_names.names(workspace))
    for run in runs.all_runs(workspace)[:RUNS_LISTED]:
        if run.name not in askable:
            continue
        try:
            targets = target_names.with_base(workspace, run.name)
        except Problem:
            continue  # its base is gone: Train says so
        held_out = [HELD_OUT + run.name] if run.recipe_if_any().get("val_size") else []
        return targets, held_out
    return [STARTER_MODEL], []


def benchmarks(context: EvaluateContext, words: Words, chosen: list[str] | None = None) -> list[Choice]:
    """Return the benchmarks of the workspace that can be asked, with their licence and number of questions."""
    found = [
        (words("evaluating.task_line", name=one.title, questions=one.questions, licence=one.licence or "–"), one.name)
        for one in tasks.tasks(context.service.workspace)
        if one.is_here and not one.problem
    ]
    return [*found, *[(name, name) for name in chosen or [] if name not in [value for _, value in found]]]


def metrics(context: EvaluateContext, words: Words) -> list[Choice]:
    """Return the scores that can be asked for, each with a line on what it is; own ones by their file."""
    own = [(f"metrics/{name}.py", f"{OWN}{name}") for name in own_metric.names(context.service.workspace)]
    return own + [
        (words("evaluating.metric_line", name=metric_facts.told(key, words), about=words(metric_facts.about(key))), key)
        for key in METRICS
        if key not in NOT_CHOSEN and metric_facts.about(key)
    ]


def predict_options(fields: dict) -> PredictOptions:
    """Return how answers are asked for, as the fields of the form say. Raises Problem where one is out of range."""
    numbers = {name: fields[name] for name in ("rows", "seed", "max_tokens", "batch")}
    if None in numbers.values():
        raise Problem("evaluating.empty_number")
    labels = [one.strip() for one in str(fields["labels"] or "").replace("，", ",").split(",") if one.strip()]
    judge = {"target": fields["judge"], "prompt": fields["judge_prompt"] or ""} if fields["judge"] else None
    said = {name: fields[name] for name in ("title", "note", "choose", "preset", "answers", "loss", "pattern")}
    said |= numbers | {"metrics": fields["metrics"] or [], "labels": labels, "judge": judge}
    said |= {
        "cutoff": fields["cutoff"] or None,
        "bits": int(fields["bits"] or 0) or None,
        "precision": fields["precision"],
    }
    return schema.taken(PredictOptions, {key: _whole(one) for key, one in said.items()}, "options")


def benchmark_options(fields: dict) -> BenchmarkOptions:
    """Return how benchmarks are asked, as the fields of the form say. Raises Problem where one is out of range."""
    numbers = {name: fields[name] for name in ("rows", "seed", "shots", "batch")}
    if None in numbers.values():
        raise Problem("evaluating.empty_number")
    said = {name: fields[name] for name in ("title", "note", "choose", "language", "method", "precision")}
    said |= numbers | {"bits": int(fields["bits"] or 0) or None}
    return schema.taken(BenchmarkOptions, {key: _whole(one) for key, one in said.items()}, "options")


def _whole(value: object) -> object:
    """Return a number of a form as a whole one where it is; others are refused by their field."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
