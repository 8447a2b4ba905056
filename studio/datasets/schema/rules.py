"""What LLaMA-Factory asks of a row: fields that are there and of the right type, turns in order, an answer, tools and
images that can be used.

What is broken here LLaMA-Factory drops without a word to the person, trains on as emptiness, or stops at with the whole
run (data/converter.py, data/formatter.py, data/mm_plugin.py of 0.9.5).
"""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from studio.datasets.schema.content import PLACEHOLDERS
from studio.datasets.schema.observed_schema import MEDIA, Shape

_TYPES = {
    str: "string",
    bool: "boolean",
    int: "number",
    float: "number",
    list: "array",
    dict: "object",
}  # as JSON calls them
_THOUGHT = re.compile(r"<think>.*?</think>", re.DOTALL)
_CALL = re.compile(r"<tool_call>(.*?)</tool_call>", re.DOTALL)


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a row: at `field`, of this `kind` (the name of its sentence), with the `facts` that fill the
    sentence.
    """

    kind: str
    field: str
    facts: dict[str, object] = field(default_factory=dict)


class Rules:
    """The rules for the rows of one shape; remembers of which type each field was at first."""

    def __init__(self, shape: Shape, data_folder: Path):
        self.shape, self._folder = shape, data_folder
        self._types: dict[str, tuple[str, int]] = {}
        compared = "string" if shape.format == "alpaca" else "object"
        types = {
            "messages": "array",
            "history": "array",
            "kto_tag": "boolean",
            "chosen": compared,
            "rejected": compared,
        }
        free = {*MEDIA, "tools"} if shape.format == "openai" else MEDIA
        self._expected_types = {
            name: types.get(column, "string")
            for column, name in shape.columns.items()
            if name in shape.fields() and column not in free
        }
        self._roles = [
            tag
            for tag in (
                shape.tags.get(f"{who}_tag") for who in ("user", "assistant", "observation", "function", "system")
            )
            if tag
        ]

    def faults(self, row: dict, number: int) -> Iterator[Fault]:
        """Yield what is wrong with one row. `number` is its number, named where a later row does not fit it."""
        wrong = set()
        for fault in self._wrong_types(row):
            wrong.add(fault.field)
            yield fault
        for fault in self._changed_types(row, number):
            if fault.field not in wrong:
                yield fault
        if self.shape.format == "alpaca":
            yield from self._alpaca(row, wrong)
        else:
            yield from self._chat(row, wrong)
        yield from self._compared(row, wrong)
        yield from self._tools(row)
        yield from self._media(row)

    # Types

    def _wrong_types(self, row: dict) -> Iterator[Fault]:
        """Yield a fault for each field that is not of the type its column must have; what is left out or null is judged
        elsewhere.
        """
        for name, expected in self._expected_types.items():
            value = row.get(name)
            if value is not None and _type(value) != expected:
                yield _wrong_type(name, value, expected)

    def _changed_types(self, row: dict, number: int) -> Iterator[Fault]:
        """A file is read into one table: a field that changes its type stops the run, whether training reads it or
        not.
        """
        for name, value in row.items():
            if value is None:
                continue
            found = _type(value)
            first, where = self._types.setdefault(name, (found, number))
            if first != found:
                yield Fault("mixed_types", name, {"field": name, "found": found, "first": first, "row": where})

    # Rows of one question and one answer

    def _alpaca(self, row: dict, wrong: set[str]) -> Iterator[Fault]:
        columns = self.shape.columns
        question_fields = [columns[name] for name in ("prompt", "query") if name in columns]
        if not any(name in wrong or _filled(row.get(name)) for name in question_fields):
            yield _absent("empty_prompt", row, question_fields[0] if question_fields else "")
        answer = columns.get("response")
        if answer and self.shape.stage in ("sft", "kto") and answer not in wrong and not _filled(row.get(answer)):
            yield _absent("empty_answer", row, answer)
        history = self.shape.value(row, "history")
        for index, pair in enumerate(history if isinstance(history, list) else []):
            if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(text, str) for text in pair):
                place = f"{columns['history']}[{index}]"
                yield Fault("bad_history", place, {"field": place})

    # Rows of many turns

    def _chat(self, row: dict, wrong: set[str]) -> Iterator[Fault]:
        name = self.shape.columns.get("messages", "")
        messages = self.shape.value(row, "messages")
        if name in wrong:
            return
        if not messages:
            yield _absent("no_turns", row, name)
            return
        turns = []
        for index, message in enumerate(messages):
            place = f"{name}[{index}]"
            broken = list(self._message(message, place))
            yield from broken
            if any(fault.kind in ("bad_turn", "unknown_role") for fault in broken):
                return
            turns.append((place, message[self.shape.tags["role_tag"]]))
        unused = self._unused(turns)
        disorder = list(self._order(turns[: len(turns) - len(unused)], name))
        yield from disorder or unused

    def _unused(self, turns: list[tuple[str, str]]) -> list[Fault]:
        """Return the tools' results at the end of a conversation in OpenAI's form: LLaMA-Factory trains what stands
        before them.
        """
        found: list[Fault] = []
        while (
            self.shape.format == "openai"
            and len(found) < len(turns)
            and turns[-1 - len(found)][1] == self.shape.tags.get("observation_tag")
        ):
            place = turns[-1 - len(found)][0]
            found.append(Fault("answer_unused", place, {"field": place}))
        return found[::-1]

    def _message(self, message: object, place: str) -> Iterator[Fault]:
        tags = self.shape.tags
        role_key, content_key = tags.get("role_tag"), tags.get("content_tag")
        if (
            not isinstance(message, dict)
            or role_key not in message
            or (content_key not in message and not message.get("tool_calls"))
        ):
            yield Fault("bad_turn", place, {"field": place, "role": role_key, "content": content_key})
            return
        role, content = message[role_key], message.get(content_key)
        if role not in self._roles:
            yield Fault("unknown_role", place, {"field": place, "role": role, "roles": ", ".join(self._roles)})
            return
        place = f"{place}.{content_key}"
        answering = role in (tags.get("assistant_tag"), tags.get("function_tag"))
        if self.shape.format == "openai" and answering and (calls := message.get("tool_calls")):
            yield from _broken_calls(calls, place.removesuffix(f".{content_key}"))
            return
        if content is not None and not isinstance(content, str):
            yield _wrong_type(place, content, "string")
        elif role == tags.get("function_tag"):
            if content is None or not _is_call(content):
                yield Fault("bad_call", place, {"field": place})
        elif role == tags.get("assistant_tag") and not _filled(content):
            yield Fault("empty_answer", place, {"field": place})
        elif role == tags.get("user_tag") and not _filled(content):
            yield Fault("empty_prompt", place, {"field": place})

    def _order(self, turns: list[tuple[str, str]], name: str) -> Iterator[Fault]:
        tags, pairs = self.shape.tags, self.shape.stage == "dpo"
        if turns and turns[0][1] == tags.get("system_tag"):
            turns = turns[1:]
        if not turns:
            yield Fault("no_turns", name, {"field": name})
            return
        if self.shape.format == "openai":  # the answers of several tools count as one turn
            turns = [
                turn
                for index, turn in enumerate(turns)
                if not (index and turn[1] == tags.get("observation_tag") and turns[index - 1][1] == turn[1])
            ]
        sides = (
            (tags.get("user_tag"), tags.get("observation_tag")),
            (tags.get("assistant_tag"), tags.get("function_tag")),
        )
        for index, (place, role) in enumerate(turns):
            if role not in sides[index % 2]:
                expected = " / ".join(tag for tag in sides[index % 2] if tag)
                yield Fault("role_order", place, {"field": place, "role": role, "wanted": expected})
                return
        if len(turns) % 2 != pairs:
            yield Fault("turn_count", name, {"field": name, "last": turns[-1][1]})

    # What goes with it

    def _compared(self, row: dict, wrong: set[str]) -> Iterator[Fault]:
        columns, tags = self.shape.columns, self.shape.tags
        if self.shape.stage == "kto" and columns["kto_tag"] not in wrong and row.get(columns["kto_tag"]) is None:
            yield _absent("missing_field", row, columns["kto_tag"])
        if self.shape.stage != "dpo":
            return
        answers = []
        for column in ("chosen", "rejected"):
            name = columns.get(column, column)
            if name in wrong:
                continue
            value = row.get(name)
            if isinstance(value, dict):
                name, role, value = (
                    f"{name}.{tags['content_tag']}",
                    value.get(tags["role_tag"]),
                    value.get(tags["content_tag"]),
                )
                if role not in (tags.get("assistant_tag"), tags.get("function_tag")):
                    yield Fault("role_order", name, {"field": name, "role": role, "wanted": tags.get("assistant_tag")})
                if value is not None and not isinstance(value, str):
                    yield _wrong_type(name, value, "string")
                    continue
            if not _filled(value):
                yield _absent("empty_answer", row, name)
            answers.append(value)
        if len(answers) == 2 and answers[0] == answers[1] and answers[0]:
            yield Fault(
                "same_answers",
                columns.get("rejected", ""),
                {"chosen": columns.get("chosen"), "rejected": columns.get("rejected")},
            )

    def _tools(self, row: dict) -> Iterator[Fault]:
        name = self.shape.columns.get("tools")
        if not name:
            return
        tools = row.get(name)
        if isinstance(tools, str) and tools:
            try:
                tools = json.loads(tools)
            except (json.JSONDecodeError, RecursionError):
                yield Fault("bad_tools", name, {"field": name})
                return
            if not isinstance(tools, list | dict):
                yield Fault("bad_tools", name, {"field": name})
                return
        elif tools and self.shape.format != "openai":  # it takes them as text alone
            yield _wrong_type(name, tools, "string")

    def _media(self, row: dict) -> Iterator[Fault]:
        for column in MEDIA:
            name = self.shape.columns.get(column)
            if not name:
                continue
            files = row.get(name) or []
            files = files if isinstance(files, list) else [files]
            for index, file in enumerate(files):
                if isinstance(file, str) and not os.path.isfile(os.path.join(self._folder, file)):
                    yield Fault("missing_media", f"{name}[{index}]", {"field": f"{name}[{index}]", "file": file})
            count = self._placeholders(row, PLACEHOLDERS[column])
            if count != len(files):
                yield Fault(
                    "media_count",
                    name,
                    {"field": name, "mark": PLACEHOLDERS[column], "marks": count, "files": len(files)},
                )

    def _placeholders(self, row: dict, placeholder: str) -> int:
        places = {"prompt", "query", "response", "history", "messages", "chosen"}
        values = [row.get(name) for column, name in self.shape.columns.items() if column in places]
        return json.dumps(values, ensure_ascii=False, default=str).count(placeholder)


def _type(value: object) -> str:
    return _TYPES.get(type(value), type(value).__name__)


def _wrong_type(name: str, value: object, expected: str) -> Fault:
    return Fault("wrong_type", name, {"field": name, "found": _type(value), "wanted": expected})


def _filled(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _absent(kind: str, row: dict, name: str) -> Fault:
    """Return the fault of a field that is not there at all, or of `kind` where it is there and empty."""
    top = name.split(".")[0].split("[")[0]
    return Fault(kind if row.get(top) is not None else "missing_field", name, {"field": name})


def _is_call(content: str) -> bool:
    """Tell whether a tool call is JSON with a name and arguments, as the template's formatter will parse it."""
    inside = _CALL.search(content)
    try:
        calls = json.loads(inside.group(1) if inside else _THOUGHT.sub("", content))
    except (json.JSONDecodeError, RecursionError):
        return False
    calls = calls if isinstance(calls, list) else [calls]
    return bool(calls) and all(isinstance(call, dict) and "name" in call and "arguments" in call for call in calls)


def _broken_calls(calls: object, place: str) -> Iterator[Fault]:
    """Yield the calls of a message in OpenAI's form that are none: each must hold a function with a name and
    arguments.
    """
    for index, call in enumerate(calls if isinstance(calls, list) else [calls]):
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not function.get("name") or "arguments" not in function:
            where = f"{place}.tool_calls[{index}]"
            yield Fault("bad_call", where, {"field": where})
