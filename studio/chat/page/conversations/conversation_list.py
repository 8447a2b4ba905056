"""The list of conversations, the last changed first."""

from dataclasses import dataclass

from studio.chat.turn_runner import TurnRunner
from studio.core.i18n import Problem
from studio.inference import target_names

TEMPLATE = "chat/page/conversations/conversation_list.html"
SHOWN = 200
FAULTS_SHOWN = 20


@dataclass(frozen=True)
class ConversationRow:
    """A conversation in the list; `changed` in seconds since 1970."""

    id: str
    title: str
    columns: str
    changed: float
    is_branch: bool
    is_busy: bool


@dataclass(frozen=True)
class ConversationListContext:
    """like: the conversation in hand, of which a new one takes its columns and settings. is_search: a query was typed.
    faults: files that cannot be read.
    """

    rows: list[ConversationRow]
    like: str
    is_search: bool
    faults: list[Problem]


def conversation_list(turns: TurnRunner, arg: str) -> ConversationListContext:
    """Return the list. `arg` is what was typed into the search box and the conversation in hand, one a line."""
    query, _, like = arg.partition("\n")
    matching = turns.conversations.list(query)
    rows = [
        ConversationRow(
            one.id,
            one.title,
            " · ".join(target_names.label(turns.service.workspace, name) for name in one.columns),
            one.changed,
            one.is_branch,
            turns.pending(one.id) is not None,
        )
        for one in matching[:SHOWN]
    ]
    is_search = bool(query.strip())
    faults = [] if is_search else turns.conversations.faults()[:FAULTS_SHOWN]
    return ConversationListContext(rows, like, is_search, faults)
