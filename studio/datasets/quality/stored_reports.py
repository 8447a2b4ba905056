"""The last report of each dataset's check, kept on disk for as long as the data stays as it was checked."""

import hashlib
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from studio.core.i18n import Problem, Words
from studio.core.plain import plain
from studio.core.sentences import Sentence
from studio.core.storage import files, records
from studio.core.storage.file_cache import FileCache
from studio.core.storage.records import Moment, Record
from studio.core.workspace import write_whole
from studio.datasets.files import reading
from studio.datasets.quality.lengths import Lengths
from studio.datasets.quality.row_check import Finding, Report
from studio.datasets.registry.dataset_info import Dataset

FOLDER = ".rows"  # in the folder of all runs


@dataclass(frozen=True)
class StoredReport:
    """A report, when it was made (seconds since 1970), and `stamp`: the entry and the files it is about, as `stamp_of`
    gives them.
    """

    report: Report
    checked: float
    stamp: list


def _is_kind(kind: str) -> str:
    if not all(Words("en").has(f"{room}{kind}") for room in ("checks.mend_", "datasets.kind_")):
        raise ValueError("no such finding is known")
    return kind


FindingKind = Annotated[str, AfterValidator(_is_kind)]
Count = Annotated[int, Field(ge=0, lt=2**53)]


class FindingRecord(Record):
    """A finding as it stands on disk."""

    row: Count
    field: str
    kind: FindingKind
    facts: dict[str, object]
    problem: Sentence | None

    @model_validator(mode="after")
    def _has_its_sentence(self) -> "FindingRecord":
        sentence = self.problem or Sentence(key=f"checks.{self.kind}", facts=self.facts)
        if sentence.problem().key != sentence.key:
            raise ValueError("it is of another release")
        return self

    def finding(self) -> Finding:
        """Return it as the check made it."""
        return Finding(self.row, self.field, self.kind, self.facts, self.problem and self.problem.problem())


class LengthsRecord(Record):
    """The lengths of a dataset as they stand on disk; see `Lengths`."""

    rows: Count
    dropped: Count
    cutoff: Count
    suggested: Count
    longest: Count
    median: Count
    width: Annotated[int, Field(ge=1, lt=2**53)]
    bins: Annotated[list[Count], Field(min_length=1, max_length=1000)]
    counts: Annotated[list[Count], Field(min_length=1, max_length=1000)]
    cut: dict[Count, Annotated[float, Field(ge=0, le=100)]]
    tokens: Count
    trained: Count
    samples: Count


class ReportRecord(Record):
    """A report as it stands on disk."""

    checked: Moment
    stamp: list[object]
    rows: Count
    near_until: Count
    bad: dict[FindingKind, set[Count]]
    findings: list[FindingRecord]
    lengths: LengthsRecord | None
    stop: FindingRecord | None = None
    template: str = ""

    def stored_report(self) -> StoredReport:
        """Return it as it was kept."""
        lengths = self.lengths and Lengths(**dict(self.lengths))
        report = Report(
            self.rows,
            [one.finding() for one in self.findings],
            self.bad,
            lengths,
            self.near_until,
            self.stop and self.stop.finding(),
            self.template,
        )
        return StoredReport(report, self.checked, self.stamp)


class Reports:
    """The reports by their dataset's home and name, one file each in `folder`. What cannot be read counts as no
    report.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        # Of the checks of this studio: they are shown also when the disk did not take them.
        self._own: dict[Path, StoredReport] = {}

    def write(self, home: Path, name: str, stamp: tuple, report: Report) -> None:
        """Keep the report of a check that ended now, in the place of an earlier one. Raises Problem where the disk
        refuses.
        """
        file, stored = self._file(home, name), StoredReport(report, time.time(), plain(stamp))
        record = {
            "checked": stored.checked,
            "stamp": stored.stamp,
            "rows": report.rows,
            "near_until": report.near_until,
            "bad": {kind: sorted(rows) for kind, rows in report.bad.items()},
            "findings": [_as_json(one) for one in report.findings],
            "lengths": asdict(report.lengths) if report.lengths else None,
            "stop": report.stop and _as_json(report.stop),
            "template": report.template,
        }
        self._own[file] = stored
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(file, json.dumps(record, ensure_ascii=False, default=str), beyond="backslashreplace")

    def of(self, home: Path, name: str, stamp: tuple) -> StoredReport | None:
        """Return the last report of a dataset, None where there is none or the data changed since."""
        file = self._file(home, name)
        stored = self._own.get(file) or _stored(file)
        return stored if stored and stored.stamp == plain(stamp) else None

    def _file(self, home: Path, name: str) -> Path:
        return _place(self.folder, home, name)


def stamp_of(dataset: Dataset) -> tuple:
    """Return what a report is about: the entry and the files of a dataset as they are now."""
    parts = reading.files_of(dataset.file) if dataset.file else []
    stamps = ((str(each), *files.stamp(each)) for each in parts)
    return (json.dumps(dataset.entry), *((name, changed, size) for name, size, changed, _ in stamps))


def last_of(folder: Path, dataset: Dataset) -> Report | None:
    """Return the last report of a dataset that is kept in `folder`, None where there is none or the data changed
    since.
    """
    stored = _stored(_place(folder, dataset.home, dataset.name))
    return stored.report if stored and stored.stamp == plain(stamp_of(dataset)) else None


def _place(folder: Path, home: Path, name: str) -> Path:
    return folder / f"report-{hashlib.sha256(f'{home}/{name}'.encode()).hexdigest()[:24]}.json"


_reports: FileCache[StoredReport | None] = FileCache(32)


def _stored(file: Path) -> StoredReport | None:
    return _reports.get(file, [file], lambda: _read(file))


def _read(file: Path) -> StoredReport | None:
    try:
        return records.load(file, ReportRecord).stored_report()
    except Problem:
        return None  # none yet, or written by another release: the data can be checked again


def _as_json(finding: Finding) -> dict:
    problem = finding.problem
    return vars(finding) | {"problem": {"key": problem.key, "facts": problem.facts} if problem else None}
