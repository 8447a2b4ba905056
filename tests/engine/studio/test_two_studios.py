"""Two studios on one workspace, a studio that only looks, and how a studio ends."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
from conftest import LONG, NAMED, ROOT, SHORT, SLOW, Server, caught, free_port, new_workspace, slow, wait_for

from studio import api
from studio.core.i18n import Problem
from studio.core.storage import read_only
from studio.train import runs

ENDINGS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def ask(server: Server, endpoint: str, *arguments):
    request = urllib.request.Request(
        f"{server.url}/gradio_api/run/{endpoint}",
        json.dumps({"data": arguments}).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=240) as answer:
            return json.loads(answer.read())["data"][0]
    except urllib.error.HTTPError as error:
        raise Problem("train.failed", kind="HTTP", message=error.read().decode()) from error


def second_start(workspace, *flags: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "studio", "--workspace", str(workspace.root), "--port", str(free_port()), *flags],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
    )


def everything(workspace) -> dict:
    kept = [
        path
        for path in workspace.root.rglob("*")
        if path.name not in (".owner.json", "studio.log") and path != workspace.root
    ]
    return {str(path): (path.lstat().st_mtime_ns, path.lstat().st_size) for path in kept if path.exists()}


@pytest.fixture
def opened(tmp_path):
    workspace = new_workspace(tmp_path / "workspace")
    server = Server(workspace.root)
    yield workspace, server
    server.stop()


def test_a_second_studio_says_who_has_the_workspace_a_kill_frees_it_and_one_that_looks_writes_nothing(opened):
    workspace, server = opened
    told = [(("--language", "zh"), "已在另一个工作室中打开"), ((), "is open in another studio")]
    for flags, word in told if SLOW else told[:1]:
        refused = second_start(workspace, *flags)
        assert refused.returncode == 1 and refused.stdout == ""
        assert word in refused.stderr and server.url in refused.stderr and str(server.process.pid) in refused.stderr
        assert "Traceback" not in refused.stderr and len(refused.stderr.splitlines()) == 1
    server.kill()
    again = Server(workspace.root)
    again.stop()
    assert not (workspace.saves / ".owner.json").exists()
    only_looks_and_shows_everything(workspace)


def only_looks_and_shows_everything(workspace) -> None:
    """Open a workspace that has no owner with a studio that only looks: it shows everything and writes nothing."""
    run = runs.make(workspace, "m", "lora", "seen")
    run.say("state", state="finished")
    before = everything(workspace)
    server = Server(workspace.root, "--look")
    try:
        assert [one["run"] for one in ask(server, "train_runs")] == [run.name]
        assert ask(server, "models_list") and ask(server, "datasets_list") and ask(server, "train_queue") == []
        for endpoint, arguments in (
            ("train_start", [SHORT, "worker", NAMED]),
            ("train_star", [run.name]),
            ("train_delete", [run.name]),
            ("datasets_remove", ["identity_en", False]),
            ("models_forget", ["download-1"]),
            ("models_delete", ["SmolLM2-135M-Instruct"]),
        ):
            with pytest.raises(Problem) as told:
                ask(server, endpoint, *arguments)
            assert "only looks" in str(told.value), told.value
        page = urllib.request.urlopen(server.url, timeout=240).read().decode()
        assert "only looks" in page
        time.sleep(3)
    finally:
        server.stop()
    assert everything(workspace) == before


@slow
def test_on_a_terminal_it_offers_to_open_the_one_that_has_it(opened, tmp_path):
    workspace, server = opened
    (tmp_path / "browser").write_text('#!/bin/sh\necho "$1" > "$0.opened"\n')
    (tmp_path / "browser").chmod(0o755)
    leader, follower = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name != "SSH_CONNECTION"} | {
        "DISPLAY": ":9",
        "BROWSER": str(tmp_path / "browser"),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "studio", "--workspace", str(workspace.root), "--port", str(free_port())],
        cwd=ROOT,
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env=environment,
    )
    os.write(leader, b"y\n")
    assert process.wait(240) == 0
    wait_for(lambda: (tmp_path / "browser.opened").exists())
    assert (tmp_path / "browser.opened").read_text().strip() == server.url


def test_every_endpoint_that_is_not_known_to_look_refuses(monkeypatch):
    called = []
    monkeypatch.setitem(read_only._HOLDER, "why", Problem("workspace.looking_unowned"))

    def train_anything(*_):
        called.append(1)

    with pytest.raises(Problem) as told:
        api.for_owner(train_anything)()
    assert told.value.key == "workspace.looking_unowned" and called == []


def test_every_name_that_looks_is_an_endpoint(server):
    with urllib.request.urlopen(f"{server.url}/gradio_api/info", timeout=240) as answer:
        named = {name.lstrip("/") for name in json.loads(answer.read())["named_endpoints"]}
    assert api.LOOKING <= named, api.LOOKING - named


@slow
@pytest.mark.parametrize("number", ENDINGS if SLOW else ENDINGS[:1])
def test_a_studio_that_is_ended_saves_what_it_trains_and_says_so(tmp_path, number):
    """One signal is really sent, and all three are seen to be caught; STUDIO_SLOW_TESTS=1 sends each."""
    workspace = new_workspace(tmp_path / "workspace")
    server = Server(workspace.root)
    run = runs.find(workspace, ask(server, "train_start", LONG, "in-process", NAMED)["run"])
    wait_for(lambda: runs.status(run).step >= 2)
    assert {one for one in ENDINGS if caught(server.process.pid) >> (one - 1) & 1} == set(ENDINGS)
    with urllib.request.urlopen(f"{server.url}/gradio_api/heartbeat/open-page", timeout=240) as page:
        assert b"ALIVE" in page.readline()
        server.process.send_signal(number)
        assert server.process.wait(240) == 0
    log = server.log.read_text()
    status = runs.status(run)
    assert status.state == "interrupted" and run.checkpoints() == [f"checkpoint-{status.step}"]
    assert "Press Ctrl-C again" in log and f"resume it from step {status.step}" in log and "Traceback" not in log
    if number != signal.SIGINT:
        return
    again = Server(workspace.root)
    try:
        told = ask(again, "train_status", run.name)
        assert (told["state"], told["resumable"]) == ("interrupted", status.step)
        shown = ask(again, "live", [{"name": "run", "arg": run.name, "mark": ""}])[0]["html"]
        assert f"resumable from step {status.step}" in shown
    finally:
        again.stop()


@slow
def test_a_second_signal_ends_at_once(tmp_path):
    workspace = new_workspace(tmp_path / "workspace")
    server = Server(workspace.root, "--stop-seconds", "300")
    slow = LONG | {"gradient_accumulation_steps": 20_000}
    run = runs.find(workspace, ask(server, "train_start", slow, "in-process", NAMED)["run"])
    wait_for(lambda: runs.status(run).state == "running")
    wait_for(lambda: runs.status(run).facts)
    server.process.send_signal(signal.SIGINT)
    wait_for(lambda: "Press Ctrl-C again" in server.log.read_text())
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(240) == 128 + signal.SIGINT  # it was given 300 s to save
    assert runs.status(run).state == "interrupted"


@slow
def test_a_worker_goes_on_when_its_studio_is_ended(tmp_path):
    workspace = new_workspace(tmp_path / "workspace")
    server = Server(workspace.root)
    run = runs.find(workspace, ask(server, "train_start", LONG, "worker", NAMED)["run"])
    wait_for(lambda: runs.status(run).step >= 1)
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(240) == 0
    assert "1 run(s) go on" in server.log.read_text()
    seen = runs.status(run).step
    wait_for(lambda: runs.status(run).step > seen)
    os.kill(run.info().pid, signal.SIGTERM)  # as a machine that is shut down does
    wait_for(lambda: runs.status(run).state == "interrupted")
    assert run.checkpoints()
