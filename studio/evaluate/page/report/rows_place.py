"""Where in a report the page stands: which evaluation, which rows, which row is open, which score is drawn."""

from dataclasses import dataclass
from typing import Self
from urllib.parse import parse_qs

from studio.evaluate.reports.row_query import RowQuery


@dataclass(frozen=True)
class RowsPlace:
    """A page of rows. open: the row that is shown whole, None for none."""

    id: str
    query: RowQuery = RowQuery()
    offset: int = 0
    open: int | None = None

    @classmethod
    def parse(cls, arg: str) -> Self:
        """Return the place that the argument of a region says: an id, and on a second line an address."""
        id, _, address = arg.partition("\n")
        query, offset = RowQuery.parse(address)
        opened = parse_qs(address).get("open", [""])[0]
        is_row = opened.isascii() and opened.isdecimal() and len(opened) < 9
        return cls(id, query, offset, int(opened) if is_row else None)

    def to(self, offset: int | None = None, open: int | None = None, **changes: object) -> str:
        """Return what takes another place in hand; with changes of the question the rows begin anew."""
        at = self.offset if offset is None and not changes else offset or 0
        address = self.query.address(at, **changes)
        return "answers:" + address + (f"&open={open}" if open is not None else "")

    @property
    def base(self) -> str:
        """The address that a field of the page changes: from the first row on, none open."""
        return self.query.address(0)


def metric_of(arg: str) -> tuple[str, str]:
    """Return the id and the metric that the argument of a region says, on two lines."""
    id, _, metric = arg.partition("\n")
    return id, metric
