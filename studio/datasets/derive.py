"""Parts and mixtures of datasets: hold out a test part, mix by weight, sample, and see that nothing held out is trained
on.
"""

import json
import os
import random
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from studio.core import reasons
from studio.core.i18n import Problem
from studio.core.storage.atomic import move, scratch
from studio.datasets.quality.duplicates import plain
from studio.datasets.schema.observed_schema import Shape


@dataclass(frozen=True)
class Leak:
    """A held-out row that is also trained on; `exact` tells whether word for word, or but for spacing, case and
    punctuation.
    """

    held_out: int
    trained: int
    exact: bool


def hold_out(texts: Iterable[str], shares: tuple[int, ...], seed: int = 42) -> list[list[int]]:
    """Deal rows into parts by `shares` such as (8, 1, 1); rows that say the same stay together, so that no part leaks
    into another.

    Args:
        texts: what each row says (`observed_schema.text_of`), in order.
        shares: the size of each part against the others.
        seed: with the same rows and seed the same parts come out, on any machine.

    Returns:
        for each share the indexes of its rows, in the order of the file.

    Raises:
        Problem: the shares are no positive whole numbers, or there are too few different rows for them.
    """
    if len(shares) < 2 or not all(isinstance(share, int) and share > 0 for share in shares):
        raise Problem("splits.bad_shares", shares=":".join(map(str, shares)))
    alike: dict[int, list[int]] = {}
    count = 0
    for index, text in enumerate(texts):
        alike.setdefault(hash(plain(text)), []).append(index)
        count += 1
    groups = list(alike.values())
    if len(groups) < len(shares):
        raise Problem("splits.too_few", rows=len(groups), parts=len(shares))
    _draws(seed).shuffle(groups)
    return _dealt(groups, [count * share / sum(shares) for share in shares])


def _draws(seed: int) -> random.Random:
    """Return a generator that draws the same rows for the same seed on every machine."""
    return random.Random(seed)  # noqa: S311  (rows are drawn, no secret is made)


def _dealt(groups: list[list[int]], shares: list[float]) -> list[list[int]]:
    """Give each group to the part that is shortest of what it wants; first one to each, so that none stays empty."""
    groups = sorted(
        groups, key=len, reverse=True
    )  # the large ones while there is room for them; the sort keeps the shuffled order
    parts: list[list[int]] = [[] for _ in shares]
    for number, group in enumerate(groups):
        empty = [index for index, part in enumerate(parts) if not part]
        must_fill = len(groups) - number <= len(empty)
        choice = empty if must_fill else range(len(parts))
        parts[max(choice, key=lambda index: shares[index] - len(parts[index]))] += group
    return [sorted(part) for part in parts]


def sample(count: int, number: int, seed: int = 42) -> list[int]:
    """Return the indexes of `number` of `count` rows, drawn without putting back, in the order of the file.

    Raises:
        Problem: there are fewer rows than that, or none is wanted.
    """
    if not 0 < number <= count:
        raise Problem("splits.bad_sample", number=number, rows=count)
    return sorted(_draws(seed).sample(range(count), number))


def mix(counts: list[int], weights: list[float], total: int, seed: int = 42) -> list[tuple[int, int]]:
    """Return `total` draws, (which dataset, which row), shuffled, of each dataset as many as its weight says.

    Each dataset is gone through once in a random order before any of its rows comes again.

    Args:
        counts: the rows of each dataset.
        weights: how much of each is wanted, against the others; 0 leaves one out.

    Raises:
        Problem: the weights do not fit the datasets, or a dataset that is wanted has no rows.
    """
    if len(weights) != len(counts) or min(weights, default=0) < 0 or sum(weights) <= 0 or total < 1:
        raise Problem("splits.bad_weights", weights=" : ".join(map(str, weights)), sets=len(counts), total=total)
    if any(weight and not count for weight, count in zip(weights, counts, strict=True)):
        raise Problem(
            "splits.empty_set", number=next(i for i, count in enumerate(counts, 1) if weights[i - 1] and not count)
        )
    order, draws = _draws(seed), []
    for which, (count, share) in enumerate(zip(counts, _portions(weights, total), strict=True)):
        rows: list[int] = []
        while len(rows) < share:
            rows += order.sample(range(count), count)
        draws += [(which, row) for row in rows[:share]]
    order.shuffle(draws)
    return draws


