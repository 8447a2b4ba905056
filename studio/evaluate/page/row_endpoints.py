"""What a script, and the page, can ask of the rows of an evaluation."""

import base64
from collections.abc import Callable

from studio.core.i18n import Problem, Words
from studio.core.jobs import ACTIVE
from studio.evaluate.page import row_results
from studio.evaluate.page.context import EvaluateContext
from studio.evaluate.page.schemas import (
    ComparedScoreResult,
    FileResult,
    MistakeResult,
    PairResult,
    RowFilter,
    RowsResult,
    SideBySideResult,
    WholeRowResult,
)
from studio.evaluate.reports import mistakes, plots, report_files
from studio.evaluate.reports.row_query import RowQuery
from studio.evaluate.reports.side_by_side import side_by_side

MOST_ROWS = 1000  # of one answer


def endpoints(context: EvaluateContext, words: Words) -> list[Callable]:
    """Return the endpoints of rows."""
    return [*_reading(context, words), *_taking(context, words)]


def _reading(context: EvaluateContext, words: Words) -> list[Callable]:
    reports = context.reports

    def evaluate_rows(evaluation: str, filter: RowFilter | None = None, offset: int = 0, limit: int = 20) -> RowsResult:
        """Return rows from `offset` on of those that fit, in the order that is asked for."""
        page = reports.table(evaluation).page(
            RowQuery(**vars(filter or RowFilter())), max(0, offset), min(MOST_ROWS, max(0, limit))
        )
        return RowsResult(rows=[row_results.row(one, words) for one in page.rows], total=page.total, all=page.all)

    def evaluate_row(evaluation: str, row: int) -> WholeRowResult:
        """Return one row (from 0) with its whole prompt, and the loss of each token of its reference."""
        return row_results.whole_row(_row(context, evaluation, row), words)

    def evaluate_compare(
        first: str, second: str, first_target: str = "", second_target: str = "", offset: int = 0, limit: int = 20
    ) -> SideBySideResult:
        """Lay two evaluations beside each other: the rows whose question both have, what lost the most first.

        A target that is left out is the last of its evaluation.
        """
        one, other = reports.table(first), reports.table(second)
        found = side_by_side(one, other, first_target, second_target)
        start = max(0, offset)
        pairs = found.pairs[start : start + min(MOST_ROWS, max(0, limit))]
        return SideBySideResult(
            first_target=found.first_target,
            second_target=found.second_target,
            common=found.common,
            only_first=found.only_first,
            only_second=found.only_second,
            metric=found.metric,
            scores={
                one_score.metric: ComparedScoreResult(
                    first=row_results.score(one_score.first),
                    second=row_results.score(one_score.second),
                    difference=row_results.difference(one_score.difference),
                )
                for one_score in found.scores
            },
            rows=[
                PairResult(first=row_results.row(one.row(a), words), second=row_results.row(other.row(b), words))
                for a, b in pairs
            ],
        )

    return [evaluate_rows, evaluate_row, evaluate_compare]


def _row(context: EvaluateContext, evaluation: str, row: int):
    table = context.reports.table(evaluation)
    found = table.row(row) if row >= 0 else None
    if found is None or (found.row is None and not found.predictions):
        raise Problem("results.no_row", row=row + 1)
    return found


def _taking(context: EvaluateContext, words: Words) -> list[Callable]:
    def evaluate_export(evaluation: str, form: str = "csv", plot: str = "scores", metric: str = "") -> FileResult:
        """Return an evaluation as a file: "csv", "json" or "md"; or a plot of a score as "png" or "svg".

        `plot` is "scores", "distribution", "scatter" or "subjects"; without a `metric` it is that of the headline.
        """
        if form not in (*report_files.FORMS, *plots.FORMS):
            raise Problem("results.no_form", form=form, known=", ".join((*report_files.FORMS, *plots.FORMS)))
        table = context.reports.table(evaluation)
        made = context.reports.summary(evaluation, context.service.status(evaluation).state in ACTIVE)
        if made is None:
            raise Problem("results.nothing_to_draw")
        if form in plots.FORMS:
            picture = plots.plot(plot, form, metric or made.headline or "", table, made, words)
            name = f"{evaluation}-{plot}.{form}"
            return FileResult(name=name, base64=base64.b64encode(picture).decode())
        request = context.reports.request(table.evaluation)
        return FileResult(name=f"{evaluation}.{form}", text=report_files.text(form, request, table, made, words))

    def evaluate_mistakes(evaluation: str, row: int, answer: str, name: str = "", rejected: str = "") -> MistakeResult:
        """Put a row with its right answer into a dataset to train on; with `rejected`, both as a preference pair.

        The dataset is made and registered where it is missing: "mistakes", or "mistake_pairs".
        """
        found = _row(context, evaluation, row).row
        if found is None:
            raise Problem("results.no_row", row=row + 1)
        if rejected.strip():
            added = mistakes.prefer(found, answer, rejected, context.collection, name)
        else:
            added = mistakes.correct(found, answer, context.collection, name)
        return MistakeResult(**vars(added), told=words("results.added", name=added.name, rows=added.rows))

    return [evaluate_export, evaluate_mistakes]
