"""Columns that OpenAI-compatible servers answer: the endpoints a person added, and one question to a model of one of them."""

import asyncio
import io
import json
import re
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from urllib.parse import urlsplit

from studio.chat import openai_client
from studio.chat.answer import Answer, Sampling
from studio.interface.language import Problem
from studio.workspace import Workspace, write_json

SILENCE_S = 120.0
_AFTER_THE_END_S = 2.0  # for the counts, which come after the last piece
_TICK_S = 0.03
_MARGIN = 64
_BEGINS = "served:"
# A server that knows these not loses nothing by it: one asks it to count, and for the other it keeps its own random numbers.
_DISPENSABLE = ("stream_options", "seed")


@dataclass(frozen=True)
class ServedSpeaker:
    """A column that a server answers: its name in the chat, the address of the API (with /v1), and the server's name of the model."""

    name: str
    url: str
    model: str


class Endpoints:
    """The endpoints that a person added. They are remembered on disk, their keys only in this process unless the person asks."""

    def __init__(self, workspace: Workspace):
        self._file = workspace.saves / ".chats" / "endpoints.json"
        self._key_file = workspace.saves / ".chats" / "keys.json"
        self._lock = threading.Lock()
        for url, key in _read(self._key_file).items():
            openai_client.know_key(url, key)

    def add(self, url: str, key: str = "", keep_key: bool = False, name: str = "") -> dict:
        """Ask the server for its models, remember it, and return {"name", "url", "models"}.

        Args:
            url: as a person writes it: `localhost:8000` will do, and so will an address that was copied with /chat/completions.
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
        if not re.fullmatch(r"[^/\s](?:[^/\n]{0,78}[^/\s])?", name):
            raise Problem("served.bad_name")
        with self._lock:
            write_json(self._file, _read(self._file) | {name: {"url": found}})
            if key:
                openai_client.know_key(found, key)
                self._keep(found, key if keep_key else "")
        return {"name": name, "url": found, "models": models}

    def remove(self, name: str) -> None:
        """Forget an endpoint and its key. Raises Problem where there is none of that name."""
        with self._lock:
            known = _read(self._file)
            url = _url(known, name)
            del known[name]
            write_json(self._file, known)
            if all(other["url"] != url for other in known.values()):
                openai_client.know_key(url, "")
                self._keep(url, "")

    def models(self, name: str) -> list[str]:
        """Ask an endpoint, for a few seconds at most, which models it has now. Raises Problem where it does not say."""
        url = _url(_read(self._file), name)
        return _models(url, openai_client.key_of(url))

    def speaker(self, name: str) -> ServedSpeaker:
        """Return who stands behind `served:<endpoint>/<model>`; nobody is asked. Raises Problem where there is no such endpoint."""
        endpoint, _, model = name.removeprefix(_BEGINS).partition("/")
        if not name.startswith(_BEGINS) or not model:
            raise Problem("served.no_endpoint", name=name)
        return ServedSpeaker(name, _url(_read(self._file), endpoint), model)

    def list(self) -> list[dict]:
        """Return {"name", "url", "has_key"} of every endpoint, in the order they were added. Raises Problem where the file is broken."""
        return [{"name": name, "url": one["url"], "has_key": bool(openai_client.key_of(one["url"]))} for name, one in _read(self._file).items()]

    def _keep(self, url: str, key: str) -> None:
        kept = _read(self._key_file)
        wanted = {**kept, url: key} if key else {other: kept[other] for other in kept if other != url}
        if wanted != kept:
            write_json(self._key_file, wanted, mode=0o600)


def _read(file) -> dict:
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise Problem("served.bad_file", path=file) from error
    if not isinstance(known, dict):
        raise Problem("served.bad_file", path=file)
    return known


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
        sound = parts.scheme in ("http", "https") and parts.hostname and parts.username is None and (parts.port or 1) > 0
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
            return [str(model.id) for model in client.models.list().data]
    except (openai.APIError, ValueError, AttributeError, TypeError) as error:
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
    """Ask a served model and return its whole answer. What the server does wrong is the answer's `fault`; what had come by then stays.

    Temperature, top-p, max tokens and seed are sent; not every server heeds them: LLaMA-Factory's API takes no notice of the seed, tells
    no count of tokens, and says "stop" where max tokens were reached too. Tokens are counted in pieces until the server tells them.

    Args:
        messages: see `openai_client.as_messages`.
        system: the system prompt, "" for none.
        stop: set it to end the answer at once, also while the server says nothing.
        tools: JSON of the tools that may be called, "" for none.
        seen: is told the answer as it grows, in the thread that asks.
    """
    client = openai_client.async_client(speaker.url)  # loads a library the first time, which is no fault of the engine's
    hearing = _Hearing(speaker, sampling.max_tokens)
    try:
        question = {
            "model": speaker.model, "messages": openai_client.as_messages(messages, system), "temperature": sampling.temperature,
            "top_p": sampling.top_p, "max_tokens": sampling.max_tokens, "seed": sampling.seed,
            "stream_options": {"include_usage": True},
        }  # fmt: skip
        if offered := openai_client.as_tools(tools):
            question["tools"] = offered
        _in_a_loop(_listen(_read_answer(client, hearing, question), hearing, stop, seen))
    except Problem as problem:
        hearing.end("failed", problem)
    return hearing.answer()


def _in_a_loop(work: Coroutine) -> None:
    """Run `work` as `asyncio.run` does, but do not wait for the look-up of a host's name that hangs."""
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(work)
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


