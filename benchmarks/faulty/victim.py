"""The studio that meets the faults: in a home of its own, with every answer looked at, and beside it what it must not
touch.
"""

import contextlib
import http.client
import json
import os
import shutil
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.commands import MODEL, ROOT, Command, Studio, free_port

# What no person is to read: a traceback, the place of a source file, a bare number of an error.
NO_SENTENCE = ("Traceback (most recent call last)", 'File "/', "[Errno", "<class '")
REGIONS = (
    "models",
    "datasets",
    "runs",
    "now",
    "talks",
    "board",
    "sheets",
    "servers",
    "trash",
    "strip",
    "notices",
    "coming",
)
START_S = 120


@dataclass
class Tally:
    """What is counted over all faults; `notes` say what went wrong."""

    tried: dict[str, int] = field(default_factory=dict)
    acknowledged: int = 0
    lost: int = 0
    answers: int = 0
    tracebacks: int = 0
    not_drawn: int = 0
    silent: int = 0  # did not start, or answered no more
    left: int = 0  # half files
    notes: list[str] = field(default_factory=list)

    def note(self, what: str) -> None:
        """Keep and print what went wrong."""
        self.notes.append(what)
        print(f"  FAULT {what[:2000]}", flush=True)

    def look(self, where: str, text: str) -> None:
        """Count an answer, and a traceback in it."""
        self.answers += 1
        if any(sign in text for sign in NO_SENTENCE):
            self.tracebacks += 1
            self.note(f"{where} shows {text[:600]}")


class Refused(Exception):
    """The studio answered that it cannot; the message is what a person reads."""


class Victim(Studio):
    """A studio whose home is `home`. Every answer of it is looked at."""

    def __init__(self, workspace: Path, home: Path, tally: Tally):
        self.workspace, self.port, self.tally = workspace, free_port(), tally
        self.url = f"http://127.0.0.1:{self.port}"
        flags = ["--workspace", str(workspace), "--port", str(self.port), "--language", "en"]
        log = workspace.parent / "studio.log"
        own = {
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / ".config"),
            "OMP_NUM_THREADS": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        Command.__init__(self, [sys.executable, "-m", "studio", *flags], ROOT, log, **own)

    def started(self) -> bool:
        """Wait until it answers. False where it has ended instead, or takes too long."""
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            with contextlib.suppress(OSError, http.client.HTTPException):
                self.call("job_status", "none", refused=True)
                return True
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        self.tally.silent += 1
        self.tally.note(f"the studio did not start: {self.output.read_text(errors='replace')[-1500:]}")
        return False

    def call(self, endpoint: str, *data: object, refused: bool = False, patience: float = 60) -> object:
        """Return the answer of an endpoint. Raises Refused (unless `refused` says that this is as good), OSError where
        it is gone.
        """
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=patience)) as line:
            line.request(
                "POST", f"/gradio_api/run/{endpoint}", json.dumps({"data": data}), {"Content-Type": "application/json"}
            )
            answer = line.getresponse()
            text = answer.read().decode(errors="replace")
        self.tally.look(f"{endpoint}", text)
        if answer.status == 200:
            return json.loads(text)["data"][0]
        if refused:
            return None
        raise Refused(text)

    def draw(self) -> None:
        """Draw the lists of the page, and count what cannot be drawn or shows a traceback."""
        for drawn, name in zip(
            self.call("live", [{"name": name, "arg": ""} for name in REGIONS]), REGIONS, strict=True
        ):
            html = (drawn or {}).get("html", "")
            if "could not be drawn" in html:
                self.tally.not_drawn += 1
                self.tally.note(f"the region {name} could not be drawn")

    def kill(self) -> None:
        """End the studio alone, as the system does when memory is short; what it started goes on."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def end_runs(self) -> None:
        """End everything that trains."""
        for run in self.call("train_runs"):
            if run["state"] in ("queued", "preparing", "running", "stopping"):
                self.call("train_kill", run["run"], refused=True)


class Outside:
    """Folders beside a workspace, and a home: everything in them stays as it is."""

    def __init__(self, base: Path):
        self.home, self.beside = base / "home", base / "beside"
        self.folders = (self.beside, self.home / ".config", self.home / ".ssh")
        for folder in self.folders:
            (folder / "inner").mkdir(parents=True)
            for number in range(5):
                (folder / f"kept-{number}.json").write_text('{"kept": true}')
                (folder / "inner" / f"kept-{number}.txt").write_text("kept")
        self.before = self._stamps()

    def touched(self) -> list[str]:
        """Return the files that are not as they were."""
        now = self._stamps()
        return sorted(name for name in {*now, *self.before} if now.get(name) != self.before.get(name))

    def _stamps(self) -> dict[str, tuple]:
        paths = [path for folder in self.folders for path in (folder, *folder.rglob("*"))]
        # matplotlib keeps a folder of its own there, whoever imports it.
        paths = [path for path in paths if "matplotlib" not in path.parts]
        return {str(path): _stamp(path) for path in paths}


def _stamp(path: Path) -> tuple[int, ...]:
    # A folder's own size tells on some disks what is in it, which is looked at itself.
    now = path.lstat()
    return (now.st_mode, now.st_size, now.st_mtime_ns) if path.is_file() else (now.st_mode,)


def furnish(workspace: Path) -> None:
    """Make a workspace with the shipped data and links to the starter model."""
    shutil.copytree(ROOT / "data", workspace / "data", dirs_exist_ok=True)
    shutil.copytree(ROOT / "models" / MODEL, workspace / "models" / MODEL, copy_function=os.symlink)
