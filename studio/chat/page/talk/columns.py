"""The columns of a conversation as the page draws them: message by message, and only those that it does not have."""

import hashlib
from dataclasses import dataclass

from markupsafe import Markup

from studio.chat.history.conversations import LETTERS, Conversation
from studio.chat.page.schemas import ColumnResult, ColumnsResult, PieceResult
from studio.chat.page.talk import message_view
from studio.chat.render import markdown
from studio.chat.turn_runner import PendingTurn, TurnRunner, as_message
from studio.core.i18n import Words
from studio.core.workspace import Workspace
from studio.inference import target_names
from studio.inference.messages import Message
from studio.web.html import render, ui

HEAD = "chat/page/talk/column_head.html"


@dataclass(frozen=True)
class ColumnHeadContext:
    """The head of a column. is_hidden: its name is not shown until a vote."""

    letter: str
    name: str
    label: str
    is_hidden: bool


class Columns:
    """Draws conversations. Answers that grow are rendered from where they stood at the last look."""

    def __init__(self, turns: TurnRunner):
        self.turns = turns
        self._growing: dict[tuple, markdown.Growing] = {}

    def snapshot(self, words: Words, id: str, known: dict[str, str]) -> ColumnsResult:
        """Return the columns with their messages; html is None for what the page has, by `known` ({key: mark}).

        Raises:
            Problem: there is no such conversation.
        """
        pending = self.turns.pending(id)  # looked at first: what it wrote when it ended is then in the conversation
        conversation = self.turns.conversations.open(id)
        if not pending:
            self._growing = {key: growing for key, growing in self._growing.items() if key[0] != id}
        return ColumnsResult(
            busy=pending is not None,
            columns=[self._column(words, conversation, name, pending, known) for name in conversation.columns],
        )

    def _column(
        self, words: Words, conversation: Conversation, name: str, pending: PendingTurn | None, known: dict[str, str]
    ) -> ColumnResult:
        is_busy = pending is not None and name in pending.columns
        shown, called = _with_what_comes(conversation, name, pending), conversation.called(name)
        pieces = []
        for number, message in enumerate(shown):
            is_last = number == len(shown) - 1
            growing = self._growing_of(words, conversation, name, pending) if is_last and is_busy else None
            context = self._message(words, conversation, name, message, growing, is_last and not pending)
            html = message_view.html(words.language, context)
            pieces.append(_piece(f"{conversation.id}/{called}/{number}", html, known))
        if is_busy and not (shown and shown[-1]["role"] == "assistant"):
            waiting = ui(words.language).hint(words("chat.end_waiting"), "waiting")
            pieces.append(_piece(f"{conversation.id}/{called}/wait", waiting, known))
        head = render(HEAD, words, column_head(self.turns.service.workspace, conversation, name))
        return ColumnResult(name=called, head=str(head).strip(), said=pieces)

    def _growing_of(
        self, words: Words, conversation: Conversation, name: str, pending: PendingTurn | None
    ) -> markdown.Growing:
        return self._growing.setdefault((conversation.id, name, id(pending)), markdown.Growing(words))

    def _message(
        self,
        words: Words,
        conversation: Conversation,
        name: str,
        message: Message,
        growing: markdown.Growing | None,
        is_last: bool,
    ) -> message_view.MessageContext:
        if message["role"] == "user":
            return message_view.question(conversation, name, message, self.turns.conversations.folder)
        if message["role"] == "tool":
            return message_view.ToolOutputContext(message["content"])
        return message_view.answer(words, conversation, name, message, growing, is_last)


def _with_what_comes(conversation: Conversation, name: str, pending: PendingTurn | None) -> list[Message]:
    """Return the messages of a column, the last one as it stands now in the memory of this process."""
    shown = list(conversation.of(name))
    answer = pending.answers.get(name) if pending and name in pending.columns else None
    if not answer:
        return shown
    before = shown[:-1] if shown and shown[-1]["role"] == "assistant" else shown
    return [*before, as_message(answer, pending.turn)]


def label(workspace: Workspace, conversation: Conversation, name: str) -> str:
    """Return what a column is called now: its letter while names are hidden, else the model's label."""
    return conversation.called(name) if conversation.hidden else target_names.label(workspace, name)


def column_head(workspace: Workspace, conversation: Conversation, name: str) -> ColumnHeadContext:
    """Return the head of a column; nothing in it tells a name that is hidden."""
    letter = LETTERS[conversation.columns.index(name)]
    if conversation.hidden:
        return ColumnHeadContext(letter, "", "", True)
    return ColumnHeadContext(letter, name, label(workspace, conversation, name), False)


def _piece(key: str, html: Markup, known: dict[str, str]) -> PieceResult:
    digest = hashlib.md5(html.encode(), usedforsecurity=False).hexdigest()[:12]
    return PieceResult(key=key, mark=digest, html=None if known.get(key) == digest else str(html))
