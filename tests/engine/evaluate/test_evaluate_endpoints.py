"""Everything that a script can do with evaluations, on evaluations that stand on disk."""

import base64
import json
import re
from html import unescape

import evaluation_files as written
import pytest
from conftest import SMALL, wait_for
from endpoint_calls import by_name, closing_studio, refused
from evaluation_files import BASE, TUNED

from studio.core.i18n import Words
from studio.web.live import RegionOptions


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    return closing_studio(tmp_path_factory.mktemp("evaluate"))


@pytest.fixture(scope="module")
def call(studio):
    return by_name(studio)


@pytest.fixture
def answered(studio):
    return written.predicted(studio.workspace, 30, title="identity")


def test_a_result_is_that_of_the_design(call, answered):
    found = call.evaluate_result(answered.id, 5, 3, "change:f1")
    assert found["state"] in ("interrupted", "finished") and found["total"] == 30 and len(found["rows"]) == 3
    score = found["scores"][TUNED]["f1"]
    assert score["low"] <= score["value"] <= score["high"] and score["difference"]["is_better"] is True
    assert found["sentences"] and found["headline"] == "lf_rougel" and found["counts"][BASE]["answered"] == 30
    assert json.dumps(found)


def test_rows_are_filtered_and_one_is_told_whole(call, answered):
    found = call.evaluate_rows(answered.id, {"dataset": "alpaca", "sort": "-f1", "target": TUNED}, 0, 5)
    assert (found["total"], found["all"], len(found["rows"])) == (15, 30, 5)
    row = call.evaluate_row(answered.id, 1)
    assert row["messages"][0]["content"] == "Question 1: 你是谁？" and row["losses"][BASE]["pieces"] == [
        "I",
        " am",
        " X",
    ]
    assert "no row 99" in refused(call.evaluate_row, answered.id, 98)
    assert "nope" in refused(call.evaluate_rows, answered.id, {"sort": "nope"})
    assert refused(call.evaluate_rows, answered.id, {"unknown": 1})


@pytest.mark.parametrize("form", ["csv", "json", "md"])
def test_an_export_is_text(call, answered, form):
    found = call.evaluate_export(answered.id, form)
    assert found["name"] == f"{answered.id}.{form}" and "Xiaoju" in found["text"] or form == "md"


@pytest.mark.parametrize("form", ["png", "svg"])
def test_a_plot_is_bytes(call, answered, form):
    content = base64.b64decode(call.evaluate_export(answered.id, form, "distribution", "f1")["base64"])
    assert content.startswith(b"\x89PNG" if form == "png" else b"<?xml")


def test_what_cannot_be_exported_is_told(call, answered):
    assert refused(call.evaluate_export, answered.id, "xls")
    assert refused(call.evaluate_export, answered.id, "png", "pie")


def test_mistakes_become_datasets(call, answered, studio):
    added = call.evaluate_mistakes(answered.id, 3, "I am Xiaoju.", "put_right")
    assert (added["name"], added["rows"]) == ("put_right", 1) and "put_right" in added["told"]
    assert call.evaluate_mistakes(answered.id, 4, "Better.", "two_sides", "Worse.")["rows"] == 1
    assert studio.evaluate.collection.find("two_sides").stage == "dpo"
    assert refused(call.evaluate_mistakes, answered.id, 3, " ", "put_right")


def test_two_are_compared(call, answered, studio):
    other = written.predicted(studio.workspace, 10)
    found = call.evaluate_compare(answered.id, other.id, BASE, TUNED, 0, 2)
    assert (found["common"], found["only_first"], len(found["rows"])) == (10, 20, 2)
    assert found["scores"]["f1"]["difference"]["is_better"] is True


def test_the_list_and_what_is_changed(call, answered, studio):
    call.evaluate_result(answered.id)
    listed = next(one for one in call.evaluate_list() if one["evaluation"] == answered.id)
    assert (listed["title"], listed["kind"], listed["metric"]) == ("identity", "predict", "lf_rougel")
    assert call.evaluate_rename(answered.id, "renamed") == {"title": "renamed", "note": ""}
    assert call.evaluate_rename(answered.id, None, "why")["note"] == "why"
    assert call.evaluate_stop(answered.id)["state"] == "interrupted"
    assert call.evaluate_delete(answered.id)["item"]
    assert all(one["evaluation"] != answered.id for one in call.evaluate_list())
    for gone in (call.evaluate_result, call.evaluate_stop, call.evaluate_resume, call.evaluate_delete):
        assert answered.id in refused(gone, answered.id)


def test_one_that_cannot_be_read_is_listed_with_the_reason(call, answered):
    (answered.folder / "request.json").write_text("{}")
    listed = next(one for one in call.evaluate_list() if one["evaluation"] == answered.id)
    assert listed["state"] == "unreadable" and listed["problem"]


