"""What a script, and the page, can do with evaluations."""

from collections.abc import Callable

from studio.core.i18n import Problem, Words
from studio.core.jobs import ACTIVE, sentence_text
from studio.evaluate.benchmarks import tasks
from studio.evaluate.benchmarks.sets import incoming
from studio.evaluate.page import row_results
from studio.evaluate.page.context import EvaluateContext
from studio.evaluate.page.metric_endpoints import endpoints as of_metrics
from studio.evaluate.page.row_endpoints import endpoints as of_rows
from studio.evaluate.page.schemas import (
    AddedTaskResult,
    BenchmarkOptions,
    DeletedResult,
    EvaluationResult,
    FetchResult,
    ListedEvaluation,
    MetricResult,
    PredictOptions,
    ReportResult,
    StateResult,
    TaskResult,
    TitleResult,
)
from studio.evaluate.reports import metric_facts
from studio.evaluate.reports.row_query import RowQuery
from studio.evaluate.scores.metric import METRICS

MOST_ROWS = 1000  # of one answer


def endpoints(context: EvaluateContext, words: Words) -> list[Callable]:
    """Return the endpoints of evaluations."""
    return [
        *_starting(context),
        *_looking(context, words),
        *_changing(context),
        *_benchmarks(context),
        *of_metrics(context, words),
        *of_rows(context, words),
    ]


def _starting(context: EvaluateContext) -> list[Callable]:
    service = context.service

    def evaluate_predict(
        targets: list[str], datasets: list[str], options: PredictOptions | None = None
    ) -> EvaluationResult:
        """Ask models (as Chat names them) the rows of datasets, and score their answers, in the background.

        "held-out:<run>" as a dataset stands for the rows that a run held out.
        """
        return EvaluationResult(evaluation=service.predict(targets, datasets, options or PredictOptions()).id)

    def evaluate_checkpoints(run: str, datasets: list[str], options: PredictOptions | None = None) -> EvaluationResult:
        """Ask all checkpoints of a run, and its base, the same rows, in the background."""
        return EvaluationResult(evaluation=service.checkpoints(run, datasets, options or PredictOptions()).id)

    def evaluate_benchmark(
        targets: list[str], tasks: list[str], shots: int | None = None, options: BenchmarkOptions | None = None
    ) -> EvaluationResult:
        """Ask models the questions of benchmarks, in the background; `shots` examples before each, 0 to 5."""
        settings = options or BenchmarkOptions()
        if shots is not None:
            settings = settings.model_copy(update={"shots": _shots(shots)})
        return EvaluationResult(evaluation=service.benchmark(targets, tasks, settings).id)

    return [evaluate_predict, evaluate_checkpoints, evaluate_benchmark]


def _shots(shots: int) -> int:
    if not 0 <= shots <= 5:
        raise Problem("evaluating.bad_shots")
    return shots


def _looking(context: EvaluateContext, words: Words) -> list[Callable]:
    service, reports = context.service, context.reports

    def evaluate_list() -> list[ListedEvaluation]:
        """Return every evaluation, newest first, with its state and its headline score."""
        return [_listed(context, one, words) for one in service.evaluations.all()]

    def evaluate_result(evaluation: str, offset: int = 0, limit: int = 20, sort: str = "") -> ReportResult:
        """Return how far an evaluation is, its scores with 95 % intervals, and rows from `offset` on.

        `sort` is as in `evaluate_rows`: "" for the order of the data, "f1", "-f1", "change:f1".
        """
        status = service.status(evaluation)
        made = reports.summary(evaluation, status.state in ACTIVE)
        page = reports.table(evaluation).page(RowQuery(sort=sort), _offset(offset), _limit(limit))
        return ReportResult(
            state=status.state,
            progress=status.progress,
            left_s=status.left_s,
            message=sentence_text(status.message, words),
            error=sentence_text(status.error, words),
            sentences=[one.tell(words) for one in made.sentences] if made else [],
            headline=made.headline if made else None,
            scores=row_results.scores(made) if made else {},
            rows=[row_results.row(one, words) for one in page.rows],
            total=page.total,
            counts={target: dict(vars(one)) for target, one in made.counts.items()} if made else {},
            subjects=row_results.groups(made.subjects) if made else {},
            labels=row_results.labels(made) if made else {},
            judged=row_results.judged(made) if made else {},
        )

    def evaluate_metrics() -> list[MetricResult]:
        """Return the scores that can be asked for."""
        return [
            MetricResult(
                key=key,
                name=metric_facts.told(key, words),
                about=words(metric_facts.about(key)) if metric_facts.about(key) else "",
                unit=metric.unit,
                higher_is_better=metric.higher_is_better,
            )
            for key, metric in METRICS.items()
        ]

    def evaluate_tasks() -> list[TaskResult]:
        """Return all benchmarks: those in the workspace, and then the known ones that can be fetched."""
        return [_task(one, words) for one in tasks.tasks(service.workspace)]

    return [evaluate_list, evaluate_result, evaluate_metrics, evaluate_tasks]


