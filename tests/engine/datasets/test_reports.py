"""What a check found is there after a restart, with its time, for as long as the data is the same."""

import time
from urllib.parse import urlencode

import pytest
from conftest import STARTER

from studio.core.i18n import Words
from studio.core.jobs import Jobs
from studio.datasets.analysis import DatasetAnalysis, EncodingSettings
from studio.datasets.page.analysis import check_report
from studio.datasets.page.analysis_endpoints import report_result
from studio.datasets.registry import entries
from studio.datasets.registry.collection import Collection
from studio.web.html import render


def opened(workspace) -> DatasetAnalysis:
    """Return a analysis as a studio that just started has it."""
    return DatasetAnalysis(Collection(workspace, Jobs(workspace)))


@pytest.fixture
def checked(workspace):
    """A analysis that has just checked a set of a sound, a half and an unreadable row."""
    file = workspace.data / "rough.jsonl"
    file.write_text(
        '{"instruction": "a?", "output": "b"}\n{"instruction": "c?", "output": ""}\nnot json\n', encoding="utf-8"
    )
    entries.add(workspace.data, "rough", {"file_name": file.name})
    analysis = opened(workspace)
    job = analysis.check("rough", EncodingSettings(STARTER.name, "chatml", 512))
    analysis.jobs.wait(job.id, 120)
    assert job.error is None, job.error
    return analysis


def test_a_report_is_shown_again_by_a_studio_that_started_later(checked, workspace):
    before, later = checked.stored_report("rough"), opened(workspace)
    assert report_result(later.report("rough"), Words("zh")) == report_result(before.report, Words("zh"))
    assert later.report("rough").bad == before.report.bad and later.report("rough").lengths.rows == 2
    shown = check_report.check(Words("en"), later, "rough\n").report
    assert (shown.verdict, shown.bad, shown.rows, shown.checked) == ("check_bad", 2, 3, before.checked)
    assert len({one.id for one in shown.findings}) == len(shown.findings) > 1
    assert [one.is_chosen for one in shown.filters] == [True] + [False] * len(before.report.counts)
    unreadable = check_report.check(Words("en"), later, "rough\n" + urlencode({"kind": "unreadable"})).report
    assert [(one.row, one.pick) for one in unreadable.findings] == [(3, "page:name=rough&offset=2")]
    drawn = render(check_report.TEMPLATE, Words("en"), check_report.check(Words("en"), later, "rough\n"))
    assert "2 of 3 rows" in drawn and time.strftime("Checked %Y-%m-%d %H:", time.localtime(before.checked)) in drawn
    job = later.keep_good("rough", "rough_good")
    later.jobs.wait(job.id, 240)
    assert job.result == {"name": "rough_good", "rows": 1}


def test_a_report_is_gone_when_the_data_or_its_entry_changed(checked, workspace):
    file = workspace.data / "rough.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole + b'{"instruction": "d?", "output": "e"}\n')
    assert checked.report("rough") is None and opened(workspace).report("rough") is None
    assert check_report.check(Words("en"), checked, "rough\n").report is None
    entries.replace(
        workspace.data, "rough", {"file_name": file.name, "columns": {"prompt": "instruction", "response": "output"}}
    )
    assert opened(workspace).report("rough") is None


def test_a_report_that_cannot_be_read_counts_as_none(checked, workspace):
    (file,) = (workspace.saves / ".rows").glob("report-*.json")
    file.write_text(file.read_text(encoding="utf-8")[:100], encoding="utf-8")
    assert opened(workspace).report("rough") is None and checked.report("rough") is not None
