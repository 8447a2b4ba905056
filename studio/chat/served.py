"""Columns that OpenAI-compatible servers answer: the endpoints a person added, and one question to a model of one of
them.
"""

import asyncio
import re
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, TypeAdapter, ValidationError

from studio.chat import openai_client
from studio.chat.answer import Answer, Sampling
from studio.chat.remote.server_words import ServerFault
from studio.chat.remote.stream import StreamAccumulator
from studio.chat.remote.wire import WireReader
from studio.chat.stored import Endpoint
from studio.core.i18n import Problem, shown
from studio.core.storage import files, records
from studio.core.workspace import Workspace, write_json

SILENCE_S = 120.0
_TICK_S = 0.03
_BEGINS = "served:"
NAME = r"^[^/\s](?:[^/\n]{0,78}[^/\s])?$"  # of an endpoint, which stands before a slash in the name of a column
# A server that knows these not loses nothing by it: one asks it to count, and for the other it keeps its own random
# numbers.
_DISPENSABLE = ("stream_options", "seed")


@dataclass(frozen=True)
class ServedSpeaker:
    """A column that a server answers: its name in the chat, the address of the API (with /v1), and the server's name of
    the model.
    """

    name: str
    url: str
    model: str


class Endpoints:
    """The endpoints that a person added. They are remembered on disk, their keys only in this process unless the person
    asks.
    """

    def __init__(self, workspace: Workspace):
        self._file = workspace.saves / ".chats" / "endpoints.json"
        self._key_file = workspace.saves / ".chats" / "keys.json"
        self._lock = threading.Lock()
        for url, key in _usable(self._key_file, _Key)[0].items():
            openai_client.know_key(url, key)

    def add(self, url: str, key: str = "", keep_key: bool = False, name: str = "") -> dict:
        """Ask the server for its models, remember it, and return {"name", "url", "models"}.

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
        found, models = _find(url, key)
        name = name or urlsplit(found).netloc
        if not re.fullmatch(NAME, name):
            raise Problem("served.bad_name")
        with self._lock:
            _write(self._file, _Endpoint, {**_usable(self._file, _Endpoint)[0], name: {"url": found}})
            if key:
                openai_client.know_key(found, key)
                self._keep(found, key if keep_key else "")
        return {"name": name, "url": found, "models": models}

    def remove(self, name: str) -> None:
        """Forget an endpoint and its key. Raises Problem where there is none of that name."""
        with self._lock:
            known = _usable(self._file, _Endpoint)[0]
            url = _url(known, name)
            del known[name]
            _write(self._file, _Endpoint, known)
            if all(other["url"] != url for other in known.values()):
                openai_client.know_key(url, "")
                self._keep(url, "")

    def models(self, name: str) -> list[str]:
        """Ask an endpoint, for a few seconds at most, which models it has now. Raises Problem where it does not say."""
        url = _url(_usable(self._file, _Endpoint)[0], name)
        return _models(url, openai_client.key_of(url))

    def speaker(self, name: str) -> ServedSpeaker:
        """Return who stands behind `served:<endpoint>/<model>`; nobody is asked. Raises Problem where there is no such
        endpoint.
        """
        endpoint, _, model = name.removeprefix(_BEGINS).partition("/")
        if not name.startswith(_BEGINS) or not model:
            raise Problem("served.no_endpoint", name=name)
        return ServedSpeaker(name, _url(_usable(self._file, _Endpoint)[0], endpoint), model)

    def faults(self) -> list[Problem]:
        """Return what cannot be used in the files of endpoints and of keys."""
        return _usable(self._file, _Endpoint)[1] + _usable(self._key_file, _Key)[1]

    def list(self) -> list[dict]:
        """Return {"name", "url", "has_key"} of every endpoint, in the order they were added; see `faults` for what
        cannot be read.
        """
        known = _usable(self._file, _Endpoint)[0]
        return [
            {"name": name, "url": one["url"], "has_key": bool(openai_client.key_of(one["url"]))}
            for name, one in known.items()
        ]

    def _keep(self, url: str, key: str) -> None:
        kept = _usable(self._key_file, _Key)[0]
        wanted = {**kept, url: key} if key else {other: kept[other] for other in kept if other != url}
        if wanted != kept:
            _write(self._key_file, _Key, wanted, mode=0o600)


_Endpoint = TypeAdapter(dict[Annotated[str, Field(pattern=NAME)], Endpoint])
_Key = TypeAdapter(dict[str, Annotated[str, Field(pattern=r"^[!-~]*$")]])


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
    found, faults = {}, []
    for name, one in known.items():
        try:
            found |= kind.dump_python(kind.validate_python({name: one}))
        except ValidationError as error:
            reason = error.errors(include_url=False, include_input=False)[0]["msg"]
            faults.append(Problem("records.wrong_field", file=file.name, field=shown(name)[:100], reason=reason[:200]))
    return found, faults


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
    address = address.strip()
    try:
        host = urlsplit("//" + address).hostname or ""
        # A key must not go to the open internet unencrypted because somebody left out the scheme.
        scheme = "http://" if openai_client.is_near(host) or urlsplit("//" + address).port else "https://"
        parts = urlsplit(address if "://" in address else scheme + address)
        sound = (
            parts.scheme in ("http", "https") and parts.hostname and parts.username is None and (parts.port or 1) > 0
        )
    except ValueError as error:
        raise Problem("served.bad_address") from error
    if not sound or re.search(r"\s|^\w+:/(?!/)", address):
        raise Problem("served.bad_address")
    path = re.sub(r"/(chat/completions|completions|models)$", "", parts.path.rstrip("/"))
    base = f"{parts.scheme}://{parts.netloc}{path}"
    return [base] if re.search(r"/v\d+$", base) else [f"{base}/v1", base]


def _models(url: str, key: str) -> list[str]:
    import openai

    try:
        with openai_client.client(url, key) as client:
            told = [model.id for model in client.models.list().data]
            return [id for id in told if isinstance(id, str) and id.strip()]
    except (openai.APIError, ValueError, AttributeError, TypeError, RecursionError) as error:
        raise openai_client.problem(error, url, key=key) from error


def ask(
    speaker: ServedSpeaker,
    messages: list[dict],
    system: str,
    sampling: Sampling,
    stop: threading.Event,
    tools: str = "",
    seen: Callable[[Answer], None] = lambda answer: None,
) -> Answer:
    """Ask a served model and return its whole answer. What the server does wrong is the answer's `fault`; what had come
    by then stays.

    Temperature, top-p, max tokens and seed are sent; not every server heeds them: LLaMA-Factory's API takes no notice
    of the seed, tells no count of tokens, and says "stop" where max tokens were reached too. Tokens are counted in
    pieces until the server tells them.

    Args:
        messages: see `openai_client.as_messages`.
        system: the system prompt, "" for none.
        stop: set it to end the answer at once, also while the server says nothing.
        tools: JSON of the tools that may be called, "" for none.
        seen: is told the answer as it grows, in the thread that asks.
    """
    client = openai_client.async_client(
        speaker.url
    )  # loads a library the first time, which is no fault of the engine's
    accumulator = StreamAccumulator(speaker.name, sampling.max_tokens)
    try:
        question = {
            "model": speaker.model, "messages": openai_client.as_messages(messages, system), "temperature": sampling.temperature,
            "top_p": sampling.top_p, "max_tokens": sampling.max_tokens, "seed": sampling.seed,
            "stream_options": {"include_usage": True},
        }  # fmt: skip
        if offered := openai_client.as_tools(tools):
            question["tools"] = offered
            names = [name for tool in offered if isinstance(name := tool["function"]["name"], str)]
            accumulator = StreamAccumulator(speaker.name, sampling.max_tokens, names)
        _in_a_loop(_listen(_read_answer(client, accumulator, question), speaker, accumulator, stop, seen))
    except Problem as problem:
        accumulator.end("failed", problem)
    return accumulator.answer()


def _in_a_loop(work: Coroutine) -> None:
    """Run `work` as `asyncio.run` does, but do not wait for the look-up of a host's name that hangs."""
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(work)
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


