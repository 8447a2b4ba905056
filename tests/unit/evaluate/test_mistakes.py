"""Rows that went wrong become datasets; texts are shown where they differ; evaluations are laid side by side."""

import json

import evaluation_files as written
import pytest
from evaluation_files import BASE, TUNED

from studio.core.i18n import Problem
from studio.core.jobs import Jobs
from studio.core.workspace import Workspace
from studio.datasets.registry.collection import Collection
from studio.evaluate.evaluation import EvaluatedRow, RowScores
from studio.evaluate.reports import mistakes
from studio.evaluate.reports.row_table import RowTable
from studio.evaluate.reports.side_by_side import side_by_side
from studio.evaluate.reports.word_diff import pieces


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return Workspace(tmp_path).prepare()


@pytest.fixture
def collection(workspace) -> Collection:
    return Collection(workspace, Jobs(workspace))


ROW = EvaluatedRow(
    row=0,
    dataset="d",
    source=1,
    system="Be brief.",
    messages=[
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "Who are you?"},
    ],
    reference="I am Xiaoju.",
)


def lines(collection: Collection, name: str) -> list[dict]:
    return [json.loads(line) for line in collection.find(name).file.read_text("utf-8").splitlines()]


def test_a_corrected_answer_is_put_into_a_dataset_that_is_registered_at_once(collection):
    assert vars(mistakes.correct(ROW, "I am Xiaoju.", collection)) == {"name": "mistakes", "rows": 1}
    assert vars(mistakes.correct(ROW, "我是小橘。", collection)) == {"name": "mistakes", "rows": 2}
    dataset = collection.find("mistakes")
    assert dataset.problem is None and dataset.stage == "sft" and dataset.rows == 2
    found = lines(collection, "mistakes")
    assert [one["value"] for one in found[1]["conversations"]] == ["Hi", "Hello", "Who are you?", "我是小橘。"]
    assert found[0]["system"] == "Be brief."


def test_a_pair_is_put_into_a_dataset_of_preferences(collection):
    mistakes.prefer(ROW, "I am Xiaoju.", "I am SmolLM.", collection, "pairs")
    mistakes.prefer(ROW, "Xiaoju", "Nobody", collection, "pairs")
    assert collection.find("pairs").stage == "dpo" and collection.find("pairs").problem is None
    assert lines(collection, "pairs")[1]["rejected"]["value"] == "Nobody"


@pytest.mark.parametrize(
    "call",
    [
        lambda collection: mistakes.correct(ROW, "  ", collection),
        lambda collection: mistakes.prefer(ROW, "a", "a ", collection),
        lambda collection: mistakes.prefer(ROW, "a", "", collection),
        lambda collection: mistakes.correct(ROW.model_copy(update={"images": ["a.png"]}), "x", collection),
        lambda collection: mistakes.correct(ROW, "x", collection, "identity_en"),
        lambda collection: mistakes.correct(ROW, "x", collection, "../out"),
        lambda collection: (
            mistakes.prefer(ROW, "a", "b", collection, "one"),
            mistakes.correct(ROW, "x", collection, "one"),
        ),
    ],
)
def test_what_cannot_be_taken_is_told_and_nothing_is_left(collection, call):
    before = sorted(path.name for path in collection.folder.iterdir())
    with pytest.raises(Problem):
        call(collection)
    assert {path.name for path in collection.folder.iterdir()} - set(before) <= {"one.jsonl"}


def test_calls_of_tools_come_along(collection):
    messages = [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": "", "calls": [{"name": "weather", "arguments": {"city": "Bern"}}]},
        {"role": "tool", "content": "7"},
    ]
    tools = json.dumps([{"name": "weather", "description": "", "parameters": {"type": "object", "properties": {}}}])
    mistakes.correct(ROW.model_copy(update={"messages": messages, "tools": tools}), "7 degrees", collection)
    assert collection.find("mistakes").problem is None and "weather" in json.dumps(lines(collection, "mistakes")[0])


@pytest.mark.parametrize(
    ("text", "other", "expected"),
    [
        ("I am Xiaoju here", "I am SmolLM here", [("I am ", False), ("Xiaoju", True), (" here", False)]),
        ("我是小橘", "我是小红", [("我是小", False), ("橘", True)]),
        ("same", "same", [("same", False)]),
        ("", "x", []),
        ("a new day", "", [("a new day", True)]),
        ("one two three", "one", [("one", False), (" two three", True)]),
    ],
)
def test_differences_word_by_word(text, other, expected):
    found = [(one.text, one.differs) for one in pieces(text, other)]
    assert "".join(part for part, _ in found) == text
    assert found == expected or [one for one in found if one[0].strip()] == expected


def test_texts_too_long_to_be_compared_are_shown_as_they_are():
    assert [one.differs for one in pieces("a " * 5000, "b " * 5000)] == [False]


def table_of(evaluation) -> RowTable:
    return RowTable(evaluation, evaluation.request().targets)


def test_two_evaluations_beside_each_other(workspace):
    first, second = written.predicted(workspace, 20), written.predicted(workspace, 12, (TUNED,))
    second.add(RowScores(row=7, target=TUNED, scores={"f1": 0.0, "lf_rougel": 0.0}))
    found = side_by_side(table_of(first), table_of(second), BASE)
    assert (found.common, found.only_first, found.only_second) == (12, 8, 0)
    assert (found.first_target, found.second_target, found.metric) == (BASE, TUNED, "lf_rougel")
    assert found.pairs[0] == (7, 7) and len(found.pairs) == 12
    f1 = next(one for one in found.scores if one.metric == "f1")
    assert f1.first.count == 12 and f1.difference.value < 0
    same = side_by_side(table_of(first), table_of(first), TUNED, TUNED)
    assert same.common == 20 and all(one.difference.is_better is None for one in same.scores)


def test_a_question_that_comes_twice_is_matched_twice(workspace):
    first, second = written.predicted(workspace, 0), written.predicted(workspace, 0)
    for evaluation in (first, second):
        for number in range(3):
            evaluation.add(
                EvaluatedRow(row=number, dataset="d", source=number, messages=[{"role": "user", "content": "Same"}])
            )
    assert side_by_side(table_of(first), table_of(second)).pairs == ((0, 0), (1, 1), (2, 2))


@pytest.mark.parametrize(
    "fields",
    [
        [{"images": [f"/data/{number}.png"]} for number in range(3)],
        [{"tools": f'[{{"name": "tool{number}"}}]'} for number in range(3)],
        [{"system": f"Be {number}."} for number in range(3)],
        [{"choices": ["a", str(number)]} for number in range(3)],
    ],
)
def test_a_row_is_the_same_where_all_is_that_belongs_to_its_question(workspace, fields):
    first, second = written.predicted(workspace, 0), written.predicted(workspace, 0)
    messages = [{"role": "user", "content": "<image>What is this?"}]
    for evaluation, order in ((first, (0, 1, 2)), (second, (2, 0, 1))):
        for number, place in enumerate(order):
            row = EvaluatedRow(row=number, dataset="d", source=place, messages=messages, **fields[place])
            evaluation.add(row)
    assert side_by_side(table_of(first), table_of(second)).pairs == ((0, 1), (1, 2), (2, 0))


def test_evaluations_that_share_nothing_are_told(workspace):
    with pytest.raises(Problem):
        side_by_side(table_of(written.predicted(workspace, 3)), table_of(written.asked(workspace, 3)))
    with pytest.raises(Problem):
        side_by_side(table_of(written.predicted(workspace, 3)), table_of(written.predicted(workspace, 3)), "nobody")
