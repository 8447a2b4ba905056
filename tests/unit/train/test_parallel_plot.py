"""Compared runs as parallel coordinates: where a value stands, and what has no plot."""

from dataclasses import dataclass

import pytest

from studio.train.page.runs.parallel_plot import HEIGHT, TOP, parallel_plot


@dataclass
class Row:
    name: str
    loss: float | None
    best: tuple[str, ...] = ()
    colour: int = 0

    @property
    def title(self) -> str:
        return self.name


ROWS = [Row("a", 2.0), Row("b", 1.0, best=("loss",)), Row("c", 1.5)]


def heights(settings: dict[str, list]) -> dict[str, list[float]]:
    plot = parallel_plot(ROWS, settings, "loss")
    return {line.run: [float(point.split(",")[1]) for point in line.points.split()] for line in plot.lines}


def test_the_greatest_number_stands_on_top_and_the_best_run_is_drawn_last():
    plot = parallel_plot(ROWS, {"lora_rank": [4, 8, 6]}, "loss")
    assert [line.run for line in plot.lines] == ["a", "c", "b"] and plot.lines[-1].is_best
    assert heights({"lora_rank": [4, 8, 6]}) == {
        "a": [TOP + HEIGHT, TOP],
        "b": [TOP, TOP + HEIGHT],
        "c": [TOP + HEIGHT / 2, TOP + HEIGHT / 2],
    }


def test_numbers_over_orders_of_magnitude_stand_by_their_logarithm():
    found = heights({"learning_rate": [1e-5, 1e-3, 1e-4]})
    assert found["c"][0] == pytest.approx(TOP + HEIGHT / 2, abs=0.1)
    found = heights({"learning_rate": [0.0, 1e-3, 1e-4]})
    assert found["c"][0] == pytest.approx(TOP + HEIGHT * 0.9, abs=0.1)


def test_texts_stand_apart_and_what_is_not_said_is_left_out():
    plot = parallel_plot(ROWS, {"optim": ["adamw", "sgd", None], "packing": [True, False, True]}, "loss")
    assert [text for _, text in plot.axes[0].ticks] == ["adamw", "sgd"]
    assert [text for _, text in plot.axes[1].ticks] == ["True", "False"]
    assert {line.run: len(line.points.split()) for line in plot.lines} == {"a": 3, "b": 3, "c": 2}


def test_one_value_alone_stands_in_the_middle():
    assert heights({"lora_rank": [4, 4, None], "seed": [1, 2, 3]})["a"][0] == TOP + HEIGHT / 2


@pytest.mark.parametrize("rows, settings", [(ROWS, {}), ([Row("a", 1.0), Row("b", None)], {"seed": [1, 2]})])
def test_there_is_no_plot_of_nothing(rows, settings):
    assert parallel_plot(rows, settings, "loss") is None
