"""The rows of an evaluation as the page shows them: answers side by side, coloured where they differ."""

from dataclasses import dataclass

from studio.core.i18n import Problem
from studio.core.sentences import Sentence
from studio.evaluate.evaluation import Prediction, ReferenceLoss
from studio.evaluate.page.context import EvaluateContext
from studio.evaluate.page.report.rows_place import RowsPlace
from studio.evaluate.part_names import Name
from studio.evaluate.reports import metric_facts
from studio.evaluate.reports.report_files import question
from studio.evaluate.reports.row_table import RowTable, TableRow
from studio.evaluate.reports.word_diff import Piece, pieces

TEMPLATE = "evaluate/page/report/row_view.html"
PER_PAGE = 20
SHOWN = 600  # characters of a text in the list; the whole stands in the open row
TOKENS_SHOWN = 2000
SURPRISES = (0.5, 1.0, 2.0, 4.0)  # nats from which on a token is coloured more strongly


@dataclass(frozen=True)
class AnswerView:
    """An answer in its column. pieces: coloured where the reference, or else the first answer, has other words."""

    target: str
    short: str
    number: int
    pieces: tuple[Piece, ...]
    is_clipped: bool
    finished: str
    fault: Sentence | None
    choice: str
    is_right: bool | None
    shares: tuple[float, ...]
    asked: str
    tokens: int | None
    scores: tuple[tuple[str | dict, str], ...]
    text: str


@dataclass(frozen=True)
class TokenView:
    """A token of the reference: its text, its loss (nats), and how strongly it is coloured, 0 to 4."""

    text: str
    loss: float
    surprise: int


@dataclass(frozen=True)
class LossView:
    """A reference under one model."""

    short: str
    loss: float
    tokens: tuple[TokenView, ...]


@dataclass(frozen=True)
class RowView:
    """A row. is_usable: whether its line can be read. open_at, close_at: what takes it in hand, and away again."""

    number: int
    is_usable: bool
    dataset: Name
    source: int
    subject: str
    question: str
    reference: str
    choices: tuple[str, ...]
    right: str
    trained: tuple[str, ...]
    answers: tuple[AnswerView, ...]
    open_at: str
    is_open: bool = False
    messages: tuple[tuple[str, str], ...] = ()
    system: str = ""
    tools: str = ""
    losses: tuple[LossView, ...] = ()
    conversation: tuple = ()


@dataclass(frozen=True)
class Bar:
    """What can be chosen above the rows. metrics, datasets, subjects, targets: (value, its name)."""

    base: str
    find: str
    sort: str
    target: str
    dataset: str
    subject: str
    trained: str
    wrong: bool
    metric: str
    low: float | None
    high: float | None
    metrics: tuple[tuple[str, str | dict], ...]
    datasets: tuple[tuple[str, Name], ...]
    subjects: tuple[str, ...]
    targets: tuple[tuple[str, str], ...]
    is_filtered: bool


@dataclass(frozen=True)
class RowsContext:
    """A page of rows. previous, next, all: what leads to other rows, "" where there are none. fault: why the rows that
    are asked for cannot be shown.
    """

    id: str
    bar: Bar
    first: int
    last: int
    total: int
    all: int
    previous: str
    next: str
    unfiltered: str
    rows: tuple[RowView, ...]
    fault: Problem | None


def rows_context(context: EvaluateContext, arg: str) -> RowsContext | None:
    """Return the rows at a place, None where no evaluation is named. Raises Problem where there is none."""
    place = RowsPlace.parse(arg)
    if not place.id:
        return None
    table = context.reports.table(place.id)
    fault, page = None, None
    try:
        page = table.page(place.query, place.offset, PER_PAGE)
    except Problem as problem:
        fault = problem
    total = page.total if page else 0
    last = min(place.offset + PER_PAGE, total)
    shown = page.rows if page else ()
    return RowsContext(
        id=place.id,
        bar=_bar(table, place),
        first=place.offset + 1 if total else 0,
        last=last,
        total=total,
        all=page.all if page else 0,
        previous=place.to(max(0, place.offset - PER_PAGE)) if place.offset else "",
        next=place.to(place.offset + PER_PAGE) if last < total else "",
        unfiltered="answers:",
        rows=tuple(
            _opened(table, one, place) if one.number == place.open else row_view(table, one, place) for one in shown
        ),
        fault=fault,
    )


