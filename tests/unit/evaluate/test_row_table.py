"""The table of an evaluation's rows: pages, orders, filters, search, and growth while it is written."""

import evaluation_files as written
import pytest
from evaluation_files import BASE, TUNED

from studio.core.i18n import Problem
from studio.core.workspace import Workspace
from studio.evaluate.evaluation import EvaluatedRow, Prediction, RowScores
from studio.evaluate.reports.row_query import RowQuery
from studio.evaluate.reports.row_table import RowTable


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return Workspace(tmp_path).prepare()


@pytest.fixture
def evaluation(workspace):
    return written.predicted(workspace)


@pytest.fixture
def table(evaluation) -> RowTable:
    return RowTable(evaluation, evaluation.request().targets)


def numbers(table: RowTable, **query) -> list[int]:
    return [row.number for row in table.page(RowQuery(**query), 0, 100).rows]


def test_a_page_holds_rows_with_their_answers_and_scores(table):
    page = table.page(RowQuery(), 2, 3)
    assert (page.total, page.all, page.offset) == (6, 6, 2)
    first = page.rows[0]
    assert first.number == 2 and first.row.source == 12 and first.predictions[BASE].cut
    assert first.predictions[TUNED].text == "I am Xiaoju number 2." and first.scores[BASE]["f1"] == pytest.approx(0.32)
    assert first.losses == {} and table.row(2).losses[BASE].pieces == ["I", " am", " X"]


def test_a_row_has_the_scores_that_the_summary_is_made_of(table, evaluation):
    """A judge adds a line of its own to the scores of an answer; the loss stands in another file."""
    evaluation.add_all([RowScores(row=row, target=TUNED, scores={"judge": 1.0}) for row in range(5)])
    evaluation.add(RowScores(row=5, target=TUNED, scores={"judge": None}))
    for rows in (table.page(RowQuery(), 0, 6).rows, [table.row(number) for number in range(6)]):
        for one in rows:
            assert set(one.scores[BASE]) == {"f1", "lf_rougel", "loss"}
            assert set(one.scores[TUNED]) == {"f1", "lf_rougel", "loss"} | ({"judge"} if one.number < 5 else set())
            for code, target in enumerate((BASE, TUNED)):
                for metric, value in one.scores[target].items():
                    assert value == table.column(metric)[one.number, code]
    assert table.row(9).scores == {}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"sort": "-f1"}, [5, 4, 3, 2, 1, 0]),
        ({"sort": "f1", "target": TUNED}, [5, 0, 1, 2, 3, 4]),
        ({"sort": "change:f1"}, [5, 0, 1, 2, 3, 4]),
        ({"sort": "-change:f1"}, [0, 1, 2, 3, 4, 5]),
        ({"sort": "change:loss"}, [0, 1, 2, 3, 4, 5]),
        ({"dataset": "alpaca"}, [0, 2, 4]),
        ({"dataset": "nowhere"}, []),
        ({"trained": "yes"}, [1]),
        ({"trained": "no"}, [0, 2, 3, 4, 5]),
        ({"trained": "yes", "target": BASE}, []),
        ({"wrong": True, "target": TUNED}, [5]),
        ({"metric": "f1", "low": 0.0, "high": 0.2}, [5]),
        ({"metric": "f1", "low": 0.8, "target": BASE}, []),
        ({"find": "NUMBER 3"}, [3]),
        ({"find": "你是谁"}, [0, 1, 2, 3, 4, 5]),
        ({"find": "messages"}, []),
        ({"find": '"'}, []),
        ({"find": "xiaoju", "dataset": "identity", "sort": "-f1"}, [5, 3, 1]),
    ],
)
def test_orders_and_filters(table, query, expected):
    found = numbers(table, **query)
    assert found == expected


def test_what_is_not_there_is_told(table):
    for query in ({"sort": "bleu"}, {"metric": "-"}, {"target": "nobody", "sort": "f1"}):
        with pytest.raises(Problem):
            table.page(RowQuery(**query))


def test_a_question_survives_its_address():
    query = RowQuery("-change:f1", TUNED, "数据", "law", "no", True, "f1", 0.0, 0.5, "a&b=c")
    assert RowQuery.parse(query.address(40)) == (query, 40)
    assert RowQuery.parse("offset=-1&low=x&high=inf&wrong=2") == (RowQuery(), 0)


