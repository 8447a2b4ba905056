"""What the tests share: the starter model, workspaces of their own, a studio that really runs, and a browser."""

import gc
import itertools
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if sys.dont_write_bytecode:
    # A machine that keeps no compiled modules would compile the whole project again for each studio and each worker.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False

if "PYTEST_XDIST_WORKER" in os.environ:
    # Two processes that both compute on all cores wait for each other most of the time; what they start is to take one
    # core too.
    os.environ["OMP_NUM_THREADS"] = "1"

# Of forty studios few need torch; these load it when they do.
os.environ["FINETUNE_STUDIO_WARM_UP"] = "0"

from benchmarks import engines
from benchmarks.browser import chromium
from studio.core import llamafactory
from studio.core.device_lease import DeviceLease
from studio.core.processes import limited
from studio.core.workspace import Workspace

if TYPE_CHECKING:
    from studio.train import runs
    from studio.train.execution.training_service import TrainingService

# Seconds of computing are what a test bounds: how long the machine takes to give them is not its business.
limited.WALL = 100
# The child that has loaded torch is wanted again and again, and to start it anew takes as long as many tests.
limited.HEAVY_IDLE_S = 3600.0

# A shell passes on to what it starts in the background that Ctrl-C is ignored: the studios of the tests end by it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The long tests and the widest sweeps are for the night.
SLOW = bool(os.environ.get("STUDIO_SLOW_TESTS"))
slow = pytest.mark.slow


def rest_slow(first, *others) -> list:
    """Return values for `parametrize` of which the first is always tried, and the others with the long tests."""
    return [first, *(pytest.param(*(one if isinstance(one, tuple) else (one,)), marks=slow) for one in others)]


def one_in(every: int, values) -> list:
    """Return values for `parametrize` of which one in so many is always tried, and the others with the long tests."""
    return [one if place % every == 0 else pytest.param(one, marks=slow) for place, one in enumerate(values)]


# STUDIO_SLOW_LINE=1: a third of the answers take up to 2.4 s on their way, so that they come in another order than they
# were asked for. What a page loses then, a person at a forwarded port loses too.
SLOW_LINE = """(() => {
    const plain = window.fetch, late = () => Math.random() < 1 / 3 ? 400 + 2000 * Math.random() : 150 * Math.random();
    window.fetch = async (...asked) => {
        const answer = await plain(...asked), place = String(asked[0]?.url ?? asked[0]);
        if (place.includes("gradio_api")) await new Promise((go) => setTimeout(go, late()));
        return answer;
    };
})()"""

# How fast examples are made depends on what else the machine does.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=100 if SLOW else 25
)
settings.load_profile("any machine")

ROOT = Path(__file__).parents[1]
UNIT = ROOT / "tests" / "unit"
STARTER = ROOT / "models" / "SmolLM2-135M-Instruct"
# Two narrow layers with the starter's tokenizer: it trains and answers as the starter does, in a third of the time and
# a tenth of the disk, and what it says means nothing.
SMALL = "Two-Layer-Llama"
# A run of a few steps on a handful of rows: enough to be a real one.
SHORT = {
    "model_name_or_path": SMALL,
    "max_steps": 3,
    "cutoff_len": 64,
    "per_device_train_batch_size": 1,
    "save_steps": 1,
}

# For what a page does at once on a quiet machine: a studio that loads its libraries while two others work answers
# after a minute. Only what takes longer by itself is waited for with a time of its own.
PATIENCE_S = 120
PATIENCE_MS = PATIENCE_S * 1000
# One that goes on until it is ended.
LONG = SHORT | {"max_steps": 100_000, "save_steps": 100_000}
NAMED = {"name": "Xiaoju", "author": "the studio"}


def pytest_configure(config):
    """Let `tests/unit` alone write into memory, where the machine has that as a disk: a third of its time goes into
    folders of a few files, made and deleted.
    """
    memory = Path("/dev/shm")
    asked = [Path(one.partition("::")[0]).resolve() for one in config.args]
    if all(UNIT in (one, *one.parents) for one in asked) and memory.is_dir():
        if shutil.disk_usage(memory).free > 2 * 2**30:
            os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(memory))


def pytest_collection():
    """Collect no garbage while the tests are collected: what is imported and made for them stays."""
    gc.disable()


def pytest_collection_modifyitems(config, items):
    """Skip what is slow, unless it is asked for: by STUDIO_SLOW_TESTS=1, or by its mark (`-m slow`)."""
    if SLOW or "slow" in config.option.markexpr:
        return
    skipped = pytest.mark.skip(reason="slow; STUDIO_SLOW_TESTS=1 or -m slow runs it")
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(skipped)


