"""The body of a server's answer, byte for byte: an event stream, JSON lines or one JSON document.

They are told apart by what stands there. The content type is no guide: servers send a whole document where a stream was
asked for, and call streams text/plain.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from studio.core.storage.records import parse

LARGEST_BYTES = 64 * 2**20  # of one event or document
_LINE_END = re.compile(rb"\r\n|\n|\r")
_FIELD = re.compile(r"\s*(data|event|id|retry)[ \t]*(?::|$)", re.IGNORECASE)
_DATA_AGAIN = re.compile(r"\s*data:", re.IGNORECASE)  # some gateways pack an event into an event
_KEEP_ALIVE = re.compile(r":|(keep-?alive|ping|pong|heartbeat)\W*$", re.IGNORECASE)
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Event:
    """One message of a server.

    name: of the event, "" for none. value: JSON, or text that is none. bare: it stood outside of an event stream.
    """

    name: str
    value: object
    bare: bool = False


class WireReader:
    """Reads the messages in a body whose bytes may be cut anywhere. `done` is set by what ends a stream, [DONE]."""

    def __init__(self):
        self.done = False
        self._parts: list[bytes] = []  # of the line that has not ended yet
        self._after_cr, self._at_start = False, True
        self._data: list[str] = []
        self._name = ""
        self._stray: list[str] = []  # lines outside of events that are no JSON alone: of a document, or of a page
        self._size = 0

    def feed(self, data: bytes) -> Iterator[Event]:
        """Take in the next bytes, and yield the messages that they complete. Raises ValueError for what can be none."""
        if self._after_cr and data:  # CR and LF may come apart
            data, self._after_cr = data.removeprefix(b"\n"), False
        self._grow(len(data))
        if b"\n" not in data and b"\r" not in data:
            self._parts.append(data)
            return
        self._after_cr = data.endswith(b"\r")
        first, *lines = _LINE_END.split(data)
        lines = [b"".join([*self._parts, first]), *lines]
        self._parts = [lines.pop()]
        for line in lines:
            yield from self._line(line)

    def finish(self) -> Iterator[Event]:
        """Take in the end of the body, and yield what it completes; what was cut off completes nothing."""
        rest, self._parts = b"".join(self._parts), []
        if rest:
            yield from self._line(rest)
        yield from self._dispatch(whole=False)
        yield from self._document()

    def words(self) -> str:
        """Return the text outside of events that is neither JSON nor HTML, as of a gateway; "" for none."""
        text = "\n".join(self._stray).strip()
        return "" if text[:1] in ("{", "[", "<") else text

    @property
    def is_cut(self) -> bool:
        """Tell whether the body ended within an event or a document."""
        begun = "\n".join(self._stray[:1]).lstrip()
        return bool(self._data) or begun[:1] in ("{", "[")

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size > LARGEST_BYTES:
            raise ValueError("a message without end")

    def _line(self, line: bytes) -> Iterator[Event]:
        if self.done:
            return
        if self._at_start:
            line, self._at_start = line.removeprefix(_BOM), False
        text = line.decode("utf-8", "replace")
        if not text.strip():
            yield from self._dispatch()
        elif field := _FIELD.match(text):
            yield from self._field(field[1].lower(), text[field.end() :])
        elif not text.startswith(":"):  # which begins a comment
            yield from self._bare(text)
        if not self._stray and not self._data:
            self._size = 0

    def _field(self, name: str, value: str) -> Iterator[Event]:
        if name == "event":
            self._name = value.strip().lower()
        if name != "data":
            return
        while nested := _DATA_AGAIN.match(value):
            value = value[nested.end() :]
        if value.strip().strip('"').upper().startswith("[DONE]"):
            yield from self._end()
        elif self._data:
            self._data.append(value)
        else:  # an object is whole at its end: some servers put no blank line between events
            document = _json(value)
            if isinstance(document, dict | list):
                yield self._event(document)
            else:
                self._data = [value]

    def _bare(self, text: str) -> Iterator[Event]:
        if text.strip().upper() == "[DONE]":
            yield from self._end()
            return
        within = bool(self._stray) and self._stray[0].lstrip()[:1] in ("{", "[")
        document = None if within else _json(text)
        if isinstance(document, dict | list):
            yield Event(self._take_name(), document, bare=True)
        else:
            self._stray.append(text)

    def _end(self) -> Iterator[Event]:
        yield from self._dispatch()
        yield from self._document()
        self.done = True

    def _dispatch(self, whole: bool = True) -> Iterator[Event]:
        """Yield the event whose lines are together; `whole` is False where the body ended before its blank line."""
        lines, self._data = self._data, []
        text = "\n".join(lines).strip()
        if not text:
            self._name = ""
            return
        value = _json(text)
        if value is not None or text == "null":
            yield self._event(value)
            return
        each = [_json(line) for line in lines]
        if len(lines) > 1 and all(isinstance(one, dict) for one in each):
            for one in each:
                yield self._event(one)
        elif text[0] not in "{[":
            if not _KEEP_ALIVE.match(text):
                yield self._event(text)
        elif whole:
            raise ValueError("no JSON in an event")
        else:
            self._data = lines

    def _document(self) -> Iterator[Event]:
        text = "\n".join(self._stray).strip()
        if text[:1] not in ("{", "["):
            return
        values = [value] if (value := _json(text)) is not None else _one_after_the_other(text)
        if values:
            self._stray = []
        for value in values:
            yield Event("", value, bare=True)

    def _event(self, value: object) -> Event:
        return Event(self._take_name(), value)

    def _take_name(self) -> str:
        name, self._name = self._name, ""
        return name


def _json(text: str) -> object | None:
    try:
        return parse(text)
    except ValueError:
        return None


def _one_after_the_other(text: str) -> list[object]:
    """Return the JSON values that stand one after the other in a text, none where something else stands there too."""
    read, values, at = json.JSONDecoder().raw_decode, [], 0
    try:
        while at < len(text):
            value, at = read(text, at)
            values.append(value)
            at += len(text[at:]) - len(text[at:].lstrip())
    except (ValueError, RecursionError):
        return []
    return values
