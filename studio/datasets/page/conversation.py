"""A row drawn as the conversation it is: who says what, tools, images, the chosen answer beside the rejected one."""

import json
import re

from markupsafe import escape

from studio.core.i18n import Words
from studio.datasets.schema.observed_schema import MEDIA, Shape, named_value

SHOWN = 1_500
MOST = 40_000


def draw(words: Words, row: dict, shape: Shape, find: str = "") -> str:
    """Return a row as HTML; `find` is marked in it. Fields that training does not read are folded away below."""
    columns = shape.columns
    if shape.format == "alpaca":
        turns = _one_turn(words, row, columns, find)
    else:
        turns = _talk(words, row, shape, find)
    answers = _answers(words, row, shape, find)
    return turns + answers + _media(words, row, columns) + _others(words, row, shape, find)


def _one_turn(words: Words, row: dict, columns: dict[str, str], find: str) -> str:
    def of(column: str) -> object:
        return named_value(row, columns, column)

    if "prompt" in columns and not any(column in columns for column in ("response", "chosen")):
        return f'<div class="turn plain-text">{said(words, of("prompt"), find)}</div>'
    drawn = _turn(words, "system", of("system"), find) if of("system") else ""
    history = of("history") if isinstance(of("history"), list) else []
    for asked, answered in (pair for pair in history if isinstance(pair, list) and len(pair) == 2):
        drawn += _turn(words, "user", asked, find) + _turn(words, "assistant", answered, find)
    query = of("query")
    drawn += _turn(words, "user", of("prompt"), find, said(words, query, find) if query else "")
    return drawn + (_turn(words, "assistant", of("response"), find) if "response" in columns else "")


def _talk(words: Words, row: dict, shape: Shape, find: str) -> str:
    tags, columns = shape.tags, shape.columns
    talk = named_value(row, columns, "messages")
    drawn = _turn(words, "system", row[columns["system"]], find) if named_value(row, columns, "system") else ""
    if not isinstance(talk, list):
        return drawn + _turn(words, "user", talk, find)
    return drawn + "".join(_message(words, message, tags, find) for message in talk)


def _message(words: Words, message: object, tags: dict[str, str], find: str) -> str:
    if not isinstance(message, dict):
        return _turn(words, "unknown", message, find)
    roles = {
        tags.get("user_tag"): "user",
        tags.get("assistant_tag"): "assistant",
        tags.get("system_tag"): "system",
        tags.get("observation_tag"): "tool",
        tags.get("function_tag"): "call",
    }
    name = str(named_value(message, tags, "role_tag"))
    content = named_value(message, tags, "content_tag")
    calls = message.get("tool_calls")
    if isinstance(calls, list) and calls:
        return _turn(
            words, "call", [call.get("function", call) if isinstance(call, dict) else call for call in calls], find
        )
    role = roles.get(name, "unknown")
    return _turn(words, role, content, find, label="" if role != "unknown" else name)


def _turn(words: Words, role: str, content: object, find: str, more: str = "", label: str = "") -> str:
    body = _calls(content) if role == "call" else ""
    who = escape(label) if label else words("datasets.role_" + role)
    beside = f'<div class="beside">{more}</div>' if more else ""
    return (
        f'<div class="turn {escape(role)}"><span'
        f' class="who">{who}</span><div>{body or said(words, content, find)}{beside}</div></div>'
    )


def _calls(content: object) -> str:
    """Return calls of tools as `name(argument: value)`, "" where they are not JSON."""
    try:
        calls = json.loads(content) if isinstance(content, str) else content
    except (ValueError, RecursionError):
        return ""
    drawn = []
    for call in calls if isinstance(calls, list) else [calls]:
        if not isinstance(call, dict) or "name" not in call:
            return ""
        arguments = call.get("arguments")
        given = (
            ", ".join(f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in arguments.items())
            if isinstance(arguments, dict)
            else ("" if arguments is None else str(arguments))
        )
        drawn.append(f'<code class="call-line"><b>{escape(str(call["name"]))}</b>({escape(given[:SHOWN])})</code>')
    return "".join(drawn)