async def _listen(read: Coroutine, hearing: "_Hearing", stop: threading.Event, seen: Callable[[Answer], None]) -> None:
    """Read the answer, and stop reading when the person wants it, when nothing comes any more, and when it should be over."""
    reading, shown = asyncio.create_task(read), 0
    try:
        while not reading.done() and not hearing.finished:
            await asyncio.wait({reading}, timeout=_TICK_S)
            quiet = time.perf_counter() - hearing.heard
            if stop.is_set():
                hearing.end("stopped")
            elif quiet > (_AFTER_THE_END_S if hearing.reason else SILENCE_S):
                _conclude(hearing, Problem("served.silent", place=urlsplit(hearing.speaker.url).netloc, seconds=round(SILENCE_S)))
            elif hearing.chunks > shown:
                shown = hearing.chunks
                seen(hearing.answer())
    finally:
        reading.cancel()
        await asyncio.wait({reading}, timeout=0.2)  # to close the connection, by which the engine learns that nobody listens
    error = reading.exception() if reading.done() and not reading.cancelled() else None
    if not hearing.finished:
        _conclude(hearing, error)


def _conclude(hearing: "_Hearing", error: BaseException | None) -> None:
    """End an answer that ended by itself or with an error, which no longer matters once the server had said that it was done."""
    import openai

    url, model = hearing.speaker.url, hearing.speaker.model
    if hearing.reason:
        hearing.end(hearing.reason)
    elif error is None:
        hearing.end("failed", Problem("served.cut", place=urlsplit(url).netloc, model=model))
    elif isinstance(error, Problem):
        hearing.end("failed", error)
    elif isinstance(error, (openai.APIError, ValueError)):
        hearing.end("failed", openai_client.problem(error, url, model))
    else:
        raise error


async def _read_answer(client, hearing: "_Hearing", question: dict) -> None:
    """Take in an answer, asking again without what the server refuses to know. Raises ValueError for what is no answer."""
    import openai

    async with client:
        while True:
            try:
                stream = await client.chat.completions.create(**question, stream=True)
                break
            except openai.APIStatusError as error:
                question = _without_the_refused(question, error)
        try:
            async with stream:
                async for chunk in stream:
                    hearing.take(chunk)
                    if hearing.finished:
                        return
        except openai.APIConnectionError:
            # LLaMA-Factory's API breaks off where it is to stream with tools, and answers in one piece.
            if hearing.chunks or "tools" not in question:
                raise
            whole = {name: value for name, value in question.items() if name != "stream_options"}
            hearing.take(await client.chat.completions.create(**whole))
    if not hearing.chunks:
        raise ValueError("no stream of a chat completion")