def pytest_collection_finish():
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session", autouse=True)
def loaded_engine(request, tmp_path_factory):
    """Load LLaMA-Factory first, whole and in one thread, as the studio does: what a test imports of it must not decide
    what the next can.

    `tests/unit` needs none of it: where nothing else was asked for, those tests run in seconds, and neither torch nor
    gradio is there when they are done. They do not wait for the disk either: whether a file has reached it no test can
    see, and a third of their time would go by.
    """
    if all(UNIT in item.path.parents for item in request.session.items):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "fsync", lambda file: None)
            yield
        heavy = {"torch", "gradio"} & sys.modules.keys()
        assert not heavy, f"a test in tests/unit imports {heavy}: it belongs in tests/engine"
        return
    assert "llamafactory" not in sys.modules, "a file of tests imports it while tests are collected, which takes long"
    llamafactory.load()
    SMALL_MODEL.append(make_small_model(tmp_path_factory.mktemp("models") / SMALL))
    yield


SMALL_MODEL: list[Path] = []  # where it lies, once this process has made it


def make_small_model(folder: Path) -> Path:
    """Make the small model, and return its folder."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    narrow = {"hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4, "num_key_value_heads": 2}
    config = AutoConfig.from_pretrained(STARTER, num_hidden_layers=2, head_dim=16, **narrow)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).save_pretrained(folder)
    for file in STARTER.iterdir():
        if not (folder / file.name).exists() and file.suffix != ".safetensors":
            shutil.copy(file, folder)
    return folder


CHATML = """{% for m in messages %}<|im_start|>{{ m.role }}
{{ m.content }}<|im_end|>
{% endfor %}<|im_start|>assistant{{ "\n" }}"""  # Jinja leaves out a line's end at the end


@pytest.fixture(scope="session")
def starter_gguf(tmp_path_factory) -> Path:
    """The file that the starter is made from, fetched once: whoever changes it copies it."""
    return engines.starter_gguf(tmp_path_factory.mktemp("gguf"))


@pytest.fixture(scope="session")
def llama_engine(starter_gguf, tmp_path_factory):
    """Give llama.cpp's server with the starter model, and with the template that LLaMA-Factory calls chatml."""
    folder = tmp_path_factory.mktemp("llama-engine")
    (folder / "chatml.jinja").write_text(CHATML)
    with engines.llama_cpp(starter_gguf, folder / "llama.log", folder / "chatml.jinja") as engine:
        yield engine


@pytest.fixture(scope="session")
def settings_folders(tmp_path_factory):
    """New folders, one after the other. pytest's own look through all that there are before each: of thousands."""
    home = tmp_path_factory.mktemp("settings")
    return (home / str(number) for number in itertools.count())


@pytest.fixture(scope="session", autouse=True)
def settings_of_shared_studios(tmp_path_factory):
    """Keep studios that several tests share from what the person at this machine has consented to."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FINETUNE_STUDIO_CONFIG", str(been_here(tmp_path_factory.mktemp("settings-of-all"))))
        yield


@pytest.fixture(autouse=True)
def own_settings(request, settings_folders, monkeypatch):
    """Give each test a folder of its own for what a person keeps outside of all workspaces: consents, webhooks. It is
    there where a studio may be opened, which all of `tests/unit` does without.
    """
    folder = next(settings_folders)
    if UNIT not in request.path.parents:
        folder.mkdir()
        been_here(folder)
    monkeypatch.setenv("FINETUNE_STUDIO_CONFIG", str(folder))


def been_here(settings: Path) -> Path:
    """Write into a person's settings that their first visit is over, and return the folder."""
    (settings / "first_visit.json").write_text('{"is_over": true}')
    return settings


def new_workspace(folder: Path) -> Workspace:
    """Return a workspace with the shipped data, and with the starter model, and the small one where the engine is
    tested, through links to their one copy.
    """
    workspace = Workspace(folder).prepare()
    for model in (STARTER, *SMALL_MODEL):
        shutil.copytree(model, workspace.models / model.name, copy_function=os.symlink)
    return workspace


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return new_workspace(tmp_path / "workspace")


@pytest.fixture
def trainer(workspace) -> "Iterator[TrainingService]":
    from studio.train.execution.training_service import TrainingService

    running = TrainingService(workspace, DeviceLease())
    yield running
    running.end(0, lambda *_: None)


