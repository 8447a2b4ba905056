"""What stands as the right answer of a question: a letter, a number, or the text of a choice."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from studio.core.i18n import Problem

LETTERS = "ABCDEFGHIJ"
_DIGITS = re.compile(r"\d{1,3}")
_LETTER = re.compile(r"[(（]?([A-Ja-j])[)）]?[.．、:：]?")


@dataclass(frozen=True)
class NumberReading:
    """What the numbers mean that are the answers of a set: places counted from `first`, or the texts of choices."""

    kind: Literal["place", "text"]
    first: int = 0

    def letter(self, answer: object, choices: Sequence[str]) -> str:
        """Return the letter of the choice that a number means; "" where it means none."""
        if self.kind == "text":
            return _by_text(answer, choices)
        place = int(str(answer).strip()) - self.first
        return LETTERS[place] if 0 <= place < len(choices) else ""


def letter_of(answer: object, choices: Sequence[str]) -> str | None:
    """Return the letter of the right choice; "" where `answer` names none, None where it is a number."""
    if is_number(answer):
        return None
    if not isinstance(answer, str):
        return ""
    if found := _LETTER.fullmatch(answer.strip()):
        letter = found[1].upper()
        if letter in LETTERS[: len(choices)]:
            return letter
    return _by_text(answer, choices)


def is_number(answer: object) -> bool:
    """Tell whether an answer is a whole number, or the text of one."""
    if isinstance(answer, int):
        return not isinstance(answer, bool)
    return isinstance(answer, str) and bool(_DIGITS.fullmatch(answer.strip()))


def reading_of(found: list[tuple[int, object, tuple[str, ...]]], file: str) -> NumberReading:
    """Return what the numbers mean that are answers in one file: all of them mean the same.

    Args:
        found: the rows whose answer is a number: row (from 0), answer, choices.
        file: its name, to be told.

    Raises:
        Problem: they can be read in two ways that differ.
    """
    if all(isinstance(answer, str) and _by_text(answer, choices) for _, answer, choices in found):
        return NumberReading("text")
    readings = [
        reading
        for first in (0, 1)
        if all((reading := NumberReading("place", first)).letter(answer, choices) for _, answer, choices in found)
    ]
    if len(readings) > 1:
        row, answer, choices = found[0]
        raise Problem(
            "benchmarks.ambiguous", file=file, row=row + 1, answer=str(answer), last=LETTERS[len(choices) - 1]
        )
    if readings:
        return readings[0]
    # None fits: the rows that are wrong are told as they come, read as most sets count.
    return NumberReading("place", 0 if any(int(str(answer).strip()) == 0 for _, answer, _ in found) else 1)


def _by_text(answer: object, choices: Sequence[str]) -> str:
    wanted = str(answer).strip()
    places = [place for place, choice in enumerate(choices) if choice.strip() == wanted]
    return LETTERS[places[0]] if len(places) == 1 else ""
