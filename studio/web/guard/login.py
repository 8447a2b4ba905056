"""The door with a password: its page, what is posted to it, and the cookie that keeps it open."""

import secrets
from dataclasses import dataclass
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from studio.core.i18n import Words
from studio.web.guard.hosts import Authority
from studio.web.guard.sessions import IDLE_SECONDS, Guesses, Sessions, is_right
from studio.web.html import render

TEMPLATE = "web/guard/login.html"
LARGEST_FORM = 8192
LINE_SECONDS = 30  # after which to come back where too many wait
LOGIN_POLICY = (
    "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; img-src data:; connect-src 'self';"
    " form-action 'self'; base-uri 'none'"
)


@dataclass(frozen=True)
class LoginContext:
    """The page that asks for name and password.

    `nonce` lets its style and script in; `root` is the path under which the studio is reached; `from_elsewhere` tells
    that a link of another site led here.
    """

    lang: str
    nonce: str
    root: str
    problem: str
    username: str
    from_elsewhere: bool


class Door:
    """Lets in who knows name and password. It answers a form of a browser with a page, and a script (`gradio_client`)
    with JSON.
    """

    def __init__(
        self, auth: tuple[str, str], root: str = "", sessions: Sessions | None = None, guesses: Guesses | None = None
    ):
        self._auth, self._root = auth, root
        self.sessions, self.guesses = sessions or Sessions(), guesses or Guesses()

    def is_open_for(self, request: Request) -> bool:
        """Tell whether a request comes with a session that has not ended."""
        return self.sessions.is_open(request.cookies.get(cookie_name(request)))

    def prolong(self, request: Request) -> str:
        """Return the cookie that prolongs the session of a request, as the value of `Set-Cookie`."""
        return _cookie(request, request.cookies[cookie_name(request)], self._root)

    def page(
        self, request: Request, words: Words, problem: str = "", username: str = "", status: int = 401
    ) -> Response:
        """Return the page that asks for name and password."""
        nonce = secrets.token_urlsafe(18)
        context = LoginContext(
            lang="zh-CN" if words.language == "zh" else words.language,
            nonce=nonce,
            root=self._root,
            problem=problem,
            username=username,
            from_elsewhere=request.headers.get("sec-fetch-site") in ("cross-site", "same-site"),
        )
        return HTMLResponse(
            render(TEMPLATE, words, context), status, {"Content-Security-Policy": LOGIN_POLICY.format(nonce=nonce)}
        )

    async def enter(self, request: Request, words: Words) -> Response:
        """Look at the name and the password that a request brings, and open a session or say why not."""
        form = await _form(request)
        if form is None:
            return self._refuse(request, words, 400, words("guard.bad_form"), "")
        username, password = form
        address = request.client.host if request.client else ""
        has_turn = bool(self.guesses.wait_for(address)) or await self.guesses.take_turn(address)
        # Looked at after the turn too: in the meantime others from there may have guessed wrong.
        if seconds := self.guesses.wait_for(address) if has_turn else LINE_SECONDS:
            return self._refuse(
                request, words, 429, words("guard.wait", seconds=int(seconds) + 1), username, int(seconds) + 1
            )
        if not is_right((username.strip(), password), self._auth):
            self.guesses.was_wrong(address)
            return self._refuse(request, words, 401, words("guard.wrong"), username)
        self.guesses.was_right(address)
        self.sessions.end(request.cookies.get(cookie_name(request)))
        answer = RedirectResponse(f"{self._root}/", 303) if _is_browser(request) else JSONResponse({"success": True})
        answer.headers.append("set-cookie", _cookie(request, self.sessions.begin(), self._root))
        return answer

    def leave(self, request: Request) -> Response:
        """End the session of a request."""
        self.sessions.end(request.cookies.get(cookie_name(request)))
        answer = RedirectResponse(f"{self._root}/", 303) if _is_browser(request) else JSONResponse({"success": True})
        answer.headers.append("set-cookie", _cookie(request, "", self._root))
        return answer

    def _refuse(
        self, request: Request, words: Words, status: int, sentence: str, username: str, later: int = 0
    ) -> Response:
        if _is_browser(request):
            answer = self.page(request, words, sentence, username[:100], status)
        else:
            answer = JSONResponse({"error": sentence}, status)
        if later:
            answer.headers["Retry-After"] = str(later)
        return answer


def cookie_name(request: Request) -> str:
    """Return the name of the cookie: browsers do not tell the ports of a machine apart, and two studios may stand on
    one.
    """
    authority = Authority.of(request.headers.get("host", ""))
    return f"studio_session_{authority.port}" if authority and authority.port else "studio_session"


def _cookie(request: Request, token: str, root: str) -> str:
    secure = "; Secure" if request.scope.get("scheme") == "https" else ""
    return (
        f"{cookie_name(request)}={token}; Path={root or '/'}; Max-Age={IDLE_SECONDS if token else 0}; HttpOnly;"
        f" SameSite=Strict{secure}"
    )


def _is_browser(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


async def _form(request: Request) -> tuple[str, str] | None:
    """Return name and password of a form, None for what is none. No more is read than such a form can have."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_FORM:
            return None
    try:
        fields = parse_qs(body.decode("utf-8"), max_num_fields=20)
        return fields["username"][0], fields["password"][0]
    except (ValueError, KeyError):  # not UTF-8, too many fields, or one missing
        return None
