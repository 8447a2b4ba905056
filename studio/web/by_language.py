"""One page for each language, built when the first person asks for it."""

import asyncio
import contextlib
from collections.abc import Callable

from fastapi import FastAPI

from studio.core.i18n import LANGUAGES
from studio.core.processes import collector


class ByLanguage:
    """An ASGI application that hands each request to the page in its person's language: by cookie, else as the browser
    prefers.

    A page takes as long to build as all of gradio to import, and most studios are only ever looked at in one language.
    So the page in `first` stands from the start, and another is built at the first request for it.
    """

    def __init__(self, build: Callable[[str], FastAPI], default: str | None, first: str):
        self.default = default
        self._build, self._building = build, asyncio.Lock()
        self._lives = contextlib.AsyncExitStack()
        self.apps = {first: build(first)}

    async def __call__(self, scope, receive, send):
        """Answer one request, or the server's lifespan."""
        if scope["type"] == "lifespan":
            await self._outer(scope, receive, send)
        else:
            app = await self._app(self.language(dict(scope.get("headers", []))))
            await app(scope, receive, send)

    async def _app(self, language: str) -> FastAPI:
        if language not in self.apps:
            async with self._building:
                if language not in self.apps:
                    app = await asyncio.to_thread(self._built, language)
                    await self._begin(app)
                    self.apps[language] = app
        return self.apps[language]

    def _built(self, language: str) -> FastAPI:
        with collector.paused():
            return self._build(language)

    async def _begin(self, app: FastAPI) -> None:
        await self._lives.enter_async_context(app.router.lifespan_context(app))

    @property
    def _outer(self) -> FastAPI:
        """An application that does nothing but start and end the others."""

        @contextlib.asynccontextmanager
        async def lifespan(_: FastAPI):
            async with self._lives:
                for app in self.apps.values():
                    await self._begin(app)
                yield

        return FastAPI(lifespan=lifespan)

    def language(self, headers: dict[bytes, bytes]) -> str:
        """Return the language for a request with these headers."""
        cookie = headers.get(b"cookie", b"").decode("latin-1")
        for language in LANGUAGES:
            if f"studio_language={language}" in cookie:
                return language
        if self.default:
            return self.default
        return "zh" if headers.get(b"accept-language", b"").lower().startswith(b"zh") else "en"
