"""Parts and mixtures of datasets: hold out a test part, mix by weight, sample, and see that nothing held out is trained on."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Leak:
    """A held-out row that is also trained on; `exact` tells whether word for word, or but for spacing, case and punctuation."""

    held_out: int
    trained: int
    exact: bool


def hold_out(texts: Iterable[str], shares: tuple[int, ...], seed: int = 42) -> list[list[int]]:
    """Deal rows into parts by `shares` such as (8, 1, 1); rows that say the same stay together, so that no part leaks into another.

    Args:
        texts: what each row says (`shape.said`), in order.

    Returns:
        for each share the indexes of its rows, in the order of the file.

    Raises:
        Problem: the shares are no positive whole numbers, or there are too few rows for them.
    """
    raise NotImplementedError


def sample(count: int, number: int, seed: int = 42) -> list[int]:
    """Return the indexes of `number` of `count` rows, drawn without putting back, in the order of the file. Raises Problem."""
    raise NotImplementedError


def mix(counts: list[int], weights: list[float], total: int, seed: int = 42) -> list[tuple[int, int]]:
    """Return `total` draws (which dataset, which row) by weight, shuffled; a set too small for its share is gone through again."""
    raise NotImplementedError


def leaks(trained: Iterable[tuple[int, str]], held_out: Iterable[tuple[int, str]]) -> list[Leak]:
    """Return the held-out rows that are also trained on, by what each row says (`shape.said`)."""
    raise NotImplementedError


def write(path: Path, rows: Iterable[dict]) -> int:
    """Write rows as a new .json or .jsonl file, whole or not at all; return how many.

    Raises:
        Problem: the file exists already, or the disk refuses.
    """
    raise NotImplementedError
