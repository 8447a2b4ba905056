"""Which rows of an evaluation are wanted, and in which order."""

from dataclasses import dataclass
from typing import Self
from urllib.parse import parse_qs, urlencode

from studio.core.formatting import finite
from studio.core.i18n import Problem

CHANGE = "change:"


@dataclass(frozen=True)
class RowQuery:
    """A question to the table of rows.

    Args:
        sort: "" for the order of the data; a metric ("f1": lowest first, "-f1": highest first) of the target, else of
            the first; "change:f1" for the difference of the target, else of the last, to the first: what lost the most
            comes first, whichever way the metric counts; "-change:f1" for what won the most.
        target: whose scores are meant, "" for none in particular.
        dataset, subject: "" for all.
        trained: "yes" for rows that a target's run was trained on, "no" for the others, "" for all.
        wrong: only rows that the target, else any, got wrong.
        metric, low, high: only rows where the score of the target, else of any, is in this range.
        find: a text that stands in the question, the reference or an answer, in whatever case.
    """

    sort: str = ""
    target: str = ""
    dataset: str = ""
    subject: str = ""
    trained: str = ""
    wrong: bool = False
    metric: str = ""
    low: float | None = None
    high: float | None = None
    find: str = ""

    @classmethod
    def parse(cls, address: str) -> tuple[Self, int]:
        """Return the question and the offset that an address of the page says; what it does not know is passed over."""
        values = {key: one[0] for key, one in parse_qs(address).items()}
        texts = {name: values.get(name, "") for name in ("sort", "target", "dataset", "subject", "trained", "metric")}
        offset = values.get("offset", "0")
        return cls(
            **texts,
            wrong=values.get("wrong") == "1",
            low=_number(values.get("low", "")),
            high=_number(values.get("high", "")),
            find=values.get("find", ""),
        ), int(offset) if offset.isascii() and offset.isdecimal() and len(offset) < 10 else 0

    def address(self, offset: int = 0, **changes: object) -> str:
        """Return the address of the question, with changes, from a row on."""
        fields = {**vars(self), **changes, "offset": offset}
        said = {key: value for key, value in fields.items() if value not in ("", None) and value is not False}
        return urlencode({key: 1 if value is True else value for key, value in said.items()})

    def sorted_by(self) -> tuple[str, bool, bool]:
        """Return (metric, whether by its change, whether highest first); the metric is "" for the order of the data."""
        name = self.sort.removeprefix("-")
        return name.removeprefix(CHANGE), name.startswith(CHANGE), self.sort.startswith("-")


def require_known(query: RowQuery, targets: list[str], metrics: tuple[str, ...]) -> None:
    """Raise Problem where a question names a target or a metric that the evaluation does not have."""
    if query.target and query.target not in targets:
        raise Problem("results.no_target", target=query.target, known=", ".join(targets))
    for metric in {query.sorted_by()[0], query.metric} - {""}:
        if metric not in metrics:
            raise Problem("results.no_metric", metric=metric, known=", ".join(metrics) or "–")


def _number(text: str) -> float | None:
    try:
        return finite(float(text))
    except ValueError:
        return None
