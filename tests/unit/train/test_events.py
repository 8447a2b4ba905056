"""The events file: whole lines only, whatever happens to the process that writes it."""

import json
import math

from studio.train.runs import events


def test_what_is_appended_is_read_back_in_order_from_any_byte(tmp_path):
    path = tmp_path / "events.jsonl"
    events.append(path, "state", state="queued")
    first, offset = events.read(path)
    events.append(path, "metrics", step=1, values={"loss": 0.5})
    second, end = events.read(path, offset)
    assert [event["event"] for event in first] == ["state"]
    assert second[0]["values"] == {"loss": 0.5}
    assert events.read(path, end) == ([], end)


def test_a_torn_last_line_is_left_and_a_later_start_closes_it(tmp_path):
    path = tmp_path / "events.jsonl"
    events.append(path, "state", state="running")
    with open(path, "a") as file:
        file.write('{"time": 1, "event": "metr')
    assert [event["event"] for event in events.read(path)[0]] == ["state"]
    events.append(path, "state", state="preparing")
    assert [event["state"] for event in events.read(path)[0]] == ["running", "preparing"]


def test_a_loss_that_is_no_number_stays_json(tmp_path):
    path = tmp_path / "events.jsonl"
    events.append(path, "metrics", step=1, values={"loss": math.nan, "grad_norm": math.inf})
    assert json.loads(path.read_text(), parse_constant=lambda name: 1 / 0)["values"] == {
        "loss": "nan",
        "grad_norm": "inf",
    }


def test_a_file_that_is_not_there_has_no_events(tmp_path):
    assert events.read(tmp_path / "none.jsonl") == ([], 0)


def test_thinning_keeps_the_spike_the_fault_and_both_ends():
    points = [[step, 1.0, step] for step in range(100_000)]
    points[54_321][1], points[77_777][1], points[12_345][1] = 99.0, -5.0, "nan"
    kept = events.thinned(points)
    assert len(kept) <= events.POINTS_KEPT * 1.1
    assert {99.0, -5.0, "nan"} <= {point[1] for point in kept}
    assert kept[0] == points[0] and kept[-1] == points[-1]
    assert [point[0] for point in kept] == sorted(point[0] for point in kept)
