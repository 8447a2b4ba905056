"""The guard before the whole studio: who may ask, what is served, and what every answer carries.

It stands before gradio sees anything. A request passes by: a known `Host`; the studio's own page, or no page at all (a
script on this machine); the password, where there is one; a route that the page or `gradio_client` needs. Everything
else is told no, in one sentence.
"""

import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

from studio.core.i18n import Problem, Words
from studio.web.guard import routes
from studio.web.guard.answers import Answer
from studio.web.guard.hosts import Authority, KnownHosts
from studio.web.guard.login import Door
from studio.web.guard.program_files import ProgramFiles
from studio.web.guard.routes import Refused

_PAGE_LEVEL = 4  # the page is 0.7 MB, which a forwarded port takes long for; packed in 15 ms to a sixth


@dataclass(frozen=True)
class Rules:
    """What the flags say: the names of the server, its password, the sub-path before a proxy, and the pages that may
    frame it.
    """

    hosts: KnownHosts = field(default_factory=KnownHosts)
    auth: tuple[str, str] | None = None
    root_path: str = ""
    framed_by: tuple[str, ...] = ()


def rules(listen: str, allowed: list[str], auth: tuple[str, str] | None, root_path: str, framed_by: list[str]) -> Rules:
    """Return the rules of these flags. Raises Problem for one that names no host."""
    hosts = [*allowed, *([root_path.rpartition("://")[2].partition("/")[0]] if "://" in root_path else [])]
    root = root_path.rstrip("/") if "://" in root_path else routes.clean_root(root_path)
    return Rules(KnownHosts(listen, hosts), auth, root, tuple(_framer(one) for one in framed_by))


def _framer(origin: str) -> str:
    scheme, separator, rest = origin.rstrip("/").partition("://")
    if not separator or scheme not in ("http", "https") or not Authority.of(rest.removeprefix("*.")):
        raise Problem("guard.bad_framer", name=origin)
    return f"{scheme}://{rest}"


class Guard:
    """An ASGI application around another; `program` is the folder of gradio's program files."""

    def __init__(self, app, rules: Rules, uploads: Path, words: Callable[[Request], Words], program: Path):
        self._app, self._rules, self._uploads, self._words = app, rules, uploads, words
        self._page, self._program = GZipMiddleware(app, compresslevel=_PAGE_LEVEL), ProgramFiles(program)
        self._root = routes.clean_root(rules.root_path)
        self.door = Door(rules.auth, self._root) if rules.auth else None

    async def __call__(self, scope, receive, send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] == "websocket":  # the page uses none, and a browser lets any page open one
            await receive()
            return await send({"type": "websocket.close", "code": 1008})
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        request = Request(scope, receive)
        answer = Answer(send, self._rules.framed_by, lambda: self._words(request)("guard.failed"))
        try:
            if ours := await self._own_answer(request, answer):
                return await ours(scope, receive, answer)
            scope = self._cleaned(request)
            await (self._page if scope["path"] == "/" else self._app)(scope, receive, answer)
        except Refused as refused:
            await self._refusal(request, refused)(scope, receive, answer)
        except Exception as fault:
            if not isinstance(fault, HTTPException):
                print("".join(traceback.format_exception(fault)), file=sys.stderr, flush=True)
            if not answer.is_begun:
                await answer.tell()

    async def _own_answer(self, request: Request, answer: Answer) -> Response | None:
        """Return what the guard answers itself, None where the request may go on. Raises Refused."""
        path = routes.below(request.scope["path"], self._root)
        self._check_names(request)
        self._check_page(request, path or "/")
        if not path and request.method in ("GET", "HEAD"):
            return RedirectResponse(f"{self._root}/", 307)
        if path in routes.LOGIN:
            return await self._login(request)
        if path in routes.LOGOUT:
            return self._logout(request)
        if self.door and not self.door.is_open_for(request):
            if path == "/" and request.method in ("GET", "HEAD"):
                return self.door.page(request, self._words(request))
            raise Refused(401, "guard.not_in")
        answer.is_private = routes.is_private(request.method, path, self._uploads)
        if self.door and path == "/":
            answer.cookie = self.door.prolong(request)
        return None if answer.is_private else self._program.answer(request, path)

    def _check_names(self, request: Request) -> None:
        names = request.headers.getlist("host")
        if len(names) != 1 or not self._rules.hosts.knows(names[0]):
            raise Refused(403, "guard.unknown_host")
        if (through := _forwarded(request)) and not self._rules.hosts.knows(through):
            raise Refused(403, "guard.unknown_host")

    def _check_page(self, request: Request, path: str) -> None:
        """Refuse what another page sends: by its origin, and by what the browser says of where a request comes from.

        A link elsewhere may lead to the page, and a page that may frame it may show it; nothing else comes from
        outside.
        """
        origins = request.headers.getlist("origin")
        hosts_asked = [_forwarded(request), request.headers["host"]]
        if len(origins) > 1 or (
            origins and not self._rules.hosts.is_own(origins[0], hosts_asked, request.scope.get("scheme", "http"))
        ):
            raise Refused(403, "guard.foreign_page")
        if request.headers.get("sec-fetch-site", "none") in ("none", "same-origin"):
            return
        shown = ("document", "iframe", "frame") if self._rules.framed_by else ("document",)
        follows = request.headers.get("sec-fetch-mode") == "navigate" and request.headers.get("sec-fetch-dest") in shown
        if not (follows and path == "/" and request.method in ("GET", "HEAD")):
            raise Refused(403, "guard.foreign_page")

    async def _login(self, request: Request) -> Response:
        if request.method != "POST":
            if request.method in ("GET", "HEAD"):
                return RedirectResponse(f"{self._root}/", 303)
            raise Refused(405, "guard.not_so")
        if not self.door:
            return JSONResponse({"success": True})
        return await self.door.enter(request, self._words(request))

    def _logout(self, request: Request) -> Response:
        if request.method != "POST":
            raise Refused(405, "guard.not_so")
        return self.door.leave(request) if self.door else JSONResponse({"success": True})

    def _cleaned(self, request: Request) -> dict:
        """Return the scope as gradio may see it: without the sub-path, and without what a link could slip to it."""
        scope = dict(request.scope)
        scope["path"] = routes.below(scope["path"], self._root)
        scope["raw_path"] = routes.below(scope.get("raw_path", b"").decode("latin-1"), self._root).encode("latin-1")
        scope["query_string"] = routes.query_of(scope["path"], scope.get("query_string", b""))
        through = _forwarded(request)
        others = [(name, value) for name, value in scope["headers"] if name != b"x-forwarded-host"]
        scope["headers"] = [*others, *([(b"x-forwarded-host", through.encode())] if through else [])]
        return scope

    def _refusal(self, request: Request, refused: Refused) -> Response:
        sentence = self._words(request)(refused.key, host=_shown(request), path=self._root or "/")
        if "text/html" in request.headers.get("accept", ""):
            return PlainTextResponse(sentence, refused.status)
        return JSONResponse({"error": sentence}, refused.status)


def _forwarded(request: Request) -> str:
    """Return the name by which a proxy was asked, "" where there is none."""
    return request.headers.get("x-forwarded-host", "").partition(",")[0].strip()


def _shown(request: Request) -> str:
    """Return the host of a request for a sentence: only what can be a host is shown."""
    authority = Authority.of(_forwarded(request) or request.headers.get("host", ""))
    return authority.host if authority else "?"
