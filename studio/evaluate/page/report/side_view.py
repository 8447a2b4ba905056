"""Another evaluation beside the one in hand."""

from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode

from studio.core.i18n import Problem
from studio.core.storage.file_cache import FileCache
from studio.evaluate import part_names
from studio.evaluate.evaluation import EvaluatedRow, ReferenceLoss, RowScores
from studio.evaluate.page.context import EvaluateContext
from studio.evaluate.page.report.row_view import RowView, row_view
from studio.evaluate.page.report.rows_place import RowsPlace
from studio.evaluate.part_names import Name
from studio.evaluate.reports import metric_facts
from studio.evaluate.reports.row_table import RowTable
from studio.evaluate.reports.side_by_side import SideBySide, side_by_side
from studio.evaluate.reports.summary import shown_p, verdict

TEMPLATE = "evaluate/page/report/side_view.html"
PAIRS = 10
OFFERED = 60
_kept: FileCache[SideBySide] = FileCache(most=16)


@dataclass(frozen=True)
class ScorePair:
    """A score in both evaluations, and what changed."""

    name: str | dict
    first: str
    second: str
    change: str
    p: str
    told: str


@dataclass(frozen=True)
class SideContext:
    """Two evaluations beside each other. others, targets, other_targets: (value, name) to choose from; base: the
    address that a choice changes. found: None where no other is chosen yet; fault: why they cannot be compared.
    """

    id: str
    base: str
    other: str
    others: tuple[tuple[str, Name], ...]
    target: str = ""
    other_target: str = ""
    targets: tuple[tuple[str, str], ...] = ()
    other_targets: tuple[tuple[str, str], ...] = ()
    found: SideBySide | None = None
    scores: tuple[ScorePair, ...] = ()
    pairs: tuple[tuple[RowView, RowView], ...] = ()
    fault: Problem | None = None


def side_context(context: EvaluateContext, arg: str) -> SideContext | None:
    """Return the evaluation in hand beside another; `arg` is an id, and on a second line the address of the other.

    Raises Problem where there is no such evaluation.
    """
    id, _, address = arg.partition("\n")
    if not id:
        return None
    table = context.reports.table(id)
    said = {key: values[0] for key, values in parse_qs(address).items()}
    other, others = said.get("other", ""), _others(context, id)
    if other not in dict(others):
        return SideContext(id, "", "", others)
    targets = said.get("target", ""), said.get("other_target", "")
    base = urlencode({"other": other, "target": targets[0], "other_target": targets[1]})
    second = context.reports.table(other)
    made = SideContext(id, base, other, others, *targets, targets=_names(table), other_targets=_names(second))
    paths = [one.evaluation.file(kind) for one in (table, second) for kind in (EvaluatedRow, RowScores, ReferenceLoss)]
    try:
        found = _kept.get((id, other, *targets), paths, lambda: side_by_side(table, second, *targets))
    except Problem as problem:
        return SideContext(**{**vars(made), "fault": problem})
    pairs = tuple(_views(table, second, pair) for pair in found.pairs[:PAIRS])
    return SideContext(**{**vars(made), "found": found, "scores": _scores(found), "pairs": pairs})


def _names(table: RowTable) -> tuple[tuple[str, str], ...]:
    return tuple((one, table.label(one)) for one in table.targets)


def _others(context: EvaluateContext, id: str) -> tuple[tuple[str, Name], ...]:
    found = []
    for evaluation in context.service.evaluations.all():
        if evaluation.id == id or len(found) >= OFFERED:
            continue
        try:
            found.append((evaluation.id, part_names.title(context.reports.request(evaluation), evaluation.label)))
        except Problem:
            continue  # the list of all says what is wrong with it
    return tuple(found)


def _scores(found: SideBySide) -> tuple[ScorePair, ...]:
    return tuple(
        ScorePair(
            metric_facts.name(one.metric),
            metric_facts.shown(one.first.value, one.metric),
            metric_facts.shown(one.second.value, one.metric),
            metric_facts.shown(one.difference.value, one.metric, signed=True),
            shown_p(one.difference.p),
            verdict(one.difference) if metric_facts.facts(one.metric).higher_is_better is not None else "",
        )
        for one in found.scores
    )


def _views(first: RowTable, second: RowTable, pair: tuple[int, int]) -> tuple[RowView, RowView]:
    return tuple(
        row_view(table, table.row(number), RowsPlace(table.evaluation.id))
        for table, number in zip((first, second), pair, strict=True)
    )
