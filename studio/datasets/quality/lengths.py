"""How long the rows of a dataset are in tokens, what a cutoff costs, and how many steps a training takes."""

import math
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from studio.core import llamafactory
from studio.datasets.encoding.encoded_row import TokenCount
from studio.datasets.encoding.row_encoder import RowEncoder
from studio.datasets.files.reading import Row

CUTOFFS = (512, 1024, 2048, 4096)
# Cutoffs that are offered: one of them is suggested, as short as leaves all but one in a hundred rows whole.
OFFERED = (
    64,
    128,
    192,
    256,
    384,
    512,
    768,
    1024,
    1536,
    2048,
    3072,
    4096,
    6144,
    8192,
    12288,
    16384,
    24576,
    32768,
    49152,
    65536,
    98304,
    131072,
)
_MAY_BE_CUT = 0.01
_BARS = 40
_TOGETHER = 500
_PACKED_TOGETHER = 1000  # LLaMA-Factory's preprocessing_batch_size


@dataclass(frozen=True)
class Lengths:
    """The lengths of a dataset, ready to be drawn.

    `bins` are the lower edges of the histogram's bars, each `width` tokens wide; `counts` the rows in each. `cut` gives
    the percentage of rows that a cutoff cuts. `tokens` and `trained` are totals of one epoch under `cutoff`; `samples`
    is how many sequences one epoch has (fewer than `rows` where they are packed or dropped). Chosen and rejected of a
    pair count as one sample.
    """

    rows: int
    dropped: int
    cutoff: int
    suggested: int
    longest: int
    median: int
    width: int
    bins: list[int]
    counts: list[int]
    cut: dict[int, float]
    tokens: int
    trained: int
    samples: int


class Tally:
    """Gathers the counts of a dataset's rows, in their order."""

    def __init__(self, encoder: RowEncoder):
        self._encoder = encoder
        self._whole, self._kept = array("q"), array("q")
        self._trained = self._rows = 0

    def add(self, counts: Iterable[TokenCount]) -> None:
        """Take in the counts of the next rows."""
        for count in counts:
            self._rows += 1
            if count.whole:
                self._whole.append(count.whole)
                self._kept.append(count.kept)
                self._trained += count.trained

    def lengths(self) -> Lengths:
        """Return the lengths of all rows so far."""
        ranked = sorted(self._whole)
        longest = ranked[-1] if ranked else 0
        width, bins, counts = _histogram(ranked)
        cut = {cutoff: _percent_above(ranked, cutoff) for cutoff in sorted({*CUTOFFS, self._encoder.cutoff})}
        return Lengths(
            rows=self._rows,
            dropped=self._rows - len(ranked),
            cutoff=self._encoder.cutoff,
            suggested=suggested(ranked),
            longest=longest,
            median=ranked[len(ranked) // 2] if ranked else 0,
            width=width,
            bins=bins,
            counts=counts,
            cut=cut,
            tokens=sum(self._kept),
            trained=self._trained,
            samples=self._samples(),
        )

    def _samples(self) -> int:
        """Return the sequences of one epoch; packed ones by LLaMA-Factory's own packing of the lengths, 1000 rows at a
        time.
        """
        if not self._encoder.packing:
            return len(self._kept)
        llamafactory.load()
        from llamafactory.data.processor.processor_utils import greedy_knapsack

        groups, cutoff = _groups(self._kept, _PACKED_TOGETHER), self._encoder.cutoff
        if self._encoder.stage == "pt":
            return sum(sum(group) // cutoff for group in groups)
        return sum(len(greedy_knapsack([length for length in group if length <= cutoff], cutoff)) for group in groups)


def measure(rows: Iterable[Row], encoder: RowEncoder, progress: Callable[[int], None] | None = None) -> Lengths:
    """Measure every row that can be read. `progress` is called with the rows done; what it raises ends the work."""
    tally, done = Tally(encoder), 0
    for group in _groups((row.value for row in rows if row.value is not None), _TOGETHER):
        encoder.observe_schema(group)
        tally.add(encoder.counts(group))
        done += len(group)
        if progress:
            progress(done)
    return tally.lengths()


def _groups(values: Iterable, size: int) -> Iterator[list]:
    values = iter(values)
    while group := list(islice(values, size)):
        yield group


def suggested(ranked: list[int]) -> int:
    """Return the shortest cutoff of OFFERED that cuts at most one in a hundred of these lengths (in ascending
    order).
    """
    return next((cutoff for cutoff in OFFERED if _percent_above(ranked, cutoff) <= 100 * _MAY_BE_CUT), OFFERED[-1])


def _percent_above(ranked: list[int], cutoff: int) -> float:
    if not ranked:
        return 0.0
    return 100 * (len(ranked) - bisect_right(ranked, cutoff)) / len(ranked)


def _histogram(ranked: list[int]) -> tuple[int, list[int], list[int]]:
    """Return width, lower edges and heights of at most _BARS bars of a round width; the last bar holds all that is
    longer.

    The bars end where 99 % of the rows do, and half as much again: one very long row must not press all others into one
    bar.
    """
    if not ranked:
        return 1, [], []
    end = min(ranked[-1], int(1.5 * ranked[int(0.99 * (len(ranked) - 1))]))
    width = next(
        step for power in range(12) for step in (10**power, 2 * 10**power, 5 * 10**power) if step * _BARS > end
    )
    counts = [0] * (end // width + 1)
    for length in ranked:
        counts[min(length // width, len(counts) - 1)] += 1
    return width, [width * number for number in range(len(counts))], counts


def steps(samples: int, batch: int, accumulation: int = 1, devices: int = 1, epochs: float = 1.0) -> int:
    """Return the optimiser steps of a training, as transformers' Trainer counts them
    (Trainer.set_initial_training_values).
    """
    return math.ceil(epochs * _steps_per_epoch(samples, batch, accumulation, devices))


def epochs(samples: int, steps: int, batch: int, accumulation: int = 1, devices: int = 1) -> float:
    """Return how many epochs so many steps go through."""
    return steps / _steps_per_epoch(samples, batch, accumulation, devices)


def _steps_per_epoch(samples: int, batch: int, accumulation: int, devices: int) -> int:
    return max(math.ceil(math.ceil(samples / (batch * devices)) / accumulation), 1)
