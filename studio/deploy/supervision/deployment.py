"""A deployment on disk: `saves/.deployments/<name>/` with what was asked, its state, its log and the engine's files."""

import contextlib
import os
import shutil
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil
from pydantic import Field

from studio.core import reasons
from studio.core.i18n import Problem
from studio.core.processes.process_group import ProcessId
from studio.core.sentences import Sentence
from studio.core.storage import files, records
from studio.core.storage.records import Moment, Record, Text
from studio.core.storage.trash import Trash
from studio.core.workspace import Workspace, is_safe, safe_name, write_json, write_whole
from studio.deploy.deploy_settings import DeploySettings, is_local
from studio.deploy.supervision import ports
from studio.deploy.supervision.engine_load import EngineLoad

State = Literal["starting", "ready", "stopping", "stopped", "failed"]
ACTIVE = ("starting", "ready", "stopping")
LOG_BYTES = 200_000  # of a log that are looked through or sent
HIDDEN = "•••"
_ONLY_HERE: dict[Path, "EngineState"] = {}  # states that the disk refused, by the folders of their deployments
_KEEPING = threading.Lock()  # an older state is never written after a newer one


class Request(Record):
    """What was asked: the engine, what it serves, how, and since when it is known (seconds since 1970)."""

    engine: Text
    target: Text
    settings: DeploySettings = DeploySettings()
    created: Moment


class Parity(Record):
    """Whether the engine makes the prompt of training.

    verdict: "same" (token for token), "same_text" (it tells the text alone), "other_tokens" (the same text, which the
    engine cuts otherwise), "same_length" (all that it tells is how many tokens its prompts have), "differs" or
    "untold". asked: with so many conversations; same: of which so many are the same. case, token: the first that
    differs, and its first such token.
    """

    verdict: Literal["same", "same_text", "other_tokens", "same_length", "differs", "untold"] = "untold"
    asked: int = 0
    same: int = 0
    case: Text = ""
    token: int | None = None
    reason: Sentence | None = None


class EngineState(Record):
    """How far an engine is.

    since: when the state began. began: when the start was asked for. ready_s: seconds until it was ready. members: its
    processes, the leader first. mark: what they all have in their environment. log_start: the byte of the log at
    which this start begins. died: when it died and was started again, newest last. load: what it is at, None while it
    waits for requests.
    """

    state: State = "starting"
    since: Moment = 0.0
    began: Moment = 0.0
    port: int = Field(0, ge=0, le=65535)
    ready_s: float | None = None
    members: list[ProcessId] = []
    mark: str = ""
    log_start: int = Field(0, ge=0)
    died: list[Moment] = []
    doing: Sentence | None = None
    error: Sentence | None = None
    remedy: dict[str, object] = {}
    parity: Parity | None = None
    load: EngineLoad | None = None


