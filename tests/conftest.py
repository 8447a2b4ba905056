"""What the tests share: the starter model, workspaces of their own, a studio that really runs, and a browser."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

if "PYTEST_XDIST_WORKER" in os.environ:
    # Two processes that both compute on all cores wait for each other most of the time; what they start is to take one
    # core too.
    os.environ["OMP_NUM_THREADS"] = "1"

from studio.core import llamafactory
from studio.core.workspace import Workspace
from studio.train.loop import output

# How fast examples are made depends on what else the machine does.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

ROOT = Path(__file__).parents[1]
STARTER = ROOT / "models" / "SmolLM2-135M-Instruct"
# A run of a few steps on a handful of rows: enough to be a real one.
SHORT = {"max_steps": 3, "cutoff_len": 64, "per_device_train_batch_size": 1, "save_steps": 1}


@pytest.fixture(scope="session", autouse=True)
def loaded_engine(request):
    """Load LLaMA-Factory first, whole and in one thread, as the studio does: what a test imports of it must not decide
    what the next can.

    `tests/unit` needs none of it: where nothing else was asked for, those tests run in seconds, and torch is not there
    when they are done.
    """
    if all((ROOT / "tests" / "unit") in item.path.parents for item in request.session.items):
        yield
        assert "torch" not in sys.modules, "a test in tests/unit imports torch: it belongs in tests/engine"
        return
    output.install()  # as the studio does before it: a log handler keeps the stream it finds
    llamafactory.load()
    yield


@pytest.fixture(autouse=True)
def own_settings(tmp_path_factory, monkeypatch):
    """Give each test a folder of its own for what a person keeps outside of all workspaces: consents, webhooks."""
    monkeypatch.setenv("FINETUNE_STUDIO_CONFIG", str(tmp_path_factory.mktemp("settings")))


def new_workspace(folder: Path) -> Workspace:
    """Return a workspace with the shipped data, and with the starter model through a link to the one copy."""
    workspace = Workspace(folder).prepare()
    shutil.copytree(STARTER, workspace.models / STARTER.name, copy_function=os.symlink)
    return workspace


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return new_workspace(tmp_path / "workspace")


class Server:
    """A studio in a process of its own, as a person starts it."""

    def __init__(self, workspace: Path, *flags: str, ready: bool = True):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.workspace = workspace
        self.log = workspace / "studio.log"
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "studio", "--workspace", str(workspace), "--port", str(self.port), *flags],
                cwd=ROOT,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if ready:
            self.wait()

    def wait(self, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                urllib.request.urlopen(self.url, timeout=5).close()
                return
            except urllib.error.HTTPError:
                return
            except OSError:
                assert self.process.poll() is None, self.log.read_text()
                time.sleep(0.2)
        raise AssertionError(f"the studio did not answer in {seconds} s: {self.log.read_text()}")

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.kill()


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """One studio for the tests that do not harm it."""
    running = Server(new_workspace(tmp_path_factory.mktemp("studio") / "workspace").root)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium."""
    from playwright.sync_api import sync_playwright

    flags = [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ]
    with sync_playwright() as play:
        yield (chromium := play.chromium.launch(executable_path=shutil.which("chromium"), args=flags))
        chromium.close()


def wait_for(answer, seconds: float = 240, every: float = 0.2):
    """Return the first true value of `answer()`; fail after so many seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := answer():
            return value
        time.sleep(every)
    raise AssertionError(f"nothing came in {seconds} s")


def caught(pid: int) -> int:
    """Return the signals that a process handles, as the kernel keeps them: a bit each, the first for signal 1."""
    if sys.platform != "linux":
        pytest.skip("only Linux tells which signals a process handles")
    return int(re.search(r"^SigCgt:\s*(\w+)$", Path(f"/proc/{pid}/status").read_text(), re.M)[1], 16)


def is_sentence(text: str) -> bool:
    """Tell whether a message is fit for a person: one line, no traceback, an end."""
    return (
        bool(text) and "\n" not in text.strip() and "Traceback" not in text and not re.search(r'File ".*", line', text)
    )
