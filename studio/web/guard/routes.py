"""What is served: what the page and `gradio_client` need, and nothing else of what gradio brings along.

gradio also serves a dashboard, a reverse proxy, a video editor, an assistant that writes code, links that keep a page's
state, streams of media and more, some of it without a login. None of it is the studio's; a release that adds more adds
nothing here.
"""

import os
import re
from pathlib import Path
from urllib.parse import unquote

_NAME, _ID = r"[A-Za-z0-9_]{1,100}", r"[A-Za-z0-9_-]{1,100}"
_FILE = r"(?:[A-Za-z0-9_@-][A-Za-z0-9_.@ -]*/){0,6}[A-Za-z0-9_@-][A-Za-z0-9_.@-]*"
_ROUTES = {
    "GET HEAD": (r"/", r"/gradio_api/file=(?P<file>/.*)"),
    "GET": (
        r"/config/?",
        r"/gradio_api/info/?",
        r"/gradio_api/startup-events",
        r"/gradio_api/app_id/?",
        r"(?:/gradio_api)?/theme\.css",
        rf"/(?P<library>static|assets|svelte)/{_FILE}",
        r"/favicon\.ico",
        rf"/gradio_api/heartbeat/{_ID}",
        r"/gradio_api/queue/data",
        rf"/gradio_api/call/{_NAME}/{_ID}",
        r"/gradio_api/upload_progress",
        r"/gradio_api/stream/train_metrics",
    ),
    "POST": (
        rf"/gradio_api/(?:run|api|call)/{_NAME}/?",
        r"/gradio_api/queue/join",
        r"/gradio_api/(?:cancel|reset/?)",
        r"/gradio_api/upload",
    ),
}
_PATTERNS = [
    (methods.split(), re.compile(pattern, re.ASCII | re.DOTALL))
    for methods, patterns in _ROUTES.items()
    for pattern in patterns
]
LOGIN, LOGOUT = ("/login", "/login/"), ("/logout", "/logout/")


class Refused(Exception):
    """A request that is not served: the HTTP status and the key of its sentence."""

    def __init__(self, status: int, key: str):
        super().__init__(key)
        self.status, self.key = status, key


def is_private(method: str, path: str, uploads: Path) -> bool:
    """Return whether what a route gives is private (all but the program files of the page).

    Raises:
        Refused: nothing is served there, or not in this way, or the file is none that was uploaded to this server.
    """
    fitting = [(methods, found) for methods, pattern in _PATTERNS if (found := pattern.fullmatch(path))]
    if not fitting:
        raise Refused(404, "guard.nothing_here")
    for methods, found in fitting:
        if method in methods:
            named = found.groupdict()
            if named.get("file") and not _is_upload(named["file"], uploads):
                raise Refused(404, "guard.nothing_here")
            return not named.get("library")
    raise Refused(405, "guard.not_so")


def query_of(path: str, query: bytes) -> bytes:
    """Return the part of the query that a route may see: the page is the same for all, and no link brings a state
    along.
    """
    return b"" if path in ("/", "/config", "/config/") else query


def _is_upload(file: str, uploads: Path) -> bool:
    try:
        whole = Path(os.path.realpath(file))
    except (ValueError, OSError):  # a NUL, a name that is too long, a circle of links
        return False
    return whole.is_relative_to(os.path.realpath(uploads))


def below(path: str, root: str) -> str:
    """Return `path` without the sub-path `root`, where a proxy did not take it away; "" for the sub-path without its
    slash.
    """
    if root and path == root:
        return ""
    return path[len(root) :] if root and path.startswith(f"{root}/") else path


def clean_root(root: str) -> str:
    """Return the path of a `--root-path`, which may be a whole address, as `/a/b`, "" for none."""
    path = re.sub(r"^https?://[^/]*", "", root.strip())
    path = "/".join(part for part in unquote(path).split("/") if part)
    return f"/{path}" if path else ""
