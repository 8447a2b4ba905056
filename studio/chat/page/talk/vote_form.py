"""The buttons that say which answer to the last question was best."""

from dataclasses import dataclass

from studio.chat.history.conversations import LETTERS, Conversation
from studio.chat.history.votes import BAD, TIE, Votes
from studio.chat.page.talk.columns import label
from studio.chat.turn_runner import TurnRunner

TEMPLATE = "chat/page/talk/vote_form.html"


@dataclass(frozen=True)
class Choice:
    """A button: the value that is voted for; a letter and the name of a column, or neither for "tie" and "bad"."""

    value: str
    is_chosen: bool
    letter: str = ""
    title: str = ""


@dataclass(frozen=True)
class VoteFormContext:
    """note: what was written beside an earlier vote on this turn."""

    conversation: str
    turn: int
    choices: list[Choice]
    note: str


def vote_form(turns: TurnRunner, votes: Votes, id: str) -> VoteFormContext | None:
    """Return the form, None where there are no two answers to compare. Raises Problem where there is no such
    conversation or votes cannot be read.
    """
    if not id:
        return None
    conversation = turns.conversations.open(id)
    answered = _answered(conversation)
    if turns.pending(id) or len(answered) < 2:
        return None
    vote = votes.of(id, conversation.turns)
    chosen = vote.choice if vote else None
    choices = [
        Choice(
            conversation.called(name),
            name == chosen,
            LETTERS[conversation.columns.index(name)],
            "" if conversation.hidden else label(turns.service.workspace, conversation, name),
        )
        for name in answered
    ]
    choices += [Choice(value, value == chosen) for value in (TIE, BAD)]
    return VoteFormContext(id, conversation.turns, choices, vote.note if vote else "")


def _answered(conversation: Conversation) -> list[str]:
    return [
        name
        for name in conversation.columns
        if (messages := conversation.of(name)) and messages[-1]["role"] == "assistant" and messages[-1]["content"]
    ]
