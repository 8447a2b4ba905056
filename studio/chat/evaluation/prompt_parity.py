"""What went into each column: the token ids of its last question, and whether a served model got the prompt of
training.
"""

from dataclasses import dataclass
from typing import Literal

from studio.chat.history.conversations import Conversation, Conversations, model_messages
from studio.core.i18n import Problem
from studio.datasets.encoding.row_encoder import pieces
from studio.inference import target_names
from studio.inference.inference_service import InferenceService
from studio.inference.local.prompt_encoders import prompt_encoder
from studio.inference.local.prompt_encoding import PromptEncoder
from studio.inference.messages import Message
from studio.inference.remote import engine_prompt
from studio.inference.target_names import SERVED


@dataclass(frozen=True)
class ColumnPrompt:
    """What went into a column: token ids, the text of each, and which of them are special; `fault` where it cannot be
    told.
    """

    ids: list[int]
    texts: list[str]
    special: frozenset[int]
    fault: Problem | None = None


@dataclass(frozen=True)
class Comparison:
    """How a prompt compares with that of the first column: "same", "differs", or "ends_before" where one of the two is
    the beginning of the other. first_difference: the index of the first token that differs, None for the same.
    """

    parity: Literal["same", "differs", "ends_before"]
    first_difference: int | None


def compare(first: ColumnPrompt, other: ColumnPrompt) -> Comparison | None:
    """Return how the prompt of a column compares with that of the first, None where one of them cannot be told."""
    if first.fault or other.fault:
        return None
    index = engine_prompt.compare(first.ids, other.ids)
    if index is None:
        return Comparison("same", None)
    return Comparison("ends_before" if index >= min(len(first.ids), len(other.ids)) else "differs", index)


def prompts(service: InferenceService, conversations: Conversations, id: str) -> dict[str, ColumnPrompt]:
    """Return what went into each column with the last question that it was asked; a column that was never asked is left
    out. Raises Problem.
    """
    conversation, made = conversations.open(id), {}
    reference: PromptEncoder | None = None
    for name in sorted(conversation.columns, key=lambda name: name.startswith(SERVED)):
        messages = _messages_asked(conversations, conversation, name)
        if not messages:
            continue
        try:
            if name.startswith(SERVED):
                made[name] = _served(service, conversation, name, messages, reference)
            else:
                encoder = _encoder_of(service, conversation, name)
                reference = reference or encoder
                made[name] = _prompt_of_ids(encoder, encoder.encode(messages, conversation.system, conversation.tools))
        except Problem as fault:
            made[name] = ColumnPrompt([], [], frozenset(), fault)
    return {name: made[name] for name in conversation.columns if name in made}


def parity(service: InferenceService, conversations: Conversations, id: str, name: str) -> dict[str, str] | None:
    """Tell whether a served column got the prompt that the trained template makes of what it was asked.

    Returns: {"is": "same", "differs" or "untold", "as": the run, or the model, whose template it was compared with};
    None where the conversation has no column of this machine to compare with, or one of the two prompts cannot be made.
    """
    conversation = conversations.open(id)
    local = [one for one in conversation.columns if not one.startswith(SERVED)]
    messages = _messages_asked(conversations, conversation, name)
    if not local or not messages:
        return None
    trained = min(local, key=lambda one: "/" not in one)  # a run before a model: it was trained with its template
    if any("images" in message for message in messages):
        return {"is": "untold", "as": trained}
    try:
        ours = _encoder_of(service, conversation, trained).encode(messages, conversation.system, conversation.tools)
        served = engine_prompt.engine_prompt(
            service.servers.target(name), messages, conversation.system, conversation.tools
        )
    except Problem:
        return None  # the column itself says what is wrong
    return {"is": "untold" if served is None else "same" if served.ids == ours else "differs", "as": trained}


def _messages_asked(conversations: Conversations, conversation: Conversation, name: str) -> list[Message]:
    messages = list(conversation.of(name))
    while messages and messages[-1]["role"] == "assistant":
        messages.pop()
    return model_messages(messages, conversations.folder)


def _served(
    service: InferenceService,
    conversation: Conversation,
    name: str,
    messages: list[Message],
    reference: PromptEncoder | None,
) -> ColumnPrompt:
    served = engine_prompt.engine_prompt(
        service.servers.target(name), messages, conversation.system, conversation.tools
    )
    if served is None:
        raise Problem("prompt.not_told")
    if reference is None:
        return ColumnPrompt(served.ids, [str(id) for id in served.ids], frozenset())
    return _prompt_of_ids(reference, served.ids)


def _prompt_of_ids(encoder: PromptEncoder, ids: list[int]) -> ColumnPrompt:
    return ColumnPrompt(ids, pieces(encoder.tokenizer, ids), frozenset(encoder.tokenizer.all_special_ids))


def _encoder_of(service: InferenceService, conversation: Conversation, name: str) -> PromptEncoder:
    local = [one for one in conversation.columns if not one.startswith(SERVED)]
    target = next(one for one in target_names.resolve(service.workspace, local, conversation.bits) if one.name == name)
    return prompt_encoder(target)
