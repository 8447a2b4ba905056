"""Rows that say the same: exactly, but for spacing, case and punctuation, or nearly."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Pair:
    """A row that repeats an earlier one; `likeness` is the estimated share of their text that is the same, 0 to 1 (1: exactly)."""

    row: int
    earlier: int
    likeness: float


class Duplicates:
    """Gather rows with `add`, then ask for `exact` and `near` ones."""

    def add(self, number: int, text: str) -> int | None:
        """Take in a row by what it says; return the number of an earlier row that says exactly the same, None where it is the first."""
        raise NotImplementedError

    def near(self) -> list[Pair]:
        """Return the rows that nearly say what an earlier one says, exact repeats left out."""
        raise NotImplementedError
