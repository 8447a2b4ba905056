"""Open WebUI on this machine: started without a login and offline, connected to one served model, found again and ended
whole.

Its data (conversations, settings) stay in `saves/.open-webui/data` and are never deleted here.
"""

import json
import os
import secrets
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import httpx
from pydantic import Field

from studio.core import reasons
from studio.core.i18n import Problem
from studio.core.jobs import Job, Jobs
from studio.core.processes import process_group
from studio.core.processes.child import Child, Output
from studio.core.processes.process_group import ProcessId
from studio.core.sentences import Sentence
from studio.core.storage import files, records
from studio.core.storage.records import Moment, Record, Text
from studio.core.workspace import Workspace, write_json, write_whole
from studio.deploy.clients.open_webui_environment import OpenWebuiEnvironment
from studio.deploy.supervision import ports
from studio.inference.remote import openai_client
from studio.inference.remote.servers import ServedTarget, ServerRegistry

HOST = "127.0.0.1"
PORTS = range(8080, 8180)
PATIENCE_S = 10.0
READY_S = 180.0  # after which a start counts as failed
LOG_BYTES = 20_000
# What it asks of a model, or adds to a question, beyond what a person typed; each has a variable of its own.
EXTRAS = (
    "ENABLE_TITLE_GENERATION",
    "ENABLE_TAGS_GENERATION",
    "ENABLE_FOLLOW_UP_GENERATION",
    "ENABLE_SEARCH_QUERY_GENERATION",
    "ENABLE_RETRIEVAL_QUERY_GENERATION",
    "ENABLE_MEMORIES",
    "ENABLE_CODE_INTERPRETER",
    "ENABLE_NOTES",
)
NEVER = (
    "WEBUI_AUTH",
    "ENABLE_OLLAMA_API",
    "ENABLE_PERSISTENT_CONFIG",
    "ENABLE_AUTOCOMPLETE_GENERATION",
    "ENABLE_VERSION_UPDATE_CHECK",
    "ENABLE_COMMUNITY_SHARING",
    "ANONYMIZED_TELEMETRY",
)
ALWAYS = ("OFFLINE_MODE", "USE_SLIM_DOCKER", "BYPASS_EMBEDDING_AND_RETRIEVAL", "DO_NOT_TRACK", "SCARF_NO_ANALYTICS")
_FOREIGN = ("OPENAI_", "OLLAMA_", "WEBUI_", "ENABLE_", "DATABASE_", "RAG_")  # variables that are about another one


class OpenWebuiRecord(Record):
    """The one that was started: its process, its port, the model that it shows (as Chat names it) and how."""

    process: ProcessId
    mark: str
    port: Annotated[int, Field(ge=1, le=65535)]
    target: Text
    began: Moment
    extras: bool = False
    is_recorded: bool = False


@dataclass(frozen=True)
class OpenWebuiStatus:
    """How Open WebUI is.

    state: "missing" (not installed), "installing", "stopped", "starting", "ready" or "failed". job: that installs it.
    url: of its page. fault: why it does not run.
    """

    state: str
    job: Job | None = None
    url: str = ""
    target: str = ""
    extras: bool = False
    is_recorded: bool = False
    fault: Sentence | None = None


