"""What the page may do, as a rule that the browser keeps: the Content-Security-Policy.

Whatever finds its way into the page, no script runs that the studio did not send: every script of ours carries the
nonce of its response, a handler in an attribute never runs, and no other machine is asked for anything.
"""

import secrets
from contextvars import ContextVar

_HEADER = b"content-security-policy"
_nonce: ContextVar[str] = ContextVar("nonce", default="")

# `strict-dynamic` lets the scripts that have the nonce load their own parts, and nothing else: also not a file that
# somebody uploaded. gradio sets styles in the page itself, and styles alone can ask nobody for anything. A script of
# ours may evaluate text, though none does: tools that drive a browser (playwright's wait_for_function) do it in the
# page, and who cannot run a script cannot call eval either.
_RULES = (
    "default-src 'self'",
    "script-src 'nonce-{nonce}' 'strict-dynamic' 'unsafe-eval'",
    "script-src-attr 'none'",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data: blob:",
    "media-src 'self' data: blob:",
    "font-src 'self' data:",
    "connect-src 'self'",
    "worker-src 'self' blob:",
    "frame-src 'none'",
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
)


# What is no page (a file that was uploaded, an answer) may do nothing at all where somebody opens it by itself.
NO_PAGE = "default-src 'none'; sandbox; frame-ancestors 'none'"


def draw_nonce() -> None:
    """Make the nonce of one response; the page that is drawn in the same request puts it into its scripts."""
    _nonce.set(secrets.token_urlsafe(18))


def policy(content_type: str) -> str:
    """Return the policy of the response under way, by its content type."""
    return "; ".join(_RULES).format(nonce=nonce()) if content_type.startswith("text/html") else NO_PAGE


def nonce() -> str:
    """Return the nonce of the response under way, "" outside of one."""
    return _nonce.get()


class Policed:
    """An ASGI application that answers as another does, with the policy on every response."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        draw_nonce()

        async def policed(message):
            if message["type"] == "http.response.start":
                theirs = [(name, value) for name, value in message.get("headers", []) if name.lower() != _HEADER]
                kind = next((value.decode("latin-1") for name, value in theirs if name.lower() == b"content-type"), "")
                message = {**message, "headers": [*theirs, (_HEADER, policy(kind).encode())]}
            await send(message)

        await self.app(scope, receive, policed)
