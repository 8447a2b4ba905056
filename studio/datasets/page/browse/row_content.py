"""A row as the conversation it is: who says what, tools, images, the chosen answer beside the rejected one.

Drawn by the macro `row_content` of `_row_content.html`.
"""

import json
import re
from dataclasses import dataclass

from studio.datasets.schema import function_turn
from studio.datasets.schema.observed_schema import MEDIA, Shape, named_value

# Characters of a value that are shown at once, and those that it opens to.
SHOWN, MOST = 1_500, 40_000
FILES_SHOWN, FIELDS_SHOWN = 50, 30

Pieces = tuple[tuple[str, bool], ...]


@dataclass(frozen=True)
class ShownText:
    """A value of a row. A long one begins, where the text that is sought is in sight, and opens to the rest.

    `beginning` and `rest` are pieces of text, each with whether it is what is sought; no `beginning` is no value.
    `length` is of the whole in characters, `left_out` how many of them stand behind `rest`.
    """

    id: str
    beginning: Pieces = ()
    rest: Pieces = ()
    starts_within: bool = False
    length: int = 0
    left_out: int = 0


@dataclass(frozen=True)
class CallLine:
    """A call of a tool: its name, and its arguments as they are shown."""

    name: str
    arguments: str


@dataclass(frozen=True)
class Turn:
    """What one says: text, calls of tools, or calls with what is said before them.

    `role` is one for which there is a word ("datasets.role_..."); `name` is as the row has it where the role is not
    known.
    """

    role: str
    text: ShownText | None
    calls: tuple[CallLine, ...] = ()
    beside: ShownText | None = None
    name: str = ""


@dataclass(frozen=True)
class RowContent:
    """A row. `plain` is the text of a row that is not a conversation; `pair` the chosen and the rejected answer;
    `is_good` the label of an answer that has one. Training does not read `other_fields`, of which there are
    `other_count`.
    """

    id: str
    plain: ShownText | None
    turns: tuple[Turn, ...]
    pair: tuple[Turn, ...]
    is_good: bool | None
    files: tuple[str, ...]
    tools: tuple[str, ...]
    other_fields: tuple[tuple[str, ShownText], ...]
    other_count: int


def row_content(row: dict, shape: Shape, id: str, find: str = "") -> RowContent:
    """Return a row as it is shown; `find` is marked in it. `id` is the row's own on the page."""
    texts = Texts(id, find)
    plain, turns = None, ()
    if shape.format != "alpaca":
        turns = tuple(_messages(texts, row, shape))
    elif "prompt" in shape.columns and not any(column in shape.columns for column in ("response", "chosen")):
        plain = texts.shown(shape.value(row, "prompt"))
    else:
        turns = tuple(_one_turn(texts, row, shape))
    label = row.get(shape.columns["kto_tag"]) if shape.stage == "kto" else None
    read = set(shape.fields())
    others = {name: value for name, value in row.items() if name not in read and value not in (None, "")}
    return RowContent(
        id,
        plain,
        turns,
        _pair(texts, row, shape) if shape.stage == "dpo" else (),
        label if isinstance(label, bool) else None,
        _files(row, shape),
        _tools(shape.value(row, "tools")),
        tuple((name, texts.shown(value)) for name, value in list(others.items())[:FIELDS_SHOWN]),
        len(others),
    )


class Texts:
    """Makes the texts of one row, and gives each an id of its own on the page."""

    def __init__(self, id: str, find: str = ""):
        self._id, self._find, self._count = id, find, 0

    def shown(self, value: object) -> ShownText:
        """Return a value as it is shown; what is not text, as JSON."""
        self._count += 1
        id = f"{self._id}-text-{self._count}"
        if value is None or value == "":
            return ShownText(id)
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
        if len(text) <= SHOWN:
            return ShownText(id, self._pieces(text), length=len(text))
        match = re.search(re.escape(self._find), text, re.IGNORECASE) if self._find else None
        start = max(0, match.start() - 200) if match and match.start() > SHOWN else 0
        end = start + MOST
        return ShownText(
            id,
            self._pieces(text[start : start + SHOWN]),
            self._pieces(text[start + SHOWN : end]),
            start > 0,
            len(text),
            max(0, len(text) - end),
        )

    def _pieces(self, text: str) -> Pieces:
        if not self._find:
            return ((text, False),) if text else ()
        pieces = re.split(f"({re.escape(self._find)})", text, flags=re.IGNORECASE)
        return tuple((piece, bool(number % 2)) for number, piece in enumerate(pieces) if piece)


