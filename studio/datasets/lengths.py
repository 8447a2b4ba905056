"""How long the rows of a dataset are in tokens, what a cutoff costs, and how many steps a training takes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from studio.datasets.tokens import Sight

CUTOFFS = (512, 1024, 2048, 4096)


@dataclass(frozen=True)
class Lengths:
    """The lengths of a dataset, ready to be drawn.

    `bins` are the lower edges of the histogram's bars, each `width` tokens wide; `counts` the rows in each. `cut` gives the percentage
    of rows that a cutoff cuts. `tokens` and `trained` are totals of one epoch under `cutoff`; `samples` is how many sequences one
    epoch has (fewer than `rows` where they are packed or dropped).
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


def measure(rows: Iterable[tuple[int, dict]], sight: Sight, progress: Callable[[int], None] | None = None) -> Lengths:
    """Measure every row. `progress` is called with the rows done; what it raises ends the work."""
    raise NotImplementedError


def steps(samples: int, batch: int, accumulation: int = 1, devices: int = 1, epochs: float = 1.0) -> int:
    """Return the optimiser steps of a training, as transformers' Trainer counts them (Trainer.set_initial_training_values)."""
    raise NotImplementedError


def epochs(samples: int, steps: int, batch: int, accumulation: int = 1, devices: int = 1) -> float:
    """Return how many epochs so many steps go through."""
    raise NotImplementedError
