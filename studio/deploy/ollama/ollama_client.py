"""Ollama's native API: its models are made, listed, shown, copied, deleted and pulled."""

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
from pydantic import Field

from studio.core import reasons
from studio.core.i18n import Problem
from studio.core.storage import records
from studio.core.storage.records import Record
from studio.inference.remote.error_text import in_one_line

TIMEOUT_S = 10.0
LONG_S = 600.0  # for a file that is taken in
CHUNK = 2**20


class OllamaModel(Record):
    """A model in the store of an Ollama."""

    name: str
    size: int = Field(0, ge=0)
    modified_at: str = ""
    digest: str = ""


class _Listed(Record):
    models: list[OllamaModel] = []


class ShownModel(Record):
    """What Ollama tells of a model."""

    modelfile: str = ""
    template: str = ""
    parameters: str = ""
    system: str = ""
    license: str | list[str] = ""


class Step(Record):
    """A line that it sends while it works. digest, total, completed: of what is being fetched, in bytes."""

    status: str = ""
    error: str = ""
    digest: str = ""
    total: int = 0
    completed: int = 0


class RenderedPrompt(Record):
    """What it would give to the model."""

    rendered_template: str


class _Debug(Record):
    debug: RenderedPrompt = Field(alias="_debug_info")


class OllamaClient:
    """One Ollama, by its root, such as http://127.0.0.1:11434. Each method raises Problem where it does not answer, or
    refuses.
    """

    def __init__(self, url: str):
        self._url = url.rstrip("/")

    def models(self) -> list[OllamaModel]:
        """Return the models in its store."""
        return records.typed(self._ask("GET", "/api/tags"), _Listed, "tags").models

    def show(self, model: str) -> ShownModel:
        """Return what it tells of a model."""
        return records.typed(self._ask("POST", "/api/show", {"model": model}), ShownModel, model)

    def copy(self, model: str, to: str) -> None:
        """Give a model a second name."""
        self._ask("POST", "/api/copy", {"source": model, "destination": to})

    def delete(self, model: str) -> None:
        """Delete a model from its store, for good."""
        self._ask("DELETE", "/api/delete", {"model": model})

    def pull(self, model: str, on_step: Callable[[Step], None]) -> None:
        """Fetch a model from Ollama's registry; `on_step` may raise to end it."""
        self._work("/api/pull", {"model": model}, on_step)

    def take_in(self, file: Path, check: Callable[[], None]) -> str:
        """Send a file where it is not in its store yet, and return its digest there; `check` may raise to end it."""
        digest = _sha256(file, check)
        if not self.has(digest):
            self._put_blob(digest, file, check)
        return digest

    def create(
        self,
        model: str,
        digest: str,
        template: str | None,
        parameters: dict[str, object],
        on_step: Callable[[Step], None],
    ) -> None:
        """Make a model of a GGUF file in its store, with a Go template where there is one; `on_step` may raise to end
        it.
        """
        body: dict[str, object] = {"model": model, "files": {f"{model}.gguf": digest}, "parameters": parameters}
        self._work("/api/create", body | ({"template": template} if template else {}), on_step)

    def rendered(self, model: str, messages: list[dict], tools: list[dict] | None = None) -> str | None:
        """Return the text that it would give to the model, None where this release does not tell."""
        body = {"model": model, "messages": messages, "stream": False, "_debug_render_only": True}
        answer = self._ask("POST", "/api/chat", body | ({"tools": tools} if tools else {}))
        with contextlib.suppress(Problem):
            return records.typed(answer, _Debug, model).debug.rendered_template
        return None

    def has(self, digest: str) -> bool:
        """Tell whether a file is in its store."""
        with self._open() as client, self._told():
            return client.head(f"/api/blobs/{digest}").status_code == 200

    def _put_blob(self, digest: str, file: Path, check: Callable[[], None]) -> None:
        with self._open(LONG_S) as client, self._told():
            answer = client.post(f"/api/blobs/{digest}", content=_chunks(file, check))
            self._require(answer.status_code, answer.text)

    def _ask(self, method: str, path: str, body: dict | None = None) -> object:
        with self._open() as client, self._told():
            answer = client.request(method, path, json=body)
            self._require(answer.status_code, answer.text)
            return records.parse(answer.content) if answer.content.strip() else {}

    def _work(self, path: str, body: dict, on_step: Callable[[Step], None]) -> None:
        """Do what it tells of line by line."""
        with self._open(LONG_S) as client, self._told(), client.stream("POST", path, json=body) as answer:
            if answer.status_code != 200:
                self._require(answer.status_code, answer.read().decode("utf-8", "replace"))
            for line in answer.iter_lines():
                if line.strip():
                    step = records.typed(records.parse(line), Step, path)
                    if step.error:
                        raise Problem("deploy.ollama_refused", reason=reasons.original(in_one_line(step.error, "")))
                    on_step(step)

    def _open(self, seconds: float = TIMEOUT_S) -> httpx.Client:
        timeout = httpx.Timeout(seconds, connect=TIMEOUT_S)
        return httpx.Client(base_url=self._url, timeout=timeout, trust_env=False, follow_redirects=False)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except httpx.HTTPError as error:
            raise Problem("deploy.ollama_silent", reason=reasons.of(error)) from error
        except ValueError as error:
            raise Problem("deploy.ollama_refused", reason=reasons.of(error)) from error

    def _require(self, status: int, text: str) -> None:
        if status >= 400:
            said = records.parse_or({}, text)
            words = said.get("error") if isinstance(said, dict) else None
            raise Problem("deploy.ollama_refused", reason=reasons.original(in_one_line(str(words or status), "")))


def _sha256(file: Path, check: Callable[[], None]) -> str:
    digest = hashlib.sha256()
    for chunk in _chunks(file, check):
        digest.update(chunk)
    return f"sha256:{digest.hexdigest()}"


def _chunks(file: Path, check: Callable[[], None]) -> Iterator[bytes]:
    try:
        with open(file, "rb") as opened:
            while chunk := opened.read(CHUNK):
                check()
                yield chunk
    except OSError as error:
        raise Problem("gguf.broken", file=file.name, reason=reasons.of(error)) from error
