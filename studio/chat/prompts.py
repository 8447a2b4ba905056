"""What went into each column: the token ids of its last question, and whether a served model got the prompt of
training.
"""

from dataclasses import dataclass
from functools import lru_cache

from studio.chat import choose, engine_prompt
from studio.chat.choose import SERVED, Table
from studio.chat.conversation import Conversation, Conversations, spoken
from studio.chat.prompt import Encoder
from studio.chat.speaker import Speaker
from studio.core.i18n import Problem
from studio.datasets.encoding.row_encoder import pieces


@dataclass(frozen=True)
class Seen:
    """What went into a column: token ids, the text of each, and which of them are special; `fault` where it cannot be
    told.
    """

    ids: list[int]
    texts: list[str]
    special: frozenset[int]
    fault: Problem | None = None


def prompts(table: Table, conversations: Conversations, id: str) -> dict[str, Seen]:
    """Return what went into each column with the last question that it was asked; a column that was never asked is left
    out. Raises Problem.
    """
    conversation, found = conversations.open(id), {}
    reference: Encoder | None = None
    for name in sorted(conversation.columns, key=lambda name: name.startswith(SERVED)):
        asked = _asked(conversations, conversation, name)
        if not asked:
            continue
        try:
            if name.startswith(SERVED):
                found[name] = _served(table, conversation, name, asked, reference)
            else:
                encoder = _encoder_of(table, conversation, name)
                reference = reference or encoder
                found[name] = _seen(encoder, encoder.encode(asked, conversation.system, conversation.tools))
        except Problem as fault:
            found[name] = Seen([], [], frozenset(), fault)
    return {name: found[name] for name in conversation.columns if name in found}


def parity(table: Table, conversations: Conversations, id: str, name: str) -> dict[str, str] | None:
    """Tell whether a served column got the prompt that the trained template makes of what it was asked.

    Returns: {"is": "same", "differs" or "untold", "as": the run, or the model, whose template it was compared with};
    None where the conversation has no column of this machine to compare with, or one of the two prompts cannot be made.
    """
    conversation = conversations.open(id)
    local = [one for one in conversation.columns if not one.startswith(SERVED)]
    asked = _asked(conversations, conversation, name)
    if not local or not asked:
        return None
    trained = min(local, key=lambda one: "/" not in one)  # a run before a model: it was trained with its template
    if any("images" in message for message in asked):
        return {"is": "untold", "as": trained}
    try:
        ours = _encoder_of(table, conversation, trained).encode(asked, conversation.system, conversation.tools)
        told = engine_prompt.engine_prompt(
            table.endpoints.speaker(name), asked, conversation.system, conversation.tools
        )
    except Problem:
        return None  # the column itself says what is wrong
    return {"is": "untold" if told is None else "same" if told.ids == ours else "differs", "as": trained}


def _asked(conversations: Conversations, conversation: Conversation, name: str) -> list[dict]:
    said = list(conversation.of(name))
    while said and said[-1]["role"] == "assistant":
        said.pop()
    return spoken(said, conversations.folder)


def _served(table: Table, conversation: Conversation, name: str, asked: list[dict], reference: Encoder | None) -> Seen:
    told = engine_prompt.engine_prompt(table.endpoints.speaker(name), asked, conversation.system, conversation.tools)
    if told is None:
        raise Problem("prompt.not_told")
    if reference is None:
        return Seen(told.ids, [str(id) for id in told.ids], frozenset())
    return _seen(reference, told.ids)


def _seen(encoder: Encoder, ids: list[int]) -> Seen:
    return Seen(ids, pieces(encoder.tokenizer, ids), frozenset(encoder.tokenizer.all_special_ids))


def _encoder_of(table: Table, conversation: Conversation, name: str) -> Encoder:
    local = [one for one in conversation.columns if not one.startswith(SERVED)]
    speaker = next(one for one in choose.speakers(table.workspace, local, conversation.bits) if one.name == name)
    return _encoder(speaker)


@lru_cache(maxsize=8)
def _encoder(speaker: Speaker) -> Encoder:
    from studio.chat.resident import encoder_of

    return encoder_of(speaker.base, speaker)
