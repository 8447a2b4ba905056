"""What a search for a text in the rows of a data file finds, and by which bytes it finds it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class RowMatches:
    """What a search found: the numbers of rows, and the row to go on from (None at the end). `share` of the file, 0 to
    1, is searched.
    """

    rows: list[int] = field(default_factory=list)
    next: int | None = None
    share: float = 1.0


def needles_of(text: str) -> set[bytes]:
    """Return the bytes by which `text` may stand in a file whose ASCII letters were made small: written out, or with
    JSON's escapes.
    """
    either = (text, text.lower(), text.upper())
    return {
        form.encode().lower()
        for each in either
        for form in (each, json.dumps(each)[1:-1], json.dumps(each, ensure_ascii=False)[1:-1])
    }


def occurrences(needle: bytes, block: bytes) -> Iterator[int]:
    """Yield every place, in bytes, at which `needle` stands in `block`."""
    at = block.find(needle)
    while at >= 0:
        yield at
        at = block.find(needle, at + 1)


def contains(value: object, text: str) -> bool:
    """Tell whether a value of a row says `text` (which is casefolded) anywhere, field names aside."""
    if isinstance(value, dict):
        return any(contains(each, text) for each in value.values())
    if isinstance(value, list):
        return any(contains(each, text) for each in value)
    return value is not None and text in str(value).casefold()
