"""gradio's program files, of which the page needs about sixty, each read and packed once.

gradio reads and packs each anew for every page that is opened, 3 to 9 ms for one, and does not tell the browser that it
may keep it. A file's name is of its content, so it may.
"""

import gzip
import re
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

_PATH = re.compile(r"/assets/(?P<name>[A-Za-z0-9_-]+-[A-Za-z0-9_-]{8}\.(?P<kind>js|css))", re.ASCII)
_TYPES = {"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8"}
_YEAR_S = 365 * 24 * 3600
_LEVEL = 4  # of gzip: all files of a page in 30 ms, and a tenth larger than at the highest


class ProgramFiles:
    """The program files in a folder, as answers."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._kept: dict[tuple[str, bool], bytes] = {}

    def answer(self, request: Request, path: str) -> Response | None:
        """Return the file that is asked for, None where it is not one of these."""
        found = _PATH.fullmatch(path)
        if not found or request.method != "GET":
            return None
        is_packed = "gzip" in request.headers.get("accept-encoding", "")
        content = self._content(found["name"], is_packed)
        if content is None:
            return None
        headers = {"cache-control": f"max-age={_YEAR_S}, immutable", "vary": "accept-encoding"}
        if is_packed:
            headers["content-encoding"] = "gzip"
        return Response(content, headers=headers, media_type=_TYPES[found["kind"]])

    def _content(self, name: str, is_packed: bool) -> bytes | None:
        if (name, is_packed) not in self._kept:
            try:
                content = (self._folder / name).read_bytes()
            except OSError:
                return None  # gradio says that it is not there
            self._kept[name, is_packed] = gzip.compress(content, _LEVEL) if is_packed else content
        return self._kept[name, is_packed]
