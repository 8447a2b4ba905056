"""Thousands of logged steps are read as columns, and say what each line says by itself."""

import json
import random

import pytest
from conftest import rest_slow

from studio.train.runs import event_columns, events
from studio.train.runs.run_status import THIN_AT, Status

HEAD = [
    {"time": 1.0, "event": "state", "state": "preparing"},
    {"time": 2.0, "event": "facts", "step": 0, "total_steps": 9000},
    {"time": 2.5, "event": "state", "state": "running"},
]


def metrics(step: int, **more) -> dict:
    values = {"loss": 3 / step, "learning_rate": 0, "num_input_tokens_seen": 500 * step} | more.pop("values", {})
    return {"time": 2.0 + step / 3, "event": "metrics", "step": step, "epoch": step / 9000, "values": values} | more


def encoded(*found: dict) -> list[bytes]:
    return [json.dumps(event).encode() for event in found]


def by_lines(lines) -> Status:
    status = Status()
    for event in events.of_lines(lines):
        status.take(event)
    return status


def by_columns(lines) -> Status:
    status = Status()
    status.take_lines(lines)
    return status


def same(lines) -> Status:
    """Assert that both ways give the same, and return it."""
    status = by_columns(lines)
    one, other = vars(by_lines(lines)), vars(status)
    for name, points in other["series"].items():
        assert [point[:2] for point in points] == [point[:2] for point in one["series"][name]], name
        # Not `approx`, which takes a second for all of them.
        assert all(abs(a[2] - b[2]) <= 0.0011 for a, b in zip(points, one["series"][name], strict=True))
    assert one | {"series": 0} == other | {"series": 0} and one["series"].keys() == other["series"].keys()
    return status


def test_plain_steps_are_columns_and_read_alike():
    body = [metrics(step) for step in range(1, 6000)]
    body[100]["values"]["eval_loss"] = 1.5
    lines = encoded(*HEAD, *body, {"time": 9000.0, "event": "state", "state": "finished"})
    kinds = [type(one) for one in event_columns.stretches(lines)]
    assert kinds == [list, event_columns.Columns, list]
    status = same(lines)
    assert status.state == "finished" and status.loss == 3 / 5999 and len(status.series["eval_loss"]) == 1


@pytest.mark.parametrize("last", [[{"time": 50.0, "event": "state", "state": "stopped"}], []])
@pytest.mark.parametrize("step", [0, 20, 40])
def test_the_steps_of_a_run_that_was_resumed_are_read_alike(last, step):
    first = [*HEAD, *(metrics(step) for step in range(1, 40)), *last]
    again = [one | {"time": one["time"] + 9000} | ({"step": step} if "step" in one else {}) for one in HEAD]
    body = [metrics(step) | {"time": 9000.0 + step} for step in range(step + 1, 6000)]
    body[-1]["epoch"] = None
    assert same(encoded(*first, *again, *body)).epochs_per_step == pytest.approx(1 / 9000)


ODD = [
    metrics(5, values={"loss": "nan"}),
    metrics(5, values={"loss": None}),
    metrics(5, values={"loss": True}),
    metrics(5, values={"loss": 1e400}),
    metrics(5, values={"loss": [1]}),
    metrics(5) | {"values": 0},
    metrics(5) | {"values": None},
    metrics(5) | {"step": -1},
    metrics(5) | {"step": 5.0},
    metrics(5) | {"step": 2**60},
    metrics(5) | {"time": -1.0},
    metrics(5) | {"time": "soon"},
    metrics(5) | {"epoch": None},
    metrics(5) | {"epoch": "one"},
    metrics(5) | {"more": "<img>"},
    {"time": 3.0, "event": "probe", "step": 5, "question": '"event": "metrics"', "answer": "a"},
    {"time": 3.0, "event": "step", "step": 5},
    {"time": 3.0, "event": "facts", "step": 2, "total_steps": 9000},
]


@pytest.mark.parametrize("odd", range(len(ODD)))
@pytest.mark.parametrize("at", rest_slow(500, 0, 999))
def test_what_is_odd_is_read_line_by_line(odd, at):
    body = [metrics(step) for step in range(1, 1000)]
    body.insert(at, ODD[odd])
    assert same(encoded(*HEAD, *body))


@pytest.mark.parametrize("bad", [b"", b'{"time": 3.0, "event": "metrics", "st', b"\xff\xfe", b"[1]", None, b"{} {}"])
def test_torn_and_foreign_lines_are_no_steps(bad):
    lines = encoded(*HEAD, *(metrics(step) for step in range(1, 1000)))
    lines.insert(600, bad)
    assert same(lines)


def test_a_long_run_keeps_its_extremes_in_a_bounded_number_of_points():
    chance = random.Random(1)
    body = [metrics(step, values={"loss": 1 + chance.random()}) for step in range(1, 60_000)]
    body[31_000]["values"]["loss"], body[43_210]["values"]["loss"] = 50.0, -7.0
    status = by_columns(encoded(*HEAD, *body))
    values = [point[1] for point in status.series["loss"]]
    assert len(values) <= THIN_AT and {50.0, -7.0} <= set(values)
    assert status.series["loss"][0][0] == 1 and status.series["loss"][-1][0] == 59_999
