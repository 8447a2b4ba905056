"""The servers of OpenAI's API that a person added: where each is, its key, and the models that it has."""

import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, TypeAdapter, ValidationError, field_validator

from studio.core import reasons
from studio.core.i18n import Problem, Reason
from studio.core.network import web_address
from studio.core.plain import shown
from studio.core.storage import files, records
from studio.core.storage.records import Record
from studio.core.workspace import Workspace, write_json
from studio.inference.remote import openai_client

_BEGINS = "served:"


NAME = r"^[^/\s](?:[^/\n]{0,78}[^/\s])?$"  # of an endpoint, which stands before a slash in the name of a column


class StoredServer(Record):
    """A server that a person added: where its API is."""

    url: Annotated[str, Field(pattern=r"^https?://[^/\s@]+(/\S*)?$", max_length=2000)]

    @field_validator("url")
    @classmethod
    def _is_address(cls, url: str) -> str:
        """Refuse what cannot be taken apart: what asks the server, or draws it, reads its host and its port."""
        if web_address.split(url) is None:
            raise ValueError(Reason("served.bad_address"))
        return url


@dataclass(frozen=True)
class ServedTarget:
    """A column that a server answers: its name in the chat, the address of the API (with /v1), and the server's name of
    the model.
    """

    name: str
    url: str
    model: str


@dataclass(frozen=True)
class ServerEntry:
    """A server that was added, and whether a key for it is known."""

    name: str
    url: str
    has_key: bool


@dataclass(frozen=True)
class AddedServer:
    """A server that was added now, with the names of its models."""

    name: str
    url: str
    models: list[str]


class ServerRegistry:
    """The endpoints that a person added. They are remembered on disk, their keys only in this process unless the person
    asks.
    """

    def __init__(self, workspace: Workspace):
        self._file = workspace.saves / ".chats" / "endpoints.json"
        self._key_file = workspace.saves / ".chats" / "keys.json"
        self._lock = threading.Lock()
        for url, key in _usable(self._key_file, _Keys)[0].items():
            openai_client.set_key(url, key)

    def add(self, url: str, key: str = "", keep_key: bool = False, name: str = "") -> AddedServer:
        """Ask the server for its models, remember it, and return it.

        Args:
            url: as a person writes it: `localhost:8000` will do, and so will an address that was copied with
                /chat/completions.
            key: "" for none, or for the one that is known already.
            keep_key: write the key to a file that only this user can read, so that it outlives the studio.
            name: how it is called in the chat, by default host and port; an endpoint of that name is replaced.

        Raises:
            Problem: no such address, nothing that speaks this API there, or it refuses the key.
        """
        if not key.isascii() or not key.isprintable() or " " in key.strip():
            raise Problem("served.odd_key")
        key, name = key.strip(), name.strip()
        api_url, models = _find(url, key)
        name = name or urlsplit(api_url).netloc
        if not re.fullmatch(NAME, name):
            raise Problem("served.bad_name")
        with self._lock:
            _write(self._file, _Servers, {**_usable(self._file, _Servers)[0], name: {"url": api_url}})
            if key:
                openai_client.set_key(api_url, key)
                self._store_key(api_url, key if keep_key else "")
        return AddedServer(name, api_url, models)

    def remove(self, name: str) -> None:
        """Forget an endpoint and its key. Raises Problem where there is none of that name."""
        with self._lock:
            known = _usable(self._file, _Servers)[0]
            url = _url(known, name)
            del known[name]
            _write(self._file, _Servers, known)
            if all(other["url"] != url for other in known.values()):
                openai_client.set_key(url, "")
                self._store_key(url, "")

    def models(self, name: str) -> list[str]:
        """Ask an endpoint, for a few seconds at most, which models it has now. Raises Problem where it does not say."""
        url = _url(_usable(self._file, _Servers)[0], name)
        return _models(url, openai_client.key_of(url))

    def target(self, name: str) -> ServedTarget:
        """Return who stands behind `served:<endpoint>/<model>`; nobody is asked. Raises Problem where there is no such
        endpoint.
        """
        endpoint, _, model = name.removeprefix(_BEGINS).partition("/")
        if not name.startswith(_BEGINS) or not model:
            raise Problem("served.no_endpoint", name=name)
        return ServedTarget(name, _url(_usable(self._file, _Servers)[0], endpoint), model)

    def faults(self) -> list[Problem]:
        """Return what cannot be used in the files of endpoints and of keys."""
        return _usable(self._file, _Servers)[1] + _usable(self._key_file, _Keys)[1]

    def list(self) -> list[ServerEntry]:
        """Return every server, in the order in which they were added; see `faults` for what
        cannot be read.
        """
        known = _usable(self._file, _Servers)[0]
        return [ServerEntry(name, one["url"], bool(openai_client.key_of(one["url"]))) for name, one in known.items()]

    def _store_key(self, url: str, key: str) -> None:
        stored = _usable(self._key_file, _Keys)[0]
        updated = {**stored, url: key} if key else {other: stored[other] for other in stored if other != url}
        if updated != stored:
            _write(self._key_file, _Keys, updated, mode=0o600)


