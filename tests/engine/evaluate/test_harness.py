"""Tasks of lm-eval described in the workspace: asked in process, scored by it, gone on with; what they cannot do."""

import json
import math

import pytest
from conftest import SMALL, new_workspace, rest_slow
from random_runs import random_run

from studio.core.device_lease import DeviceLease
from studio.core.i18n import Problem
from studio.core.jobs import Job, Stopped
from studio.evaluate.benchmarks import benchmark_run, harness_model, harness_tasks, tasks
from studio.evaluate.evaluation import EvaluatedRow, Prediction, RowScores
from studio.evaluate.evaluations import Evaluations
from studio.evaluate.models_in_use import ModelsInUse
from studio.evaluate.settings import BenchmarkSettings
from studio.inference.remote.servers import ServerRegistry

CHOICE = """
task: colours
dataset_path: json
dataset_kwargs:
  data_files: {test: colours.jsonl, dev: shots.jsonl}
output_type: multiple_choice
test_split: test
fewshot_split: dev
description: "Name the colour.\\n\\n"
doc_to_text: "What is the colour of {{thing}}?"
doc_to_choice: "{{options}}"
doc_to_target: "{{options.index(right)}}"
metric_list:
  - metric: acc
  - metric: acc_norm
"""
WORDS = """
dataset_kwargs:
  data_files: {test: colours.jsonl}
output_type: generate_until
doc_to_text: "Say {{right}} and nothing else."
doc_to_target: "{{right}}"
generation_kwargs: {until: ["."], max_gen_toks: 8, do_sample: false}
metric_list:
  - metric: exact_match
    ignore_case: true
"""
COLOURS = [("the sky", "blue"), ("grass", "green"), ("snow", "white"), ("coal", "black"), ("a lemon", "yellow")]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    workspace = new_workspace(tmp_path_factory.mktemp("harness") / "workspace")
    folder = workspace.data / "benchmarks"
    folder.mkdir()
    names = [colour for _, colour in COLOURS]
    rows = [{"thing": thing, "right": colour, "options": names} for thing, colour in COLOURS]
    (folder / "colours.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "shots.jsonl").write_text(json.dumps(rows[0] | {"thing": "the sea"}))
    (folder / "colours.yaml").write_text(CHOICE)
    (folder / "words.yaml").write_text(WORDS)
    return workspace


@pytest.fixture(scope="module")
def models(workspace):
    models = ModelsInUse(workspace, DeviceLease(), ServerRegistry(workspace))
    yield models
    models.close()


def started(workspace, parts, targets=(SMALL,), **settings):
    settings = BenchmarkSettings(**{"shots": 1, "batch": 2} | settings)
    evaluation = Evaluations(workspace).create("benchmark", list(targets), parts, settings)
    job = Job("evaluate-test", "evaluate", "evaluate.job", {})
    job._folder = evaluation.folder
    return evaluation, job


def test_an_own_task_is_asked_and_scored_as_lm_eval_does(workspace, models):
    import threading

    from lm_eval.evaluator import evaluate

    from studio.evaluate.benchmarks.harness_model import language_model

    evaluation, job = started(workspace, ["lm-eval:colours"])
    benchmark_run.run(evaluation, models, job)
    rows, found = evaluation.read(EvaluatedRow), evaluation.read(Prediction)
    assert (rows[1].messages[0]["content"], rows[1].answer, rows[1].reference) == (
        "What is the colour of grass?",
        "B",
        "green",
    )
    task = harness_tasks.open_tasks(workspace, "lm-eval:colours", 1)
    (loaded,) = models.local([SMALL])
    model = language_model(loaded, 2, threading.Event())
    results = evaluate(model, task, bootstrap_iters=0, apply_chat_template=True, fewshot_as_multiturn=True)
    theirs = {one["doc_id"]: one["acc"] for one in results["samples"]["lm-eval:colours"]}
    assert {one.row: one.scores["choice"] for one in evaluation.read(RowScores)} == theirs
    assert {one.row: float(one.choice == rows[one.row].answer) for one in found} == theirs
    assert 0 < sum(theirs.values())


def test_answers_in_words_are_asked_and_scored(workspace, models):
    evaluation, job = started(workspace, ["lm-eval:words"])
    benchmark_run.run(evaluation, models, job)
    found = {one.row: one.text for one in evaluation.read(Prediction)}
    scores = {one.row: one.scores["choice"] for one in evaluation.read(RowScores)}
    assert len(found) == 5 and all("." not in text for text in found.values())
    assert scores == {
        row: float(text.strip().lower() == COLOURS[row][1]) or float(text.lower() == COLOURS[row][1])
        for row, text in found.items()
    }


def test_a_thought_is_no_answer_and_is_shown_beside_it(workspace, models, monkeypatch):
    monkeypatch.setattr(harness_model, "_until", lambda text, options: "Is it red? </think> blue")
    evaluation, job = started(workspace, ["lm-eval:words"])
    benchmark_run.run(evaluation, models, job)
    assert {one.row: one.scores["choice"] for one in evaluation.read(RowScores)} == {0: 1, 1: 0, 2: 0, 3: 0, 4: 0}
    assert {one.text for one in evaluation.read(Prediction)} == {"Is it red? </think> blue"}


def test_a_model_that_computes_no_numbers_chooses_nothing(workspace, models):
    """Of numbers that are none the first is the largest: a run that has diverged would choose A each time."""
    diverged = random_run(workspace, "diverged", model=SMALL, strength=math.inf).name
    evaluation, job = started(workspace, ["lm-eval:colours"], (SMALL, diverged))
    benchmark_run.run(evaluation, models, job)
    found = evaluation.read(Prediction)
    assert all(one.fault is None and one.choice for one in found if one.target == SMALL)
    for one in (one for one in found if one.target == diverged):
        assert one.finished == "failed" and one.fault == {
            "key": "benchmarks.no_numbers",
            "facts": {"speaker": diverged},
        }
    assert evaluation.done(Prediction) == {(row, SMALL) for row in range(5)} and len(found) == 10


def test_a_task_that_was_stopped_goes_on(workspace, models, monkeypatch):
    evaluation, job = started(workspace, ["lm-eval:colours"])
    real = benchmark_run._scored_prediction

    def stopping(one, target):
        job.cancelled.set()
        return real(one, target)

    monkeypatch.setattr(benchmark_run, "_scored_prediction", stopping)
    with pytest.raises(Stopped):
        benchmark_run.run(evaluation, models, job)
    assert len(evaluation.read(Prediction)) == 2
    monkeypatch.setattr(benchmark_run, "_scored_prediction", real)
    job.cancelled.clear()
    benchmark_run.run(evaluation, models, job)
    assert sorted(one.row for one in evaluation.read(Prediction)) == list(range(5))


WRONG = {
    "code": (CHOICE + "process_docs: !function utils.run\n", "records.no_yaml"),
    "an unknown field": (CHOICE + "process_docs: run\n", "records.wrong_field"),
    "a metric from a hub": (CHOICE.replace("acc_norm", "someone/metric"), "records.wrong_field"),
    "a script for the data": (CHOICE.replace("dataset_path: json", "dataset_path: someone/set"), "records.wrong_field"),
    "a file outside": (CHOICE.replace("colours.jsonl", "../../../etc/passwd"), "workspace.leads_out"),
    "a split without a file": (CHOICE.replace("test_split: test", "test_split: val"), "benchmarks.no_split"),
    "a field that no row has": (CHOICE.replace("{{thing}}", "{{nothing}}"), "benchmarks.task_row"),
    "a template that reaches out": (
        CHOICE.replace("{{thing}}", "{{ ''.__class__.__mro__[1].__subclasses__() }}"),
        "benchmarks.task_row",
    ),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_a_description_cannot_do_is_told(workspace, models, kind):
    text, key = WRONG[kind]
    (workspace.data / "benchmarks" / "wrong.yaml").write_text(text)
    evaluation, job = started(workspace, ["lm-eval:wrong"])
    with pytest.raises(Problem) as caught:
        benchmark_run.run(evaluation, models, job)
    assert caught.value.key in (key, "benchmarks.task_broken"), str(caught.value)
    assert not evaluation.file(EvaluatedRow).exists()


def test_own_tasks_are_listed_with_what_is_wrong_in_them(workspace):
    (workspace.data / "benchmarks" / "wrong.yaml").write_text(WRONG["an unknown field"][0])
    found = {one.name: one for one in tasks.tasks(workspace)}
    assert (found["lm-eval:colours"].questions, found["lm-eval:colours"].problem) == (5, None)
    assert found["lm-eval:wrong"].problem.key == "records.wrong_field"
    tasks.require(workspace, "lm-eval:colours")
    for name in ("lm-eval:wrong", "lm-eval:../x", "none"):
        with pytest.raises(Problem):
            tasks.require(workspace, name)


@pytest.mark.parametrize(
    ("part", "target", "key"),
    rest_slow(
        ("lm-eval:colours", "served:x/m", "benchmarks.harness_served"),
        # Reads the thousands of files of lm-eval; the one before refuses names of which it knows without.
        ("lm-eval:no_such_task", SMALL, "benchmarks.no_task"),
    ),
)
def test_a_served_model_is_not_asked_and_an_unknown_task_is_told(workspace, models, part, target, key):
    evaluation, job = started(workspace, [part], [target])
    with pytest.raises(Problem) as caught:
        benchmark_run.run(evaluation, models, job)
    assert caught.value.key == key
