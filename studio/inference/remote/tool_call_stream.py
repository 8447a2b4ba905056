"""The calls of tools in a streamed answer, put together of pieces that servers cut and number in many ways."""

import json
from collections.abc import Collection
from dataclasses import dataclass

from studio.core.storage.records import parse
from studio.inference.remote.error_text import count_of

_NOTHING = ("", "null", "None")


@dataclass
class _Call:
    """What has come of one call. arguments: an object where the server sends one, else the text so far."""

    index: int | None = None
    id: str = ""
    name: str = ""
    text: str = ""
    arguments: dict | None = None

    @property
    def is_complete(self) -> bool:
        """Tell whether the arguments so far are a whole JSON object."""
        if self.arguments is not None:
            return True
        if not self.text.rstrip().endswith("}"):
            return False
        try:
            return isinstance(parse(self.text), dict)
        except ValueError:
            return False

    @property
    def is_placeholder(self) -> bool:
        """Tell whether the arguments are an empty object, which some servers send before the real ones."""
        return self.arguments == {} or self.arguments is None and self.text.strip() == "{}"

    def add(self, name: str, arguments: object, known: Collection[str]) -> None:
        """Take in a piece. A name that is sent again is the same; one that begins like it is all of it so far."""
        if name and (not self.name or name.startswith(self.name) and self.name + name not in known):
            self.name = name
        elif name and (name != self.name or self.name + name in known):
            self.name += name
        if isinstance(arguments, dict):
            self.arguments, self.text = arguments, ""
        elif isinstance(arguments, str) and arguments:
            if self.is_placeholder and arguments.lstrip().startswith("{"):
                self.text = ""
            self.arguments, self.text = None, self.text + arguments

    def is_again(self, arguments: object) -> bool:
        """Tell whether these arguments are those that have come."""
        if self.arguments is not None:
            return arguments == self.arguments
        return isinstance(arguments, str) and arguments.strip() == self.text.strip()

    def whole(self) -> dict:
        """Return {"name", "arguments"}; arguments are an object or text, as the server sent them."""
        if self.arguments is not None:
            return {"name": self.name, "arguments": self.arguments}
        return {"name": self.name, "arguments": "{}" if self.text.strip() in _NOTHING else self.text}


class ToolCallAccumulator:
    """Puts calls together. `known`, the names of the tools offered, tell two names from the halves of one."""

    def __init__(self, known: Collection[str] = ()):
        self._known = known
        self._calls: list[_Call] = []
        self._last: _Call | None = None

    def feed(self, pieces: object, is_whole: bool = False) -> int:
        """Take in the calls of a piece, or of a message that `is_whole`; return how many letters it brought.

        Raises:
            ValueError: they are none.
        """
        listed = [pieces] if isinstance(pieces, dict) else pieces or []
        if not isinstance(listed, list) or not all(isinstance(one, dict | None) for one in listed):
            raise ValueError("no calls of tools")
        listed = [one for one in listed if one]
        apart = is_whole or len(listed) > 1 and all(one.get("index") is None for one in listed)
        return sum(self._feed(one, apart) for one in listed)

    def calls(self) -> tuple[dict, ...]:
        """Return the calls, {"name", "arguments"}, in the order of their indexes where they have some."""
        real = [call for call in self._calls if call.name or call.arguments or call.text.strip() not in _NOTHING]
        if all(call.index is not None for call in real):
            real = sorted(real, key=lambda call: call.index)
        return tuple(call.whole() for call in real)

    def _feed(self, piece: dict, apart: bool) -> int:
        index, id, name, arguments = _parts(piece)
        call = self._call_of(index, id, name, arguments)
        if call is None or apart and name and call.name:
            # Arguments alone, after those of a whole call, call the same function again.
            goes_on = arguments and not name and self._last and index in (None, self._last.index)
            call = _Call(index, id, self._last.name if goes_on else "")
            self._calls.append(call)
        elif id and call.id == id and call.is_complete and call.is_again(arguments) and not call.is_placeholder:
            return 0
        call.id, call.index = call.id or id, index if call.index is None else call.index
        call.add(name, arguments, self._known)
        self._last = call
        return len(arguments) if isinstance(arguments, str) else len(arguments or ())

    def _call_of(self, index: int | None, id: str, name: str, arguments: object) -> _Call | None:
        """Return the call that a piece goes on, None where it begins another."""
        group = self._calls if index is None else [call for call in self._calls if call.index == index]
        named = next((call for call in reversed(group) if id and call.id == id), None)
        current = named or (self._last if index is None else group[-1] if group else None)
        if (
            current is None
            and self._last
            and not name
            and not id
            and (self._last.index is None or not self._last.is_complete)
        ):
            current = self._last  # no call begins without a name
        if current is None:
            return None
        if named is None and id and current.id and (name or current.is_complete):
            return None
        return None if self._begins_anew(current, bool(id) and named is not None, name, arguments) else current

    def _begins_anew(self, current: _Call, same_id: bool, name: str, arguments: object) -> bool:
        other_name = bool(name) and bool(current.name) and name != current.name
        begins = isinstance(arguments, dict) or isinstance(arguments, str) and arguments.lstrip().startswith("{")
        if not (begins or other_name):
            return False
        if current.is_complete:
            if begins and not name and current.is_placeholder or same_id and current.is_again(arguments):
                return False
            return True
        if not other_name:
            return False
        return bool(current.text.strip()) or name in self._known and current.name in self._known


def _parts(piece: dict) -> tuple[int | None, str, str, object]:
    """Return index, id, name and arguments of a piece; what it does not say is None or ""."""
    inner = next((piece[key] for key in ("function", "custom") if piece.get(key)), piece)
    if isinstance(inner, str):
        inner = {"name": inner, "arguments": piece.get("arguments")}
    if not isinstance(inner, dict):
        raise ValueError("no function in a call of a tool")
    index, id, name = count_of(piece.get("index")), piece.get("id"), inner.get("name")
    given = next((inner[key] for key in ("arguments", "input", "parameters") if inner.get(key) is not None), None)
    if given == []:  # an empty object, of a language that knows no other
        given = {}
    if given is not None and not isinstance(given, str):
        try:
            written = json.dumps(given, ensure_ascii=False)
        except RecursionError as error:
            raise ValueError("arguments nested too deeply") from error
        given = given if isinstance(given, dict) else written
    return index, _text(id), _text(name), given


def _text(value: object) -> str:
    return (
        value
        if isinstance(value, str)
        else ""
        if value is None or isinstance(value, bool | list | dict)
        else str(value)
    )
