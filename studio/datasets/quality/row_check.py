"""What is wrong with the rows of a dataset: found row by row, named by row and field, each with a mend."""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from studio.core.i18n import Problem, Words
from studio.datasets.encoding.loading import stops
from studio.datasets.encoding.loading.judge import Verdict
from studio.datasets.encoding.row_encoder import RowEncoder
from studio.datasets.files.reading import Row
from studio.datasets.quality import encoding_damage
from studio.datasets.quality.duplicates import Duplicates
from studio.datasets.quality.lengths import Lengths, Tally
from studio.datasets.schema.observed_schema import Shape, text_of
from studio.datasets.schema.rules import Fault, Rules

# Told of a row that can be trained on all the same.
HINTS = ("duplicate", "near_duplicate", "beyond_cutoff", "answer_unused")
# Of those, what a clean copy leaves out: the row is there once already.
REPEATED = ("duplicate",)
# Of these LLaMA-Factory's own code has the last word: a row that it trains has none of them.
STRUCTURE = (
    "wrong_type",
    "mixed_types",
    "bad_history",
    "no_turns",
    "bad_turn",
    "unknown_role",
    "role_order",
    "turn_count",
    "bad_call",
    "bad_tools",
)
# What the loader says of a row only in general is told where no rule says more.
GENERAL = ("row_stops", "left_out", "mixed_types", "not_loaded", "rows_differ")
READ = ("read_otherwise", "read_as_date")
# Nothing is wrong with such a row: it only comes too late for the columns of the file, or is text that a table's reader
# takes for something else. A copy in JSON lines, the late row first, is right.
LATE = ("late_type",)
COPIED = (*LATE, "read_otherwise")
# Put right without a person: see `damage.mended`.
MENDED = ("control_characters", "mojibake")
# Of each kind so many are told one by one; all are counted.
MAX_FINDINGS = 1000
_TOGETHER = 500
_STEP = 1000


@dataclass(frozen=True)
class Finding:
    """One thing wrong with one row.

    `row` is the number that the reader gave the row (from 1), `field` its place ("output", "conversations[2].value", or
    "" for the whole row), `kind` names its sentence in the words of "checks", `facts` fill it. `problem` is the
    reader's, of a row it cannot read.
    """

    row: int
    field: str
    kind: str
    facts: dict[str, object]
    problem: Problem | None = None

    def message(self, words: Words) -> str:
        """Return what is wrong, as a sentence of the page's language."""
        return words.tell(self.problem) if self.problem else words(f"checks.{self.kind}", **self.facts)

    def mend(self, words: Words) -> str:
        """Return what to do about it, as a sentence of the page's language."""
        return words(f"checks.mend_{self.kind}")


@dataclass
class Report:
    """What a check found.

    `counts` has the number of rows of every kind that was found, `findings` the first of each kind, in the order of the
    rows, `bad` all the rows of each kind. `lengths` is there where the tokens were looked at. `near_until` is the last
    row that was compared with others for likeness. `stop` is what ends a run, None where nothing is known to;
    `template` the one by which LLaMA-Factory's loader was asked.
    """

    rows: int = 0
    findings: list[Finding] = field(default_factory=list)
    bad: dict[str, set[int]] = field(default_factory=dict)
    lengths: Lengths | None = None
    near_until: int = 0
    stop: Finding | None = None
    template: str = ""

    @property
    def counts(self) -> dict[str, int]:
        """Return how many rows have a finding of each kind, the most frequent first."""
        return dict(sorted(((kind, len(rows)) for kind, rows in self.bad.items()), key=lambda pair: -pair[1]))

    @property
    def ok(self) -> bool:
        """Tell whether every row can be trained on: nothing was found, or only hints."""
        return all(kind in HINTS for kind in self.bad)

    @property
    def can_be_cleaned(self) -> bool:
        """Tell whether a clean copy would leave out, or put right, any row."""
        return not self.ok or any(kind in REPEATED for kind in self.bad)

    def withdraw(self, kind: str, rows: set[int]) -> None:
        """Take back what was found of a kind in these rows."""
        if rows:
            self.bad[kind] -= rows
            self.findings = [one for one in self.findings if one.kind != kind or one.row not in rows]
            if not self.bad[kind]:
                del self.bad[kind]

    def add(self, row: int, fault: Fault, problem: Problem | None = None) -> None:
        """Take in what is wrong with a row."""
        rows = self.bad.setdefault(fault.kind, set())
        if len(rows) < MAX_FINDINGS:
            self.findings.append(Finding(row, fault.field, fault.kind, fault.facts, problem))
        rows.add(row)


