"""The arithmetic of a comparison, and the table of the last run in RESULTS.md."""

import contextlib
import math
import os
import platform
import re
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

RESULTS = Path(__file__).parent / "RESULTS.md"
PACKAGES = ("torch", "transformers", "peft", "llamafactory", "gradio", "playwright")
CPU_FEATURES = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "sve")
HEAD = """# Results

The last run of each benchmark on one machine, written by `python -m benchmarks`. Measured runs take turns
(studio, other, studio, other), so that what else the machine does falls on both. Values are medians with the lowest and
highest in brackets; a ratio is that of the medians, with the lowest and highest ratio of two neighbouring runs. Below 1
the studio is faster or smaller.

| benchmark | what | studio | against | ratio | reach | reached |
|---|---|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Row:
    """One line of the table. `reached` is None where no reach is set."""

    benchmark: str
    what: str
    ours: str
    theirs: str
    ratio: str
    reach: str = ""
    reached: bool | None = None

    def line(self) -> str:
        """Return the row as Markdown."""
        reached = {True: "yes", False: "**no**", None: ""}[self.reached]
        return (
            "| "
            + " | ".join((self.benchmark, self.what, self.ours, self.theirs, self.ratio, self.reach, reached))
            + " |"
        )


def shown(values: Sequence[float], unit: str = "s") -> str:
    """Return the median of some measurements with the lowest and highest: `3.21 s (3.05–3.60)`."""
    middle = f"{_number(statistics.median(values))} {unit}"
    return middle if len(values) == 1 else f"{middle} ({_number(min(values))}–{_number(max(values))})"


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the ratio of the medians."""
    return statistics.median(ours) / statistics.median(theirs)


def ratio_shown(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """Return the ratio of the medians with the lowest and highest of the pairs measured next to each other."""
    pairs = [one / other for one, other in zip(ours, theirs, strict=True)]
    middle = f"{ratio(ours, theirs):.3f}"
    return middle if len(pairs) == 1 else f"{middle} ({min(pairs):.3f}–{max(pairs):.3f})"


def compared(
    benchmark: str, what: str, ours: Sequence[float], theirs: Sequence[float], reach: float | None, unit: str = "s"
) -> Row:
    """Return the row that compares two series of interleaved measurements; `reach` is the highest ratio that is good
    enough.
    """
    reached = None if reach is None else ratio(ours, theirs) <= reach
    wanted = "" if reach is None else f"at most {reach:g}"
    return Row(benchmark, what, shown(ours, unit), shown(theirs, unit), ratio_shown(ours, theirs), wanted, reached)


def streamed(
    benchmark: str,
    first_of: str,
    pace_of: str,
    first: tuple[Sequence[float], Sequence[float]],
    pace: tuple[Sequence[float], Sequence[float]],
    reaches: tuple[float, float],
) -> list[Row]:
    """Return the two rows of answers that come through something of ours, and without it, in turn.

    Args:
        first_of, pace_of: what the rows are called.
        first: seconds to the first token, with and without. pace: tokens a second, with and without.
        reaches: the most seconds that may be added (median of the pairs), and the least ratio of the paces.
    """
    added = statistics.median(ours - theirs for ours, theirs in zip(*first, strict=True))
    added_of = f"{first_of}, which adds {added * 1000:.1f} ms (median of the pairs)"
    return [
        Row(
            benchmark,
            added_of,
            shown(first[0]),
            shown(first[1]),
            ratio_shown(*first),
            f"under {reaches[0] * 1000:.0f} ms added",
            added < reaches[0],
        ),
        Row(
            benchmark,
            pace_of,
            shown(pace[0], "tokens/s"),
            shown(pace[1], "tokens/s"),
            ratio_shown(*pace),
            f"at least {reaches[1]:g}",
            ratio(*pace) >= reaches[1],
        ),
    ]


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that a `share` (0 to 1) of `values` do not exceed (nearest-rank percentile)."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)]


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def machine() -> str:
    """Return what the machine is, in words that name nobody's machine."""
    memory = psutil.virtual_memory().total / 2**30
    features = [name for name in CPU_FEATURES if name in _cpu_flags()]
    return (
        f"{os.cpu_count()} cores ({platform.machine()}, {' '.join(features)}), {memory:.0f} GB of memory, {_gpus()},"
        f" {platform.system()}"
    )


def _cpu_flags() -> set[str]:
    try:
        found = re.search(r"^(?:flags|Features)\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    except OSError:
        found = None
    return set(found[1].split()) if found else set()


def _gpus() -> str:
    import torch

    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return ", ".join(names) or "no GPU"


def versions() -> str:
    """Return the versions that matter: Python and the packages on both sides, as far as they are there."""
    found = [f"Python {platform.python_version()}"]
    for name in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found.append(f"{name} {version(name)}")
    return ", ".join(found)


def circumstances(benchmark: str, runs: int) -> str:
    """Return the line that says how a benchmark's rows came about: command, date, machine, versions."""
    date = time.strftime("%Y-%m-%d")
    return f"- {benchmark}: `python -m benchmarks {benchmark} --runs {runs}`, {date}; {machine()}; {versions()}"


def write(rows: Sequence[Row], notes: Sequence[str], order: Sequence[str], path: Path = RESULTS) -> None:
    """Replace the rows and notes of the benchmarks that were run, and leave those of the others as they stand.

    Args:
        rows: what was measured.
        notes: a line of `circumstances` for each benchmark in `rows`.
        order: the names of all benchmarks; rows of any other name are dropped.
        path: the file.
    """
    fresh = {row.benchmark for row in rows}
    old = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    lines = [line for line in old if _benchmark(line) not in fresh] + [row.line() for row in rows] + list(notes)
    by_name = [line for name in order for line in lines if _benchmark(line) == name]
    table = [line for line in by_name if line.startswith("|")]
    measured = [line for line in by_name if line.startswith("-")]
    path.write_text(
        HEAD + "\n".join([*table, "", "How and where each was measured:", "", *measured]) + "\n", encoding="utf-8"
    )


def _benchmark(line: str) -> str | None:
    found = re.match(r"(?:\| |- )(\w+)(?: \||:)", line)
    return found[1] if found else None
