"""Two evaluations of any time beside each other: the rows that both have, and how their scores differ."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy
import orjson

from studio.core.i18n import Problem
from studio.evaluate.reports import metric_facts
from studio.evaluate.reports.columns.growing import records_in
from studio.evaluate.reports.row_table import RowTable, TableRow
from studio.evaluate.reports.summary import Difference, compared, difference, interval
from studio.evaluate.scores.intervals import Interval

Key = tuple
ASKED = ("system", "tools", "images", "choices")  # what belongs to the question of a row beside its messages


@dataclass(frozen=True)
class ComparedScore:
    """A score of a target of the first and one of the second evaluation, over their common rows."""

    metric: str
    first: Interval
    second: Interval
    difference: Difference


@dataclass(frozen=True)
class SideBySide:
    """Two evaluations. common: rows that both have; only_first, only_second: rows of one alone. pairs: of the common
    rows, what lost the most first.
    """

    first: str
    second: str
    first_target: str
    second_target: str
    common: int
    only_first: int
    only_second: int
    scores: tuple[ComparedScore, ...]
    metric: str | None
    pairs: tuple[tuple[int, int], ...]


def side_by_side(
    first: RowTable, second: RowTable, first_target: str = "", second_target: str = "", seed: int = 42
) -> SideBySide:
    """Return two evaluations beside each other. A row is the same where its question is, whatever its data is called.

    Args:
        first_target, second_target: whose answers; "" for the last target of each, the tuned one as a rule.

    Raises:
        Problem: they have no row in common, or a target that is named is none of theirs.
    """
    targets = [_target(first, first_target), _target(second, second_target)]
    first.grow_scores()
    second.grow_scores()
    our_rows, their_rows = dict(_keys(first)), dict(_keys(second))
    rows = [(number, their_rows[key]) for key, number in our_rows.items() if key in their_rows]
    if not rows:
        raise Problem("results.nothing_in_common")
    one, other = numpy.array(rows).T
    codes = first.targets.index(targets[0]), second.targets.index(targets[1])
    ours, theirs = first.statistics(), second.statistics()
    values = {
        metric: (ours[metric][one, codes[0]], theirs[metric][other, codes[1]]) for metric in ours if metric in theirs
    }
    scores = tuple(found for metric, both in values.items() if (found := _compared(metric, *both, seed)) is not None)
    metric = metric_facts.headline(one.metric for one in scores)
    order = range(len(rows))
    if metric:
        order = _worst_first(metric, first.column(metric)[one, codes[0]], second.column(metric)[other, codes[1]])
    return SideBySide(
        first.evaluation.id,
        second.evaluation.id,
        *targets,
        common=len(rows),
        only_first=len(our_rows) - len(rows),
        only_second=len(their_rows) - len(rows),
        scores=scores,
        metric=metric,
        pairs=tuple(rows[at] for at in order),
    )


def pair(first: RowTable, second: RowTable, rows: tuple[int, int]) -> tuple[TableRow, TableRow]:
    """Return a row of the first and the one of the second that belongs to it."""
    return first.row(rows[0]), second.row(rows[1])


def _target(table: RowTable, name: str) -> str:
    if name and name not in table.targets:
        raise Problem("results.no_target", target=name, known=", ".join(table.targets))
    return name or table.targets[-1]


def _keys(table: RowTable) -> Iterator[tuple[Key, int]]:
    """Yield what makes a row the same in another evaluation (its question, how often that came before), and the row."""
    seen: dict[Key, int] = {}
    for record in records_in(table.rows.path):
        row = record.get("row")
        if not isinstance(row, int) or not 0 <= row < table.size:
            continue
        asked = (orjson.dumps(record.get("messages"), default=str), *(str(record.get(one) or "") for one in ASKED))
        seen[asked] = seen.get(asked, -1) + 1
        yield (*asked, seen[asked]), row


def _compared(metric: str, first: numpy.ndarray, second: numpy.ndarray, seed: int) -> ComparedScore | None:
    found = compared(first, second, metric, seed)
    if found is None:
        return None
    both = numpy.isfinite(first[:, 0]) & numpy.isfinite(second[:, 0])
    each = (interval(one[both], metric, seed) for one in (first, second))
    return ComparedScore(metric, *each, difference(found, found.p, metric))


def _worst_first(metric: str, first: numpy.ndarray, second: numpy.ndarray) -> list[int]:
    change = (second - first).round(9)
    return numpy.argsort(change if metric_facts.is_higher_better(metric) else -change, kind="stable").tolist()
