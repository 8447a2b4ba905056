"""Answers as labels: which labels there are, which one an answer names, and how often that is right.

```
labels = labels_in(references)                       # ("negative", "positive")
table = confusion(labels, [(reference, label_of(text, labels)) for ...])
table.accuracy, table.macro.f1, table.counts
```
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from studio.core.i18n import Problem
from studio.inference.reasoning import answer_in

MOST_LABELS = 50
LONGEST_LABEL = 60  # characters
_WORD = re.compile(r"[^\W\u3040-\u30ff\u3400-\u9fff]")  # what has words: no Chinese character and no kana


def labels_in(references: Iterable[str]) -> tuple[str, ...]:
    """Return the labels of a classification, the distinct references, the most frequent first.

    Two that differ only in case, in white space or in punctuation at the ends are one, spelled as most are.

    Raises:
        Problem: the references are no labels: there are more than MOST_LABELS of them, or each stands there once, or
            one is longer than LONGEST_LABEL.
    """
    counts = Counter(filter(None, (" ".join(answer_in(one).split()) for one in references)))
    spellings: dict[str, list[str]] = {}
    for label, _ in counts.most_common():
        spellings.setdefault(_key(label), []).append(label)
    found = tuple(same[0] for same in spellings.values())
    rows = counts.total()
    if not found:
        raise Problem("evaluate.score_no_references")
    if len(found) > MOST_LABELS or (len(found) == rows and rows > 2) or max(map(len, found)) > LONGEST_LABEL:
        raise Problem("evaluate.score_no_labels", labels=len(found), rows=rows, most=MOST_LABELS, longest=LONGEST_LABEL)
    return found


def label_of(text: str, labels: Sequence[str]) -> str | None:
    """Return the label that an answer names, None where it names none or several.

    The answer is the label, or holds it as a word of its own (in Chinese and Japanese: anywhere). What stands in a
    longer label does not count beside it: "not positive" names "not positive". Case is not looked at.
    """
    by_key = {key: label for label in labels if (key := _key(label))}
    if (whole := by_key.get(_key(answer_in(text)))) is not None:
        return whole
    named = {by_key[_key(found[0])] for found in _pattern(tuple(labels)).finditer(_folded(answer_in(text)))}
    return named.pop() if len(named) == 1 else None


def right(text: str, reference: str, labels: Sequence[str]) -> float | None:
    """Return 1 where an answer names the label of its reference, else 0; None where the reference names none."""
    expected = label_of(reference, labels)
    return None if expected is None else float(label_of(text, labels) == expected)


@dataclass(frozen=True)
class Rates:
    """Precision, recall and F1, 0 to 1; `rows` that have the label, or all."""

    precision: float
    recall: float
    f1: float
    rows: int


@dataclass(frozen=True)
class Confusion:
    """How often each label was answered for each.

    counts: a line a label of the references, a column a label of the answers, and a last column for answers that name
    none or several. of_label: the rates of each label in the order of `labels`.
    """

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]

    @property
    def rows(self) -> int:
        return sum(map(sum, self.counts))

    @property
    def none(self) -> int:
        """Return how many answers name no label, or several."""
        return sum(line[-1] for line in self.counts)

    @property
    def accuracy(self) -> float:
        """Return the share of rows whose label was answered."""
        return _share(self._right, self.rows)

    @property
    def of_label(self) -> tuple[Rates, ...]:
        answered = [sum(line[at] for line in self.counts) for at in range(len(self.labels))]
        return tuple(_rates(line[at], answered[at], sum(line)) for at, line in enumerate(self.counts))

    @property
    def macro(self) -> Rates:
        """Return the mean of the labels that a reference or an answer has, each counting the same."""
        answered = [sum(line[at] for line in self.counts) for at in range(len(self.labels))]
        there = [one for one, times in zip(self.of_label, answered, strict=True) if one.rows or times]
        return Rates(
            *(_share(sum(getattr(one, name) for one in there), len(there)) for name in ("precision", "recall", "f1")),
            self.rows,
        )

    @property
    def micro(self) -> Rates:
        """Return the rates of all rows together; an answer without a label lowers the recall alone."""
        return _rates(self._right, self.rows - self.none, self.rows)

    @property
    def _right(self) -> int:
        return sum(line[at] for at, line in enumerate(self.counts))


def confusion(labels: Sequence[str], pairs: Iterable[tuple[str, str | None]]) -> Confusion:
    """Return how labels were taken for each other.

    Args:
        pairs: of each row the label of its reference, one of `labels`, and that of the answer, None where it names
            none.
    """
    places = {label: at for at, label in enumerate(labels)}
    counts = [[0] * (len(labels) + 1) for _ in labels]
    for expected, answered in pairs:
        counts[places[expected]][len(labels) if answered is None else places[answered]] += 1
    return Confusion(tuple(labels), tuple(map(tuple, counts)))


def _rates(right: int, answered: int, there: int) -> Rates:
    return Rates(_share(right, answered), _share(right, there), _share(2 * right, answered + there), there)


def _share(part: float, whole: int) -> float:
    return part / whole if whole else 0.0


@lru_cache(maxsize=16)
def _pattern(labels: tuple[str, ...]) -> re.Pattern:
    """Return what finds labels in a folded text, the longest of those that begin at one place."""
    keys = sorted(filter(None, {_key(label) for label in labels}), key=len, reverse=True)
    parts = []
    for key in keys:
        start = r"(?<!\w)" if _WORD.match(key[:1]) else ""
        end = r"(?!\w)" if _WORD.match(key[-1:]) else ""
        parts.append(f"{start}{re.escape(key)}{end}")
    return re.compile("|".join(parts) or r"(?!)")


def _key(label: str) -> str:
    """Return a label without what is not looked at: case, and what is no letter, digit or sign at its ends."""
    folded = _folded(label)
    return folded.strip(" .,:;!?\"'()[]{}*_`。，：；！？、“”‘’（）【】《》") or folded


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
