"""The proxy itself, a process of its own: `python -m studio.deploy.prompt_recorder.recording_proxy`, told by a line of
JSON on its standard input what to do. It ends when that input does.

Bytes pass through as they are, in both directions; what came by is written down when the answer is over.
"""

import asyncio
import contextlib
import json
import signal
import socket
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel, Field

from studio.core import reasons
from studio.core.i18n import Problem
from studio.core.network.listening import listen
from studio.core.processes.child import end_with_input, print_line
from studio.core.storage.records import parse_or, typed
from studio.deploy.prompt_recorder.recorded_answer import AnswerFacts, answer_facts
from studio.deploy.prompt_recorder.recorded_requests import (
    LONGEST_BODY,
    RecordedRequest,
    RecordedRequests,
    kept,
    new_id,
)
from studio.deploy.prompt_recorder.request_kinds import kind_of, kind_of_path

HOST = "127.0.0.1"
CONNECT_S = 5.0
LARGEST_REQUEST = 256 * 2**20
LARGEST_ANSWER = 8 * 2**20  # bytes of an answer that are kept to be read
# Of one connection, not of what passes through it.
_HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te")
    + (b"trailer", b"transfer-encoding", b"upgrade", b"host", b"content-length", b"expect")
)
_LOCAL = frozenset(("localhost", "127.0.0.1", "::1"))


class ProxyOrder(BaseModel):
    """What a proxy is to do. upstream: the engine, without /v1. server: as Chat names it. folder: of the recordings."""

    upstream: str
    server: str
    folder: str
    port: Annotated[int, Field(ge=1, le=65535)]


@dataclass
class _Passing:
    """A request on its way. parts: of the answer's body, up to LARGEST_ANSWER bytes."""

    method: str
    path: str
    client: str
    body: bytes
    ended: float | None = None
    began: float = field(default_factory=time.perf_counter)
    time: float = field(default_factory=time.time)
    status: int | None = None
    first: float | None = None
    is_encoded: bool = False
    parts: list[bytes] = field(default_factory=list)
    size: int = 0
    is_left: bool = False
    fault: str = ""

    def take(self, part: bytes) -> None:
        """Note a part of the answer's body."""
        self.first = self.first or time.perf_counter()
        if self.size < LARGEST_ANSWER:
            self.parts.append(part)
        self.size += len(part)


