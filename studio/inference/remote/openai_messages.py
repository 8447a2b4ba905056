"""Messages in the form of OpenAI's chat completions, as any client sends them, in the studio's own form."""

import json
from dataclasses import dataclass

from studio.core.i18n import Problem
from studio.core.storage.records import parse_or
from studio.inference.messages import Message, ToolCall

_SYSTEM = ("system", "developer")


@dataclass(frozen=True)
class Talk:
    """A conversation as an encoder of prompts takes it. tools: JSON, "" for none."""

    messages: list[Message]
    system: str
    tools: str


def talk_of(messages: list[dict], tools: list[dict]) -> Talk:
    """Return what was sent as the studio has it: the opposite of `openai_client.as_messages`.

    Raises:
        Problem: it holds what no template of training can say: images, a system prompt in the middle, another role.
    """
    first = messages[0] if messages else {}
    system = _text(first) if first.get("role") in _SYSTEM else ""
    rest = messages[1:] if first.get("role") in _SYSTEM else messages
    bare = [one["function"] if isinstance(one.get("function"), dict) else one for one in tools]
    return Talk([_message(one) for one in rest], system, json.dumps(bare, ensure_ascii=False) if bare else "")


def _message(sent: dict) -> Message:
    role = sent.get("role")
    if role not in ("user", "assistant", "tool"):
        raise Problem("prompt.no_such_turn", role=str(role))
    message: Message = {"role": role, "content": _text(sent)}
    calls = sent.get("tool_calls")
    if role == "assistant" and isinstance(calls, list) and calls:
        message["calls"] = [_call(one) for one in calls]
    return message


def _call(sent: object) -> ToolCall:
    function = sent.get("function") if isinstance(sent, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise Problem("prompt.no_such_turn", role="assistant")
    arguments = function.get("arguments", {})
    known = parse_or(arguments, arguments) if isinstance(arguments, str) else arguments
    return ToolCall(name=function["name"], arguments=known)


def _text(message: dict) -> str:
    content = message.get("content")
    if content is None or isinstance(content, str):
        return content or ""
    parts = content if isinstance(content, list) else [content]
    if not all(isinstance(one, dict) and isinstance(one.get("text"), str) for one in parts):
        raise Problem("prompt.not_only_text")
    return "".join(one["text"] for one in parts)
