"""Conversations of any common form read into LLaMA-Factory's turns: who says what, calls and results of tools,
thoughts, media."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from studio.core.storage.records import parse_or
from studio.datasets.schema import content as contents
from studio.datasets.schema import function_turn
from studio.datasets.schema.content import PLACEHOLDERS, Content
from studio.datasets.schema.names import CONTENT_KEYS, EXCHANGES, ROLE_KEYS, role_of
from studio.datasets.schema.row_faults import UnusableRow

RESULTS_BETWEEN = "\n</tool_response>\n<tool_response>\n"
_SPEAKERS = re.compile(r"\n\n(Human|Assistant):")
_TALK_KEYS = ("messages", "conversations", "conversation", "contents")
_THOUGHT_KEYS = ("reasoning_content", "reasoning", "thinking", "thought")
_WEIGHTS = ("weight", "loss_weight", "loss", "train", "training", "trainable")
_MOST_NESTED = 3


@dataclass
class Talk:
    """A conversation as LLaMA-Factory reads it: `turns` are [{from, value}], the system prompt among them.

    `media` are the files of the marks in its texts, for each kind in order, None where a mark names none; `parts`
    counts the marks that
    parts of a content made. `notes` are what must be told of it (see `faults.NOTES`). `beside` is what stood around
    a list of messages
    in one object: tools and the like.
    """

    turns: list[dict] = field(default_factory=list)
    media: dict[str, list] = field(default_factory=contents.all_media)
    parts: dict[str, int] = field(default_factory=dict)
    notes: set[str] = field(default_factory=set)
    beside: dict = field(default_factory=dict)

    def answered(self) -> bool:
        """Tell whether an assistant says anything in it."""
        return any(turn["from"] in ("gpt", "function_call") for turn in self.turns)

    def add(self, role: str, text: str) -> None:
        """Add a turn; one of the speaker who spoke last is joined to it, as LLaMA-Factory's speakers take turns."""
        last = self.turns[-1] if self.turns else None
        if last is None or last["from"] != role:
            if last and role == "function_call" and last["from"] == "gpt":
                self.turns[-1] = {"from": role, "value": self.before_call(last["value"], text)}
                return
            self.turns.append({"from": role, "value": text})
        elif role == "observation":
            last["value"] += RESULTS_BETWEEN + text
        elif role == "function_call":
            last["value"] = _calls_together(last["value"], text)
        else:
            if last["value"] and text:
                self.notes.add("joined")
            last["value"] = "\n".join(each for each in (last["value"], text) if each)

    def before_call(self, text: str, called: str) -> str:
        """Return a turn that calls tools with a text before its calls; one that cannot stand there is noted."""
        try:
            before, calls = function_turn.read(called)
        except ValueError:
            self.drop(text, "call_text")  # no call that LLaMA-Factory can read: the check tells it
            return called
        if not text.strip():
            return called
        if function_turn.holds_call_tags(text):
            self.drop(text, "call_text")
            return called
        self.notes.add("call_text_kept")
        return function_turn.write(calls, text + ("\n" if before and not text.endswith("\n") else "") + before)

    def drop(self, text: str, note: str) -> None:
        """Note a text that LLaMA-Factory has no place for; one with media in it cannot be dropped."""
        if any(placeholder in text for placeholder in PLACEHOLDERS.values()):
            raise UnusableRow("messages", "media_beside_call")
        if text.strip():
            self.notes.add(note)


def _calls_together(first: str, second: str) -> str:
    try:
        return function_turn.together(first, second)
    except ValueError:
        return first + "\n" + second


def spoken(text: object) -> bool:
    """Tell whether a text is a whole conversation in Anthropic's HH form."""
    return isinstance(text, str) and "\n\nHuman:" in text and "\n\nAssistant:" in text


