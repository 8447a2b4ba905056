"""A message of the chat, as it is kept on disk, sent to a model, and given by a script: one form for all three."""

from typing import NotRequired, TypedDict


class ToolCall(TypedDict):
    """A tool that an answer calls. arguments: an object, or text where the model wrote no JSON."""

    name: str
    arguments: object


class Message(TypedDict):
    """What was said, by whom: "user", "assistant" or "tool" (the result of a call).

    images: files, on disk beside the conversations. calls: of an assistant, after `content`. turn: the number of the
    question, from 1, and answer: the figures of an answer (`chat_records.Figures`), both only where it is kept.
    """

    role: str
    content: str | None
    images: NotRequired[list[str]]
    calls: NotRequired[list[ToolCall]]
    turn: NotRequired[int]
    answer: NotRequired[dict]
