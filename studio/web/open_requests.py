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
        task, status = asyncio.current_task(), None

        async def watched(message: dict) -> None:
            """Send a message on, and note a stream that begins."""
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if any(
                    name.lower() == b"content-type" and value.startswith(STREAM) for name, value in message["headers"]
                ):
                    self._streams.add(task)
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except asyncio.CancelledError:
            if not self._is_ending:
                raise
            if status is None:
                await send({"type": "http.response.start", "status": 503, "headers": []})
            if status is None or task in self._streams:
                await send({"type": "http.response.body", "body": b""})
        finally:
            self._streams.discard(task)