def _one_turn(texts: Texts, row: dict, shape: Shape) -> list[Turn]:
    system, history, query = (shape.value(row, column) for column in ("system", "history", "query"))
    turns = [Turn("system", texts.shown(system))] if system else []
    for pair in history if isinstance(history, list) else []:
        if isinstance(pair, list) and len(pair) == 2:
            turns += [Turn("user", texts.shown(pair[0])), Turn("assistant", texts.shown(pair[1]))]
    beside = texts.shown(query) if query else None
    turns.append(Turn("user", texts.shown(shape.value(row, "prompt")), beside=beside))
    if "response" in shape.columns:
        turns.append(Turn("assistant", texts.shown(shape.value(row, "response"))))
    return turns


def _messages(texts: Texts, row: dict, shape: Shape) -> list[Turn]:
    system, messages = shape.value(row, "system"), shape.value(row, "messages")
    turns = [Turn("system", texts.shown(system))] if system else []
    if not isinstance(messages, list):
        return [*turns, Turn("user", texts.shown(messages))]
    return turns + [_message(texts, message, shape.tags) for message in messages]


def _message(texts: Texts, message: object, tags: dict[str, str]) -> Turn:
    if not isinstance(message, dict):
        return Turn("unknown", texts.shown(message))
    roles = {
        tags.get("user_tag"): "user",
        tags.get("assistant_tag"): "assistant",
        tags.get("system_tag"): "system",
        tags.get("observation_tag"): "tool",
        tags.get("function_tag"): "call",
    }
    calls = message.get("tool_calls")
    if isinstance(calls, list) and calls:
        return _call_turn(texts, [call.get("function", call) if isinstance(call, dict) else call for call in calls])
    name, content = str(named_value(message, tags, "role_tag")), named_value(message, tags, "content_tag")
    role = roles.get(name, "unknown")
    if role == "call":
        return _call_turn(texts, content)
    return Turn(role, texts.shown(content), name=name if role == "unknown" else "")


def _call_turn(texts: Texts, content: object) -> Turn:
    """Return a turn that calls tools, as LLaMA-Factory reads it; as text where it does not read it as calls."""
    before, calls = "", content if isinstance(content, list) else [content]
    if isinstance(content, str):
        try:
            before, calls = function_turn.read(content)
        except ValueError:
            calls = []
    if not calls or not all(isinstance(call, dict) and "name" in call for call in calls):
        return Turn("call", texts.shown(content))
    lines = tuple(CallLine(str(call["name"]), _arguments(call.get("arguments"))) for call in calls)
    return Turn("call", texts.shown(before.strip()) if before.strip() else None, lines)


def _arguments(arguments: object) -> str:
    if isinstance(arguments, dict):
        given = (f"{name}: {json.dumps(value, ensure_ascii=False, default=str)}" for name, value in arguments.items())
        return ", ".join(given)[:SHOWN]
    return "" if arguments is None else str(arguments)[:SHOWN]


def _pair(texts: Texts, row: dict, shape: Shape) -> tuple[Turn, ...]:
    content = shape.tags.get("content_tag")
    sides = []
    for side in ("chosen", "rejected"):
        value = shape.value(row, side)
        sides.append(
            Turn(side, texts.shown(value.get(content, value) if isinstance(value, dict) and content else value))
        )
    return tuple(sides)


def _files(row: dict, shape: Shape) -> tuple[str, ...]:
    values = [value for column in MEDIA if (value := shape.value(row, column))]
    names = [str(one)[:120] for value in values for one in (value if isinstance(value, list) else [value])]
    return tuple(names[:FILES_SHOWN])


def _tools(tools: object) -> tuple[str, ...]:
    """Return the names of the tools that a row offers; the beginning of what it says where these cannot be read."""
    if not tools:
        return ()
    try:
        listed = json.loads(tools) if isinstance(tools, str) else tools
        names = tuple(str((tool.get("function") or tool).get("name"))[:80] for tool in listed)
    except (ValueError, AttributeError, TypeError, RecursionError):
        names = ()
    return names or (str(tools)[:200],)