async def _listen(
    read: Coroutine,
    speaker: ServedSpeaker,
    accumulator: StreamAccumulator,
    stop: threading.Event,
    seen: Callable[[Answer], None],
) -> None:
    """Read the answer, and stop reading when the person wants it and when nothing comes any more."""
    reading, shown = asyncio.create_task(read), 0
    try:
        while not reading.done() and not accumulator.finished:
            await asyncio.wait({reading}, timeout=_TICK_S)
            if stop.is_set():
                accumulator.end("stopped")
            elif time.perf_counter() - accumulator.heard > SILENCE_S and not reading.done():
                _conclude(
                    speaker,
                    accumulator,
                    Problem("served.silent", place=urlsplit(speaker.url).netloc, seconds=round(SILENCE_S)),
                )
            elif accumulator.chunks > shown:
                shown = accumulator.chunks
                seen(accumulator.answer())
    finally:
        reading.cancel()
        await asyncio.wait(
            {reading}, timeout=0.2
        )  # to close the connection, by which the engine learns that nobody listens
    error = reading.exception() if reading.done() and not reading.cancelled() else None
    if not accumulator.finished:
        _conclude(speaker, accumulator, error)


def _conclude(speaker: ServedSpeaker, accumulator: StreamAccumulator, error: BaseException | None) -> None:
    """End an answer that ended by itself or with an error.

    A connection that breaks off no longer matters once the server had said that it was done; what it says of an error
    does.
    """
    import openai

    facts = {"place": urlsplit(speaker.url).netloc, "model": speaker.model}
    if isinstance(error, ServerFault):
        accumulator.end("failed", openai_client.told_in_the_answer(error.words, speaker.url, speaker.model))
    elif error is None and (accumulator.is_done or accumulator.reason) or accumulator.ends_with_reason:
        _end_by_reason(accumulator, speaker)
    elif error is None:
        accumulator.end("failed", Problem("served.cut", **facts))
    elif isinstance(error, Problem):
        accumulator.end("failed", error)
    elif isinstance(error, (openai.APIError, ValueError)):
        accumulator.end("failed", openai_client.problem(error, speaker.url, speaker.model))
    else:
        raise error


