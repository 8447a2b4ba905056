"""What is taken away from an evaluation: CSV, JSON, Markdown, plots, and the files of LLaMA-Factory."""

import csv
import io
import json

import evaluation_files as written
import numpy
import pytest
from conftest import rest_slow
from evaluation_files import BASE, TUNED

from studio.core.i18n import Problem, Words
from studio.core.workspace import Workspace
from studio.evaluate.evaluation import EvaluatedRow, Judged, Prediction, RowScores
from studio.evaluate.reports import llamafactory_results, plots, report_files
from studio.evaluate.reports.row_table import RowTable
from studio.evaluate.reports.summary import summary


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return Workspace(tmp_path).prepare()


@pytest.fixture
def evaluation(workspace):
    return written.predicted(workspace, 8, title="a | title")


def table_of(evaluation) -> RowTable:
    return RowTable(evaluation, evaluation.request().targets)


def taken(evaluation, form: str, language: str = "en") -> str:
    table = table_of(evaluation)
    return report_files.text(form, evaluation.request(), table, summary(table), Words(language))


def test_rows_as_csv(evaluation):
    evaluation.add(EvaluatedRow(row=8, dataset="d", source=0, messages=[{"role": "user", "content": "=1+1"}]))
    evaluation.add(Prediction(row=8, target=TUNED, text='two\nlines, and a "quote"'))
    lines = list(csv.DictReader(io.StringIO(taken(evaluation, "csv").removeprefix("\ufeff"))))
    assert len(lines) == 9 and lines[3]["question"] == "Question 3: 你是谁？"
    assert lines[3][f"answer · {TUNED}"] == "I am Xiaoju number 3." and float(
        lines[3][f"f1 · {BASE}"]
    ) == pytest.approx(0.33)
    assert lines[8]["question"] == "'=1+1" and lines[8][f"answer · {TUNED}"] == 'two\nlines, and a "quote"'
    assert lines[8][f"answer · {BASE}"] == ""


@pytest.mark.parametrize("metric", ["f1", "lf_rougel", "loss", "judge"])
def test_rows_that_are_taken_away_have_every_score_of_the_summary(evaluation, metric):
    evaluation.add_all([RowScores(row=row, target=TUNED, scores={"judge": 1.0}) for row in range(8)])
    lines = list(csv.DictReader(io.StringIO(taken(evaluation, "csv").removeprefix("\ufeff"))))
    rows = json.loads(taken(evaluation, "json"))["rows"]
    for target in (BASE, TUNED):
        found = summary(table_of(evaluation)).scores[target].get(metric)
        values = [float(line[f"{metric} · {target}"]) for line in lines if line[f"{metric} · {target}"]]
        assert values == [row["scores"][target][metric] for row in rows if metric in row["scores"][target]]
        assert (numpy.mean(values) == pytest.approx(found.value)) if found else not values


def test_all_as_json(evaluation):
    whole = json.loads(taken(evaluation, "json"))
    assert whole["request"]["title"] == "a | title" and len(whole["rows"]) == 8
    assert whole["rows"][7]["answers"][BASE]["text"] == "I am SmolLM number 7."
    score = whole["scores"][TUNED]["f1"]
    assert score["low"] <= score["value"] <= score["high"] and score["difference"]["value"] > 0


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_summary_as_markdown(evaluation, language):
    text = taken(evaluation, "md", language)
    assert text.startswith("# a \\| title\n") and f"| {TUNED} |" in text and "ROUGE-L" in text and "alpaca (4)" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in rows[:4]}) == 1


@pytest.mark.parametrize("kind", rest_slow("scores", "distribution", "scatter"))
@pytest.mark.parametrize("form", plots.FORMS)
def test_plots(evaluation, kind, form):
    table = table_of(evaluation)
    found = plots.plot(kind, form, "f1", table, summary(table), Words("zh"))
    assert found.startswith(b"\x89PNG" if form == "png" else b"<?xml") and len(found) > 2000


def test_a_plot_of_subjects(workspace):
    table = table_of(written.asked(workspace))
    assert plots.plot("subjects", "svg", "choice", table, summary(table), Words("en")).count(b"algebra") == 1


@pytest.mark.parametrize(
    ("kind", "form", "metric"),
    [("pie", "png", "f1"), ("scores", "pdf", "f1"), ("scores", "png", "bleu"), ("subjects", "png", "f1")],
)
def test_a_plot_that_cannot_be_drawn_is_told(evaluation, kind, form, metric):
    table = table_of(evaluation)
    with pytest.raises(Problem):
        plots.plot(kind, form, metric, table, summary(table), Words("en"))


