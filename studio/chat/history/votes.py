"""Votes: which column answered a question best, kept for good, and what they say of the models together."""

import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from studio.chat.history import append_only
from studio.chat.history.chat_records import StoredVote
from studio.core.i18n import Problem
from studio.core.storage import records
from studio.core.storage.file_cache import FileCache
from studio.inference.messages import Message

TIE, BAD = "tie", "bad"


@dataclass(frozen=True)
class Vote:
    """What a person thought of the answers to one question.

    conversation, turn: where it was asked. columns: the names that answered. answers: what each said. before: the
        messages of each up
    to and with the question. choice: the best column's name, "tie" or "bad" (none of them is good). blind: the names
    were hidden.
    time: seconds since 1970.
    """

    conversation: str
    turn: int
    columns: list[str]
    answers: dict[str, str]
    before: dict[str, list[Message]]
    choice: str
    system: str = ""
    tools: str = ""
    note: str = ""
    blind: bool = False
    time: float = field(default_factory=time.time)


class Votes:
    """The votes of a workspace: `votes.jsonl` in a folder. Every method may be called from any thread."""

    def __init__(self, folder: Path):
        self.file = folder / "votes.jsonl"
        self._lock = threading.Lock()
        self._votes: FileCache[tuple[list[Vote], int]] = FileCache(1)

    def cast(self, vote: Vote) -> Vote:
        """Keep a vote; it replaces an earlier one on the same conversation and turn.

        Raises:
            Problem: there is nothing to compare, the choice is none of the columns, or the disk refuses.
        """
        if len(set(vote.columns)) < 2:
            raise Problem("votes.too_few")
        if vote.choice not in (*vote.columns, TIE, BAD):
            raise Problem("votes.bad_choice", choice=vote.choice, columns=", ".join(sorted(vote.columns)))
        if missing := [name for name in vote.columns if name not in vote.answers or not vote.before.get(name)]:
            raise Problem("votes.no_answer", column=missing[0])
        records.typed(asdict(vote), StoredVote, self.file.name)  # what could not be read again is not written
        with self._lock:
            append_only.append(self.file, asdict(vote))
        return vote

    def all(self) -> list[Vote]:
        """Return the votes that count, in the order in which they were cast. Raises Problem where they cannot be
        read.
        """
        return list(self._read()[0])

    def unreadable(self) -> int:
        """Return how many lines of the file are no votes. Raises Problem as `all` does."""
        return self._read()[1]

    def of(self, conversation: str, turn: int) -> Vote | None:
        """Return the vote on a turn of a conversation, None where there is none. Raises Problem as `all` does."""
        return next((vote for vote in self.all() if (vote.conversation, vote.turn) == (conversation, turn)), None)

    def _read(self) -> tuple[list[Vote], int]:
        def read() -> tuple[list[Vote], int]:
            stored, unreadable = append_only.read(self.file, StoredVote)
            return _latest(stored), unreadable

        return self._votes.get(self.file, [self.file], read)


def _latest(stored: list[StoredVote]) -> list[Vote]:
    counting = {}
    for one in stored:
        vote = Vote(**one.model_dump(exclude_unset=True, by_alias=True))
        counting.pop((vote.conversation, vote.turn), None)
        counting[vote.conversation, vote.turn] = vote
    return list(counting.values())