def _without_the_refused(question: dict, error) -> dict:
    """Return the question as this server takes it; raise the error again where it is about something else."""
    told = str(error.body) if error.status_code in (400, 422) else ""
    if "max_completion_tokens" in told and "max_tokens" in question:
        return {"max_completion_tokens" if name == "max_tokens" else name: value for name, value in question.items()}
    for name in _DISPENSABLE:
        if name in question and name in told:
            return {other: value for other, value in question.items() if other != name}
    raise error


class _Hearing:
    """What has come of an answer; a piece costs the same however many came before it."""

    def __init__(self, speaker: ServedSpeaker, max_tokens: int):
        self.speaker = speaker
        self.asked = self.heard = time.perf_counter()
        self.chunks, self.finished, self.reason = 0, "", ""
        self._most = max_tokens + _MARGIN
        self._text, self._thinking = io.StringIO(), False
        self._pieces, self._first, self._last = 0, 0.0, 0.0
        self._calls: dict[object, dict] = {}
        self._usage, self._fault = None, None

    def take(self, chunk) -> None:
        """Take in a piece of a stream, or a whole completion. Raises ValueError for what is none."""
        self.heard = time.perf_counter()
        self.chunks += 1
        try:
            self._usage = getattr(chunk, "usage", None) or self._usage
            for choice in (chunk.choices or [])[:1]:
                self._say(getattr(choice, "delta", None) or getattr(choice, "message", None))
                if choice.finish_reason:
                    self.reason = "length" if choice.finish_reason == "length" else "stop"
        except (AttributeError, TypeError) as error:
            raise ValueError("no piece of a chat completion") from error
        if self._pieces > self._most:  # a server that heeds no limit would fill the memory
            self.end("length")

    def _say(self, delta) -> None:
        if delta is None:
            return
        thought = getattr(delta, "reasoning_content", None) or getattr(delta, "reasoning", None)
        calls = delta.tool_calls or []
        if not (thought or delta.content or calls):
            return
        self._pieces += 1
        self._last = self.heard
        self._first = self._first or self.heard
        if thought and not self._thinking:
            self._text.write("<think>")
        if self._thinking and not thought:
            self._text.write("</think>")
        self._thinking = bool(thought)
        self._text.write((thought or "") + ("</think>" if thought and delta.content else "") + (delta.content or ""))
        self._thinking = self._thinking and not delta.content
        for call in calls:
            self._call(call)

    def _call(self, call) -> None:
        # Some servers give every call the index 0 and tell them apart by their ids, which only the first piece of a call has.
        index = getattr(call, "index", None)
        place = next((key for key in reversed(self._calls) if key[0] == index and (not call.id or key[1] == call.id)), (index, call.id))
        known = self._calls.setdefault(place, {"name": "", "arguments": ""})
        known["name"] += call.function.name or ""
        known["arguments"] += call.function.arguments or ""

    def end(self, finished: str, fault: Problem | None = None) -> None:
        """End the answer; the first reason holds."""
        if not self.finished:
            self._fault, self.finished = fault, finished

    def answer(self) -> Answer:
        """Return what has come by now."""
        tokens, span = self._counted("completion_tokens") or self._pieces, self._last - self._first
        return Answer(
            speaker=self.speaker.name,
            text=self._text.getvalue(),
            tokens=tokens,
            first_token_s=self._first - self.asked if self._pieces else None,
            tokens_per_s=(tokens - 1) / span if self._pieces > 1 and span > 0 else None,
            finished=self.finished,
            prompt_count=self._counted("prompt_tokens"),
            calls=tuple(self._calls.values()) if self.finished else (),
            fault=self._fault,
        )

    def _counted(self, name: str) -> int | None:
        value = getattr(self._usage, name, None)
        return value if isinstance(value, int) else None