def _end_by_reason(accumulator: StreamAccumulator, speaker: ServedSpeaker) -> None:
    """End an answer as its server says; one that says nothing but that its stream is over was done."""
    reason, words = accumulator.reason or "stop", accumulator.reason_words
    if reason == "filtered":
        fault = Problem(
            "served.filtered",
            place=urlsplit(speaker.url).netloc,
            model=speaker.model,
            reason=openai_client.in_one_line(words),
        )
        accumulator.end("failed", fault)
    elif reason == "failed":
        accumulator.end("failed", openai_client.told_in_the_answer(words, speaker.url, speaker.model))
    else:
        accumulator.end(reason)


async def _read_answer(client, accumulator: StreamAccumulator, question: dict) -> None:
    """Take in an answer, asking again without what the server refuses to know.

    Raises:
        ServerFault: the server tells of an error in its answer.
        ValueError: what it sends is no answer.
    """
    import openai

    async with client:
        while True:
            try:
                await _read_body(client, accumulator, question | {"stream": True})
                return
            except openai.APIStatusError as error:
                question = _without_the_refused(question, error)
            except openai.APIConnectionError:
                # LLaMA-Factory's API breaks off where it is to stream with tools, and answers in one piece.
                if accumulator.chunks or "tools" not in question:
                    raise
                break
        await _read_body(
            client, accumulator, {name: value for name, value in question.items() if name != "stream_options"}
        )


async def _read_body(client, accumulator: StreamAccumulator, question: dict) -> None:
    """Ask, and take in the body of the answer, in whatever form it is."""
    import openai

    reader = WireReader()
    async with client.chat.completions.with_streaming_response.create(**question) as response:
        parts, broken = aiter(response.iter_bytes()), None
        while not (reader.done or accumulator.finished or broken):
            try:
                part = await anext(parts, None)
            except Exception as error:  # whatever library carries the bytes: the connection broke
                part, broken = None, error
            accumulator.heard = time.perf_counter()
            for event in reader.finish() if part is None else reader.feed(part):
                accumulator.feed(event)
            if part is None:
                break
        if broken:
            raise openai.APIConnectionError(request=response.http_request) from broken
    accumulator.is_done = accumulator.is_done or reader.done and accumulator.is_known
    if not accumulator.is_known and not reader.is_cut:
        if words := reader.words():
            raise ServerFault(words)
        raise ValueError("no answer of a chat completion")


def _without_the_refused(question: dict, error) -> dict:
    """Return the question as this server takes it; raise the error again where it is about something else."""
    told = str(error.body) if error.status_code in (400, 422) else ""
    if "max_completion_tokens" in told and "max_tokens" in question:
        return {"max_completion_tokens" if name == "max_tokens" else name: value for name, value in question.items()}
    for name in _DISPENSABLE:
        if name in question and name in told:
            return {other: value for other, value in question.items() if other != name}
    raise error
