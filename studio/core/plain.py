"""Values that may be anything, as plain JSON and as text that every page, file and terminal can show."""

import math
import numbers
import re
from collections.abc import Callable

DEEPEST = 100
# Halves of characters: the bytes of a file name that is not UTF-8, and what a JSON text may hold. No page and no answer
# can.
_NONE = re.compile("[\ud800-\udfff\0]")
LONGEST_FACT = 1000  # characters of one fact of a sentence


def shown(text: str) -> str:
    """Return a text as it can be shown and sent: what is no character (of a file name that is not UTF-8), and a zero,
    becomes �.
    """
    return text if text.isascii() and "\0" not in text else _NONE.sub("\N{REPLACEMENT CHARACTER}", text)


def fact(value: object) -> object:
    """Return a fact as it is put into a sentence: on one line, not endless, and such that it can be shown. Numbers stay
    numbers.
    """
    if isinstance(value, numbers.Number):
        return _large(value) if isinstance(value, int) and abs(value) >= 10**300 else value
    try:
        text = str(value)
    except (
        ValueError,
        RecursionError,
    ) as error:  # a list that holds itself, or a number of more digits than Python writes
        text = type(error).__name__
    text = shown(text)
    text = text if len(text) <= LONGEST_FACT else text[:LONGEST_FACT] + " …"
    return " ".join(text.split()) if any(end in text for end in "\n\r\x0b\x0c\x85\u2028\u2029") else text


def plain(value: object) -> object:
    """Return a value as JSON has it, whatever it is: what JSON does not have is turned into text, what is nested too
    deeply left out.

    Halves of characters stay, because they are part of the names of files; `studio.core.storage.atomic` writes them.
    """
    return _plain(value, DEEPEST, lambda text: text)


def sendable(value: object) -> object:
    """Return `value` itself where it can be sent as JSON, else as `plain` has it, with � for halves of characters."""
    return _plain(value, DEEPEST, shown) if as_json(value) is None else value


def as_json(value: object) -> bytes | None:
    """Return `value` as JSON; None where JSON does not have all that is in it, as half a character."""
    import orjson  # here, because launch.py tells its words before any package is installed

    try:
        return orjson.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return None


def _plain(value: object, depth: int, written: Callable[[str], str]) -> object:
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, str):
        return written(value)
    if isinstance(value, int):
        return value if abs(value) < 2**63 else _large(value)
    if depth == 0:
        return "…"
    if isinstance(value, dict):
        return {
            written(key) if isinstance(key, str) else str(_plain(key, depth - 1, written)): _plain(
                inner, depth - 1, written
            )
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(inner, depth - 1, written) for inner in value]
    try:
        return written(str(value))
    except Exception as error:  # the text of a foreign object
        return type(error).__name__


def _large(value: int) -> str:
    """Return a number that is larger than any reader takes as text; Python itself writes none of over 4,300 digits."""
    digits = int(value.bit_length() * math.log10(2))
    return str(value) if digits < 40 else f"{'-' if value < 0 else ''}10^{digits}"


def odd(value: object) -> str | None:
    """Return what makes a value unfit to be worked with: "characters", "depth", or None.

    Characters: it holds half a surrogate pair or a zero, which no file name and no tokenizer takes. Depth: it is nested
    over DEEPEST.
    """
    level, depth = [value], 0
    while level:
        if depth > DEEPEST:
            return "depth"
        inside: list = []
        for one in level:
            if isinstance(one, str):
                if shown(one) != one:
                    return "characters"
            elif isinstance(one, dict):
                inside += one.keys()
                inside += one.values()
            elif isinstance(one, list | tuple):
                inside += one
        level, depth = inside, depth + 1
    return None
