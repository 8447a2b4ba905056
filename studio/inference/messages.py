"""A message of the chat, as it is kept on disk, sent to a model, and given by a script: one form for all three.

They stay typed dicts: what stands on disk (`chat_records`) and what a script gives (`chat/page/schemas`) are models
that check them at the border, and between these the chat template, LLaMA-Factory's tool formats and a server all take
and give objects of JSON, so that a dataclass would be turned into one and back at each of them.
"""

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