def _task(one: tasks.Task, words: Words) -> TaskResult:
    texts = {name: getattr(one, name) for name in ("name", "title", "licence", "free", "language", "split", "is_here")}
    problem = words.tell(one.problem) if one.problem else None
    return TaskResult(**texts, subjects=len(one.subjects), questions=one.questions, problem=problem)


def _offset(offset: int) -> int:
    return max(0, offset)


def _limit(limit: int) -> int:
    return min(MOST_ROWS, max(0, limit))


def _listed(context: EvaluateContext, evaluation, words: Words) -> ListedEvaluation:
    try:
        request = context.reports.request(evaluation)
        status = context.service.status(evaluation.id)
        headline = context.reports.headline(evaluation.id, status.state in ACTIVE)
    except Problem as problem:
        nothing = dict.fromkeys(("kind", "progress", "created", "metric", "value"))
        texts = {"title": evaluation.id, "note": "", "state": "unreadable", "problem": words.tell(problem)}
        return ListedEvaluation(evaluation=evaluation.id, targets=[], parts=[], **texts, **nothing)
    return ListedEvaluation(
        evaluation=evaluation.id,
        kind=request.kind,
        title=request.title,
        note=request.note,
        state=status.state,
        progress=status.progress,
        created=request.created,
        targets=request.targets,
        parts=request.parts,
        metric=headline.metric if headline else None,
        value=headline.value if headline else None,
        problem=None,
    )


def _changing(context: EvaluateContext) -> list[Callable]:
    service = context.service

    def evaluate_stop(evaluation: str) -> StateResult:
        """Stop an evaluation; what was answered stays, and it can go on."""
        return StateResult(state=service.stop(evaluation))

    def evaluate_resume(evaluation: str) -> StateResult:
        """Go on with an evaluation where it stands."""
        return StateResult(state=service.resume(evaluation))

    def evaluate_rename(evaluation: str, title: str | None = None, note: str | None = None) -> TitleResult:
        """Give an evaluation another title or note; null leaves it."""
        service.evaluations.rename(evaluation, title, note)
        request = service.evaluations.find(evaluation).request()
        return TitleResult(title=request.title, note=request.note)

    def evaluate_delete(evaluation: str) -> DeletedResult:
        """Stop an evaluation and move it into the trash."""
        return DeletedResult(item=service.delete(evaluation))

    return [evaluate_stop, evaluate_resume, evaluate_rename, evaluate_delete]


def _benchmarks(context: EvaluateContext) -> list[Callable]:
    workspace = context.service.workspace

    def evaluate_fetch(name: str, source: str = "modelscope") -> FetchResult:
        """Fetch a known benchmark ("mmlu", "ceval", "cmmlu") from "modelscope" or "huggingface", in the background."""
        return FetchResult(job=context.downloads.start(name, source).id)

    def evaluate_task_add(path: str, name: str = "") -> AddedTaskResult:
        """Copy a benchmark into the workspace: a folder, a ZIP or a file of questions, in a data folder of the
        studio.
        """
        source = context.collection.source(path)
        context.downloads.jobs.require_unmade(incoming.place(workspace, source, name))
        made = incoming.bring_in(workspace, source, name)
        return AddedTaskResult(
            name=made.name, questions=tasks.describe(incoming.folder_of(workspace) / made.name).questions
        )

    def evaluate_task_delete(name: str) -> DeletedResult:
        """Move a benchmark of the workspace into the trash."""
        return DeletedResult(item=tasks.delete(workspace, context.downloads.jobs, name))

    return [evaluate_fetch, evaluate_task_add, evaluate_task_delete]