class OpenWebui:
    """Open WebUI of a workspace; one of these for the life of the process."""

    def __init__(self, workspace: Workspace, jobs: Jobs, servers: ServerRegistry, folder: Path | None = None):
        self.environment = OpenWebuiEnvironment(jobs, folder)
        self._servers, self._folder = servers, workspace.saves / ".open-webui"
        self._child: Child | None = None
        self._lock = threading.RLock()
        self._ready = ""  # the mark of the one that has answered

    def start(
        self, target: str, extras: bool = False, recorder_url: str = "", port: int | None = None
    ) -> OpenWebuiStatus:
        """Start it, in place of one that runs, and return at once; `status` tells when it is ready.

        Args:
            target: the model that it shows, as Chat names it (`served:<server>/<model>`).
            extras: whether it may ask and add what a person did not type.
            recorder_url: of a prompt recorder that stands between, "" for none.
            port: of this machine; a free one if left out.

        Raises:
            Problem: it is not installed, there is no such server, or the port cannot be had.
        """
        program, served = self.environment.program(), self._servers.target(target)
        with self._lock:
            self.stop()
            port, mark = self._port(port), secrets.token_hex(8)
            variables = self._variables(served, recorder_url or served.url, extras, port) | {process_group.MARK: mark}
            log = self._log()
            log.unlink(missing_ok=True)
            command = [str(program), "serve", "--host", HOST, "--port", str(port)]
            try:
                self._child = Child(command, output=Output(log), environment=variables, folder=self._folder)
            except OSError as error:
                raise Problem("open_webui.no_start", reason=reasons.of(error)) from error
            process = process_group.identity(self._child.pid)
            if process is None:
                raise Problem("open_webui.ended", reason=self._last_words())
            record = OpenWebuiRecord(
                process=process, mark=mark, port=port, target=target, began=time.time(), extras=extras,
                is_recorded=bool(recorder_url),
            )  # fmt: skip
            write_json(self._folder / "running.json", record.model_dump())
        return self.status()

    def stop(self) -> OpenWebuiStatus:
        """End it with all that it started; its data stay. Raises Problem where it cannot be ended."""
        with self._lock:
            record = self._record()
            if record:
                ended = process_group.end(record.process, record.mark, patience_s=PATIENCE_S, child=self._child)
                if not ended:
                    raise Problem("open_webui.not_ended", pid=record.process.pid)
                (self._folder / "running.json").unlink(missing_ok=True)
            self._child = None
        return self.status()

    def status(self) -> OpenWebuiStatus:
        """Return how it is. Raises Problem where its record cannot be read."""
        job = self.environment.job()
        if job and job.active:
            return OpenWebuiStatus("installing", job)
        if not self.environment.is_ready():
            return OpenWebuiStatus("missing", job)
        record = self._record()
        if record is None:
            return OpenWebuiStatus("stopped", job)
        url, told = f"http://{HOST}:{record.port}", (str(record.target), record.extras, record.is_recorded)
        if record.process.process() is None:
            fault = Sentence(key="open_webui.ended", facts={"reason": self._last_words()})
            return OpenWebuiStatus("failed", job, "", *told, fault=fault)
        if self._ready == record.mark or _answers(url):
            self._ready = record.mark
            return OpenWebuiStatus("ready", job, url, *told)
        late = Sentence(key="open_webui.slow", facts={"seconds": round(READY_S)})
        return OpenWebuiStatus(
            "starting", job, url, *told, fault=late if time.time() - record.began > READY_S else None
        )

    def log(self) -> str:
        """Return the end of what it printed, "" where it has not been started."""
        path = self._log()
        return files.end_of(path, LOG_BYTES).decode("utf-8", "replace") if files.is_file(path) else ""

    def _log(self) -> Path:
        return self._folder / "open-webui.log"

    def _last_words(self) -> dict:
        lines = [line.strip() for line in self.log().splitlines() if line.strip()]
        return reasons.original((lines or ["–"])[-1][:300])

    def _record(self) -> OpenWebuiRecord | None:
        path = self._folder / "running.json"
        return records.load(path, OpenWebuiRecord) if files.exists(path) else None

    def _variables(self, served: ServedTarget, url: str, extras: bool, port: int) -> dict[str, str]:
        """Return all variables of the process; what this process has for another OpenAI or Ollama is left out."""
        own = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
        here = [f"http://{name}:{port}" for name in (HOST, "localhost")]
        own |= {
            "DATA_DIR": str(self._data()),
            "WEBUI_SECRET_KEY": self._secret(),
            "OPENAI_API_BASE_URLS": url,
            "OPENAI_API_KEYS": openai_client.key_of(served.url) or "none",
            "DEFAULT_MODELS": served.model,
            "CORS_ALLOW_ORIGIN": ";".join(here),
            "WEBUI_URL": here[0],
            "RAG_EMBEDDING_ENGINE": "openai",
            "HF_HUB_OFFLINE": "1",
        }
        own |= dict.fromkeys(NEVER, "false") | dict.fromkeys(ALWAYS, "true")
        own |= dict.fromkeys(EXTRAS, "true" if extras else "false")
        if not extras:  # else one question carries some thirty tools
            own["DEFAULT_MODEL_PARAMS"] = json.dumps({"function_calling": "legacy"})
        return own

    def _data(self) -> Path:
        data = self._folder / "data"
        try:
            data.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Problem("workspace.unwritable", path=data, reason=reasons.of(error)) from error
        return data

    def _secret(self) -> str:
        path = self._folder / "secret"
        if not files.is_file(path):
            write_whole(path, secrets.token_hex(32), mode=0o600)
        return files.read_text(path).strip()

    def _port(self, port: int | None) -> int:
        if port and ports.fault(HOST, port) is None:
            return port
        if not port and (found := ports.free_port(HOST, PORTS)):
            return found
        raise Problem("open_webui.port_taken", port=port or f"{PORTS[0]}–{PORTS[-1]}")


def _answers(url: str) -> bool:
    try:
        return httpx.get(url + "/health", timeout=1.0, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False
