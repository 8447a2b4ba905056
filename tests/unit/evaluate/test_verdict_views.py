"""The page of an evaluation shows the matrix of labels and what the judge said, hostile names and all."""

import evaluation_files as written
import pytest
from evaluation_files import BASE, TUNED

from studio.core.i18n import LANGUAGES, Words
from studio.core.workspace import Workspace
from studio.evaluate import part_names
from studio.evaluate.evaluation import EvaluatedRow, Judged, Prediction, RowScores
from studio.evaluate.page import row_results
from studio.evaluate.page.listing import evaluation_head
from studio.evaluate.page.listing.evaluation_list import EvaluationList, EvaluationRow
from studio.evaluate.page.report import summary_view
from studio.evaluate.page.report.summary_view import SummaryContext
from studio.evaluate.reports.row_table import RowTable
from studio.evaluate.reports.summary import Summary, summary
from studio.evaluate.reports.verdicts import verdict_tables
from studio.inference import target_names
from studio.web.html import render

LABELS = ["yes", "<img src=x onerror=alert(1)>"]


@pytest.fixture
def table(tmp_path) -> RowTable:
    evaluation = written.predicted(Workspace(tmp_path).prepare(), 0, labels=LABELS)
    for number in range(4):
        row = EvaluatedRow(row=number, dataset="d", source=number, messages=[], reference=LABELS[number % 2])
        evaluation.add(row)
        for target, text in ((BASE, "yes"), (TUNED, LABELS[number % 2])):
            evaluation.add(Prediction(row=number, target=target, text=text, finished="stop"))
            evaluation.add(RowScores(row=number, target=target, scores={"label": float(text == row.reference)}))
        evaluation.add(Judged(row=number, target=TUNED, verdict="second", orders=["second", "second"]))
        evaluation.add(RowScores(row=number, target=TUNED, scores={"judge": 1.0}))
    return RowTable(evaluation, evaluation.request().targets)


@pytest.fixture
def made(table) -> Summary:
    return summary(table)


@pytest.mark.parametrize("language", LANGUAGES)
def test_matrix_and_verdicts_are_drawn(table, made, language):
    words = Words(language)
    context = SummaryContext(
        id="x",
        is_made=True,
        models=tuple((one, one) for one in made.targets),
        lines=tuple(summary_view._line(made, one, False) for one in made.metrics),
        judged=tuple(verdict_tables.judged_sentence(made, target, str) for target in made.judged),
        confusions=tuple(summary_view._confusions(table, made)),
    )
    drawn = str(render(summary_view.TEMPLATE, words, context))
    assert drawn.count('<table class="summary confusion">') == 2 and "<img" not in drawn and "&lt;img" in drawn
    assert "100.0 %" in drawn and words("results.rate_precision") in drawn
    told = [one.tell(words) for one in (*context.judged, *(table.told for table in context.confusions))]
    assert len(told) == 3 and all(one in drawn for one in told)


def test_the_endpoint_gives_matrix_and_verdicts(made):
    labels, judged = row_results.labels(made), row_results.judged(made)
    assert labels[TUNED].labels == LABELS and labels[TUNED].accuracy == 1.0
    assert [sum(line) for line in labels[TUNED].counts] == [2, 2]
    assert labels[BASE].accuracy == 0.5 and labels[BASE].macro.rows == 4
    assert list(judged) == [TUNED]
    assert (judged[TUNED].first, judged[TUNED].second, judged[TUNED].unread) == (0, 4, 0)
    assert judged[TUNED].rate.value == 1.0 and judged[TUNED].rate.count == 4


def test_rows_of_which_a_judge_could_not_be_asked_are_counted_and_told(table):
    evaluation, fault = table.evaluation, {"key": "chat.too_long", "facts": {}}
    evaluation.add_all([Judged(row=row, target=TUNED, verdict=None, fault=fault) for row in (1, 2)])
    made = summary(table)
    judged = row_results.judged(made)[TUNED]
    assert (judged.second, judged.unread, judged.failed) == (2, 2, 2)
    (warning,) = evaluation_head._warnings(evaluation, made)
    who = f"{evaluation.label(TUNED)} 2"
    assert warning.key == "evaluating.warn_unjudged" and all(who in warning.tell(Words(one)) for one in LANGUAGES)


def test_a_held_out_part_is_named_in_words():
    parts = ["held-out:llama/lora/<b>", "identity", "held-out:llama/lora/<b>"]
    row = EvaluationRow("x", title=part_names.shown(parts, target_names.short), state="finished", created=1.0)
    for language, told in (("en", "held out by &lt;b&gt;, identity"), ("zh", "&lt;b&gt; 的留出部分、identity")):
        rows = EvaluationList((row,), False)
        assert f"<b>{told}</b>" in render("evaluate/page/listing/evaluation_list.html", Words(language), rows)


def test_thousands_of_held_out_parts_are_named():
    name = part_names.shown([f"held-out:a/lora/{number}" for number in range(20_000)], target_names.short)
    assert Words("zh")("evaluating.plain", text=name).startswith("0 的留出部分、1 的留出部分、")


def test_a_title_of_many_parts_is_cut_and_a_given_one_stays(tmp_path):
    workspace = Workspace(tmp_path).prepare()
    many = tuple(f"subject {number}" for number in range(60))
    for parts, title, told in (
        (many, "", ", ".join(many)[: part_names.LONGEST]),
        (("held-out:a/lora/b",), "held-out:mine", "held-out:mine"),
        (("held-out:a/lora/b",), "", "b 的留出部分"),
    ):
        evaluation = written.predicted(workspace, 0, parts=parts, title=title)
        name = part_names.title(evaluation.request(), evaluation.label)
        assert Words("zh")("evaluating.plain", text=name) == told
