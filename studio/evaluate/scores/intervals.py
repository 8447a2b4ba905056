"""How sure a score is, and whether two differ: 95 % intervals and tests over the same rows, all with a seed.

```
interval([0.0, 1.0, 1.0], most=1)                 # Interval(value=0.667, low=0.208, high=0.939, count=3)
compared = paired(base, tuned)                    # Comparison(difference=.., low=.., high=.., p=.., count=..)
holm([one.p for one in compared_ones])            # where more than one difference is looked at
```

- Of values that are all 0 or `most` it is Wilson's interval: a bootstrap of ten right answers would be sure of all.
- Of all others it is the percentile bootstrap: 1,000 times as many rows as there are are drawn, with replacement
  (Efron 1979). More than 2,000 rows are first put, in a drawn order, into 2,000 groups, and groups are drawn
  instead of rows, which gives the same interval in a fraction of the time.
- A difference is tested by a permutation of its rows: if the two models were alike, each row's answers could be
  exchanged (Koehn 2004 and sacreBLEU's "approximate randomization"). All 2^n exchanges are tried up to 12 rows that
  differ, 9,999 drawn ones over that.

The statistics of a score may be several numbers a row, which are summed before the score is made of them (BLEU).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy

DRAWS = 1000
EXCHANGES = 9_999
GROUPS = 2000
EXACT_ROWS = 12
SIGNIFICANT = 0.05
FEWEST = 6  # rows that differ: with fewer, no p of a two-sided test can be below 0.05
_Z = 1.959963984540054
_AT_ONCE = 2_000_000  # numbers that a step holds in memory

Score = Callable[[numpy.ndarray], numpy.ndarray]  # sums (.., k) -> scores (..)


@dataclass(frozen=True)
class Interval:
    """A score of `count` rows and its 95 % interval; low and high are None for one row, which tells of no other."""

    value: float
    low: float | None
    high: float | None
    count: int


@dataclass(frozen=True)
class Comparison:
    """A second model's score minus the first's over `count` common rows.

    p: how often chance alone makes such a difference. differing: rows in which the two differ at all.
    """

    difference: float
    low: float | None
    high: float | None
    p: float
    count: int
    differing: int

    @property
    def is_noise(self) -> bool:
        """Tell whether the difference may well be chance (p of 5 % or more)."""
        return self.p >= SIGNIFICANT

    @property
    def too_few(self) -> bool:
        """Tell whether there are too few rows in which the two differ to find any difference."""
        return self.differing < FEWEST


def interval(values: Sequence[float | None], most: float | None = None, seed: int = 42) -> Interval | None:
    """Return the mean of a score's values and its interval; None where there are no values but None.

    Args:
        most: the largest possible value where 0 is the smallest (1 of a share, 100 of percent), else None.
    """
    known = numpy.array([value for value in values if value is not None], float)
    if not known.size:
        return None
    if most and numpy.isin(known, (0.0, most)).all():
        value = float(known.mean())
        low, high = wilson(value / most, known.size)
        return Interval(value, most * low, most * high, known.size)
    return corpus_interval(_with_ones(known), _mean, seed)


def wilson(rate: float, count: int) -> tuple[float, float]:
    """Return the 95 % Wilson score interval of a rate seen `count` times; (0, 1) where there are none.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference, J. Am. Stat. Assoc. 22
    (1927) 209-212. It takes what was seen as independent.
    """
    if not count:
        return 0.0, 1.0
    square = _Z * _Z / count
    middle = (rate + square / 2) / (1 + square)
    half = _Z * math.sqrt(rate * (1 - rate) / count + square / (4 * count)) / (1 + square)
    return max(0.0, min(rate, middle - half)), min(1.0, max(rate, middle + half))  # their last digits may cross it


def corpus_interval(statistics: Sequence[Sequence[float]] | numpy.ndarray, score: Score, seed: int = 42) -> Interval:
    """Return the score of the sum of all rows' statistics and its interval.

    Args:
        statistics: a line a row, at least one.
        score: of sums along the last axis.
    """
    rows = numpy.asarray(statistics, float)
    value = float(score(rows.sum(axis=0)))
    if len(rows) < 2:
        return Interval(value, None, None, len(rows))
    draws = numpy.random.default_rng(seed)
    low, high = _percentiles(score(_resampled(_grouped(rows, draws), draws)))
    return Interval(value, low, high, len(rows))


def paired(first: Sequence[float | None], second: Sequence[float | None], seed: int = 42) -> Comparison | None:
    """Return how the mean of a second model's values differs from that of the first's, over the rows that both have.

    None where they have no row in common. Raises ValueError where they are not of the same rows.
    """
    both = [(a, b) for a, b in zip(first, second, strict=True) if a is not None and b is not None]
    if not both:
        return None
    one, other = numpy.array(both, float).T
    return corpus_paired(_with_ones(one), _with_ones(other), _mean, seed)


def corpus_paired(first: numpy.ndarray, second: numpy.ndarray, score: Score, seed: int = 42) -> Comparison:
    """Return how the score of a second model's statistics differs from that of the first's, of the same rows.

    Args:
        first, second: a line a row, at least one, of the same shape.
    """
    one, other = numpy.asarray(first, float), numpy.asarray(second, float)
    differing = int((one != other).any(axis=1).sum())
    difference = float(score(other.sum(axis=0)) - score(one.sum(axis=0)))
    draws = numpy.random.default_rng(seed)
    both = _grouped(numpy.hstack([one, other]), draws)
    low = high = None
    if len(one) > 1:
        drawn = _resampled(both, draws)
        width = one.shape[1]
        low, high = _percentiles(score(drawn[:, width:]) - score(drawn[:, :width]))
    return Comparison(difference, low, high, _p(both, score, difference, draws), len(one), differing)


def holm(values: Sequence[float]) -> list[float]:
    """Return the p of several comparisons, corrected such that all together are wrong in 5 % of cases at the most.

    Source: S. Holm, A simple sequentially rejective multiple test procedure, Scand. J. Statist. 6 (1979) 65-70.
    """
    corrected, highest = [0.0] * len(values), 0.0
    for rank, at in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        highest = max(highest, min(1.0, (len(values) - rank) * values[at]))
        corrected[at] = highest
    return corrected


def _mean(sums: numpy.ndarray) -> numpy.ndarray:
    return sums[..., 0] / sums[..., 1]


def _with_ones(values: numpy.ndarray) -> numpy.ndarray:
    return numpy.stack([values, numpy.ones_like(values)], axis=1)


def _grouped(rows: numpy.ndarray, draws: numpy.random.Generator) -> numpy.ndarray:
    """Return the rows themselves, or GROUPS sums of rows in a drawn order."""
    if len(rows) <= GROUPS:
        return rows
    starts = numpy.linspace(0, len(rows), GROUPS, endpoint=False).astype(int)
    return numpy.add.reduceat(rows[draws.permutation(len(rows))], starts, axis=0)


def _resampled(rows: numpy.ndarray, draws: numpy.random.Generator) -> numpy.ndarray:
    """Return the sums of DRAWS resamples of the rows, each of as many rows."""
    count = len(rows)
    at_once = max(1, 20_000 // count)  # resamples that a processor's cache has room for
    times = []
    for start in range(0, DRAWS, at_once):
        drawn = draws.integers(0, count, (min(at_once, DRAWS - start), count))
        drawn += count * numpy.arange(len(drawn))[:, None]
        times.append(numpy.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape))
    return numpy.concatenate(times).astype(float) @ rows


def _percentiles(scores: numpy.ndarray) -> tuple[float, float]:
    low, high = numpy.quantile(scores, (0.025, 0.975))
    return float(low), float(high)


def _p(both: numpy.ndarray, score: Score, difference: float, draws: numpy.random.Generator) -> float:
    """Return the share of exchanges that make a difference at least as large."""
    width = both.shape[1] // 2
    one, other = both[:, :width], both[:, width:]
    apart = other - one
    moving = apart[(apart != 0).any(axis=1)]
    if not len(moving):
        return 1.0
    sums_one, sums_other = one.sum(axis=0), other.sum(axis=0)
    edge = abs(difference) * (1 - 1e-9) - 1e-12  # the same sums in another order differ in their last digits
    at_least = tried = 0
    for exchanged in _exchanges(len(moving), draws):
        moved = exchanged @ moving
        seen = score(sums_other - moved) - score(sums_one + moved)
        at_least += int((numpy.abs(seen) >= edge).sum())
        tried += len(exchanged)
    if len(moving) <= EXACT_ROWS:
        return at_least / tried
    return (at_least + 1) / (tried + 1)  # what was seen is one of the exchanges


def _exchanges(rows: int, draws: numpy.random.Generator):
    """Give which rows are exchanged, as lines of 0 and 1: all ways for few rows, else drawn ones, some at a time."""
    if rows <= EXACT_ROWS:
        yield (numpy.arange(2**rows)[:, None] >> numpy.arange(rows) & 1).astype(float)
        return
    left, step = EXCHANGES, max(1, _AT_ONCE // rows)
    while left:
        yield draws.integers(0, 2, (min(left, step), rows), numpy.int8).astype(float)
        left -= min(left, step)
