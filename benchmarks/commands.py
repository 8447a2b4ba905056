"""The commands that are measured, each in a process of its own as a person starts it: the studio, LlamaBoard, and
LLaMA-Factory's trainer.
"""

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import yaml

from studio.train.runs import events

ROOT = Path(__file__).parents[1]
MODEL = "SmolLM2-135M-Instruct"
FACTORY = str(Path(sys.executable).parent / "llamafactory-cli")
ENDED = ("finished", "stopped", "failed", "interrupted")
PATIENCE_S = 600


@contextlib.contextmanager
def new_workspace() -> Iterator[Path]:
    """A workspace for one benchmark with the shipped data and links to the one copy of the starter model; gone
    afterwards.
    """
    with tempfile.TemporaryDirectory(prefix="benchmark-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        shutil.copytree(ROOT / "data", folder / "data")
        shutil.copytree(ROOT / "models" / MODEL, folder / "models" / MODEL, copy_function=os.symlink)
        yield folder


class Command:
    """A command with its output in a file; `with` ends it and everything it started."""

    def __init__(self, command: list[str], folder: Path, output: Path, **environment: str):
        # Nothing tokenised by one side may help the other, or stay behind.
        cache = {"HF_DATASETS_CACHE": str(output.with_suffix(".cache")), "GRADIO_ANALYTICS_ENABLED": "False"}
        # An installed package has its bytecode, a checkout where none may be written is compiled at each start.
        cache["PYTHONDONTWRITEBYTECODE"] = ""
        self.output = output
        with open(output, "a") as log:
            self.spawned = time.time()
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                env=os.environ | cache | environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def __enter__(self):
        return self

    def __exit__(self, *error):
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def check(self) -> None:
        """Raise RuntimeError with the end of its output if the command has ended."""
        if self.process.poll() is not None:
            raise RuntimeError(
                f"{self.process.args} ended with {self.process.returncode}:\n{self.output.read_text()[-2000:]}"
            )


class Studio(Command):
    """`python -m studio` on a workspace."""

    def __init__(self, workspace: Path):
        self.workspace, self.port = workspace, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        flags = ["--workspace", str(workspace), "--port", str(self.port), "--language", "en"]
        super().__init__([sys.executable, "-m", "studio", *flags], ROOT, workspace / "studio.log")

    def ready(self) -> "Studio":
        """Wait until it answers and its heavy libraries are loaded, as in a studio that has stood open for a minute."""
        while True:
            try:
                self.call("train_preview", {})
                return self
            except OSError:
                self.check()
                time.sleep(0.1)

    def call(self, endpoint: str, *data: object) -> object:
        """Return the answer of an endpoint. Raises OSError where no studio is up, RuntimeError where it refuses."""
        return self.post(endpoint, {"data": data})

    def post(self, endpoint: str, body: dict) -> object:
        """Return the answer to a request with this body (see `call`)."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)) as line:
            line.request("POST", f"/gradio_api/run/{endpoint}", json.dumps(body), {"Content-Type": "application/json"})
            answer = line.getresponse()
            text = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{endpoint}: {text.decode()}")
        return json.loads(text)["data"][0]

    def start(self, recipe: dict) -> str:
        """Start a run and return its name."""
        return self.call("train_start", recipe, "in-process", {})["run"]

    def folder(self, run: str) -> Path:
        """Return the folder of a run."""
        return self.workspace / "saves" / run

    def events(self, run: str) -> list[dict]:
        """Return the events of a run so far."""
        return events.read(self.folder(run) / "events.jsonl")[0]

    def first_step(self, run: str) -> float:
        """Wait for the first logged step and return its time (seconds since 1970)."""
        return self._wait(run, lambda event: event["event"] == "metrics")["time"]

    def end(self, run: str) -> list[dict]:
        """Wait until a run has ended and return its events."""
        self._wait(run, lambda event: event["event"] == "state" and event["state"] in ENDED)
        return self.events(run)

    def train(self, recipe: dict) -> str:
        """Train a run to its end and return its name. Raises RuntimeError where it does not finish."""
        run = self.start(recipe)
        if (last := self.end(run)[-1]).get("state") != "finished":
            raise RuntimeError(f"{run}: {last}")
        return run

    def _wait(self, run: str, wanted) -> dict:
        since, patience = 0, time.time() + PATIENCE_S
        while time.time() < patience:
            fresh, since = events.read(self.folder(run) / "events.jsonl", since)
            for event in fresh:
                if wanted(event):
                    return event
                if event["event"] == "error":
                    raise RuntimeError(f"{run}: {event}")
            self.check()
            time.sleep(0.05)
        raise TimeoutError(run)


class Board(Command):
    """`llamafactory-cli webui`; it stands in the workspace, where it looks for `data/`."""

    def __init__(self, workspace: Path):
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        address = {"GRADIO_SERVER_PORT": str(port), "GRADIO_SERVER_NAME": "127.0.0.1"}
        # It would open a browser of its own; `true` is a browser that does nothing.
        super().__init__([FACTORY, "webui"], workspace, workspace / "board.log", BROWSER="true", **address)


class Training(Command):
    """`llamafactory-cli train` on the recipe of a run, with an output folder of its own."""

    def __init__(self, recipe_of: Path, folder: Path):
        folder.mkdir()
        self.folder = folder / "saves"
        recipe = yaml.safe_load((recipe_of / "recipe.yaml").read_text(encoding="utf-8")) | {
            "output_dir": str(self.folder)
        }
        (folder / "recipe.yaml").write_text(
            yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True), encoding="utf-8"
        )
        super().__init__([FACTORY, "train", str(folder / "recipe.yaml")], folder, folder / "train.log")

    def steps(self) -> Iterator[float]:
        """Yield the time (seconds since 1970) at which each logged step is first seen in its log, looked at every 20
        ms.
        """
        log, since = self.folder / "trainer_log.jsonl", 0
        while True:
            ended = self.process.poll() is not None
            with contextlib.suppress(FileNotFoundError), open(log, "rb") as file:  # it comes with the first step
                file.seek(since)
                tail = file.read()
                whole = tail[: tail.rfind(b"\n") + 1]
                since += len(whole)
                yield from (time.time() for line in whole.splitlines() if "loss" in json.loads(line))
            if ended:
                break
            time.sleep(0.02)
        if self.process.returncode:
            self.check()


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]
