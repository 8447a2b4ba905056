"""Rows that say the same: exactly, but for spacing, case and punctuation, or nearly.

Likeness is the share of letter sequences (of SHINGLE letters) that two texts have in common (their Jaccard index). It
is estimated by MinHash (Broder, On the resemblance and containment of documents, 1997): of each of many hash functions
the smallest value over a text's sequences is kept, and two texts share such a smallest value with a probability that is
their likeness. Bands of them find the rows to compare (Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, 3.4):
rows of likeness 0.9 are missed once in a thousand times.
"""

import re
import unicodedata
from dataclasses import dataclass

import numpy as np

SHINGLE = 5
BANDS, ROWS_PER_BAND = 10, 6
LIKE = 0.85
# Of a text only so many letters are looked at, and so many rows are compared: what is kept of each takes 320 bytes.
_LONGEST = 8192
MOST_ROWS = 500_000
_BATCH_LETTERS = 2**18
_SIGNATURE = BANDS * ROWS_PER_BAND
_PLAIN = re.compile(r"[\W_]+")


@dataclass(frozen=True)
class Pair:
    """A row that repeats an earlier one; `likeness` is the estimated share of their text that is the same, 0 to 1."""

    row: int
    earlier: int
    likeness: float


def plain(text: str) -> str:
    """Return a text without spacing, case and punctuation; a text of nothing else is returned as it is."""
    text = text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()
    return _PLAIN.sub("", text) or text


class Duplicates:
    """Gather rows with `add`, which tells exact repeats at once, then ask for the `near` ones."""

    def __init__(self) -> None:
        self._exact: dict[int, int] = {}
        self._rows: list[int] = []
        self._waiting: list[str] = []
        self._letters = 0
        self._signatures: list[np.ndarray] = []
        self.compared = 0

    def add(self, number: int, text: str) -> int | None:
        """Take in a row by what it says; return the number of an earlier row that says exactly the same, None where it
        is the first.
        """
        earlier = self._exact.setdefault(hash(text), number)
        if earlier != number:
            return earlier
        if len(self._rows) < MOST_ROWS:
            self._rows.append(number)
            self.compared = number
            self._wait(plain(text[: 2 * _LONGEST])[:_LONGEST])
        return None

    def near(self) -> list[Pair]:
        """Return the rows that nearly say what an earlier one says, exact repeats left out.

        Each row is compared with the first of those that share a band with it, so that a thousand rows that are all
        alike cost no more than others.
        """
        self._sign()
        if not self._rows:
            return []
        signatures = np.concatenate(self._signatures)
        bands = _bands(signatures)
        first: list[dict[int, int]] = [{} for _ in range(BANDS)]
        found = []
        for index, keys in enumerate(bands.tolist()):
            others = sorted(
                {first_of.setdefault(key, index) for first_of, key in zip(first, keys, strict=True)} - {index}
            )
            if not others:
                continue
            shares = (signatures[others] == signatures[index]).mean(axis=1)
            best = int(shares.argmax())
            if shares[best] >= LIKE:
                found.append(Pair(self._rows[index], self._rows[others[best]], float(shares[best])))
        return found

    def _wait(self, text: str) -> None:
        self._waiting.append(text)
        self._letters += len(text)
        if self._letters >= _BATCH_LETTERS:
            self._sign()

    def _sign(self) -> None:
        if self._waiting:
            self._signatures.append(_signatures(self._waiting))
        self._waiting, self._letters = [], 0


_random = np.random.Generator(np.random.PCG64(20240229))
_MULTIPLIERS = _random.integers(0, 2**31, _SIGNATURE, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
_MASKS = _random.integers(0, 2**32, _SIGNATURE, dtype=np.uint32)


def _signatures(texts: list[str]) -> np.ndarray:
    """Return the signature of each text, all made at once on the texts joined to one.

    A text shorter than SHINGLE is one sequence by itself, filled up.
    """
    padded = [text.ljust(SHINGLE, "\0") for text in texts]
    letters = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    hashes = letters[: len(letters) - SHINGLE + 1].copy()
    for offset in range(1, SHINGLE):
        hashes = hashes * np.uint32(0x01000193) ^ letters[offset : len(letters) - SHINGLE + 1 + offset]
    hashes = _mixed(hashes)
    lengths = np.array([len(text) for text in padded])
    ends = np.cumsum(lengths)
    starts = ends - lengths
    # A sequence that runs from one text into the next belongs to neither: it gets the hash of its text's first one.
    for back in range(1, SHINGLE):
        over = ends[:-1] - back
        hashes[over] = hashes[starts[:-1]]
    made = np.empty((len(texts), _SIGNATURE), dtype=np.uint32)
    for number in range(_SIGNATURE):
        np.minimum.reduceat(_mixed_once(hashes, number), starts, out=made[:, number])
    return made


def _mixed(hashes: np.ndarray) -> np.ndarray:
    """Spread each hash over all 32 bits (the finaliser of MurmurHash3, public domain)."""
    hashes ^= hashes >> np.uint32(16)
    hashes *= np.uint32(0x85EBCA6B)
    hashes ^= hashes >> np.uint32(13)
    hashes *= np.uint32(0xC2B2AE35)
    hashes ^= hashes >> np.uint32(16)
    return hashes


def _mixed_once(hashes: np.ndarray, number: int) -> np.ndarray:
    return (hashes ^ _MASKS[number]) * _MULTIPLIERS[number]


def _bands(signatures: np.ndarray) -> np.ndarray:
    """Return one key for each band of each signature."""
    parts = signatures.reshape(len(signatures), BANDS, ROWS_PER_BAND).astype(np.uint64)
    keys = np.zeros(parts.shape[:2], dtype=np.uint64)
    for part in range(ROWS_PER_BAND):
        keys = (keys ^ parts[:, :, part]) * np.uint64(0x9E3779B97F4A7C15)
        keys ^= keys >> np.uint64(29)
    return keys
