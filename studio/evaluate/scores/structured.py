"""Answers that a program reads: JSON, and calls of tools."""

import re
from collections.abc import Iterable

from studio.core.i18n import Problem
from studio.core.processes import limited
from studio.core.storage.records import parse
from studio.inference.messages import ToolCall
from studio.inference.reasoning import answer_in

CALL_SECONDS = 20.0  # of which the first needs some to load LLaMA-Factory
_IN_ANY_FORMAT = "studio.inference.local.tool_call_parsing:find_in_any_format"
_FENCE = re.compile(r"```[\w-]*[^\S\n]*\n(.*?)\n?[^\S\n]*```", re.DOTALL)
_TAGGED = re.compile(r"<tool_call>(.*?)(?:</tool_call>|$)", re.DOTALL)
_MARKED = re.compile(r"\[TOOL_CALLS\](.*)$", re.DOTALL)
_ACTION = re.compile(
    r"^\s*Action:[^\S\n]*(\S[^\n]*)\n\s*Action Input:(.*?)(?=^\s*Action:|\Z)", re.DOTALL | re.MULTILINE
)
_NO_JSON = object()
_NAMED = re.compile(r"\s*([A-Za-z_][\w.-]*)[^\S\n]*\n\s*(\{.*\})\s*", re.DOTALL)  # GLM-4
# What stands at the calls of formats that LLaMA-Factory reads.
_MARK = re.compile(
    r"<\|?tool_calls?(?:_start)?\|?>|<tool_call>|<seed:tool_call>|<invoke name=|<function=|<arg_key>|\[TOOL_CALLS\]"
    r"|^\s*Action:[^\n]*\n\s*Action Input:",
    re.MULTILINE,
)


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


def calls_in(text: str) -> tuple[ToolCall, ...] | None:
    """Return the calls of tools in an answer whose template nobody knows, None where it has some that nothing can read.

    JSON alone is a call: an object with "name" and "arguments" (or "parameters"), or a list of such. So is such JSON
    behind the marks of Hermes, Qwen or Mistral. Other marks are read by LLaMA-Factory's own formats.

    Raises:
        Problem: they took more than CALL_SECONDS to be read, or LLaMA-Factory cannot be loaded.
    """
    answer = answer_in(text)
    found = _calls_of_json(answer)
    if found or not _MARK.search(answer):
        return found
    limits = limited.Limits(file="tool calls", of="answer", seconds=CALL_SECONDS, mib=2048, heavy=True)
    try:
        read = limited.call(_IN_ANY_FORMAT, answer, limits=limits)
    except Problem as problem:
        if problem.key != "limited.too_slow":
            raise
        raise Problem("evaluate.score_slow_calls", seconds=f"{CALL_SECONDS:g}") from problem
    return tuple(read) or None


def _calls_of_json(answer: str) -> tuple[ToolCall, ...]:
    if tagged := _TAGGED.findall(answer):
        return _calls(_json_of(one) for one in tagged)
    if marked := _MARKED.search(answer):
        return _calls([_json_of(marked[1])])
    if actions := _ACTION.findall(answer):
        return _calls({"name": name.strip(), "arguments": _json_of(given.strip(' \n`"'))} for name, given in actions)
    if named := _NAMED.fullmatch(answer):
        return _calls([{"name": named[1], "arguments": _json_of(named[2])}])
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
    answer = answer_in(text).strip()
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
