"""An answer while it grows and when it is done, whoever gives it: a model in memory or a server."""

from dataclasses import dataclass

from studio.core.i18n import Problem
from studio.inference.messages import ToolCall


@dataclass(frozen=True)
class Answer:
    """What one model has answered so far.

    target: the name that was asked. text: as the model wrote it, reasoning in <think></think>. tokens: how many,
    the stop token not counted. first_token_s: seconds from the question to the first token, None before it.
    tokens_per_s: from the first token on. finished: "" while it grows, then "stop" (it was done), "length"
    (max_tokens or the model's context reached), "stopped" (by the person, or as its model had to make room) or
    "failed" (`fault` says why). prompt_tokens: ids that went in, empty where a server does not tell them;
    prompt_count: how many, None where that is not told either. calls: the tools that a finished answer calls; then
    `text` is what stands before them.
    """

    target: str
    text: str
    tokens: int
    first_token_s: float | None
    tokens_per_s: float | None
    finished: str
    prompt_tokens: tuple[int, ...] = ()
    prompt_count: int | None = None
    calls: tuple[ToolCall, ...] = ()
    fault: Problem | None = None


def failed(target: str, fault: Problem) -> Answer:
    """Return the answer of a model that could not be asked."""
    return Answer(target, "", 0, None, None, "failed", fault=fault)
