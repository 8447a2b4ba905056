"""Answers that last: a stream of events for as long as somebody looks, and the end of all of them with the server."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import gradio as gr
import orjson
from fastapi import FastAPI
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from studio.core.i18n import Problem, Words
from studio.web.endpoint import LARGEST, checked_endpoint
from studio.web.schema import Options, Result, taken

STREAM = "text/event-stream"
LONGEST_S = 60.0  # of a stream: then the page asks again, and whether it may look is looked at anew
WAIT_S = 5.0  # for something new: then an event is sent without
MOST_WAITING = 20  # at a time, of the threads that answer everything else too


class StreamOptions(Options):
    """What the page says of a stream, in the address."""

    name: str = Field(description="of what it looks at")
    since: int = Field(ge=0, le=LARGEST, description="the last `next`")
    pause_s: float = Field(1.0, ge=0.1, le=10, allow_inf_nan=False, description="between two events, in seconds")
    lasts_s: float = Field(LONGEST_S, ge=0, le=LONGEST_S, allow_inf_nan=False, description="0 for one event alone")


def add_stream(app: FastAPI, path: str, following: Callable[[str, int, float], Result], words: Words) -> None:
    """Let an application answer at `path` with a stream of events, each a result as JSON, or `{"error": "…"}`, which is
    the last: a question for each of them costs more than what they bring.

    Args:
        following: what there is of a name after `since`, once there is something or after some seconds. The result has
            `next`, which is the next `since`, and `reset`, with which the stream ends.
    """
    checked, waiting = checked_endpoint(following, words), asyncio.Semaphore(MOST_WAITING)

    async def events(options: StreamOptions) -> AsyncIterator[bytes]:
        """Yield a line at once, and then each event."""
        yield b":\n\n"  # at once: whoever gets it late is behind a proxy that holds answers back until they are whole
        since, ends_at = options.since, time.monotonic() + options.lasts_s
        while True:
            try:
                async with waiting:
                    answer = await run_in_threadpool(checked, options.name, since, WAIT_S)
            except gr.Error as fault:
                yield _event({"error": fault.message})
                return
            yield _event(answer)
            since = answer["next"]
            if answer["reset"] or time.monotonic() >= ends_at:
                return
            await asyncio.sleep(options.pause_s)

    async def stream(request: Request) -> Response:
        try:
            options = taken(StreamOptions, dict(request.query_params), "stream")
        except Problem as problem:
            return JSONResponse({"error": words.tell(problem)}, 400)
        # A proxy like nginx passes on at once only what says so.
        told = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(events(options), media_type=STREAM, headers=told)

    app.add_route(path, stream, methods=["GET"])


def _event(answer: object) -> bytes:
    return b"data: " + orjson.dumps(answer) + b"\n\n"


class OpenRequests:
    """An ASGI application that answers as another does, and whose answers end quietly with the server.

    A stream of events has no end of its own, so the server would wait for it in vain, cancel it, and log that as a
    fault of the application. An answer of any other kind has the time that the server gives it.
    """

    def __init__(self, app):
        self._app = app
        self._streams: set[asyncio.Task] = set()
        self._is_ending = False

    def end(self) -> None:
        """End the streams. Called in the server's loop, when no request is taken any more."""
        self._is_ending = True
        for task in self._streams:
            task.cancel()

    async def __call__(self, scope, receive, send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        task, is_begun, is_whole = asyncio.current_task(), False, False

        async def watched(message: dict) -> None:
            """Send a message on, and note a stream that begins and an answer that ends."""
            nonlocal is_begun, is_whole
            if message["type"] == "http.response.start":
                is_begun = True
                kind = dict(message["headers"]).get(b"content-type", b"")
                if kind.startswith(STREAM.encode()):
                    self._streams.add(task)
            elif message["type"] == "http.response.body":
                is_whole = not message.get("more_body")
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except asyncio.CancelledError:
            if not self._is_ending:
                raise
            if not is_begun:
                await send({"type": "http.response.start", "status": 503, "headers": []})
            # Any other answer that has begun is cut, and must not look whole.
            if not is_begun or (task in self._streams and not is_whole):
                await send({"type": "http.response.body", "body": b""})
        finally:
            self._streams.discard(task)
