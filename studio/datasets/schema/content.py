"""The content of a message: text, or a list of parts of any common API, read into text, thought, calls, results and
media."""

import json
from dataclasses import dataclass, field

from studio.core.storage.records import parse, parse_or
from studio.datasets.schema.observed_schema import MEDIA
from studio.datasets.schema.row_faults import UnusableRow

PLACEHOLDERS = {"images": "<image>", "videos": "<video>", "audios": "<audio>"}
_MEDIA_WORDS = {
    "image": "images",
    "img": "images",
    "picture": "images",
    "video": "videos",
    "audio": "audios",
    "sound": "audios",
}
_THOUGHTS = ("thinking", "reasoning", "thought", "think", "reasoning_content", "reasoning_text", "summary_text")
_HIDDEN = ("redacted_thinking", "encrypted_reasoning")
_CALLS = ("tool_use", "tool_call", "tool_calls", "function_call", "functioncall", "server_tool_use", "tool-call")
_RESULTS = (
    "tool_result",
    "tool_response",
    "function_response",
    "functionresponse",
    "function_result",
    "function_call_output",
    "tool-result",
    "tool_call_output",
)
_TEXT_KEYS = ("text", "value", "content", "refusal", "thinking", "reasoning", "thought", "summary", "markdown")
_FILE_KEYS = ("path", "file", "url", "uri", "fileuri", "file_path", "file_uri", "value", "source", "data", "content")


@dataclass
class Content:
    """What one message says.

    Each kind of `media` has a file for every mark, in the order of the marks: its name (or frames), a data URI, or
    None where the mark
    stands alone and the file is named beside the messages. `parts` has those of the marks that a part of the content
    made.
    """

    text: str = ""
    thought: str = ""
    calls: list[dict] = field(default_factory=list)
    results: list[str] = field(default_factory=list)
    media: dict[str, list] = field(default_factory=dict)
    placeholders_of_parts: dict[str, int] = field(default_factory=dict)
    hidden: bool = False

    def placeholder(self, kind: str, file: object) -> str:
        """Take in a picture, film or sound, and return the mark that stands for it."""
        self.media.setdefault(kind, []).append(file)
        self.placeholders_of_parts[kind] = self.placeholders_of_parts.get(kind, 0) + 1
        return PLACEHOLDERS[kind]

    def literal(self, text: str) -> str:
        """Take in the marks that stand in a text, and return it."""
        for kind, placeholder in PLACEHOLDERS.items():
            self.media.setdefault(kind, []).extend([None] * text.count(placeholder))
        return text


def read(value: object, column: str) -> Content:
    """Return what a content says.

    Args:
        value: text, None, one part, or a list of texts and parts.
        column: the column it stands in, named where it cannot be used.

    Raises:
        UnusableRow: it is of no known make, or has a part of no known kind.
    """
    content = Content()
    if isinstance(value, str):
        content.text = content.literal(value)
        return content
    if value is None:
        return content
    parts = value if isinstance(value, list) else [value]
    content.text = "".join(_part(part, content, column) for part in parts)
    return content


def _part(part: object, content: Content, column: str) -> str:
    """Take in one part, and return what of it stands in the text."""
    if isinstance(part, str):
        return content.literal(part)
    if not isinstance(part, dict):
        raise UnusableRow(column)
    kind = part.get("type")
    kind = kind.casefold().strip() if isinstance(kind, str) else ""
    if kind in _HIDDEN:
        content.hidden = True
        return ""
    if kind in _THOUGHTS or part.get("thought") is True:
        content.thought += ("\n" if content.thought else "") + _text(part, kind, column)
        return ""
    if called := _inside(part, kind, _CALLS):
        content.calls.extend(calls_of(called, column))
        return ""
    if answered := _inside(part, kind, _RESULTS):
        content.results.append(_result(answered, content, column))
        return ""
    if medium := _medium(part, kind):
        return content.placeholder(medium, _file(part, medium))
    if not kind or "text" in kind or kind in ("refusal", "markdown", "string"):
        return content.literal(_text(part, kind, column))
    raise UnusableRow(column, "unknown_part", type=kind)


def _inside(part: dict, kind: str, names: tuple[str, ...]) -> object:
    """Return what a part says of a call or a result: the part itself by its type, or what stands under such a key."""
    if kind in names:
        nested = next(
            (part[key] for key in part if key.casefold() in names and isinstance(part[key], dict | list)), None
        )
        return nested or part
    if kind:
        return None
    return next((value for key, value in part.items() if key.casefold() in names and value), None)


