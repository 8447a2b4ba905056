"""Where two texts differ, word by word; of Chinese, character by character."""

import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import groupby

MOST_WORDS = 4000  # beyond it, what differs is not sought: it would take seconds
_PIECE = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+|\s+|.", re.DOTALL
)


@dataclass(frozen=True)
class Piece:
    """A part of a text. differs: whether the other text does not have it here."""

    text: str
    differs: bool


@lru_cache(maxsize=512)
def pieces(text: str, other: str) -> tuple[Piece, ...]:
    """Return a text in pieces that another text has, or has not; one piece where they are too long to be compared."""
    words, others = _PIECE.findall(text), _PIECE.findall(other)
    if len(words) + len(others) > MOST_WORDS or text == other:
        return (Piece(text, False),) if text else ()
    same = [False] * len(words)
    for block in SequenceMatcher(None, words, others, autojunk=False).get_matching_blocks():
        same[block.a : block.a + block.size] = [True] * block.size
    # A blank between two words that differ belongs to them.
    for at, word in enumerate(words):
        if word.isspace() and 0 < at < len(words) - 1 and not same[at - 1] and not same[at + 1]:
            same[at] = False
    grouped = groupby(zip(words, same, strict=True), key=lambda one: one[1])
    return tuple(Piece("".join(word for word, _ in group), not is_same) for is_same, group in grouped)