def listed(value: object, column: str, depth: int = 0) -> tuple[list, dict]:
    """Return the messages of a value, and what stands beside them in one object.

    Args:
        value: a list of messages, of texts that alternate, of questions with their answers; an object that holds
            such a list or is one
            message; the same as JSON text; a conversation in HH's form.
        column: the column it stands in.
        depth: how deep it stood in others.

    Raises:
        UnusableRow: it is none of these, or empty.
    """
    if isinstance(value, str):
        if spoken(value):
            return [
                {"from": "human" if who == "Human" else "gpt", "value": text.strip()} for who, text in _spoken(value)
            ], {}
        return listed(as_json(value, column), column, depth + 1)
    if isinstance(value, dict):
        key = next((key for key in _TALK_KEYS if isinstance(value.get(key), list | str)), "")
        if key and depth < _MOST_NESTED and not _speaker(value):
            return listed(value[key], column, depth + 1)[0], {name: each for name, each in value.items() if name != key}
        return list(_expanded(value)), {}
    if not isinstance(value, list) or not value:
        raise UnusableRow(column)
    if all(isinstance(each, str) for each in value):
        return [{"from": ("human", "gpt")[number % 2], "value": each} for number, each in enumerate(value)], {}
    if all(isinstance(each, list) and len(each) == 2 and all(isinstance(one, str) for one in each) for each in value):
        return [
            {"from": who, "value": one} for pair in value for who, one in zip(("human", "gpt"), pair, strict=True)
        ], {}
    if not all(isinstance(each, dict) for each in value):
        raise UnusableRow(column)
    return [message for each in value for message in _expanded(each)], {}


def as_json(text: str, column: str) -> object:
    """Return the list or object that a text holds as JSON. Raises UnusableRow for any other text."""
    value = parse_or(None, text) if text.lstrip()[:1] in ("[", "{") else None
    if value is None:
        raise UnusableRow(column)
    return value


def _spoken(text: str) -> Iterator[tuple[str, str]]:
    pieces = _SPEAKERS.split(text)
    return zip(pieces[1::2], pieces[2::2], strict=True)


def _speaker(message: dict, tags: dict[str, str] | None = None) -> str:
    """Return the key under which a message says who speaks, "" where it has none."""
    tag = (tags or {}).get("role_tag", "")
    keys = (tag, *ROLE_KEYS) if tag else ROLE_KEYS
    found = next((key for key in keys if isinstance(message.get(key), str)), "")
    return found or ("type" if role_of(message.get("type"), {}) else "")


def _expanded(message: dict) -> Iterator[dict]:
    """Yield the messages of an object of a conversation: itself, or the question and the answer that it holds
    together."""
    if _speaker(message):
        yield message
        return
    small = {key.casefold(): value for key, value in message.items()}
    pair = next((pair for pair in EXCHANGES if all(isinstance(small.get(key), str) for key in pair)), None)
    if not pair:
        yield message
        return
    if isinstance(small.get("system"), str) and small["system"]:
        yield {"from": "system", "value": small["system"]}
    yield {"from": "human", "value": small[pair[0]]}
    yield {"from": "gpt", "value": small[pair[1]]}


def is_talk(value: object) -> bool:
    """Tell whether a value is a conversation by its shape: a list of objects that say who speaks (an empty list says
    nothing)."""
    if isinstance(value, dict):
        return any(is_talk(value.get(key)) and value.get(key) for key in _TALK_KEYS) or (
            bool(_speaker(value)) and bool(_content_key(value))
        )
    if isinstance(value, str):
        try:
            return spoken(value) or is_talk(as_json(value, ""))
        except UnusableRow:
            return False
    return (
        isinstance(value, list)
        and bool(value)
        and isinstance(value[0], dict)
        and (
            bool(_speaker(value[0]) and _content_key(value[0]))
            or any(all(isinstance(value[0].get(key), str) for key in pair) for pair in EXCHANGES)
        )
    )


def _content_key(message: dict) -> str:
    return next((key for key in (*CONTENT_KEYS, "tool_calls", "function_call") if key in message), "")