def check(
    rows: Iterable[Row],
    entry: dict,
    data_folder: Path,
    encoder: RowEncoder | None = None,
    progress: Callable[[int], None] | None = None,
    loader: Callable[[], Verdict] | None = None,
) -> Report:
    """Check every row of a dataset.

    Args:
        rows: as `reading.rows` gives them.
        entry: the dataset's entry of `dataset_info.json`.
        data_folder: where the paths of images begin.
        encoder: with it rows beyond its cutoff and rows in which no token is trained are found, and the lengths
            measured, which takes longer. None leaves the tokens alone.
        progress: called with the number of rows done; what it raises ends the check, so that a job can be cancelled.
        loader: asks LLaMA-Factory's own loader (see `loading.judge`), so that a report that is ok means a run that does
            not end at the
            data, and a row that it trains has no finding that says otherwise. None leaves it at the studio's own rules.

    Raises:
        Problem: the file as a whole cannot be read.
    """
    report, shape, duplicates = Report(), Shape.of(entry), Duplicates()
    rules, tokens = Rules(shape, data_folder), _Tokens(report, encoder) if encoder else None
    for row in rows:
        report.rows += 1
        if row.value is None:
            report.add(row.number, Fault("unreadable", ""), row.problem)
        else:
            for fault in _faults(row.number, row.value, rules, duplicates):
                report.add(row.number, fault)
            if tokens:
                tokens.add(row)
        if progress and report.rows % _STEP == 0:
            progress(report.rows)
    for pair in duplicates.near():
        report.add(
            pair.row, Fault("near_duplicate", "", {"earlier": pair.earlier, "percent": int(pair.likeness * 100)})
        )
    report.near_until = duplicates.compared
    if tokens:
        report.lengths = tokens.finish()
    if loader:
        _judged(report, loader())
    report.findings.sort(key=lambda finding: finding.row)
    return report


def _judged(report: Report, verdict: Verdict) -> None:
    """Bring what the rules found together with what LLaMA-Factory makes of the rows."""
    for kind in STRUCTURE:
        spared = {row for row in report.bad.get(kind, ()) if verdict.trains(row)}
        report.withdraw(kind, spared)
    explained = set().union(*(rows for kind, rows in report.bad.items() if kind in (*STRUCTURE, "unreadable")))
    explained |= {row for kind in ("missing_field", "empty_prompt", "empty_answer") for row in report.bad.get(kind, ())}
    otherwise = {row for row, fault in verdict.faults if fault.kind in READ}
    for row, fault in verdict.faults:
        known = (
            row in explained or (fault.kind in ("left_out", "row_stops") and row in otherwise)
            if row
            else bool(report.bad.get("unreadable"))
        )
        if not known or fault.kind not in GENERAL:
            report.add(row, fault)
    report.template = verdict.template
    if ending := stops.of(verdict):
        row, fault = ending[0]
        report.stop = Finding(row, fault.field, fault.kind, fault.facts)


def _faults(number: int, row: dict, rules: Rules, duplicates: Duplicates) -> Iterator[Fault]:
    yield from rules.faults(row, number)
    text = text_of(row, rules.shape)
    if encoding_damage.is_damaged(text):
        yield from encoding_damage.faults(row, rules.shape)
    if (earlier := duplicates.add(number, text)) is not None:
        yield Fault("duplicate", "", {"earlier": earlier})


class _Tokens:
    """Looks at the tokens of the rows, some hundred together."""

    def __init__(self, report: Report, encoder: RowEncoder):
        self.report, self.encoder, self.tally, self.waiting = report, encoder, Tally(encoder), []

    def add(self, row: Row) -> None:
        self.waiting.append(row)
        if len(self.waiting) == _TOGETHER:
            self._check_waiting()

    def finish(self) -> Lengths:
        self._check_waiting()
        return self.tally.lengths()

    def _check_waiting(self) -> None:
        values = [row.value for row in self.waiting]
        self.encoder.observe_schema(values)
        counts = self.encoder.counts(values)
        self.tally.add(counts)
        for row, count in zip(self.waiting, counts, strict=True):
            if count.whole > self.encoder.cutoff and not self.encoder.packing:
                self.report.add(
                    row.number, Fault("beyond_cutoff", "", {"tokens": count.whole, "cutoff": self.encoder.cutoff})
                )
            if not count.trained:
                self.report.add(row.number, Fault("untrained", ""))
        self.waiting.clear()


def keep_good(
    rows: Iterable[Row], report: Report, entry: dict, drop: Collection[str] | None = None, mend: bool = True
) -> Iterator[dict]:
    """Yield the good rows of a dataset, in order, for `split.write`.

    Args:
        rows: the same rows that were checked.
        report: what `check` said of them.
        entry: the dataset's entry.
        drop: kinds of findings whose rows are left out; None leaves out what repeats another row, and all that have
            more than a hint.
        mend: put right what can be put right without a person (MENDED) and keep such a row.
    """
    shape = Shape.of(entry)
    dropped = set(report.bad) - ({*HINTS, *COPIED} - set(REPEATED)) if drop is None else set(drop)
    for row in rows:
        kinds = {kind for kind in dropped if row.number in report.bad.get(kind, ())}
        if row.value is None or (kinds and not (mend and kinds <= set(MENDED))):
            continue
        value = encoding_damage.mended(row.value, shape) if kinds else row.value
        if value is not None:
            yield value
