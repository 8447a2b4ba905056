"""The plots of a report as the page's script takes them: a distribution, a scatter, a score by training step."""

import json

import evaluation_files as written
import pytest
from evaluation_files import BASE, TUNED

from studio.core.i18n import Words
from studio.core.workspace import Workspace
from studio.evaluate.evaluation import RowScores
from studio.evaluate.page.report import charts
from studio.evaluate.reports.row_table import RowTable
from studio.evaluate.reports.summary import summary

CHECKPOINTS = tuple(f"{TUNED}@checkpoint-{step}" for step in (10, 20, 30))


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return Workspace(tmp_path).prepare()


def table_of(evaluation) -> RowTable:
    return RowTable(evaluation, evaluation.request().targets)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_distribution_has_an_outline_for_each_model_in_the_unit_of_the_table(workspace, language):
    told = charts.distribution(table_of(written.predicted(workspace, 40)), "f1").told(Words(language))
    assert [line["name"] for line in told["lines"]] == [BASE, "first"] and told["unit"] == " %"
    assert (told["places"][0], told["places"][-1]) == (0, 100)
    assert all(sum(line["values"]) == 40 and len(line["values"]) == len(told["places"]) - 1 for line in told["lines"])
    assert json.loads(json.dumps(told, allow_nan=False)) == told and "{" not in told["title"]


def test_each_dot_of_a_scatter_is_a_row(workspace):
    table = table_of(written.predicted(workspace, 40))
    plot = charts.scattered(table, "f1", TUNED).plot
    assert plot.places == tuple(sorted(plot.places)) and sorted(plot.rows) == list(range(1, 41))
    column = table.column("f1")
    for row, across, up in zip(plot.rows, plot.places, plot.lines[1].values, strict=True):
        assert (across, up) == pytest.approx(tuple(100 * column[row - 1]))


def test_a_score_by_step_stands_beside_the_losses_and_the_best_is_named(workspace):
    evaluation = written.predicted(workspace, 6, CHECKPOINTS)
    for place, target in enumerate(CHECKPOINTS):
        evaluation.add_all(
            [RowScores(row=row, target=target, scores={"f1": (0.2, 0.9, 0.4)[place]}) for row in range(6)]
        )
    made = summary(table_of(evaluation))
    found = charts.steps(made, "f1", [[5, 3.0], [20, 2.0], [25, None]])
    assert found.best == CHECKPOINTS[1]
    plot = found.plot
    assert plot.places == (5, 10, 20, 30)
    assert plot.lines[0].values == (None, pytest.approx(20), pytest.approx(90), pytest.approx(40))
    assert plot.lines[1].values == (3.0, None, 2.0, None) and plot.lines[1].scale == "right"
    assert charts.steps(made, "loss", []).best in CHECKPOINTS
    assert charts.steps(summary(table_of(written.predicted(workspace))), "f1", []) is None