_Servers = TypeAdapter(dict[Annotated[str, Field(pattern=NAME)], StoredServer])


_Keys = TypeAdapter(dict[str, Annotated[str, Field(pattern=r"^[!-~]*$")]])


def _usable(file: Path, kind: TypeAdapter) -> tuple[dict, list[Problem]]:
    """Return the entries of a file that can be used, and what is wrong with the others or with the whole file."""
    if not files.exists(file):
        return {}, []
    try:
        known = records.read(file)
        if not isinstance(known, dict):
            raise Problem("served.bad_file", path=file)
    except Problem as fault:
        return {}, [fault]
    entries, faults = {}, []
    for name, one in known.items():
        try:
            entries |= kind.dump_python(kind.validate_python({name: one}))
        except ValidationError as error:
            _, reason = reasons.field(error)
            faults.append(Problem("records.wrong_field", file=file.name, field=shown(name)[:100], reason=reason))
    return entries, faults


def _write(file: Path, kind: TypeAdapter, known: dict, mode: int = 0o666) -> None:
    """Write the entries; a file in which something cannot be used is kept beside the new one."""
    if _usable(file, kind)[1]:
        records.set_aside(file)
    write_json(file, known, mode=mode)


def _url(known: dict, name: str) -> str:
    if name not in known:
        raise Problem("served.no_endpoint", name=name)
    return known[name]["url"]


def _find(address: str, key: str) -> tuple[str, list[str]]:
    """Return where the API is at an address as a person writes it, and its models."""
    candidates = _candidates(address)
    for url in candidates:
        try:
            return url, _models(url, key or openai_client.key_of(url))
        except Problem as problem:
            if problem.key not in ("served.no_api", "served.garbage"):
                raise
    raise Problem("served.no_api", place=urlsplit(candidates[0]).netloc)


def _candidates(address: str) -> list[str]:
    address = web_address.ordinary(address)
    parts = web_address.split(address if "://" in address else "https://" + address)
    if parts is None or parts.username is not None or re.match(r"\w+:/(?!/)", address):
        raise Problem("served.bad_address")
    if "://" not in address and (openai_client.is_near(parts.hostname) or parts.port):
        # Else https: a key must not go to the open internet unencrypted because somebody left out the scheme.
        parts = parts._replace(scheme="http")
    path = re.sub(r"/(chat/completions|completions|models)$", "", parts.path.rstrip("/"))
    base = f"{parts.scheme}://{parts.netloc}{path}"
    return [base] if re.search(r"/v\d+$", base) else [f"{base}/v1", base]


def _models(url: str, key: str) -> list[str]:
    import openai

    try:
        with openai_client.client(url, key) as client:
            model_ids = [model.id for model in client.models.list().data]
            return [id for id in model_ids if isinstance(id, str) and id.strip()]
    except (openai.APIError, ValueError, AttributeError, TypeError, RecursionError) as error:
        raise openai_client.problem(error, url, key=key) from error