def test_the_table_grows_with_its_files(table, evaluation):
    assert len(numbers(table)) == 6
    evaluation.add(EvaluatedRow(row=6, dataset="new", source=0, messages=[], reference="r"))
    evaluation.add(Prediction(row=6, target=BASE, text="first try", finished="failed"))
    evaluation.add(Prediction(row=6, target=BASE, text="second try"))
    evaluation.add(RowScores(row=6, target=BASE, scores={"f1": 1.0, "exact": 1.0}))
    page = table.page(RowQuery(dataset="new"))
    assert [row.number for row in page.rows] == [6] and page.rows[0].predictions[BASE].text == "second try"
    assert numbers(table, sort="-f1")[0] == 6 and numbers(table, sort="-exact")[0] == 6
    assert numbers(table, find="second") == [6]


def test_scores_that_are_written_anew_replace_the_old(table, evaluation):
    assert numbers(table, sort="-f1")[0] == 5
    whole = evaluation.file(RowScores)
    beside = whole.with_name("other")
    beside.write_text(
        "".join(f'{{"row": {row}, "target": "{BASE}", "scores": {{"chrf": {-row}}}}}\n' for row in range(6))
    )
    beside.replace(whole)
    assert numbers(table, sort="-chrf") == [0, 1, 2, 3, 4, 5]
    with pytest.raises(Problem):
        numbers(table, sort="f1")


@pytest.mark.parametrize(
    "line",
    [
        '{"row": 0, "target": "nobody", "text": "x"}',
        '{"row": 99999999999, "target": "SmolLM2-135M-Instruct"}',
        '{"row": 30000000, "target": "SmolLM2-135M-Instruct"}',
        '{"row": -1, "target": "SmolLM2-135M-Instruct"}',
        '{"row": true, "target": "SmolLM2-135M-Instruct"}',
        '{"row": "0", "target": "SmolLM2-135M-Instruct"}',
        '{"target": {}, "row": 0}',
        "[0]",
        "nonsense",
        "null",
    ],
)
def test_lines_that_are_no_records_are_passed_over_and_counted(table, evaluation, line):
    for kind in (Prediction, RowScores):
        with open(evaluation.file(kind), "a") as file:
            file.write(line + "\n" + '{"row": 0, "tar')  # what a killed process leaves
        evaluation.add(
            Prediction(row=0, target=BASE, text="later")
            if kind is Prediction
            else RowScores(row=0, target=BASE, scores={"f1": 2.0})
        )
    assert table.page(RowQuery()).rows[0].predictions[BASE].text == "later"
    assert numbers(table, sort="-f1")[0] == 0
    assert table.predictions.unusable == 1


def test_the_order_of_fields_does_not_matter(table, evaluation):
    with open(evaluation.file(Prediction), "a") as file:
        file.write(f'{{"text":"other form","target":"{TUNED}","row":3}}\n')
    assert table.page(RowQuery(), 3, 1).rows[0].predictions[TUNED].text == "other form"


@pytest.mark.parametrize("value", ['"x"', "null", "[1]", "{}", "1e999", "NaN", "true", "9" * 400])
def test_a_score_that_is_no_number_is_none(table, evaluation, value):
    with open(evaluation.file(RowScores), "a") as file:
        file.write(f'{{"row": 0, "target": "{BASE}", "scores": {{"f1": {value}}}}}\n')
    assert numbers(table, sort="f1")[-1] == 0 or value == "true"
    assert table.page(RowQuery(sort="f1"), 0, 6).total == 6


def test_a_row_whose_fields_are_wrong_is_told_as_that(table, evaluation):
    with open(evaluation.file(EvaluatedRow), "a") as file:
        file.write('{"row": 6, "dataset": 5, "source": "x"}\n')
    row = table.page(RowQuery(), 6, 1).rows[0]
    assert row.number == 6 and row.row is None


def test_many_rows(workspace):
    evaluation = written.predicted(workspace, 1)
    written.many(evaluation, 3000)
    table = RowTable(evaluation, evaluation.request().targets)
    page = table.page(RowQuery(), 2990, 20)
    assert [row.number for row in page.rows] == list(range(2990, 3000))
    assert all(row.predictions[TUNED].text == f"I am Xiaoju number {row.number}." for row in page.rows)
    assert numbers(table, sort="change:f1")[0] == 2999
