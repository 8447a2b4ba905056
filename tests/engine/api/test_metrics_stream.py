"""The points of a run as a stream of events: one answer for many of them, and hostile words told in a sentence."""

import json
import threading
import time

import httpx
import pytest
from conftest import is_sentence
from fastapi import FastAPI
from starlette.testclient import TestClient

from studio.core.i18n import LANGUAGES, Words
from studio.train import runs
from studio.train.page.endpoints import following_metrics
from studio.web import streams

NAME = "tiny/lora/one-1"


@pytest.fixture
def run(workspace) -> runs.Run:
    run = runs.Run(NAME, workspace.saves / NAME)
    run.folder.mkdir(parents=True)
    run.own()
    run.say("state", state="preparing")
    run.say("state", state="running")
    log(run, 1)
    return run


def log(run: runs.Run, *steps: int) -> None:
    for step in steps:
        run.say("metrics", step=step, values={"loss": 1.0 / step})


def stream(workspace, language: str = "en", **said) -> httpx.Response:
    """Return the whole of a stream that was asked for with these words."""
    app = FastAPI()
    streams.add_stream(app, "/stream", following_metrics(workspace), Words(language))
    return TestClient(app).get("/stream", params=said)


def events(answer: httpx.Response) -> list[dict]:
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/event-stream")
    first, *following = answer.text.strip().split("\n\n")
    assert first == ":"
    return [json.loads(one.removeprefix("data: ")) for one in following]


def losses(event: dict) -> list[float]:
    return [point[0] for point in event["series"].get("loss", [])]


def test_one_answer_brings_what_comes(workspace, run, monkeypatch):
    monkeypatch.setattr(streams, "WAIT_S", 0.3)
    since = runs.metrics(run).next
    threading.Thread(target=lambda: [(time.sleep(0.6), log(run, step)) for step in (2, 3, 4)]).start()
    found = events(stream(workspace, name=NAME, since=since, pause_s=0.1, lasts_s=3))
    assert [step for event in found for step in losses(event)] == [2, 3, 4]
    assert 3 <= len(found) <= 20 and {event["state"] for event in found} <= {"running", "interrupted"}
    assert found[-1]["next"] == runs.metrics(run).next


def test_one_event_where_no_more_is_asked_for(workspace, run):
    log(run, 2)
    whole = events(stream(workspace, name=NAME, since=0, lasts_s=0))
    assert len(whole) == 1 and losses(whole[0]) == [1, 2]
    log(run, 3)
    (next_one,) = events(stream(workspace, name=NAME, since=whole[0]["next"], lasts_s=0))
    assert losses(next_one) == [3]


def test_a_history_that_changed_ends_it(workspace, run):
    log(run, 2)
    (event,) = events(stream(workspace, name=NAME, since=10**6))
    assert event["reset"] is True


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", ["no/such/run", "../../../etc", "", "a\0b", "\ud800".encode("utf-8", "surrogatepass")])
def test_a_run_that_is_not_there_is_told(workspace, language, name):
    (event,) = events(stream(workspace, language, name=name, since=5))
    assert set(event) == {"error"} and is_sentence(event["error"])


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"name": NAME},
        *({"name": NAME, "since": wrong} for wrong in ("x", 1.5, 10**30, -1)),
        *({"name": NAME, "since": 1, "pause_s": wrong} for wrong in (0, 10**9, "nan")),
        {"name": NAME, "since": 1, "lasts_s": 10**9},
        {"name": NAME, "since": 1, "more": 1},
    ],
)
def test_what_it_cannot_work_with_is_refused_in_a_sentence(workspace, run, said):
    answer = stream(workspace, **said)
    assert answer.status_code == 400 and is_sentence(answer.json()["error"]), answer.text
