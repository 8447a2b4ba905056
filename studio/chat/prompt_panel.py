"""What went into each column: the exact text and token ids of the last question, and where columns differ."""

from dataclasses import dataclass
from functools import lru_cache
from html import escape

from studio.chat import choose, engine_prompt
from studio.chat.choose import SERVED, Table
from studio.chat.columns import LETTERS
from studio.chat.conversation import Conversation
from studio.chat.prompt import Encoder
from studio.chat.speaker import Speaker
from studio.chat.talk import Talks, spoken
from studio.datasets.tokens import pieces
from studio.interface.language import Problem, Words

SHOWN = 2000  # tokens drawn of a prompt


@dataclass(frozen=True)
class Seen:
    """What went into a column: token ids, the text of each, and which of them are special; `fault` where it cannot be told."""

    ids: list[int]
    texts: list[str]
    special: frozenset[int]
    fault: Problem | None = None


def prompts(talks: Talks, id: str) -> dict[str, Seen]:
    """Return what went into each column with the last question that it was asked; a column that was never asked is left out. Raises Problem."""
    conversation, found = talks.conversations.open(id), {}
    reference: Encoder | None = None
    for name in sorted(conversation.columns, key=lambda name: name.startswith(SERVED)):
        asked = _asked(talks, conversation, name)
        if not asked:
            continue
        try:
            if name.startswith(SERVED):
                found[name] = _served(talks.table, conversation, name, asked, reference)
            else:
                encoder = _encoder_of(talks.table, conversation, name)
                reference = reference or encoder
                ids = encoder.encode(asked, conversation.system or None, conversation.tools)
                found[name] = _seen(encoder, ids)
        except Problem as fault:
            found[name] = Seen([], [], frozenset(), fault)
    return {name: found[name] for name in conversation.columns if name in found}


def _asked(talks: Talks, conversation: Conversation, name: str) -> list[dict]:
    said = list(conversation.of(name))
    while said and said[-1]["role"] == "assistant":
        said.pop()
    return spoken(said, talks.conversations.folder)


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


def draw(words: Words, talks: Talks, id: str) -> str:
    """Return the prompts of all columns, token by token, with the first token that differs from the first column's marked."""
    if not id:
        return f'<p class="hint">{words("prompt.nothing")}</p>'
    conversation = talks.conversations.open(id)
    if conversation.hidden:
        return f'<p class="hint">{words("chat.hidden")}</p>'
    seen = prompts(talks, id)
    if not seen:
        return f'<p class="hint">{words("prompt.nothing")}</p>'
    first = next(iter(seen))
    return "".join(_column(words, conversation, name, one, first, seen[first]) for name, one in seen.items())


def _column(words: Words, conversation: Conversation, name: str, one: Seen, first: str, other: Seen) -> str:
    letter = LETTERS[conversation.columns.index(name)]
    head = f'<h3><b class="letter">{letter}</b> {escape(choose.title(name).split("/")[-1])}</h3>'
    if one.fault:
        return f'<section class="prompt">{head}<p class="hint">{escape(words.tell(one.fault))}</p></section>'
    place = engine_prompt.compare(other.ids, one.ids) if name != first and not other.fault else None
    said = _compared(words, LETTERS[conversation.columns.index(first)], place, one, other) if name != first and not other.fault else ""
    chips = "".join(
        f'<span class="tok{" special" if id in one.special else ""}{" differs" if index == place else ""}" title="{index}: {id}">{escape(text) or "·"}</span>'
        for index, (id, text) in enumerate(zip(one.ids[:SHOWN], one.texts, strict=False))
    )
    ids = " ".join(map(str, one.ids))
    return (
        f'<section class="prompt">{head}<p class="hint num">{words("prompt.count", count=len(one.ids))}{said}</p><div class="toks">{chips}</div>'
        f'<details id="prompt-ids-{letter}"><summary>{words("prompt.ids")}</summary><pre>{ids}</pre></details>'
        f'<details id="prompt-text-{letter}"><summary>{words("prompt.text")}</summary><pre>{escape("".join(one.texts))}</pre></details></section>'
    )


def _compared(words: Words, other: str, place: int | None, one: Seen, first: Seen) -> str:
    if place is None:
        return " · " + words("prompt.same_as", other=other)
    key = "prompt.ends_before" if place >= min(len(one.ids), len(first.ids)) else "prompt.differs_from"
    return " · " + words(key, other=other, place=place)