def test_a_wrong_start_is_told_in_a_sentence(call, studio):
    before = len(studio.evaluate.service.evaluations.all())
    assert refused(call.evaluate_predict, [], ["identity_en"])
    assert refused(call.evaluate_predict, [BASE], [])
    assert refused(call.evaluate_predict, [BASE], ["nowhere"])
    assert refused(call.evaluate_predict, ["nobody"], ["identity_en"])
    assert refused(call.evaluate_predict, [BASE], ["identity_en"], {"rows": -1})
    assert refused(call.evaluate_checkpoints, TUNED, ["identity_en"])
    assert refused(call.evaluate_benchmark, [BASE], ["nowhere"])
    assert refused(call.evaluate_benchmark, [BASE], ["nowhere"], 6)
    assert len(studio.evaluate.service.evaluations.all()) == before


def test_a_model_is_really_asked_and_its_report_comes(call):
    settings = {"rows": 3, "max_tokens": 6, "title": "short"}
    id = call.evaluate_predict([SMALL], ["identity_en"], settings)["evaluation"]
    over = ("finished", "failed", "stopped", "interrupted")
    found = wait_for(lambda: (one := call.evaluate_result(id))["state"] in over and one, 240, 0.5)
    assert found["state"] == "finished" and found["error"] is None and found["total"] == 3
    assert found["scores"][SMALL]["loss"]["value"] > 0 and found["scores"][SMALL]["lf_rougel"]["count"] == 3
    assert all(row["answers"][SMALL]["text"] for row in found["rows"]) and found["sentences"]
    assert found["rows"][0]["reference"] in call.evaluate_export(id, "json")["text"].replace('\\"', '"')
    assert call.evaluate_row(id, 0)["losses"][SMALL]["pieces"]


def test_scores_and_benchmarks_are_told(call):
    found = {one["key"]: one for one in call.evaluate_metrics()}
    assert found["f1"]["unit"] == "share" and found["loss"]["higher_is_better"] is False and found["chrf"]["about"]
    assert {"mmlu", "ceval", "cmmlu"} <= {one["name"] for one in call.evaluate_tasks()}


def test_a_benchmark_is_brought_in_and_put_away(call, studio):
    lines = [
        {"question": f"What is {number}?", "A": "a", "B": "b", "C": "c", "D": "d", "answer": "B", "subject": "law"}
        for number in range(4)
    ]
    (studio.workspace.data / "own.json").write_text(json.dumps(lines))
    assert call.evaluate_task_add("own.json") == {"name": "own", "questions": 4}
    assert next(one for one in call.evaluate_tasks() if one["name"] == "own")["is_here"]
    assert refused(call.evaluate_task_add, "own.json") and refused(call.evaluate_task_add, "/etc/passwd")
    assert call.evaluate_task_delete("own")["item"]
    assert refused(call.evaluate_task_delete, "own") and refused(call.evaluate_task_delete, "../x")
    assert refused(call.evaluate_fetch, "nothing") and refused(call.evaluate_fetch, "mmlu", "elsewhere")


def test_an_own_score_is_read_and_allowed(studio, call):
    assert call.evaluate_own_metrics() == []
    file = studio.workspace.metrics / "half.py"
    file.parent.mkdir()
    file.write_text("def score(prediction, reference, row):\n    return 0.5  # <b>\n", encoding="utf-8")
    (found,) = call.evaluate_own_metrics()
    assert found["key"] == "own:half" and not found["allowed"] and "return 0.5" in found["code"]
    assert refused(call.evaluate_predict, [BASE], ["identity"], {"metrics": ["own:half"]})
    assert refused(call.evaluate_metric_trust, "half", True, "another") and refused(
        call.evaluate_metric_trust, "../x", True
    )
    assert call.evaluate_metric_trust("half", True, found["digest"])["allowed"]
    region = RegionOptions(name="evaluation-metrics", arg="")
    (drawn,) = studio.live.answer(Words("en"), [region])
    assert "own:half" in str(drawn) and "<b>" not in str(drawn)
    assert not call.evaluate_metric_trust("half", False)["allowed"]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_region_is_drawn(studio, answered, language):
    asked = written.asked(studio.workspace)
    steps = written.predicted(studio.workspace, 4, (BASE, f"{TUNED}@checkpoint-1", f"{TUNED}@checkpoint-2"))
    regions = [("evaluations", ""), ("evaluation-metrics", ""), ("evaluation-tasks", ""), ("run-evaluations", "")]
    for one in (answered, asked, steps):
        regions += [("evaluation", one.id), ("evaluation-summary", one.id), ("evaluation-summary", f"{one.id}\nloss")]
        regions += [("evaluation-rows", one.id), ("evaluation-rows", f"{one.id}\nsort=change:f1&open=1&wrong=1")]
        regions += [("evaluation-rows", f"{one.id}\nopen=2"), ("evaluation-beside", f"{one.id}\nother={answered.id}")]
    words = Words(language)
    drawn = studio.live.answer(words, [RegionOptions(name=name, arg=arg) for name, arg in regions])
    for (name, arg), one in zip(regions, drawn, strict=True):
        assert words("app.region_failed") not in one.html, (name, arg)
    html = studio.live.answer(words, [RegionOptions(name="evaluation-summary", arg=steps.id)])[0].html
    plots = re.findall(r'id="plot-(\w+)" data-plot="([^"]*)"', html)
    told = {name: json.loads(unescape(text)) for name, text in plots}
    assert told.keys() == {"steps", "distribution", "scatter"} and "checkpoint-2" in html
    assert len(told["steps"]["lines"]) == 2  # the score and the loss of the references
