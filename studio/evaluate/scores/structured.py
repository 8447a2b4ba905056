"""Answers that a program reads: JSON, and calls of tools."""

import re
from collections.abc import Iterable

from studio.core.storage.records import parse
from studio.evaluate.scores.matching import answer_of
from studio.inference.messages import ToolCall

_FENCE = re.compile(r"```[\w-]*[^\S\n]*\n(.*?)\n?[^\S\n]*```", re.DOTALL)
_TAGGED = re.compile(r"<tool_call>(.*?)(?:</tool_call>|$)", re.DOTALL)
_MARKED = re.compile(r"\[TOOL_CALLS\](.*)$", re.DOTALL)
_ACTION = re.compile(
    r"^\s*Action:[^\S\n]*(\S[^\n]*)\n\s*Action Input:(.*?)(?=^\s*Action:|\Z)", re.DOTALL | re.MULTILINE
)
_NO_JSON = object()


def valid_json(text: str, reference: str) -> float:
    """Return 1 where an answer is JSON as its reference has it, else 0.

    The whole answer is JSON, or one block of code in it is. Where the reference is an object, so is the answer, with at
    least the keys of the reference at its first level; where it is a list, so is the answer. Values are not compared.
    """
    value, expected = _json_in(text), _json_in(reference)
    if value is _NO_JSON:
        return 0.0
    if isinstance(expected, dict):
        return float(isinstance(value, dict) and expected.keys() <= value.keys())
    return float(isinstance(value, list) or not isinstance(expected, list))


def right_calls(calls: Iterable[ToolCall], expected: Iterable[ToolCall]) -> float:
    """Return 1 where an answer calls just the expected tools with the expected arguments, in whatever order, else 0.

    Arguments are compared as JSON: 1 is 1.0, true is not 1, and the order of keys is nothing. Without expected calls it
    is right to call none.
    """
    left = [_comparable(call) for call in calls]
    for call in expected:
        one = _comparable(call)
        if one not in left:
            return 0.0
        left.remove(one)
    return float(not left)


def right_names(calls: Iterable[ToolCall], expected: Iterable[ToolCall]) -> float:
    """Return 1 where an answer calls just the expected tools, whatever the arguments are, else 0."""
    return float(sorted(str(call["name"]) for call in calls) == sorted(str(call["name"]) for call in expected))


def calls_in(text: str) -> tuple[ToolCall, ...]:
    """Return the calls of tools in a text in one of the common forms, for who has no template's own parser.

    Known are Hermes's and Qwen's `<tool_call>{..}</tool_call>`, Mistral's `[TOOL_CALLS] [..]`, `Action:` with `Action
    Input:`, and JSON alone: an object with "name" and "arguments" (or "parameters"), or a list of such.
    """
    answer = answer_of(text)
    if tagged := _TAGGED.findall(answer):
        return _calls(_json_of(one) for one in tagged)
    if marked := _MARKED.search(answer):
        return _calls([_json_of(marked[1])])
    if actions := _ACTION.findall(answer):
        return _calls({"name": name.strip(), "arguments": _json_of(given.strip(' \n`"'))} for name, given in actions)
    return _calls([_json_in(answer)])


def _calls(values: Iterable[object]) -> tuple[ToolCall, ...]:
    found: list[ToolCall] = []
    for value in values:
        for one in value if isinstance(value, list) else [value]:
            if not isinstance(one, dict) or not isinstance(one.get("name"), str):
                return ()
            arguments = one.get("arguments", one.get("parameters", _NO_JSON))
            if arguments is _NO_JSON:
                return ()
            found.append({"name": one["name"], "arguments": arguments})
    return tuple(found)


def _json_in(text: str) -> object:
    """Return the JSON that a text is, or that its only block of code is; _NO_JSON where neither is any."""
    answer = answer_of(text).strip()
    blocks = _FENCE.findall(answer)
    return _json_of(blocks[0]) if len(blocks) == 1 else _json_of(answer)


def _json_of(text: str) -> object:
    try:
        return parse(text.strip())
    except ValueError:
        return _NO_JSON


def _comparable(call: ToolCall) -> tuple[str, object]:
    arguments = call["arguments"]
    if isinstance(arguments, str):  # a template may leave them as the text of the JSON
        value = _json_of(arguments)
        arguments = arguments if value is _NO_JSON else value
    return str(call["name"]), _typed(arguments)


def _typed(value: object) -> object:
    """Return a JSON value such that `==` compares it as JSON does: Python takes True for 1."""
    if isinstance(value, bool):
        return ("true",) if value else ("false",)
    if isinstance(value, dict):
        return {key: _typed(one) for key, one in value.items()}
    return [_typed(one) for one in value] if isinstance(value, list) else value