class RecordingProxy:
    """An ASGI application that passes all on to an engine and writes down what takes a prompt."""

    def __init__(self, order: ProxyOrder):
        self._order, self._requests = order, RecordedRequests(Path(order.folder))
        is_near = urlsplit(order.upstream).hostname in _LOCAL
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=64)
        timeout = httpx.Timeout(None, connect=CONNECT_S)
        self._client = httpx.AsyncClient(limits=limits, timeout=timeout, trust_env=not is_near)
        self._writing: set[asyncio.Task] = set()

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "http":
            await self._pass(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})

    async def close(self) -> None:
        """Wait until what passed is written down, and end the connections."""
        await asyncio.gather(*self._writing, return_exceptions=True)
        await self._client.aclose()

    async def _pass(self, scope, receive, send) -> None:
        headers = [(name.lower(), value) for name, value in scope["headers"]]
        named = dict(headers)
        if _host(named.get(b"host", b"")) not in _LOCAL:  # a page of another site, whose name leads here
            return await _answer(send, 403, "this address is for programs on this machine")
        body = await _body(receive)
        if body is None:
            return await _answer(send, 413, "the request is too large")
        client = named.get(b"user-agent", b"").decode("latin-1")[:200]
        passing = _Passing(scope["method"], scope["path"], client, body)
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        request = self._client.build_request(
            scope["method"],
            self._order.upstream + target.decode("latin-1"),
            headers=[one for one in headers if one[0] not in _HOP_BY_HOP],
            content=body or None,
        )
        for name in ("user-agent", "accept", "accept-encoding"):  # what httpx adds for a client that sent none
            if name.encode() not in named and name in request.headers:
                del request.headers[name]
        try:
            await self._stream(request, passing, receive, send)
        finally:
            passing.ended = time.perf_counter()
            if kind_of_path(passing.path) and passing.method == "POST":
                writing = asyncio.create_task(asyncio.to_thread(self._write, passing))
                self._writing.add(writing)
                writing.add_done_callback(self._writing.discard)

    async def _stream(self, request: httpx.Request, passing: _Passing, receive, send) -> None:
        """Pass the answer on, until it or the client ends."""
        passing_on = asyncio.create_task(self._pass_on(request, passing, send))
        leaving = asyncio.create_task(_left(receive))
        await asyncio.wait({passing_on, leaving}, return_when=asyncio.FIRST_COMPLETED)
        leaving.cancel()
        if not passing_on.done():  # the engine is to learn that nobody listens
            passing.is_left = True
            passing_on.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await passing_on

    async def _pass_on(self, request: httpx.Request, passing: _Passing, send) -> None:
        begun = False
        try:
            response = await self._client.send(request, stream=True)
            try:
                passing.status = response.status_code
                passing.is_encoded = "content-encoding" in response.headers
                raw = [(name.lower(), value) for name, value in response.headers.raw]
                headers = [one for one in raw if one[0] == b"content-length" or one[0] not in _HOP_BY_HOP]
                await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
                begun = True
                async for part in response.aiter_raw():
                    passing.take(part)
                    await send({"type": "http.response.body", "body": part, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
            finally:
                await response.aclose()
        except httpx.HTTPError as error:
            passing.fault = f"{type(error).__name__}: {error}"[:300]
            if begun:
                raise  # the connection breaks here as it broke there
            await _answer(send, 502, f"the engine cannot be reached ({type(error).__name__})")

    def _write(self, passing: _Passing) -> None:
        body = parse_or(None, passing.body)
        answered = b"".join(passing.parts) if not passing.is_encoded else b""
        facts = answer_facts(answered, passing.status) if passing.status else AnswerFacts()
        values = kept(body)
        # Clients go as soon as they have read the last word, which may be before the engine has ended the connection.
        left = "the client left" if passing.is_left and not facts.is_whole else ""
        is_long = values is not None and len(json.dumps(values)) > LONGEST_BODY
        request = RecordedRequest(
            id=new_id(passing.time),
            server=self._order.server,
            time=passing.time,
            method=passing.method,
            path=passing.path,
            client=passing.client,
            kind=kind_of(passing.path, body),
            body=None if is_long else values,
            size=len(passing.body),
            status=passing.status,
            ttft_s=passing.first - passing.began if passing.first else None,
            seconds=(passing.ended or time.perf_counter()) - passing.began,
            answer=facts.text,
            finished=facts.finished,
            prompt_tokens=facts.prompt_tokens,
            tokens=facts.tokens,
            fault=passing.fault or facts.fault or left,
        )
        try:
            self._requests.add(request)
        except (Problem, OSError) as fault:
            _tell({"fault": True, "reason": str(fault)})


def _host(header: bytes) -> str:
    try:
        return urlsplit("//" + header.decode("latin-1")).hostname or ""
    except ValueError:
        return ""


async def _body(receive) -> bytes | None:
    """Return the body of a request, None where it is too large."""
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b"".join(parts)
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > LARGEST_REQUEST:
            return None
        if not message.get("more_body"):
            return b"".join(parts)


async def _left(receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _answer(send, status: int, words: str) -> None:
    body = json.dumps({"error": {"message": f"Prompt recorder: {words}.", "type": "recorder"}}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _tell(line: dict) -> None:
    print_line(json.dumps(line))


async def _serve(order: ProxyOrder, open_port: socket.socket) -> None:
    import uvicorn

    proxy = RecordingProxy(order)
    settings = {"log_config": None, "access_log": False, "server_header": False, "date_header": False}
    server = uvicorn.Server(
        uvicorn.Config(proxy, lifespan="off", timeout_graceful_shutdown=1, timeout_keep_alive=75, **settings)
    )
    server.capture_signals = contextlib.nullcontext  # it would raise the signal anew before all is written down
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: setattr(server, "should_exit", True))
    serving = asyncio.create_task(server.serve(sockets=[open_port]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.01)
    _tell({"ready": server.started})
    await serving
    await proxy.close()


def main() -> int:
    """Serve until the standard input ends; 1 where the port cannot be had, and a line says why."""
    order = typed(parse_or(None, sys.stdin.readline()), ProxyOrder, "order")
    try:
        open_port = listen(HOST, order.port)
    except OSError as error:
        _tell({"fault": True, "reason": reasons.of(error)})
        return 1
    end_with_input()
    asyncio.run(_serve(order, open_port))
    return 0


if __name__ == "__main__":
    sys.exit(main())
