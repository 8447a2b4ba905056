"""What went into each column as the page shows it: the exact text and token ids of the last question, and where columns
differ.
"""

import time
from functools import lru_cache

from markupsafe import escape

from studio.chat import choose, engine_prompt, prompts
from studio.chat.columns import LETTERS
from studio.chat.conversation import Conversation
from studio.chat.prompts import Seen
from studio.chat.talk import Talks
from studio.core.i18n import Words

SHOWN = 2000  # tokens drawn of a prompt
ASK_EVERY_S = 10  # whether a server that told nothing does now


def draw(words: Words, talks: Talks, id: str) -> str:
    """Return the prompts of all columns, token by token, with the first token that differs from the first column's
    marked.
    """
    if not id:
        return f'<p class="hint">{words("prompt.nothing")}</p>'
    conversation = talks.conversations.open(id)
    if conversation.hidden:
        return f'<p class="hint">{words("chat.hidden")}</p>'
    seen = _prompts(talks, id, conversation.changed, time.monotonic() // ASK_EVERY_S)
    if not seen:
        return f'<p class="hint">{words("prompt.nothing")}</p>'
    first = next(iter(seen))
    return "".join(_column(words, conversation, name, one, first, seen[first]) for name, one in seen.items())


@lru_cache(maxsize=16)
def _prompts(talks: Talks, id: str, changed: float, turn: float) -> dict[str, Seen]:
    """Ask no engine at every tick of the page, only where the conversation `changed`, and now and then."""
    return prompts.prompts(talks.table, talks.conversations, id)


def _column(words: Words, conversation: Conversation, name: str, one: Seen, first: str, other: Seen) -> str:
    letter = LETTERS[conversation.columns.index(name)]
    head = f'<h3><b class="letter">{letter}</b> {escape(choose.short(name))}</h3>'
    if one.fault:
        return f'<section class="prompt">{head}<p class="hint">{escape(words.tell(one.fault))}</p></section>'
    place = engine_prompt.compare(other.ids, one.ids) if name != first and not other.fault else None
    said = (
        _compared(words, LETTERS[conversation.columns.index(first)], place, one, other)
        if name != first and not other.fault
        else ""
    )
    chips = "".join(
        f'<span class="tok{" special" if id in one.special else ""}{" differs" if index == place else ""}"'
        f' title="{index}: {escape(id)}">{escape(text) or "·"}</span>'
        for index, (id, text) in enumerate(zip(one.ids[:SHOWN], one.texts, strict=False))
    )
    ids = escape(" ".join(map(str, one.ids)))
    return (
        f'<section class="prompt">{head}<p class="hint'
        f' num">{words.html("prompt.count", count=len(one.ids))}{escape(said)}</p><div class="toks">{chips}</div>'
        f'<details id="prompt-ids-{letter}"><summary>{words("prompt.ids")}</summary><pre>{ids}</pre></details>'
        "<details"
        f' id="prompt-text-{letter}"><summary>{words("prompt.text")}</summary><pre>{escape("".join(one.texts))}</pre></details></section>'
    )


def _compared(words: Words, other: str, place: int | None, one: Seen, first: Seen) -> str:
    if place is None:
        return " · " + words("prompt.same_as", other=other)
    key = "prompt.ends_before" if place >= min(len(one.ids), len(first.ids)) else "prompt.differs_from"
    return " · " + words(key, other=other, place=place)