def read(value: object, tags: dict[str, str], column: str, speaker: str = "") -> Talk:
    """Return a value of a row as a conversation.

    Args:
        value: what `listed` takes; with a `speaker`, plain text too, which is then said by them.
        tags: how its messages name role and content, where that was chosen.
        column: the column it stands in.
        speaker: "human" or "gpt", who says a plain text.

    Raises:
        UnusableRow: it is no conversation, has a role or a part that is not known, or a call that cannot be read.
    """
    talk = Talk()
    if speaker and isinstance(value, str):
        try:
            messages, talk.beside = (
                listed(value, column) if is_talk(value) else ([{"from": speaker, "value": value}], {})
            )
        except UnusableRow:
            messages = [{"from": speaker, "value": value}]
    else:
        messages, talk.beside = listed(value, column)
    for message in messages:
        _take(message, talk, tags, column)
    _systems_together(talk, column)
    return talk


def _take(message: object, talk: Talk, tags: dict[str, str], column: str) -> None:
    if not isinstance(message, dict):
        raise UnusableRow(column)
    key = _speaker(message, tags)
    role = role_of(message.get(key), tags)
    if not role:
        raise UnusableRow(column, "unknown_speaker", role=str(message.get(key))[:80]) if key else UnusableRow(column)
    content = _content(message, tags, column)
    _weighed(message, role, talk)
    calls = [*content.calls, *_calls_beside(message, column)]
    for kind, files in content.media.items():
        talk.media[kind].extend(files)
    for kind, count in content.placeholders_of_parts.items():
        talk.parts[kind] = talk.parts.get(kind, 0) + count
    if content.hidden:
        talk.notes.add("thought_hidden")
    for result in content.results:
        talk.add("observation", result)
    if calls:
        thought = function_turn.thought(content.thought) if content.thought.strip() else ""
        talk.add("function_call", talk.before_call(thought + content.text, function_turn.write(calls)))
    elif content.results:
        if content.text.strip():
            talk.turns[-1]["value"] += "\n" + content.text
            talk.notes.add("joined")
    else:
        talk.add(role, _with_thought(content, role, talk))


def _content(message: dict, tags: dict[str, str], column: str) -> Content:
    tag = tags.get("content_tag", "")
    key = tag if tag and tag in message else next((key for key in CONTENT_KEYS if key in message), "")
    if not key and not any(message.get(each) for each in ("tool_calls", "function_call", "refusal")):
        raise UnusableRow(column)
    value = message.get(key) if key else None
    if not value and isinstance(message.get("refusal"), str):
        value = message["refusal"]
    content = contents.read(value, column)
    for each in _THOUGHT_KEYS:
        if isinstance(message.get(each), str) and message[each].strip() and each != key and not content.thought:
            content.thought = message[each]
    for kind, placeholder in PLACEHOLDERS.items():
        beside = message.get(kind)
        files = [contents.file_of(each, kind[:-1]) for each in beside] if isinstance(beside, list) else []
        if files and not any(content.media.get(kind, ())):
            if not content.media.get(kind):
                content.text = placeholder * len(files) + content.text
                content.placeholders_of_parts[kind] = len(files)
            content.media[kind] = files
    return content


def _with_thought(content: Content, role: str, talk: Talk) -> str:
    if not content.thought.strip():
        return content.text
    thought = function_turn.thought(content.thought)
    if role == "function_call":
        return talk.before_call(thought, content.text)
    if role != "gpt":
        raise UnusableRow("messages", "unknown_part", type="thinking")
    talk.notes.add("thought_kept")
    return thought + content.text


def _calls_beside(message: dict, column: str) -> list[dict]:
    """Return the calls that stand beside the content of a message: `tool_calls`, or the older `function_call`."""
    found = message.get("tool_calls") or message.get("function_call")
    if not found or found in ("none", "auto"):
        return []
    return contents.calls_of(found, column)


def _weighed(message: dict, role: str, talk: Talk) -> None:
    """Note an answer that is not to be trained on, or not as much: LLaMA-Factory trains on all answers alike."""
    if role not in ("gpt", "function_call"):
        return
    weights = [message[key] for key in _WEIGHTS if isinstance(message.get(key), bool | int | float)]
    if any(weight != 1 for weight in weights) or message.get("mask") is True:
        talk.notes.add("weight")


def _systems_together(talk: Talk, column: str) -> None:
    """Refuse a system prompt after the first turn, which LLaMA-Factory has no place for."""
    if any(turn["from"] == "system" for turn in talk.turns[1:]):
        raise UnusableRow(column, "system_late")
