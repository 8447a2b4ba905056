"""The recorders: one for each server that is recorded, a process each, taken up again when the studio starts."""

import json
import sys
import threading
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, Field

from studio.core import reasons
from studio.core.i18n import Problem
from studio.core.processes.child import Child
from studio.core.sentences import Sentence
from studio.core.storage import files, records
from studio.core.storage.records import Record, Text, parse_or
from studio.core.workspace import Workspace, write_json
from studio.deploy.prompt_recorder.recorded_requests import RecordedRequests
from studio.deploy.prompt_recorder.recording_proxy import HOST
from studio.deploy.supervision import ports
from studio.inference.remote.servers import ServerRegistry

PORTS = range(8760, 8860)
LAST_PORT = 65535
READY_S = 30.0
PATIENCE_S = 3.0


class StoredRecorder(Record):
    """A recorder: its port, whether it is to run, and the run or model whose prompts are compared ("" for none)."""

    port: Annotated[int, Field(ge=1, le=LAST_PORT)]
    is_on: bool = False
    trained: Text = ""


class StoredRecorders(Record):
    """All recorders, by the name of the server as Chat has it."""

    recorders: dict[str, StoredRecorder] = {}


class ProxyLine(BaseModel):
    """A line that a proxy prints. reason: why it cannot begin, a reason of `core.reasons`."""

    ready: bool = False
    fault: bool = False
    reason: object = ""


@dataclass(frozen=True)
class RecorderStatus:
    """A recorder. url: what a client is given in place of the server's. fault: why it does not run though it is to."""

    server: str
    upstream: str
    url: str
    port: int
    is_on: bool
    is_running: bool
    trained: str
    fault: Sentence | None = None


class PromptRecorders:
    """All recorders of a workspace; one of these for the life of the process."""

    def __init__(self, workspace: Workspace, servers: ServerRegistry):
        self.workspace, self.requests = workspace, RecordedRequests.of(workspace)
        self._servers, self._file = servers, workspace.saves / ".recorder" / "recorders.json"
        self._children: dict[str, Child] = {}
        self._faults: dict[str, Problem] = {}
        self._lock = threading.RLock()

    def start(self, server: str, port: int | None = None, trained: str | None = None) -> RecorderStatus:
        """Begin to record a server, and return once the recorder listens.

        Args:
            server: as Chat names it.
            port: of this machine; the one it had, or a free one, if left out.
            trained: see StoredRecorder; as it was if left out.

        Raises:
            Problem: there is no such server, or the port is none or cannot be had.
        """
        upstream = self._upstream(server)
        if port and not 1 <= port <= LAST_PORT:
            raise Problem("recorder.bad_port", port=port, most=LAST_PORT)
        with self._lock:
            known = self._known()
            before = known.get(server)
            port = port or (before.port if before else self._free_port(known))
            stored = StoredRecorder(
                port=port, is_on=True, trained=trained if trained is not None else before.trained if before else ""
            )
            self._end(server)
            self._children[server] = self._begin(server, upstream, port)
            self._faults.pop(server, None)
            self._write(known | {server: stored})
        return self.status(server)

    def stop(self, server: str) -> RecorderStatus:
        """Stop recording a server; what was recorded stays. Raises Problem where it was never recorded."""
        with self._lock:
            known = self._known()
            stored = self._of(known, server)
            self._end(server)
            self._faults.pop(server, None)
            self._write(known | {server: stored.model_copy(update={"is_on": False})})
        return self.status(server)

    def compare_with(self, server: str, trained: str) -> RecorderStatus:
        """Say whose prompts those of a server are compared with. Raises Problem where it was never recorded."""
        with self._lock:
            known = self._known()
            self._write(known | {server: self._of(known, server).model_copy(update={"trained": trained})})
        return self.status(server)

    def take_up(self) -> None:
        """Start those that are to run: they ended with the studio. One that cannot says so in its status."""
        try:
            known = self._known()
        except Problem:  # its list says it
            return
        for server, stored in known.items():
            if stored.is_on and server not in self._children:
                try:
                    self.start(server)
                except Problem as problem:
                    self._faults[server] = problem

    def list(self) -> list[RecorderStatus]:
        """Return every recorder. Raises Problem where their file cannot be used."""
        return [self._status(server, stored) for server, stored in self._known().items()]

    def status(self, server: str) -> RecorderStatus:
        """Return a recorder. Raises Problem where the server was never recorded."""
        return self._status(server, self._of(self._known(), server))

    def close(self) -> None:
        """End all recorders; they are taken up again by the next studio."""
        with self._lock:
            for server in list(self._children):
                self._end(server)

    def _status(self, server: str, stored: StoredRecorder) -> RecorderStatus:
        child = self._children.get(server)
        is_running = child is not None and child.code is None
        fault = self._faults.get(server)
        if stored.is_on and not is_running and fault is None:
            fault = Problem("recorder.ended", server=server)
        try:
            upstream = self._upstream(server)
        except Problem as problem:
            upstream, fault = "", problem
        told = Sentence(key=fault.key, facts=fault.facts) if fault and stored.is_on else None
        url = f"http://{HOST}:{stored.port}/v1"
        return RecorderStatus(server, upstream, url, stored.port, stored.is_on, is_running, str(stored.trained), told)

    def _begin(self, server: str, upstream: str, port: int) -> Child:
        root = upstream.rsplit("/v1", 1)[0]
        order = {"upstream": root, "server": server, "folder": str(self.requests.folder), "port": port}
        child = Child([sys.executable, "-m", "studio.deploy.prompt_recorder.recording_proxy"], patience_s=PATIENCE_S)
        try:
            child.send(json.dumps(order).encode())
            line = child.next_line(READY_S)
            told = records.typed(parse_or({}, line or b""), ProxyLine, "recorder")
            if not told.ready:
                reason = told.reason or reasons.of_end(child.code)
                raise Problem("recorder.no_start", server=server, port=port, reason=reason)
        except (Problem, OSError):
            child.end()
            raise
        return child

    def _end(self, server: str) -> None:
        if child := self._children.pop(server, None):
            child.end()

    def _upstream(self, server: str) -> str:
        """Return the address of a server, with /v1. Raises Problem where there is none of that name."""
        return self._servers.target(f"served:{server}/-").url

    def _free_port(self, known: dict[str, StoredRecorder]) -> int:
        if port := ports.free_port(HOST, PORTS, {one.port for one in known.values()}):
            return port
        raise Problem("recorder.no_port", first=PORTS[0], last=PORTS[-1])

    def _known(self) -> dict[str, StoredRecorder]:
        return records.load(self._file, StoredRecorders).recorders if files.exists(self._file) else {}

    def _of(self, known: dict[str, StoredRecorder], server: str) -> StoredRecorder:
        if server not in known:
            raise Problem("recorder.unknown", server=server)
        return known[server]

    def _write(self, known: dict[str, StoredRecorder]) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        write_json(self._file, StoredRecorders(recorders=known).model_dump())
