"""The answers that are under way when the server ends: each open page holds one, for as long as it is open."""

import asyncio

STREAM = b"text/event-stream"


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
                if kind.startswith(STREAM):
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