def _text(part: dict, kind: str, column: str) -> str:
    for key in dict.fromkeys((kind, *_TEXT_KEYS)):
        value = part.get(key)
        if isinstance(value, dict):
            value = value.get("value", value.get("text"))
        if isinstance(value, list) and value and all(isinstance(each, str | dict) for each in value):
            value = "\n".join(each if isinstance(each, str) else _text(each, "", column) for each in value)
        if isinstance(value, str):
            return value
    raise UnusableRow(column, "unknown_part", type=kind or "–")


def calls_of(value: object, column: str) -> list[dict]:
    """Return calls of tools as [{name, arguments}], of any common form: one or several, in JSON or not, OpenAI's,
    Anthropic's, Gemini's.

    Raises:
        UnusableRow: they are none, or one has no name.
    """
    if isinstance(value, str):
        try:
            value = parse(value)
        except ValueError:
            raise UnusableRow(column, "unreadable_call") from None
    return [_call(call, column) for call in (value if isinstance(value, list) else [value])]


def _call(call: object, column: str) -> dict:
    if isinstance(call, dict) and isinstance(call.get("value"), str) and "name" not in call:
        (call,) = calls_of(call["value"], column)[:1] or [None]
    inner = (
        next(
            (
                call[key]
                for key in ("function", "functionCall", "function_call", "tool_call")
                if isinstance(call.get(key), dict)
            ),
            call,
        )
        if (isinstance(call, dict))
        else None
    )
    name = (
        next(
            (inner[key] for key in ("name", "tool_name", "toolName", "function") if isinstance(inner.get(key), str)), ""
        )
        if inner
        else ""
    )
    if not name:
        raise UnusableRow(column, "unreadable_call")
    arguments = next(
        (inner[key] for key in ("arguments", "input", "args", "parameters") if inner.get(key) is not None), {}
    )
    if isinstance(arguments, str):
        # A model wrote it: what is no JSON stays the text it is.
        arguments = parse_or(arguments, arguments) if arguments.strip() else {}
    return {"name": name, "arguments": arguments}


def _result(answered: object, content: Content, column: str) -> str:
    value = answered
    if isinstance(answered, dict):
        value = next(
            (
                answered[key]
                for key in ("content", "output", "response", "result", "value", "text")
                if answered.get(key) is not None
            ),
            "",
        )
    if isinstance(value, list) and all(
        isinstance(each, str | dict) and (isinstance(each, str) or "type" in each or "text" in each) for each in value
    ):
        return "".join(_part(part, content, column) for part in value)
    return content.literal(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _medium(part: dict, kind: str) -> str:
    """Return the column of media that a part belongs to, "" for another part."""
    for word, column in _MEDIA_WORDS.items():
        if kind and word in kind.replace("-", "_").split("_"):
            return column
    if kind in ("", "media", "file", "input_file"):
        for word, column in _MEDIA_WORDS.items():
            if any(part.get(key) is not None for key in (word, f"{word}_url", f"input_{word}")):
                return column
        for key in ("inlineData", "inline_data", "fileData", "file_data"):
            inner = part.get(key)
            media_type = (inner.get("mimeType") or inner.get("mime_type")) if isinstance(inner, dict) else None
            if isinstance(media_type, str) and media_type.partition("/")[0] in _MEDIA_WORDS:
                return _MEDIA_WORDS[media_type.partition("/")[0]]
    return ""


def _file(part: dict, medium: str) -> object:
    """Return the file of a part of media: a name, a data URI, or a list of frames; None where it names none."""
    word = medium[:-1]
    keys = (
        word,
        f"{word}_url",
        f"input_{word}",
        f"{word}_path",
        f"{word}_file",
        "inlineData",
        "inline_data",
        "fileData",
        "file_data",
        *_FILE_KEYS,
    )
    return next((file for key in keys if (file := file_of(part.get(key), word))), None)


def file_of(value: object, word: str = "image") -> object:
    """Return the file that a value names: text as it is, an object by its path, address or data, a list of frames as
    a list; else None."""
    if isinstance(value, str):
        return value or None
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        return value
    if not isinstance(value, dict):
        return None
    data = value.get("data")
    if isinstance(data, str) and data and not data.startswith("data:"):
        kind = next(
            (value[key] for key in ("media_type", "mimeType", "mime_type") if isinstance(value.get(key), str)), ""
        )
        form = value.get("format") if isinstance(value.get("format"), str) else ""
        return f"data:{kind or f'{word}/' + (form or 'png')};base64,{data}"
    small = {key.casefold(): each for key, each in value.items()}
    return next((small[key] for key in _FILE_KEYS if isinstance(small.get(key), str) and small[key]), None)


def all_media() -> dict[str, list]:
    """Return an empty list for each kind of media."""
    return {kind: [] for kind in MEDIA}