@dataclass(frozen=True)
class Deployment:
    """A deployment by its folder."""

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def log_file(self) -> Path:
        return self.folder / "engine.log"

    def request(self) -> Request:
        """Return what was asked. Raises Problem where that cannot be read."""
        return records.load(self.folder / "request.json", Request)

    def state(self) -> EngineState:
        """Return how far it is. Raises Problem where that cannot be read. What the disk refused is tried again: of an
        engine that has ended nobody else would write the last of it.
        """
        with _KEEPING:
            if refused := _ONLY_HERE.get(self.folder):
                self._keep(refused)
                return refused
        return records.load(self.folder / "state.json", EngineState)

    def memory_bytes(self) -> int | None:
        """Return the bytes in memory of its processes, None where it has none. Raises Problem where its state cannot be
        read.
        """
        processes = [one for known in self.state().members if (one := known.process())]
        total = 0
        for process in processes:
            with contextlib.suppress(psutil.Error):  # gone meanwhile
                total += process.memory_info().rss
        return total if processes else None

    def write_request(self, request: Request) -> None:
        """Keep what was asked. Raises Problem where the disk refuses."""
        _write(self.folder / "request.json", request)

    def write_state(self, state: EngineState) -> None:
        """Keep how far it is. Raises Problem where the disk refuses."""
        with _KEEPING:
            self._write_state(state)

    def keep_state(self, state: EngineState) -> bool:
        """Keep how far it is, in this process alone where the disk refuses; return whether it is on the disk."""
        with _KEEPING:
            return self._keep(state)

    def _keep(self, state: EngineState) -> bool:
        try:
            self._write_state(state)
        except Problem:
            # An engine does not depend on its record, and who stops one does so on a full disk too.
            _ONLY_HERE[self.folder] = state
            return False
        return True

    def _write_state(self, state: EngineState) -> None:
        _write(self.folder / "state.json", state)
        _ONLY_HERE.pop(self.folder, None)

    def key(self) -> str:
        """Return the key that the engine asks for, "" for none. Raises Problem where its file cannot be read."""
        path = self.folder / "key"
        return files.read_text(path).strip() if files.is_file(path) else ""

    def write_key(self, key: str) -> None:
        """Keep the key in a file that only this user can read; "" removes it. Raises Problem where the disk refuses."""
        path = self.folder / "key"
        if key:
            write_whole(path, key + "\n", mode=0o600)
        else:
            path.unlink(missing_ok=True)

    def log(self, since: int = 0, most: int = LOG_BYTES) -> str:
        """Return the end of what it printed from a byte on, without its key. Raises Problem where it cannot be read."""
        if not files.exists(self.log_file):
            return ""
        try:
            text = files.end_of(self.log_file, most, since).decode("utf-8", "replace")
        except OSError as error:
            raise files.unreadable(self.log_file, error) from error
        return self.without_key(text)

    def without_key(self, text: str) -> str:
        """Return a text in which the key, should it stand there, is hidden."""
        key = self.key()
        return text.replace(key, HIDDEN) if key else text


def address(request: Request, state: EngineState) -> str:
    """Return where its API is, as this machine reaches it, with /v1."""
    return f"http://{ports.place(ports.near(request.settings.host), state.port)}/v1"


def is_open(request: Request) -> bool:
    """Tell whether other machines reach it."""
    return not is_local(request.settings.host)


class Deployments:
    """The folder of all deployments."""

    def __init__(self, workspace: Workspace):
        self.workspace, self.folder = workspace, workspace.saves / ".deployments"

    def all(self) -> list[Deployment]:
        """Return every deployment, newest first."""
        try:
            found = [entry for entry in os.scandir(self.folder) if is_safe(entry.name) and entry.is_dir()]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise files.unreadable(self.folder, error) from error
        made = [Deployment(Path(entry.path)) for entry in found]
        return sorted(made, key=lambda one: (-_created(one), one.name))

    def find(self, name: str) -> Deployment:
        """Return the deployment of that name. Raises Problem where there is none."""
        folder = self.workspace.inside(self.folder, name)
        if not folder.is_dir():
            raise Problem("deploy.no_deployment", name=name)
        return Deployment(folder)

    def create(self, name: str) -> Deployment:
        """Make the folder of a deployment, or empty that of one that has ended. Raises Problem where the disk
        refuses.
        """
        folder = self.workspace.inside(self.folder, safe_name(name))
        _ONLY_HERE.pop(folder, None)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for entry in list(folder.iterdir()):
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                else:
                    entry.unlink()
        except OSError as error:
            raise Problem("workspace.unwritable", path=folder, reason=reasons.of(error)) from error
        return Deployment(folder)

    def delete(self, name: str) -> str:
        """Move a deployment into the trash, without its key, and return the item's id there. Raises Problem."""
        deployment = self.find(name)
        deployment.write_key("")
        item = Trash(self.workspace).put(deployment.folder, "deployment", name)
        _ONLY_HERE.pop(deployment.folder, None)
        return item


def new_state(port: int) -> EngineState:
    """Return the state of a deployment that starts now."""
    now = time.time()
    return EngineState(state="starting", since=now, began=now, port=port)


def _created(deployment: Deployment) -> float:
    try:
        return deployment.request().created
    except Problem:
        return 0.0


def _write(path: Path, record: Record) -> None:
    write_json(path, record.model_dump(mode="json"))