def _answers(words: Words, row: dict, shape: Shape, find: str) -> str:
    columns = shape.columns
    if shape.stage == "dpo":
        sides = ""
        for side in ("chosen", "rejected"):
            value = named_value(row, columns, side)
            content = shape.tags.get("content_tag")
            text = value.get(content, value) if isinstance(value, dict) and content else value
            sides += (
                f'<div class="turn {side}"><span'
                f' class="who">{words("datasets.role_" + side)}</span><div>{said(words, text, find)}</div></div>'
            )
        return f'<div class="pair">{sides}</div>'
    if shape.stage == "kto" and isinstance(label := row.get(columns["kto_tag"]), bool):
        return (
            '<p class="verdict'
            f' {"chosen" if label else "rejected"}">{words("datasets.kto_good" if label else "datasets.kto_bad")}</p>'
        )
    return ""


def _media(words: Words, row: dict, columns: dict[str, str]) -> str:
    named = [
        str(each)
        for column in MEDIA
        for value in [named_value(row, columns, column)]
        if value
        for each in (value if isinstance(value, list) else [value])
    ]
    files = "".join(f"<code>{escape(name[:120])}</code>" for name in named[:50])
    drawn = f'<p class="files"><span>{words("datasets.files")}</span>{files}</p>' if files else ""
    tools = named_value(row, columns, "tools")
    return drawn + (_tools(words, tools) if tools else "")


def _tools(words: Words, tools: object) -> str:
    try:
        listed = json.loads(tools) if isinstance(tools, str) else tools
        names = [str((tool.get("function") or tool).get("name")) for tool in listed]
    except (ValueError, AttributeError, TypeError, RecursionError):
        names = []
    if not names:
        return f'<p class="files"><span>{words("datasets.tools")}</span><code>{escape(str(tools)[:200])}</code></p>'
    drawn = "".join(f"<code>{escape(name[:80])}</code>" for name in names)
    return f'<p class="files"><span>{words("datasets.tools")}</span>{drawn}</p>'


def _others(words: Words, row: dict, shape: Shape, find: str) -> str:
    read = set(shape.fields())
    rest = {name: value for name, value in row.items() if name not in read and value not in (None, "")}
    cells = "".join(
        f"<dt>{escape(name)}</dt><dd>{said(words, value, find)}</dd>" for name, value in list(rest.items())[:30]
    )
    return (
        "<details"
        f' class="others"><summary>{words.html("datasets.other_fields", count=len(rest))}</summary>'
        f"<dl>{cells}</dl></details>"
        if cells
        else ""
    )


def said(words: Words, value: object, find: str = "") -> str:
    """Return a value of a row as HTML: a long text begins, and opens to the rest; nothing said is marked as empty."""
    if value is None or value == "":
        return f'<p class="empty">{words("datasets.empty_value")}</p>'
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    if len(text) <= SHOWN:
        return f"<p>{_marked(text, find)}</p>"
    at = text.casefold().find(find.casefold()) if find else -1
    begin = max(0, at - 200) if at > SHOWN else 0
    rest = text[begin + SHOWN : MOST]
    more = words.html("datasets.show_rest", count=f"{len(text):,}")
    clipped = (
        f'<p class="empty">{words.html("datasets.clipped", count=f"{len(text) - MOST:,}")}</p>'
        if len(text) > MOST
        else ""
    )
    lead = "…" if begin else ""
    return (
        f'<p>{lead}{_marked(text[begin : begin + SHOWN], find)}</p><details class="rest"><summary>{more}</summary>'
        f"<p>{_marked(rest, find)}</p>{clipped}</details>"
    )


def _marked(text: str, find: str) -> str:
    if not find:
        return escape(text)
    pieces = re.split(f"({re.escape(find)})", text, flags=re.IGNORECASE)
    return "".join(
        f"<mark>{escape(piece)}</mark>" if number % 2 else escape(piece) for number, piece in enumerate(pieces)
    )
