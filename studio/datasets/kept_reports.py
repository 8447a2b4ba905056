"""The last report of each dataset's check, kept on disk for as long as the data stays as it was checked."""

import hashlib
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from studio.datasets.check import Finding, Report
from studio.datasets.lengths import Lengths
from studio.interface.language import Problem
from studio.jobs import plain
from studio.workspace import write_whole


@dataclass(frozen=True)
class Kept:
    """A report, when it was made (seconds since 1970), and `stamp`: the entry and the files it is about, as `Study` marks them."""

    report: Report
    checked: float
    stamp: list


class Reports:
    """The reports by their dataset's home and name, one file each in `folder`. What cannot be read counts as no report."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._known: dict[Path, Kept | None] = {}

    def keep(self, home: Path, name: str, stamp: tuple, report: Report) -> None:
        """Keep the report of a check that ended now, in the place of an earlier one. Raises Problem where the disk refuses."""
        file, kept = self._file(home, name), Kept(report, time.time(), plain(stamp))
        said = {"checked": kept.checked, "stamp": kept.stamp, "rows": report.rows, "near_until": report.near_until,
                "bad": {kind: sorted(rows) for kind, rows in report.bad.items()}, "findings": [_said(one) for one in report.findings],
                "lengths": asdict(report.lengths) if report.lengths else None}
        self._known[file] = kept
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(file, json.dumps(said, ensure_ascii=False, default=str))

    def of(self, home: Path, name: str, stamp: tuple) -> Kept | None:
        """Return the last report of a dataset, None where there is none or the data changed since."""
        file = self._file(home, name)
        if file not in self._known:
            self._known[file] = _read(file)
        kept = self._known[file]
        return kept if kept and kept.stamp == plain(stamp) else None

    def _file(self, home: Path, name: str) -> Path:
        return self.folder / f"report-{hashlib.sha256(f'{home}/{name}'.encode()).hexdigest()[:24]}.json"


def _read(file: Path) -> Kept | None:
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
        findings = [Finding(**one | {"problem": Problem(one["problem"]["key"], **one["problem"]["facts"]) if one["problem"] else None})
                    for one in said["findings"]]
        lengths = said["lengths"] and Lengths(**said["lengths"] | {"cut": {int(cutoff): share for cutoff, share in said["lengths"]["cut"].items()}})
        report = Report(said["rows"], findings, {kind: set(rows) for kind, rows in said["bad"].items()}, lengths, said["near_until"])
        return Kept(report, said["checked"], said["stamp"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # none yet, or written by another release: the data can be checked again


def _said(finding: Finding) -> dict:
    problem = finding.problem
    return vars(finding) | {"problem": {"key": problem.key, "facts": problem.facts} if problem else None}
