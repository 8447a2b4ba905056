"""The folder of an evaluation: what is written is read again, and what cannot be used is passed over and counted."""

import pytest

from studio.core.i18n import Problem
from studio.core.workspace import Workspace
from studio.evaluate.evaluation import EvaluatedRow, Prediction, latest
from studio.evaluate.evaluations import Evaluations
from studio.evaluate.settings import PredictSettings


@pytest.fixture
def evaluations(tmp_path) -> Evaluations:
    return Evaluations(Workspace(tmp_path).prepare())


def made(evaluations: Evaluations, **settings):
    return evaluations.create("predict", ["base"], ["identity"], PredictSettings(**settings))


def test_what_is_written_is_read_again(evaluations):
    evaluation = made(evaluations, title="  first  ")
    evaluation.add(EvaluatedRow(row=0, dataset="identity", source=3, reference="I am \ud800 here"))
    evaluation.add_all([Prediction(row=0, target="base", text="一"), Prediction(row=0, target="base", text="二")])
    found = evaluations.find(evaluation.id)
    assert found.request().title == "first" and found.request().settings.rows == 100
    assert found.read(EvaluatedRow)[0].reference == "I am \ufffd here"
    assert latest(found.read(Prediction))[0, "base"].text == "二"


@pytest.mark.parametrize(
    "line", ['{"row": -1, "target": "x"}', "[1]", "nonsense", '{"row": "NaN"}', '{"target": {}}', "null"]
)
def test_a_line_that_cannot_be_used_is_counted(evaluations, line):
    evaluation = made(evaluations)
    evaluation.add(Prediction(row=1, target="base"))
    with open(evaluation.file(Prediction), "a") as file:
        file.write(line + "\n" + '{"row": 2, "tar')  # the second is what a killed process leaves
    evaluation.add(Prediction(row=3, target="base"))
    assert evaluation.done(Prediction) == {(1, "base"), (3, "base")}
    assert evaluation.unreadable(Prediction) == 1


def test_a_failed_answer_is_not_done(evaluations):
    evaluation = made(evaluations)
    evaluation.add(Prediction(row=1, target="base", finished="failed"))
    assert not evaluation.done(Prediction)


@pytest.mark.parametrize("text", ["", "[]", '{"id": "x"}', '{"kind": 3}'])
def test_a_request_that_is_none_is_told(evaluations, text):
    evaluation = made(evaluations)
    (evaluation.folder / "request.json").write_text(text)
    with pytest.raises(Problem):
        evaluations.find(evaluation.id).request()
    assert [one.id for one in evaluations.all()] == [evaluation.id]


def test_title_and_note_change_and_a_deleted_one_is_gone(evaluations):
    evaluation = made(evaluations)
    evaluations.rename(evaluation.id, title="renamed", note="why")
    assert (evaluation.request().title, evaluation.request().note) == ("renamed", "why")
    evaluations.delete(evaluation.id)
    with pytest.raises(Problem):
        evaluations.find(evaluation.id)
    for id in ("../x", "no", "/etc"):
        with pytest.raises(Problem):
            evaluations.find(id)
