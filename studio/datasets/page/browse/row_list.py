"""The rows of a dataset, a page of them at a time; one of them may be in its form."""

import json
from dataclasses import dataclass, replace
from functools import lru_cache

from studio.core.i18n import Problem
from studio.datasets.files.reading import Row
from studio.datasets.files.row_edits import digest_of
from studio.datasets.files.row_index import Rows
from studio.datasets.files.row_search import RowMatches
from studio.datasets.page.browse.position import NEW, Position
from studio.datasets.page.browse.row_content import RowContent, row_content
from studio.datasets.page.browse.row_form import RowForm, emptied, row_form, unreadable_row_form
from studio.datasets.registry.collection import Collection
from studio.datasets.schema.observed_schema import Shape

TEMPLATE = "datasets/page/browse/row_list.html"
PER_PAGE = 10
RAW_SHOWN = 20_000  # characters
LARGE_BYTES = 4096  # a row from here on says its size


@dataclass(frozen=True)
class RowView:
    """A row: its content, or why it cannot be read, or the form in which it is changed. `raw` is the beginning of what
    stands in the file; `digest` is that of the row; `size` is in bytes, None where it is nothing special.
    """

    number: int
    digest: str = ""
    size: int | None = None
    content: RowContent | None = None
    raw: str = ""
    problem: Problem | None = None
    form: RowForm | None = None


@dataclass(frozen=True)
class Search:
    """How far a search is: `share` of the file, 0 to 1, and where it goes on, "" where it does not."""

    share: float
    next: str


@dataclass(frozen=True)
class RowPage:
    """`count` rows are known, `indexed` is the share of the file (0 to 1) in which they were counted; `first` and
    `last` are those shown where nothing is sought. `previous` and `next` lead to other rows, "" where there are none.
    """

    at: Position
    count: int
    is_indexed: bool
    indexed: float
    first: int
    last: int
    previous: str
    next: str
    rows: tuple[RowView, ...]
    search: Search | None
    new_row: RowForm | None
    fault: Problem | None


@dataclass(frozen=True)
class RowListContext:
    """`page` is None for a dataset that lies on a hub, `name` its name."""

    name: str
    page: RowPage | None


def row_list(collection: Collection, arg: str) -> RowListContext | None:
    """Return a page of rows. `arg` is the name of the dataset, and on a second line the address of a `Position`."""
    name, _, address = arg.partition("\n")
    if not name:
        return None
    dataset = collection.find(name)
    if dataset.file is None:
        return None if dataset.problem else RowListContext(dataset.name, None)
    at = Position.parse(name, address)
    rows = collection.indexes.of(dataset.file)
    rows.wait(seconds=0.1) or rows.wait(PER_PAGE, 0.5)
    if rows.done and not at.find and at.offset >= rows.count:  # its rows were deleted, or there never were so many
        at = replace(at, offset=max(0, rows.count - 1) // PER_PAGE * PER_PAGE)
    found = collection.search(rows, at.find, at.offset, PER_PAGE) if at.find else None
    last = min(at.offset + PER_PAGE, rows.count)
    numbers = tuple(found.rows) if found else tuple(range(at.offset + 1, last + 1))
    # An entry that is not sound has no stage: its rows are drawn as those of an entry that says nothing.
    entry = json.dumps(dataset.entry if dataset.stage else {})
    page = RowPage(
        at=at,
        count=rows.count,
        is_indexed=rows.done,
        indexed=rows.share,
        first=at.offset + 1 if rows.count else 0,
        last=last,
        previous=at.rows_from(at.offset - PER_PAGE) if at.offset else "",
        next=at.rows_from(at.offset + PER_PAGE) if last < rows.count else "",
        rows=row_views(rows, numbers, entry, at),
        search=_search(at, found),
        new_row=_new_row(rows, at) if at.edit == NEW else None,
        fault=rows.fault if not dataset.problem else None,
    )
    return RowListContext(dataset.name, page)


@lru_cache(64)
def row_views(rows: Rows, numbers: tuple[int, ...], entry: str, at: Position) -> tuple[RowView, ...]:
    """Return rows by their numbers; `entry` is the dataset's, as JSON.

    They are kept, because the page asks each second; a file that changes has other `rows`.
    """
    if numbers and numbers[-1] - numbers[0] == len(numbers) - 1:
        read = rows.page(numbers[0] - 1, len(numbers))
    else:
        read = [rows.page(number - 1, 1)[0] for number in numbers]
    shape = Shape.of(json.loads(entry))
    return tuple(_unreadable(rows, row, at) if row.value is None else _row(row, shape, at) for row in read)


def _search(at: Position, found: RowMatches | None) -> Search | None:
    if found is None:
        return None
    goes_on = found.next is not None and len(found.rows) >= PER_PAGE
    return Search(found.share, Position(at.name, found.next, at.find).to() if goes_on else "")


def _row(row: Row, shape: Shape, at: Position) -> RowView:
    if at.edit == str(row.number):
        return RowView(row.number, form=row_form(at, row.value, row))
    raw = json.dumps(row.value, ensure_ascii=False, indent=2, default=str)
    content = row_content(row.value, shape, f"row-{row.number}", at.find)
    return RowView(row.number, digest_of(row), _special(row.size), content, _clipped(raw))


def _unreadable(rows: Rows, row: Row, at: Position) -> RowView:
    part, inner = rows.locate(row.number)
    text = part.raw(inner)
    if at.edit == str(row.number) and text:
        return RowView(row.number, form=unreadable_row_form(at, row, text))
    return RowView(row.number, digest_of(row), _special(row.size), raw=_clipped(text), problem=row.problem)


def _new_row(rows: Rows, at: Position) -> RowForm:
    like = rows.page(max(0, rows.count - 1), 1)
    empty = emptied(like[0].value) if like and like[0].value else {"instruction": "", "input": "", "output": ""}
    return row_form(at, empty)


def _special(size: int) -> int | None:
    return size if size > LARGE_BYTES else None


def _clipped(text: str) -> str:
    return text[:RAW_SHOWN] + "\n…" if len(text) > RAW_SHOWN else text
