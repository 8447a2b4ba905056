"""Why a row cannot be used, and what of a row is told although it is used."""

from dataclasses import dataclass, field

from studio.core.i18n import Problem

# So many rows of each kind are named; all are counted.
ROWS_NAMED = 20
# What is not trained as it was written, or was written otherwise: each has its sentence, `datasets.note_<kind>`.
NOTES = (
    "call_text",
    "call_text_kept",
    "thought_kept",
    "thought_hidden",
    "weight",
    "joined",
    "last_result",
    "tools_mended",
    "two_systems",
)


class UnusableRow(Exception):
    """A row that cannot be used: `reason` is the name of its sentence, `column` LLaMA-Factory's column it is about,
    `facts` fill it."""

    def __init__(self, column: str, reason: str = "unusable_value", **facts: object):
        super().__init__(reason)
        self.column, self.reason, self.facts = column, reason, facts

    def problem(self, file: object, row: int, field: str) -> Problem:
        """Return it as a sentence about a field of a row of a file."""
        return Problem(f"datasets.{self.reason}", file=file, row=row, field=field, **self.facts)


@dataclass
class Notes:
    """What is told of rows that are used: for each kind of `NOTES` in how many rows, and the numbers of the first."""

    counts: dict[str, int] = field(default_factory=dict)
    rows: dict[str, list[int]] = field(default_factory=dict)

    def add(self, kinds: set[str], row: int) -> None:
        """Take in what is told of one row."""
        for kind in sorted(kinds):
            self.counts[kind] = self.counts.get(kind, 0) + 1
            if len(named := self.rows.setdefault(kind, [])) < ROWS_NAMED:
                named.append(row)

    def sentences(self) -> list[Problem]:
        """Return a sentence for each kind, with how many rows it is about and the first of them."""
        return [
            Problem(
                f"datasets.note_{kind}", count=f"{count:,}", rows=", ".join(str(row) for row in self.rows[kind][:5])
            )
            for kind, count in self.counts.items()
        ]
