"""What went into each column: the exact text and token ids of the last question, and where columns differ."""

import time
from dataclasses import dataclass
from functools import lru_cache

from markupsafe import Markup

from studio.chat.evaluation import prompt_parity
from studio.chat.evaluation.prompt_parity import ColumnPrompt
from studio.chat.history.conversations import LETTERS, Conversation
from studio.chat.render.token_chips import token_chips
from studio.chat.turn_runner import TurnRunner
from studio.core.i18n import Problem
from studio.core.workspace import Workspace
from studio.inference import target_names

TEMPLATE = "chat/page/talk/prompt_tokens.html"
SHOWN = 2000  # tokens drawn of a prompt
COMPARISONS = {"same": "prompt.same_as", "differs": "prompt.differs_from", "ends_before": "prompt.ends_before"}
ASK_EVERY_S = 10  # whether a server that told nothing does now


@dataclass(frozen=True)
class PromptContext:
    """The prompt of one column. fault: why it cannot be told. comparison: the key of the sentence that compares it with
    column `other`, "" for none; differs_at: the index of the first token that differs.
    """

    letter: str
    label: str
    fault: Problem | None = None
    count: int = 0
    chips: Markup | None = None
    ids: str = ""
    text: str = ""
    comparison: str = ""
    other: str = ""
    differs_at: int | None = None


@dataclass(frozen=True)
class PromptTokensContext:
    """is_hidden: names are hidden until a vote, and a template would tell them."""

    prompts: list[PromptContext]
    is_hidden: bool = False


def prompt_tokens(turns: TurnRunner, id: str) -> PromptTokensContext:
    """Return the prompts of all columns; each is compared with that of the first. Raises Problem where there is no such
    conversation.
    """
    if not id:
        return PromptTokensContext([])
    conversation = turns.conversations.open(id)
    if conversation.hidden:
        return PromptTokensContext([], is_hidden=True)
    prompts = _prompts(turns, id, conversation.changed, time.monotonic() // ASK_EVERY_S)
    first = next(iter(prompts), "")
    return PromptTokensContext(
        [_column(turns.service.workspace, conversation, name, prompts, first) for name in prompts]
    )


@lru_cache(maxsize=16)
def _prompts(turns: TurnRunner, id: str, changed: float, turn: float) -> dict[str, ColumnPrompt]:
    """Ask no engine at every tick of the page, only where the conversation `changed`, and now and then."""
    return prompt_parity.prompts(turns.service, turns.conversations, id)


def _column(
    workspace: Workspace, conversation: Conversation, name: str, prompts: dict[str, ColumnPrompt], first: str
) -> PromptContext:
    letter, label, one = LETTERS[conversation.columns.index(name)], target_names.label(workspace, name), prompts[name]
    if one.fault:
        return PromptContext(letter, label, one.fault)
    comparison = prompt_parity.compare(prompts[first], one) if name != first else None
    differs_at = comparison and comparison.first_difference
    return PromptContext(
        letter,
        label,
        count=len(one.ids),
        chips=token_chips(tuple(one.ids[:SHOWN]), tuple(one.texts[:SHOWN]), one.special, differs_at),
        ids=" ".join(map(str, one.ids)),
        text="".join(one.texts),
        comparison=COMPARISONS[comparison.parity] if comparison else "",
        other=LETTERS[conversation.columns.index(first)],
        differs_at=differs_at,
    )
