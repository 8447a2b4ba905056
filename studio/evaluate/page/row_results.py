"""Rows, scores and differences of an evaluation as the endpoints give them."""

import json

from studio.core import formatting
from studio.core.i18n import Words
from studio.core.jobs import sentence_text
from studio.evaluate.evaluation import Prediction
from studio.evaluate.page.schemas import (
    AnswerResult,
    CalledResult,
    ConfusionResult,
    DifferenceResult,
    JudgedResult,
    MessageResult,
    ReferenceLossResult,
    ScoreResult,
    TableRowResult,
    WholeRowResult,
)
from studio.evaluate.reports.report_files import question
from studio.evaluate.reports.row_table import TableRow
from studio.evaluate.reports.summary import Difference, Group, Summary
from studio.evaluate.reports.verdicts import verdict_tables
from studio.evaluate.scores.intervals import Interval


def score(one: Interval, change: Difference | None = None) -> ScoreResult:
    """Return a score with its interval, and its difference to the first target."""
    return ScoreResult(**vars(one), difference=difference(change) if change else None)


def difference(one: Difference) -> DifferenceResult:
    """Return a difference with its interval and its p."""
    figures = {name: getattr(one, name) for name in ("value", "low", "high", "p", "count", "is_noise", "is_better")}
    return DifferenceResult(**figures)


def scores(made: Summary) -> dict[str, dict[str, ScoreResult]]:
    """Return {target: {metric: score}}."""
    return {
        target: {
            metric: score(one, made.differences[target].get(metric)) for metric, one in made.scores[target].items()
        }
        for target in made.targets
    }


def groups(found: tuple[Group, ...]) -> dict[str, dict[str, ScoreResult]]:
    """Return {name: {target: score}} of subjects."""
    return {
        group.name: {target: score(one, group.differences.get(target)) for target, one in group.scores.items()}
        for group in found
    }


def labels(made: Summary) -> dict[str, ConfusionResult]:
    """Return {target: how it took labels for each other} of a classification."""
    found = {target: verdict_tables.confusion_values(one) for target, one in made.confusions.items()}
    return {target: ConfusionResult.model_validate(one) for target, one in found.items()}


def judged(made: Summary) -> dict[str, JudgedResult]:
    """Return {target: what a judge said of it against the first}."""
    found = {target: verdict_tables.judged_values(one) for target, one in made.judged.items()}
    return {target: JudgedResult.model_validate(one) for target, one in found.items()}


def row(one: TableRow, words: Words) -> TableRowResult:
    """Return a row with answers and scores."""
    return TableRowResult(**_row(one, words))


def whole_row(one: TableRow, words: Words) -> WholeRowResult:
    """Return a row with all that is known of it."""
    known = one.row
    losses = {
        target: ReferenceLossResult(
            loss=loss.loss,
            tokens=loss.tokens,
            losses=[nats for nats in loss.losses if formatting.finite(nats) is not None],
            pieces=loss.pieces,
        )
        for target, loss in one.losses.items()
    }
    return WholeRowResult(
        **_row(one, words),
        messages=[_message(message) for message in known.messages] if known else [],
        system=known.system if known else "",
        tools=known.tools if known else "",
        choices=known.choices if known else [],
        answer=known.answer if known else "",
        losses=losses,
    )


def _message(message: dict) -> MessageResult:
    calls = message.get("calls")
    return MessageResult(
        role=str(message.get("role") or ""),
        content=str(message.get("content") or ""),
        calls=[
            CalledResult(name=str(call.get("name")), arguments=json.dumps(call.get("arguments"), ensure_ascii=False))
            for call in (calls if isinstance(calls, list) else [])
            if isinstance(call, dict)
        ],
    )


def _row(one: TableRow, words: Words) -> dict:
    known = one.row
    return {
        "row": one.number,
        "dataset": known.dataset if known else None,
        "source": known.source if known else None,
        "subject": known.subject if known else "",
        "question": question(one),
        "reference": known.reference if known else None,
        "trained": known.trained if known else [],
        "answers": {target: _answer(answer, words) for target, answer in one.predictions.items()},
        "scores": one.scores,
    }


def _answer(one: Prediction, words: Words) -> AnswerResult:
    return AnswerResult(
        text=one.text,
        tokens=one.tokens,
        seconds=one.seconds,
        finished=one.finished,
        fault=sentence_text(one.fault, words),
        choice=one.choice,
        shares=one.shares,
        cut=one.cut,
    )
