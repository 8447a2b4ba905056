"""What goes back: the headers that every answer carries, and one sentence where something went wrong inside, never a
traceback.
"""

import json
import re
from collections.abc import Callable

from starlette.datastructures import MutableHeaders

_ALWAYS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",  # not `no-referrer`: a form that is sent under it has the origin `null`
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
LARGEST_FAULT = 1 << 20


class Answer:
    """Takes the place of an application's `send`: adds the headers, and puts a sentence in the place of what a fault
    inside would show.
    """

    def __init__(self, send, framed_by: tuple[str, ...], sentence: Callable[[], str]):
        self._send, self._framed_by, self._sentence = send, framed_by, sentence
        self.is_private, self.cookie, self.is_begun = True, "", False
        self._start: dict | None = None  # the start of an answer that tells a fault
        self._fault = b""

    async def __call__(self, message: dict) -> None:
        """Pass a message on."""
        if message["type"] == "http.response.start":
            self.is_begun = True
            if message["status"] >= 500:
                self._start = message
            else:
                await self._send({**message, "headers": self._headers(message)})
        elif message["type"] == "http.response.body" and self._start:
            self._fault = (self._fault + message.get("body", b""))[:LARGEST_FAULT]
            if not message.get("more_body"):
                await self.tell()
        else:
            await self._send(message)

    async def tell(self) -> None:
        """Send the sentence of a fault: what the application says itself of it, in JSON and on one line, or our own."""
        text, status = _own_words(self._fault) or self._sentence(), self._start["status"] if self._start else 500
        body = json.dumps({"error": text}, ensure_ascii=True).encode()
        self._start, self.is_begun, self._fault = None, True, b""
        start = {"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]}
        await self._send({**start, "headers": [*self._headers(start), (b"content-length", str(len(body)).encode())]})
        await self._send({"type": "http.response.body", "body": body})

    def _headers(self, message: dict) -> list[tuple[bytes, bytes]]:
        headers = MutableHeaders(
            raw=[
                (name, value)
                for name, value in message.get("headers", [])
                if not name.lower().startswith(b"access-control-")
            ]
        )
        for name, value in _ALWAYS.items():
            headers[name] = value
        if self.is_private:
            headers["cache-control"] = "no-store"
        if self.cookie:
            headers.append("set-cookie", self.cookie)
        self._add_frame_headers(headers)
        return headers.raw

    def _add_frame_headers(self, headers: MutableHeaders) -> None:
        """Put into the policy who may show the page in a frame; what is no page is given the strictest policy."""
        ancestors = f"frame-ancestors {' '.join(self._framed_by) or chr(39) + 'none' + chr(39)}"
        policy = headers.get("content-security-policy")
        if policy is None and not headers.get("content-type", "").startswith("text/html"):
            policy = "default-src 'none'; sandbox"
        parts = [part for part in re.split(r"\s*;\s*", policy or "") if part and not part.startswith("frame-ancestors")]
        headers["content-security-policy"] = "; ".join([*parts, ancestors])
        if self._framed_by:
            # It cannot name a page; browsers that know the policy go by that.
            del headers["x-frame-options"]
        else:
            headers["x-frame-options"] = "DENY"


def _own_words(fault: bytes) -> str:
    """Return the first line of what the application says of a fault; "" where it says nothing, or a traceback."""
    try:
        lines = json.loads(fault)["error"].strip().splitlines()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ""
    return lines[0] if lines and not any("Traceback" in line for line in lines) else ""
