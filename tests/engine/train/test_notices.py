"""Notices for a person who is not looking: by webhook, and for the browser's own."""

import http.server
import json
import socket
import threading
import time

import pytest
from conftest import is_sentence

from studio.core.i18n import Problem
from studio.train import notifications, runs


class Taker(http.server.BaseHTTPRequestHandler):
    """Takes notices as Slack does, and refuses those to /full."""

    def do_POST(self):
        self.server.taken.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(507 if self.path == "/full" else 200)
        self.end_headers()

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def channel():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Taker) as server:
        server.taken, server.url = [], f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def run(workspace):
    run = runs.make(workspace, "model", "lora", "run")
    run.say("state", state="preparing")
    run.say("facts", total_steps=9, step=0)
    run.say("state", state="running")
    return run


def sent():
    for thread in threading.enumerate():
        if thread.name == notifications.THREAD:
            thread.join(240)


def test_the_webhook_is_kept_and_takes_notices_in_its_language(workspace, run, channel, monkeypatch):
    monkeypatch.delenv("STUDIO_WEBHOOK", raising=False)
    notifications.tell(run, "train.warn_nan", {"step": 3})
    sent()
    assert channel.taken == []
    assert (
        notifications.set_webhook(workspace.saves, f"{channel.url}/a", "zh")
        == notifications.host(workspace.saves)
        == "127.0.0.1"
    )
    notifications.tell(run, "train.warn_nan", {"step": 3})
    sent()
    assert (
        len(channel.taken) == 1
        and channel.taken[0]["text"].startswith(f"{run.name}: ")
        and "第 3 步" in channel.taken[0]["text"]
    )
    assert notifications.file(workspace.saves).stat().st_mode & 0o077 == 0
    run.note(label="My best one")
    notifications.tell(run, "train.warn_nan", {"step": 3})
    sent()
    assert channel.taken[1]["text"].startswith(f"My best one ({run.name}): ")
    notifications.set_webhook(workspace.saves, "")
    assert notifications.webhook(workspace.saves) == ""


@pytest.mark.parametrize(
    "wrong",
    (
        *("hooks.example.com/a", "file:///etc/passwd", "https://", "http://[abc", "http://a b/c", "http://here/a b"),
        *("http://here:port/x", "http://here:99999/x", "http://here:0/x", "http://here/\x07", "http://[::1/"),
    ),
)
def test_what_is_no_web_address_is_told_as_that_wherever_it_comes_from(workspace, run, wrong, monkeypatch, capsys):
    with pytest.raises(Problem, match="no web address"):
        notifications.set_webhook(workspace.saves, wrong)
    monkeypatch.setenv("STUDIO_WEBHOOK", wrong)
    assert notifications.host(workspace.saves) == ""
    with pytest.raises(Problem, match="no web address"):
        notifications.send(wrong, "x")
    notifications.tell(run, "train.warn_nan", {"step": 3})
    sent()
    assert "no web address" in capsys.readouterr().out


def test_an_answer_that_is_no_http_is_told(workspace):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            connection, _ = server.accept()
            connection.recv(65536)
            connection.sendall(b"no such thing as HTTP\r\n\r\n")
            connection.close()

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(Problem, match="did not take the notice"):
            notifications.send(f"http://127.0.0.1:{server.getsockname()[1]}/secret", "x")


def test_a_webhook_that_came_with_a_workspace_is_told_and_not_used(workspace, run, channel, monkeypatch):
    monkeypatch.delenv("STUDIO_WEBHOOK", raising=False)
    former = workspace.saves / notifications.FORMER_FILE
    former.write_text(json.dumps({"webhook": f"{channel.url}/a", "language": "en"}))
    notifications.tell(run, "train.warn_nan", {"step": 3})
    sent()
    assert channel.taken == [] and notifications.webhook(workspace.saves) == ""
    assert "127.0.0.1" in str(notifications.fault(workspace.saves)) and is_sentence(
        str(notifications.fault(workspace.saves))
    )
    notifications.set_webhook(workspace.saves, "")
    assert notifications.fault(workspace.saves) is None
    for bad in ("[1]", "{", '{"webhook": 5}'):
        notifications.file(workspace.saves).write_text(bad)
        assert notifications.webhook(workspace.saves) == "" and is_sentence(str(notifications.fault(workspace.saves)))


def test_a_webhook_that_refuses_is_told_without_its_address_and_harms_no_run(workspace, run, channel, capsys):
    for address, reason in ((f"{channel.url}/full", "507"), ("http://127.0.0.1:9/secret", "nothing answers")):
        with pytest.raises(Problem) as told:
            notifications.send(address, "x")
        assert is_sentence(str(told.value)) and reason in str(told.value)
        assert "secret" not in str(told.value) and "/full" not in str(told.value)
    notifications.set_webhook(workspace.saves, "http://127.0.0.1:9/secret")
    notifications.tell(run, "train.warn_nan", {"step": 3})
    sent()
    assert "did not take the notice" in capsys.readouterr().out


def test_what_happened_since_a_moment_is_told_once(workspace, run):
    run.own()
    before = time.time() - 1
    assert notifications.since(workspace, before) == []
    run.say("warning", step=1, key="train.warn_nan", facts={"step": 1})
    assert [one["key"] for one in notifications.since(workspace, before)] == ["train.warn_nan"]
    run.say("state", state="finished")
    assert [one["key"] for one in notifications.since(workspace, before)] == ["train.warn_nan", "notices.finished"]
    assert notifications.since(workspace, time.time() + 1) == []


def test_silence_is_told_when_it_is_longer_than_the_steps_explain(run):
    run.own()
    run.say("metrics", step=1, epoch=0.1, values={"loss": 1.0})
    status = runs.status(run)
    assert notifications.silence(status) is None
    status.steps_began = (status.last_time - 5, 0)
    status.heard -= 125
    assert 124 < notifications.silence(status) < 127
    status.steps_began = (status.last_time - 60, 0)
    assert notifications.silence(status) is None, "its steps take a minute each"


def test_a_fault_is_told_in_its_own_words(run):
    run.say("error", key="train.out_of_memory", facts={}, sentence="x")
    run.say("state", state="failed")
    assert notifications.ended(run, runs.status(run)) == ("train.out_of_memory", {})