def _portions(weights: list[float], total: int) -> list[int]:
    """Divide `total` by weight into whole numbers that make it up; what is left goes to the largest fractions."""
    exact = [total * weight / sum(weights) for weight in weights]
    portions = [int(portion) for portion in exact]
    by_fraction = sorted(range(len(exact)), key=lambda index: portions[index] - exact[index])
    for index in by_fraction[: total - sum(portions)]:
        portions[index] += 1
    return portions


def leaks(trained: Iterable[tuple[int, str]], held_out: Iterable[tuple[int, str]]) -> list[Leak]:
    """Return the held-out rows that are also trained on.

    Args:
        trained: number of each row, and what it says (`observed_schema.text_of`).
        held_out: those of the part that is held out.
    """
    exact: dict[int, int] = {}
    alike: dict[int, int] = {}
    for number, text in trained:
        exact.setdefault(hash(text), number)
        alike.setdefault(hash(plain(text)), number)
    found = []
    for number, text in held_out:
        if (same := exact.get(hash(text))) is not None:
            found.append(Leak(number, same, True))
        elif (same := alike.get(hash(plain(text)))) is not None:
            found.append(Leak(number, same, False))
    return found


def part_entry(entry: dict, file_name: str) -> dict:
    """Return the entry of `dataset_info.json` for a part or mixture: as the dataset's own, for another file of the data
    folder.

    What chooses rows on a hub or at random (`subset`, `split`, `folder`, `num_samples`) has been done with.
    """
    shared = {key: value for key, value in entry.items() if key in ("formatting", "ranking", "columns", "tags")}
    return {"file_name": file_name, **shared}


def joined_entry(entries: list[dict], file_name: str) -> dict:
    """Return the entry for a mixture of datasets: as that of the first, with the columns that only others have beside
    its own.

    Raises:
        Problem: the datasets differ in format, stage or roles, so that no naming of fields makes them one.
    """
    shapes = [Shape.of(entry) for entry in entries]
    for other in shapes[1:]:
        if (other.format, other.stage) != (shapes[0].format, shapes[0].stage) or (
            other.format != "alpaca" and other.tags != shapes[0].tags
        ):
            raise Problem("splits.unlike", one=_described(shapes[0]), other=_described(other))
    columns: dict[str, str] = {}
    for shape in shapes:
        for column, field in shape.columns.items():
            if field in shape.fields() and column not in columns:
                columns[column] = column if field in columns.values() else field
    return {**part_entry(entries[0], file_name), "columns": columns}


def _described(shape: Shape) -> str:
    return " / ".join((shape.format, shape.stage, *(shape.tags.values() if shape.format != "alpaca" else ())))


def alike(row: dict, shape: Shape, target: Shape) -> dict:
    """Return a row of one dataset with its fields named as those of a mixture (see `joined_entry`); null for what it
    does not have.
    """
    return {field: shape.value(row, column) for column, field in target.columns.items()}


def write(path: Path, rows: Iterable[dict]) -> int:
    """Write rows to a new file as JSON lines, whole or not at all; return how many.

    Raises:
        Problem: the file exists already, there are no rows, or the disk refuses.
    """
    if path.exists():
        raise Problem("datasets.file_exists", file=path)
    count = 0
    try:
        with scratch(path.parent) as folder:
            whole = folder / path.name
            with whole.open("w", encoding="utf-8") as file:
                for row in rows:
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
                    count += 1
                file.flush()
                os.fsync(file.fileno())
            if not count:
                raise Problem("splits.nothing", file=path)
            move(whole, path)
    except OSError as error:
        raise Problem("workspace.unwritable", path=path, reason=reasons.of(error)) from error
    return count
