"""How long a run was at work, and how many epochs its steps make, is true also of one that was resumed."""

import json
import time

import pytest

from studio.train import runs
from studio.train.page.runs import comparison, run_head, run_list

DAY = 86_400.0


def said(moment: float, kind: str, **facts: object) -> dict:
    return {"time": moment, "event": kind, **facts}


def stretch(began: float, step: int, until: int, state: str = "stopped") -> list[dict]:
    """Return the events of a run that goes on from a step until another: each step a second, logged at every second,
    and one second to end; cut off without a word where `state` is "".
    """
    steps = []
    for done in range(step + 1, until + 1):
        moment = began + done - step
        steps += [said(moment, "step", step=done)]
        values = {"loss": 1 / done, "learning_rate": 0.1}
        steps += [said(moment, "metrics", step=done, epoch=done / 100, values=values)] if done % 2 == 0 else []
    return [
        said(began, "state", state="queued"),
        said(began, "state", state="preparing"),
        said(began, "facts", step=step, total_steps=30),
        said(began, "state", state="running"),
        *steps,
        *([said(began + until - step + 1, "state", state=state)] if state else []),
    ]


def run_of(workspace, *events: dict, name="r") -> runs.Run:
    run = runs.make(workspace, "m", "lora", name)
    run.events_file.write_text("".join(json.dumps(one) + "\n" for one in events))
    return run


def took(workspace, run: runs.Run) -> float:
    """Return the time that the head of a run tells, which must be that of the comparison too."""
    other = run_of(workspace, *stretch(5.0, 0, 3), name="other")
    rows = comparison.comparison(workspace, f"{run.name}|{other.name}").rows
    told = run_head.run_head(workspace, run.name).progress.took
    assert rows[0].took == told and rows[1].took == 4
    return told


def test_the_pause_before_a_run_is_resumed_is_no_time_of_it(workspace):
    run = run_of(workspace, *stretch(100.0, 0, 10), *stretch(DAY, 10, 20, "finished"))
    assert took(workspace, run) == 22
    points = runs.metrics(run).series["loss"]
    assert [point[2] for point in points] == [2, 4, 6, 8, 10, 13, 15, 17, 19, 21]
    longer = run_of(workspace, *stretch(100.0, 0, 25, "finished"), name="longer")
    order = [one.name for one in run_list.fitting([run, longer], "sort:time")]
    assert order == [longer.name, run.name]


def test_points_that_are_asked_for_later_have_the_times_of_those_that_are_read_from_the_beginning(workspace):
    events = [*stretch(100.0, 0, 10), *stretch(DAY, 10, 20), said(2 * DAY, "state", state="queued")]
    run, lines = run_of(workspace), [json.dumps(one) + "\n" for one in events]
    shown: dict[str, list] = {}
    since = 0
    for line in lines:
        with run.events_file.open("a") as file:
            file.write(line)
        answer = runs.metrics(run, since)
        shown = {} if answer.reset else shown
        since = answer.next
        for name, points in answer.series.items():
            shown.setdefault(name, []).extend(points)
    whole = runs.metrics(run)
    assert shown == whole.series and len(shown["loss"]) == 10
    for number in range(len(lines)):  # one who was away for a while
        answer = runs.metrics(run, sum(map(len, lines[: number + 1])))
        later = answer.series.get("loss", [])
        assert answer.reset or later == whole.series["loss"][len(whole.series["loss"]) - len(later) :]


def test_a_run_that_died_without_a_word_worked_until_its_last_sign(workspace):
    run = run_of(workspace, *stretch(100.0, 0, 10, ""))
    assert runs.status(run).state == "interrupted" and took(workspace, run) == 10
    resumed = run_of(workspace, *stretch(100.0, 0, 10, ""), *stretch(DAY, 8, 20, "finished"))
    assert took(workspace, resumed) == 23


def test_a_run_that_begins_anew_counts_from_there(workspace):
    again = stretch(DAY, 0, 5, "finished")
    run = run_of(workspace, *stretch(100.0, 0, 10), *again)
    assert took(workspace, run) == 6 and runs.status(run).started == DAY
    assert [point[2] for point in runs.metrics(run).series["loss"]] == [2, 4]
    fresh = run_of(workspace, *stretch(100.0, 0, 10), *again[:4])
    status = runs.written(fresh)
    assert (status.loss, status.epoch, status.step) == (None, 0, 0)


def test_one_that_is_resumed_from_an_earlier_checkpoint_shows_the_numbers_of_that(workspace):
    run = run_of(workspace, *stretch(100.0, 0, 10), *stretch(DAY, 4, 20)[:4])
    status = runs.written(run)
    assert status.loss == 1 / 4 and status.epoch == pytest.approx(0.04)
    assert runs.metrics(run).epochs_per_step == pytest.approx(0.01)


@pytest.mark.parametrize("until", range(2, 20))
def test_the_epochs_of_a_step_are_those_of_the_steps_that_were_logged(workspace, until):
    run = run_of(workspace, *stretch(100.0, 0, until, ""))
    assert runs.metrics(run).epochs_per_step == pytest.approx(0.01)


def test_a_clock_that_is_set_back_makes_no_time_negative(workspace):
    events = stretch(1000.0, 0, 10)
    events = events[:6] + [one | {"time": one["time"] - 900} for one in events[6:]]
    run = run_of(workspace, *events)
    assert took(workspace, run) == 0
    assert all(point[2] >= 0 for point in runs.metrics(run).series["loss"])
    resumed = run_of(workspace, *events, *stretch(500.0, 10, 20, "finished"))
    assert took(workspace, resumed) == 11


def test_what_is_resumed_prepares_from_then_on(workspace):
    now = time.time()
    run = run_of(workspace, *stretch(100.0, 0, 10))
    run.own()
    with run.events_file.open("a") as file:
        file.write("".join(json.dumps(one) + "\n" for one in stretch(now - 5, 10, 20)[:2]))
    assert 5 <= run_head.run_head(workspace, run.name).progress.preparing_for < 120
