"""The head of a conversation: its title, what it is a branch of, and what can be done with it."""

from dataclasses import dataclass

from studio.chat.history.conversations import Conversation, Conversations
from studio.core.i18n import Problem

TEMPLATE = "chat/page/conversations/header.html"


@dataclass(frozen=True)
class ParentContext:
    """The conversation that one is a branch of, and the turn after which it begins."""

    id: str
    title: str
    turn: int


@dataclass(frozen=True)
class HeaderContext:
    """id: "" for a conversation that is not begun yet."""

    id: str = ""
    title: str = ""
    parent: ParentContext | None = None


def header(conversations: Conversations, id: str) -> HeaderContext:
    """Return the head of a conversation. Raises Problem where there is none of this id."""
    if not id:
        return HeaderContext()
    conversation = conversations.open(id)
    return HeaderContext(id, conversation.title, _parent(conversations, conversation))


def _parent(conversations: Conversations, conversation: Conversation) -> ParentContext | None:
    if not conversation.parent:
        return None
    try:
        parent = conversations.open(conversation.parent["id"])
    except Problem:
        return None  # deleted since
    return ParentContext(parent.id, parent.title, conversation.parent["turn"])