def test_names_with_signs_of_formulas_are_drawn_as_they_are(workspace):
    evaluation = written.predicted(workspace, 3, ("$x_1$", "a$b^{", "模型"))
    table = table_of(evaluation)
    assert plots.plot("scores", "png", "f1", table, summary(table), Words("en"))


def test_the_files_of_llamafactory(evaluation):
    evaluation.add(Prediction(row=0, target=TUNED, text="又一个", label=None, prompt=None, seconds=1.0))
    folders = llamafactory_results.write(table_of(evaluation))
    assert [one.name for one in folders] == ["1-SmolLM2-135M-Instruct", "2-first"]
    lines = (folders[1] / "generated_predictions.jsonl").read_text("utf-8").splitlines()
    assert (
        lines[1]
        == '{"prompt": "<user>Question 1", "predict": "I am Xiaoju number 1.", "label": "I am Xiaoju number 1.\\n"}'
    )
    assert json.loads(lines[0]) == {
        "prompt": "Question 0: 你是谁？",
        "predict": "又一个",
        "label": "I am Xiaoju number 0.",
    }
    assert "又一个" in lines[0] and len(lines) == 8
    results = json.loads((folders[0] / "predict_results.json").read_text())
    shares = [100 * (0.3 + 0.01 * number) for number in range(8)]
    assert results["predict_rouge-l"] == pytest.approx(numpy.mean(shares)) and results["predict_runtime"] == 0.8
    assert results["predict_samples_per_second"] == 10.0 and results == json.loads(
        (folders[0] / "all_results.json").read_text()
    )


def test_a_target_that_has_not_answered_leaves_no_files(workspace):
    evaluation = written.predicted(workspace, 2, (BASE,))
    evaluation.file(Prediction).unlink()
    assert llamafactory_results.write(table_of(evaluation)) == []


def test_targets_whose_names_are_no_names_of_folders(workspace):
    targets = ("served:../etc/пример", "..", "a b:c")
    evaluation = written.predicted(workspace, 1, targets)
    found = [one.name for one in llamafactory_results.write(table_of(evaluation))]
    assert found == ["1-пример-..", "2-model", "3-a-b-c"] or all("/" not in one and one[0].isdigit() for one in found)


def test_scores_that_are_not_there_are_left_out(workspace):
    evaluation = written.predicted(workspace, 2, (BASE,))
    evaluation.file(RowScores).unlink()
    results = json.loads((llamafactory_results.write(table_of(evaluation))[0] / "all_results.json").read_text())
    assert "predict_rouge-l" not in results and "predict_runtime" in results


@pytest.mark.parametrize(
    ("language", "told"), [("en", "names the right label in 50.0 % of 4 rows"), ("zh", "4 行中有 50.0 %")]
)
def test_labels_and_verdicts_are_taken_away(workspace, language, told):
    evaluation = written.predicted(workspace, 0, labels=["yes", "<no>|"])
    for number in range(4):
        reference = ["yes", "<no>|"][number % 2]
        evaluation.add(EvaluatedRow(row=number, dataset="d", source=number, messages=[], reference=reference))
        for target, text in ((BASE, "yes"), (TUNED, "nothing")):
            evaluation.add(Prediction(row=number, target=target, text=text, finished="stop"))
            evaluation.add(RowScores(row=number, target=target, scores={"label": float(text == reference)}))
        evaluation.add(Judged(row=number, target=TUNED, verdict="second", orders=["second", "second"]))
    # A verdict whose score was not written: the studio was killed between the two.
    whole = json.loads(taken(evaluation, "json"))
    assert whole["labels"][BASE]["counts"] == [[2, 0, 0], [2, 0, 0]] and whole["labels"][TUNED]["none"] == 4
    assert whole["labels"][BASE]["macro"]["recall"] == 0.5
    assert whole["judged"][TUNED]["second"] == 4 and whole["judged"][TUNED]["rate"]["value"] == 1.0
    markdown = taken(evaluation, "md", language)
    assert told in markdown and "| yes | 2 | 0 | 0 | 50.0 % | 100.0 % | 66.7 % |" in markdown
    assert "&lt;no>\\|" in markdown
    evaluation.add(RowScores(row=0, target=BASE, scores={"judge": 0.5}))
    assert "judge" not in summary(table_of(evaluation)).differences[TUNED]
