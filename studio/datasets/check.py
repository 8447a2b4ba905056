"""What is wrong with the rows of a dataset: found row by row, named by row and field, each with a mend."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from studio.interface.language import Words


@dataclass(frozen=True)
class Finding:
    """One thing wrong with one row.

    `row` is the number that the reader gave the row, `field` its place ("output", "conversations[2].value"), `kind` one of KINDS.
    """

    row: int
    field: str
    kind: str
    facts: dict[str, object]

    def message(self, words: Words) -> str:
        """Return what is wrong, as a sentence of the page's language."""

    def mend(self, words: Words) -> str:
        """Return what to do about it, as a sentence of the page's language."""


@dataclass
class Report:
    """What a check found. `counts` has every kind found, `findings` the first of each kind, `bad` all the rows of each kind."""

    rows: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    bad: dict[str, set[int]] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Tell whether every row can be trained on: only hints (KINDS) were found, or nothing."""


def check(
    rows: Iterable[tuple[int, dict]], entry: dict, data_folder: Path, sight=None, progress: Callable[[int], None] | None = None,
) -> Report:
    """Check every row of a dataset.

    Args:
        rows: number and row, as `reading.rows` gives them.
        entry: the dataset's entry of `dataset_info.json`.
        data_folder: where the paths of images begin.
        sight: a `tokens.Sight`; with it rows beyond its cutoff and rows in which no token is trained are found too, which takes
            longer. None leaves the tokens alone.
        progress: called with the number of rows done; what it raises ends the check (so a job is cancelled).
    """
    raise NotImplementedError


def keep_good(
    rows: Iterable[tuple[int, dict]], report: Report, entry: dict, drop: Iterable[str] | None = None, mend: bool = True,
) -> Iterator[dict]:
    """Yield the good rows of a dataset, in order, for `split.write`.

    Args:
        rows: the same rows that were checked.
        report: what `check` said of them.
        entry: the dataset's entry.
        drop: kinds of findings whose rows are left out; None takes all that stop a row from being trained on, and exact duplicates.
        mend: put right what can be put right without a person (control characters, text that was decoded wrongly) and keep the row.
    """
    raise NotImplementedError