def _bar(table: RowTable, place: RowsPlace) -> Bar:
    query, facts = place.query, table.grow_facts()
    table.grow_scores()
    return Bar(
        base=place.base,
        find=query.find,
        sort=query.sort,
        target=query.target,
        dataset=query.dataset,
        subject=query.subject,
        trained=query.trained,
        wrong=query.wrong,
        metric=query.metric,
        low=query.low,
        high=query.high,
        metrics=tuple((metric, metric_facts.name(metric)) for metric in table.metrics),
        datasets=tuple((one, table.part(one)) for one in facts.names["dataset"] if one)[:200],
        subjects=tuple(sorted(one for one in facts.names["subject"] if one))[:200],
        targets=tuple((one, table.label(one)) for one in table.targets),
        is_filtered=place.base != "offset=0",
    )


def row_view(table: RowTable, one: TableRow, place: RowsPlace, shown: int = SHOWN) -> RowView:
    """Return a row as the list shows it, its texts clipped after `shown` characters."""
    row = one.row
    reference = (row.reference or "") if row else ""
    first = next((one.predictions[target].text for target in table.targets if target in one.predictions), "")
    answers = [
        _answer(table, number, one, reference or (first if number else ""), shown)
        for number, target in enumerate(table.targets)
        if target in one.predictions
    ]
    return RowView(
        number=one.number,
        is_usable=row is not None,
        dataset=table.part(row.dataset) if row else "",
        source=row.source if row else 0,
        subject=row.subject if row else "",
        question=_clipped(question(one), shown),
        reference=_clipped(reference, shown),
        choices=tuple(row.choices) if row else (),
        right=row.answer if row else "",
        trained=tuple(table.label(name) for name in row.trained) if row else (),
        answers=tuple(answers),
        open_at=place.to(open=one.number),
    )


def _answer(table: RowTable, number: int, one: TableRow, other: str, shown: int) -> AnswerView:
    target = table.targets[number]
    answer: Prediction = one.predictions[target]
    scores = one.scores.get(target, {})
    text = answer.text[:shown]
    is_choice = bool(one.row and one.row.choices)
    return AnswerView(
        target=target,
        short=table.label(target),
        number=number,
        pieces=pieces(text, other[: max(shown, len(text))]) if other else (Piece(text, False),) if text else (),
        is_clipped=len(answer.text) > shown,
        finished=answer.finished,
        fault=_fault(answer),
        choice=answer.choice or "",
        is_right=answer.choice == one.row.answer if is_choice else None,
        shares=tuple(answer.shares or ()),
        asked=answer.asked,
        tokens=None if is_choice else answer.tokens,
        scores=tuple(
            (metric_facts.name(metric), metric_facts.shown(value, metric)) for metric, value in scores.items()
        ),
        text=answer.text,
    )


def _fault(answer: Prediction) -> Sentence | None:
    if not answer.fault:
        return None
    key, facts = answer.fault.get("key"), answer.fault.get("facts")
    return Sentence(key=key if isinstance(key, str) else "", facts=facts if isinstance(facts, dict) else {})


def _opened(table: RowTable, one: TableRow, place: RowsPlace) -> RowView:
    """Return a row with all that is known of it."""
    whole = table.row(one.number)
    view = row_view(table, whole, place, shown=100_000)
    row = whole.row
    if row is None:
        return view
    losses = [_loss(table.label(target), loss) for target, loss in whole.losses.items()]
    messages = tuple((str(message.get("role") or ""), str(message.get("content") or "")) for message in row.messages)
    more = {
        "is_open": True,
        "open_at": place.to(),
        "messages": messages,
        "system": row.system,
        "tools": row.tools,
        "losses": tuple(losses),
        "conversation": (list(table.targets[:4]), {"system": row.system, "tools": row.tools}),
    }
    return RowView(**{**vars(view), **more})


def _loss(label: str, loss: ReferenceLoss) -> LossView:
    tokens = [
        TokenView(text, nats, sum(nats >= edge for edge in SURPRISES))
        for text, nats in list(zip(loss.pieces, loss.losses, strict=False))[:TOKENS_SHOWN]
    ]
    return LossView(label, loss.loss, tuple(tokens))


def _clipped(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most] + " …"