def free_port() -> int:
    """Return a port that nothing listens at, taken by the machine: tests of several processes never meet at one."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Server:
    """A studio in a process of its own, as a person starts it."""

    def __init__(
        self,
        workspace: Path,
        *flags: str,
        ready: bool = True,
        program: tuple[str, ...] = ("-m", "studio"),
        warm_up: bool = False,
    ):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.workspace = workspace
        self.log = workspace / "studio.log"
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(
                [sys.executable, *program, "--workspace", str(workspace), "--port", str(self.port), *flags],
                cwd=ROOT,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=os.environ | {"FINETUNE_STUDIO_WARM_UP": str(int(warm_up))},
            )
        if ready:
            self.wait()

    def wait(self, seconds: float = 240) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                urllib.request.urlopen(self.url, timeout=PATIENCE_S).close()
                return
            except urllib.error.HTTPError:
                return
            except OSError:
                assert self.process.poll() is None, self.log.read_text()
                time.sleep(0.05)
        raise AssertionError(f"the studio did not answer in {seconds} s: {self.log.read_text()}")

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self.kill()


@pytest.fixture(scope="session")
def shared_studio(tmp_path_factory):
    """One studio with all its libraries, for all files of tests."""
    running = Server(new_workspace(tmp_path_factory.mktemp("studio") / "workspace").root, warm_up=True)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def server(shared_studio):
    """The shared studio, for tests that do not harm it, without what another file's tests left there: which of them ran
    before is not the same each time.
    """
    of_studio = set(files(shared_studio.workspace))
    yield shared_studio
    for file in set(files(shared_studio.workspace)) - of_studio:
        file.unlink(missing_ok=True)
    for folder in sorted((path for path in shared_studio.workspace.rglob("*") if path.is_dir()), reverse=True):
        with suppress(OSError):  # not empty
            folder.rmdir()


def files(folder: Path) -> Iterator[Path]:
    """Yield all files and links below a folder."""
    return (path for path in folder.rglob("*") if path.is_symlink() or path.is_file())


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium. What is expected of a page, or done on it, may take its time where the machine is busy."""
    from playwright.sync_api import expect

    expect.set_options(timeout=PATIENCE_MS)
    with chromium() as running:
        new_context = running.new_context

        def patient_context(**options):
            context = new_context(**options)
            context.set_default_timeout(PATIENCE_MS)
            if os.environ.get("STUDIO_SLOW_LINE"):
                context.add_init_script(SLOW_LINE)
            return context

        running.new_context = patient_context
        yield running


@pytest.fixture(autouse=True)
def closed_pages(request):
    """Close what a test leaves open in the browser: a page goes on asking its studio, and takes a share of a core from
    all tests that follow.
    """
    if "browser" not in request.fixturenames:
        yield
        return
    running = request.getfixturevalue("browser")
    others = list(running.contexts)
    yield
    for context in running.contexts:
        if context not in others:
            context.close()


@pytest.fixture
def new_page(browser):
    """An empty page of a browser that was never here; `faults` are those of its scripts."""
    page = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-US").new_page()
    page.faults = []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    yield page
    page.context.close()


def examples(all_of_them: int) -> settings:
    """Return how many examples a test of its own number tries: all with STUDIO_SLOW_TESTS=1, else a quarter."""
    return settings(max_examples=all_of_them if SLOW else all_of_them // 4)


@contextmanager
def costs_at_most(seconds: float) -> Iterator[None]:
    """Fail where what is done within takes this thread more seconds of a processor than that.

    What the thread waits for does not count, nor what others do meanwhile. A slow machine takes three times as long as
    a quick one: the bound is for what is done in a wrong way, not for what has become a little slower.
    """
    began = time.thread_time()
    yield
    took = time.thread_time() - began
    assert took < seconds, f"it took {took:.2f} s of a processor"


def wait_for(answer, seconds: float = 240, every: float = 0.2):
    """Return the first true value of `answer()`; fail after so many seconds.

    It is asked often at first and, once that took a while, each `every` seconds: what is there at once costs no wait,
    and a long run is not slowed by the questions.
    """
    began = time.monotonic()
    while (waited := time.monotonic() - began) < seconds:
        if value := answer():
            return value
        time.sleep(min(every, 0.01 + waited / 20))
    raise AssertionError(f"nothing came in {seconds} s")


def ended(run: "runs.Run", seconds: float = 180) -> "runs.Status":
    """Return the status of a run once it is over."""
    from studio.train import runs

    wait_for(lambda: runs.status(run).state not in runs.ACTIVE, seconds)
    return runs.status(run)


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
