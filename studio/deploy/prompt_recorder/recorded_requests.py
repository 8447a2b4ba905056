"""Recorded requests on disk: a file each in `saves/.recorder/requests/`, the newest MOST of them.

No key is among what is kept: headers are not, and a key that a client puts into the body is struck out.
"""

import re
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from studio.core.i18n import Problem
from studio.core.plain import plain
from studio.core.storage import files, folders, records
from studio.core.storage.records import Moment, Record, Text
from studio.core.workspace import Workspace, is_safe, write_json
from studio.deploy.prompt_recorder.request_kinds import Kind, text_of

MOST = 500
LONGEST_BODY = 2**20  # bytes of a request that are kept, images not counted
LONGEST_ANSWER = 100_000  # characters
HIDDEN = "•••"
_SECRET = re.compile(r"^(api[-_]?key|key|token|access[-_]?token|authorization|password|secret)$", re.IGNORECASE)
_DATA_URL = re.compile(r"^(data:[\w.+-]{0,40}/?[\w.+-]{0,40};base64,)([A-Za-z0-9+/=\s]{200,})$")
_WITH_SECRETS = ("", "metadata", "headers", "extra_headers", "options", "user")  # parts of a body, not of a tool
Count = Annotated[int, Field(ge=0, lt=2**53)]
Seconds = Annotated[float, Field(ge=0, le=10**9, allow_inf_nan=False)]


class RecordedRequest(Record):
    """A request and what came of it.

    server: as Chat names it. client: what it calls itself. body: as it was sent, images shortened; None where it was no
    JSON, or too long. size: of it, in bytes. status: of HTTP, None where the engine could not be reached. ttft_s: until
    the first byte of the answer's body. fault: the words of an error.
    """

    id: str
    server: Text
    time: Moment
    method: Text
    path: Text
    client: Text = ""
    kind: Kind = "other"
    body: dict[str, object] | None = None
    size: Count = 0
    status: Annotated[int, Field(ge=100, le=999)] | None = None
    ttft_s: Seconds | None = None
    seconds: Seconds = 0.0
    answer: Text = ""
    finished: Text = ""
    prompt_tokens: Count | None = None
    tokens: Count | None = None
    fault: Text = ""

    @property
    def model(self) -> str:
        """The name of the model that was asked for, "" where none is."""
        named = (self.body or {}).get("model")
        return named if isinstance(named, str) else ""

    @property
    def messages(self) -> list[dict]:
        """The messages that were sent, those left out that are none."""
        sent = (self.body or {}).get("messages")
        return [one for one in sent if isinstance(one, dict)] if isinstance(sent, list) else []

    @property
    def tools(self) -> list[dict]:
        """The tools that were offered."""
        sent = (self.body or {}).get("tools")
        return [one for one in sent if isinstance(one, dict)] if isinstance(sent, list) else []

    @property
    def question(self) -> str:
        """The last message, or the bare prompt."""
        if self.messages:
            return text_of(self.messages[-1].get("content"))
        prompt = (self.body or {}).get("prompt")
        return prompt if isinstance(prompt, str) else ""

    @property
    def parameters(self) -> dict[str, object]:
        """What was sent beside model, messages, prompt and tools."""
        known = ("model", "messages", "prompt", "tools")
        return {name: value for name, value in (self.body or {}).items() if name not in known}


def new_id(now: float) -> str:
    """Return an id for a request that came at `now`; the ids of later ones are later in the alphabet."""
    return f"{time.strftime('%Y%m%d-%H%M%S', time.localtime(now))}-{int(now % 1 * 1000):03d}-{secrets.token_hex(3)}"


def kept(body: object) -> dict | None:
    """Return what is kept of a body: without keys, images as their kind and size. None for what is no object."""
    if not isinstance(body, dict):
        return None
    return plain(_without_images({name: _without_keys(name, value) for name, value in body.items()}))


def _without_keys(name: str, value: object) -> object:
    if _SECRET.match(name) and isinstance(value, str) and value:
        return HIDDEN
    if name in _WITH_SECRETS and isinstance(value, dict):
        return {inner: HIDDEN if _SECRET.match(str(inner)) else one for inner, one in value.items()}
    return value


def _without_images(value: object) -> object:
    if isinstance(value, str):
        image = _DATA_URL.match(value) if value.startswith("data:") else None
        return f"{image[1]}… ({len(image[2]) * 3 // 4} B)" if image else value
    if isinstance(value, list):
        return [_without_images(one) for one in value]
    if isinstance(value, dict):
        return {name: _without_images(one) for name, one in value.items()}
    return value


@dataclass(frozen=True)
class RecordedRequests:
    """The folder of all recorded requests."""

    folder: Path

    @classmethod
    def of(cls, workspace: Workspace) -> "RecordedRequests":
        """Return those of a workspace."""
        return cls(workspace.saves / ".recorder" / "requests")

    def ids(self) -> list[str]:
        """Return the ids of all requests, newest first."""
        return sorted((path.stem for path in folders.matching(self.folder, "*.json")), reverse=True)

    def find(self, id: str) -> RecordedRequest:
        """Return a request. Raises Problem where there is none, or its file cannot be used."""
        path = self.folder / f"{id}.json"
        if not is_safe(id) or not files.is_file(path):
            raise Problem("recorder.no_request", id=id)
        return records.load(path, RecordedRequest)

    def add(self, request: RecordedRequest) -> None:
        """Keep a request, and drop the oldest where there are more than MOST. Raises Problem where the disk refuses."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / f"{request.id}.json", request.model_dump())
        self.drop(self.ids()[MOST:])

    def drop(self, ids: list[str]) -> None:
        """Delete requests for good: they are no work of the person's, and may be private."""
        for id in ids:
            (self.folder / f"{id}.json").unlink(missing_ok=True)
