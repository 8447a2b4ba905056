"""The summary of an evaluation: the table of models and scores, and the charts of one score."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from studio.core.formatting import finite
from studio.core.i18n import Problem
from studio.core.jobs import ACTIVE
from studio.core.sentences import Sentence
from studio.evaluate.page.context import EvaluateContext
from studio.evaluate.page.report import charts, score_bars
from studio.evaluate.page.report.charts import Plot, Scatter, Steps
from studio.evaluate.page.report.rows_place import metric_of
from studio.evaluate.page.report.score_bars import GroupLine, Span
from studio.evaluate.reports import metric_facts
from studio.evaluate.reports.row_table import RowTable
from studio.evaluate.reports.summary import Summary, shown_p, verdict
from studio.evaluate.reports.verdicts import verdict_tables
from studio.train import runs

TEMPLATE = "evaluate/page/report/summary_view.html"
CHOICE = "choice"  # right or wrong: neither a distribution nor a scatter of it shows anything
LABELS = 24  # of a confusion matrix, at most


@dataclass(frozen=True)
class Cell:
    """A score of one model. change: the difference to the first; told: "better", "worse", "noise", "too_few" or ""."""

    span: Span | None
    change: str = ""
    low: str = ""
    high: str = ""
    p: str = ""
    told: str = ""
    perplexity: str = ""


@dataclass(frozen=True)
class ScoreLine:
    """A score, its word, what it is, and a cell for each model."""

    metric: str
    name: str | dict
    about: str
    cells: tuple[Cell, ...]
    is_chosen: bool


@dataclass(frozen=True)
class ConfusionTable:
    """How often a model answered which label for which; the last column is for answers that name none, or several.

    told: how often it is right. lines: a label of the references, how often each was answered for it, and its `rates`.
    """

    model: str
    told: Sentence
    labels: tuple[str, ...]
    rates: tuple[str, ...]
    lines: tuple[tuple[str, tuple[int, ...], tuple[str, ...]], ...]


@dataclass(frozen=True)
class SummaryContext:
    """The summary of an evaluation. is_made: false while it is being made. models: (label, name). best: the label of
    the best checkpoint.
    """

    id: str
    is_made: bool
    models: tuple[tuple[str, str], ...] = ()
    lines: tuple[ScoreLine, ...] = ()
    metric: str = ""
    name: str | dict = ""
    has_two_bleus: bool = False
    distribution: Plot | None = None
    scatter: Scatter | None = None
    steps: Steps | None = None
    best: str = ""
    datasets: tuple[GroupLine, ...] = ()
    subjects: tuple[GroupLine, ...] = ()
    categories: tuple[GroupLine, ...] = ()
    grouped_by: str | dict = ""
    judged: tuple[Sentence, ...] = ()
    confusions: tuple[ConfusionTable, ...] = ()


def summary_context(context: EvaluateContext, arg: str) -> SummaryContext | None:
    """Return what an evaluation comes to, drawn for a metric; `arg` is its id, and on a second line the metric.

    Raises Problem where there is no such evaluation.
    """
    id, metric = metric_of(arg)
    if not id:
        return None
    is_active = context.service.status(id).state in ACTIVE
    made = context.reports.summary(id, is_active, patience=0.3)
    if made is None:
        return SummaryContext(id, False)
    chosen = metric if metric in made.metrics else made.headline or ""
    table = context.reports.table(id)
    models = tuple((table.label(one), one) for one in made.targets)
    lines = tuple(_line(made, one, one == chosen) for one in made.metrics)
    steps = charts.steps(made, chosen, _losses(context, made)) if chosen else None
    if not chosen:
        return SummaryContext(id, True, models, lines)
    return SummaryContext(
        id=id,
        is_made=True,
        models=models,
        lines=lines,
        metric=chosen,
        name=metric_facts.name(chosen),
        has_two_bleus={"lf_bleu4", "bleu"} <= set(made.metrics),
        distribution=charts.distribution(table, chosen) if chosen != CHOICE else None,
        scatter=_scatter(table, made, chosen),
        steps=steps,
        best=table.label(steps.best) if steps else "",
        datasets=score_bars.groups(made, made.datasets, table.part),
        subjects=score_bars.groups(made, made.subjects),
        categories=score_bars.groups(made, made.categories),
        grouped_by=metric_facts.name(made.headline),
        judged=tuple(verdict_tables.judged_sentence(made, target, table.label) for target in made.judged),
        confusions=tuple(_confusions(table, made)),
    )


def _confusions(table: RowTable, made: Summary) -> Iterator[ConfusionTable]:
    for target, one in made.confusions.items():
        labels, lines = one.labels[:LABELS], verdict_tables.label_lines(one)[:LABELS]
        shown = tuple((label, (*counts[: len(labels)], counts[-1]), tuple(rates)) for label, counts, rates in lines)
        told = verdict_tables.confusion_sentence(table.label(target), one)
        yield ConfusionTable(table.label(target), told, labels, verdict_tables.RATES, shown)


def _scatter(table: RowTable, made: Summary, metric: str) -> Scatter | None:
    if len(made.targets) < 2 or metric == CHOICE:
        return None
    return charts.scattered(table, metric, made.targets[-1])


def _losses(context: EvaluateContext, made: Summary) -> list:
    """Return the loss of the run whose checkpoints are evaluated, [] where they are of no one run, or it is gone."""
    run, _ = charts.checkpoint_steps(made.targets)
    try:
        return runs.status(runs.find(context.service.workspace, run)).series.get("loss", []) if run else []
    except Problem:
        return []


def _line(made: Summary, metric: str, is_chosen: bool) -> ScoreLine:
    found = {target: made.scores[target][metric] for target in made.targets if metric in made.scores[target]}
    spans = {one.number: one for one in score_bars.spans(made, metric, found)}
    cells = tuple(_cell(made, metric, target, spans.get(number)) for number, target in enumerate(made.targets))
    return ScoreLine(metric, metric_facts.name(metric), metric_facts.about(metric), cells, is_chosen)


def _cell(made: Summary, metric: str, target: str, span: Span | None) -> Cell:
    difference = made.differences[target].get(metric)
    loss = finite(made.scores[target][metric].value) if metric == "loss" and metric in made.scores[target] else None
    perplexity = f"{math.exp(loss):.2f}" if loss is not None and loss < 100 else ""
    if difference is None:
        return Cell(span, perplexity=perplexity)
    told = [metric_facts.shown(one, metric, signed=True) for one in (difference.value, difference.low, difference.high)]
    is_told = metric_facts.facts(metric).higher_is_better is not None
    return Cell(span, *told, shown_p(difference.p), verdict(difference) if is_told else "", perplexity)
