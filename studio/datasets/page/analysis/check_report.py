"""How the check of a dataset stands, and what it found: each row with its field, what is wrong, and a mend."""

from collections import Counter
from dataclasses import dataclass
from urllib.parse import urlencode

from studio.core.i18n import Words
from studio.datasets.analysis import DatasetAnalysis
from studio.datasets.page.analysis.encoding_form import encoding_options, parsed
from studio.datasets.page.analysis.job_state import JobState, at_work, fault_of
from studio.datasets.quality.row_check import HINTS, Finding, Report
from studio.datasets.quality.stored_reports import StoredReport

TEMPLATE = "datasets/page/analysis/check_report.html"
FINDINGS_SHOWN = 200


@dataclass(frozen=True)
class KindFilter:
    """A button that shows the findings of one kind, "" for all: how many there are, and what it takes in hand."""

    kind: str
    count: int
    pick: str
    is_chosen: bool


@dataclass(frozen=True)
class FindingRow:
    """A finding. `id` stays the same while the report does; `pick` shows the row among the others, "" for what the set
    as a whole has.
    """

    id: str
    row: int
    pick: str
    field: str
    message: str
    mend: str


@dataclass(frozen=True)
class ReportContext:
    """What a check found: `bad` rows of `rows` cannot be trained on. `checked` is in seconds since 1970.

    `new_name` is that of a set of the good rows, `derivation` the job that writes it; `more` findings are not shown.
    """

    verdict: str
    is_ok: bool
    can_be_cleaned: bool
    rows: int
    bad: int
    checked: float
    new_name: str
    derivation: JobState | None
    filters: list[KindFilter]
    findings: list[FindingRow]
    more: int


@dataclass(frozen=True)
class CheckContext:
    """The check of the dataset `name`: `job` while it is at work, `fault` if it failed, `report` of the last one.

    `options` say how rows are encoded when the tokens are checked too.
    """

    name: str
    options: dict[str, str]
    job: JobState | None
    fault: str
    report: ReportContext | None


def check(words: Words, analysis: DatasetAnalysis, arg: str) -> CheckContext | None:
    """Return how a check stands, None where there is no dataset with a file. Raises Problem for an unknown dataset."""
    name, choices = parsed(arg)
    if not name or analysis.collection.find(name).file is None:
        return None
    job, stored = analysis.newest_job("check", name), analysis.stored_report(name)
    report = stored and _report(words, analysis, name, stored, choices.get("kind", ""))
    return CheckContext(name, encoding_options(choices), at_work(words, job), fault_of(words, job), report)


def _report(words: Words, analysis: DatasetAnalysis, name: str, stored: StoredReport, kind: str) -> ReportContext:
    report = stored.report
    bad = set().union(*(rows for one, rows in report.bad.items() if one not in HINTS))
    shown = [one for one in report.findings if kind in ("", one.kind)]
    return ReportContext(
        verdict="check_fine" if not report.counts else "check_hints" if report.ok else "check_bad",
        is_ok=report.ok,
        can_be_cleaned=report.can_be_cleaned,
        rows=report.rows,
        bad=len(bad),
        checked=stored.checked,
        new_name=f"{analysis.collection.find(name).name}_good",
        derivation=None if not report.can_be_cleaned else at_work(words, analysis.newest_job("derive", name)),
        filters=_filters(report, kind),
        findings=_rows(words, name, shown[:FINDINGS_SHOWN]),
        more=max(0, len(shown) - FINDINGS_SHOWN),
    )


def _filters(report: Report, chosen: str) -> list[KindFilter]:
    if not report.counts:
        return []
    counts = {"": sum(report.counts.values()), **report.counts}
    return [
        KindFilter(kind, count, "sight:" + urlencode({"kind": kind}), kind == chosen) for kind, count in counts.items()
    ]


def _rows(words: Words, name: str, findings: list[Finding]) -> list[FindingRow]:
    rows, nth = [], Counter[int]()
    for one in findings:
        nth[one.row] += 1
        rows.append(
            FindingRow(
                f"finding-{one.row}-{nth[one.row]}",
                one.row,
                "page:" + urlencode({"name": name, "offset": one.row - 1}) if one.row >= 1 else "",
                one.field,
                one.message(words),
                one.mend(words),
            )
        )
    return rows
