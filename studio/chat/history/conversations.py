"""Conversations on disk: what was said in each column, written as it is said, branched, and found again.

A conversation is one file, `saves/.chats/<id>.json`, and nothing in memory: the page and every script read the same.
"""

import json
import os
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from pathlib import Path

from studio.chat.history.chat_records import Settings, StoredConversation, image_file
from studio.core.i18n import Problem, Reason
from studio.core.storage import files, folders, records
from studio.core.storage.file_cache import FileCache
from studio.core.storage.trash import Trash
from studio.core.workspace import Workspace, write_json
from studio.inference.messages import Message
from studio.inference.reasoning import without_reasoning
from studio.inference.sampling import Sampling

LETTERS = "ABCD"  # of the columns, in the order they are shown
TITLE_LENGTH = 60
OPEN_MOST = 32


@dataclass
class Conversation:
    """What was said in each column.

    columns: names of the models, in the order they are shown. messages: for each name its messages, oldest first:
    {"role": "user" | "assistant" | "tool", "content", "turn"} and, where there are any, "images" (files beside the
    conversations), "calls" ({"name", "arguments"} that an answer makes) and "answer" (its figures, its fault as {"key",
    "facts"}, its `prompts.parity`). A question has the same turn, counted from 1, in every column that it went to.
    bits: 4, 8 or None. parent: {"id", "turn"} of the conversation this one is a branch of. blind: names are hidden and
    columns shuffled until a vote; revealed: the vote was cast. Times in seconds since 1970.
    """

    id: str
    columns: list[str]
    title: str = ""
    created: float = field(default_factory=time.time)
    changed: float = field(default_factory=time.time)
    system: str = ""
    tools: str = ""
    settings: dict = field(default_factory=lambda: asdict(Sampling()))
    bits: int | None = None
    messages: dict[str, list[Message]] = field(default_factory=dict)
    parent: dict | None = None
    blind: bool = False
    revealed: bool = False

    @property
    def turns(self) -> int:
        """Return the number of the last question, 0 where nothing was asked."""
        return max((message["turn"] for messages in self.messages.values() for message in messages), default=0)

    @property
    def hidden(self) -> bool:
        """Tell whether the names of the columns must not be shown now."""
        return self.blind and not self.revealed

    @property
    def listed_columns(self) -> list[str]:
        """Return the columns as they may be listed by name: while names are hidden, their order would tell whose each
        column is.
        """
        return sorted(self.columns) if self.hidden else self.columns

    def called(self, column: str) -> str:
        """Return what a column is called before whoever looks on: its name, or its letter while names are hidden."""
        return LETTERS[self.columns.index(column)] if self.hidden and column in self.columns else column

    def column(self, called: str) -> str:
        """Return the name of the column that is called so: its name, or its letter in a blind conversation, after the
        vote too, from a page that was drawn before it. What is called neither way is returned as it is.
        """
        letters = dict(zip(LETTERS, self.columns, strict=False)) if self.blind else {}
        return called if called in self.columns else letters.get(called, called)

    def shown(self) -> dict:
        """Return the fields as whoever looks on may read them.

        While names are hidden columns are called by their letters, and of an answer's figures only how it ended is
        told: speed, prompt and what failed tell which model it was.
        """
        whole = asdict(self)
        if not self.hidden:
            return whole
        messages = {self.called(name): [_without_figures(one) for one in self.of(name)] for name in self.columns}
        return whole | {"columns": list(messages), "messages": messages}

    def of(self, column: str) -> list[Message]:
        """Return the messages of a column, none where it was not asked yet."""
        return self.messages.get(column, [])

    def question(self, turn: int) -> Message | None:
        """Return the message that asked this turn, None where there is none."""
        questions = (
            message
            for messages in self.messages.values()
            for message in messages
            if message["role"] == "user" and message["turn"] == turn
        )
        return next(questions, None)

    def cut(self, turn: int) -> dict[str, list[Message]]:
        """Return the messages of every column up to the end of a turn."""
        return {
            name: [message for message in messages if message["turn"] <= turn]
            for name, messages in self.messages.items()
        }


@dataclass(frozen=True)
class Summary:
    """A line in the list of conversations; `columns` as they may be listed by name."""

    id: str
    title: str
    changed: float
    columns: list[str]
    is_branch: bool
    text: str


class Conversations:
    """The conversations of a workspace. Every method may be called from any thread."""

    def __init__(self, workspace: Workspace):
        self._workspace = workspace
        self.folder = workspace.saves / ".chats"
        self._locks: dict[str, threading.RLock] = {}
        self._summaries: FileCache[Summary | Problem] = FileCache()
        self._files: FileCache[Conversation] = FileCache(OPEN_MOST)

    def new(self, columns: list[str], **more: object) -> Conversation:
        """Make an empty conversation and keep it. Raises Problem where the disk refuses."""
        name = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
        conversation = Conversation(id=name, columns=list(columns), **more)
        self._save(conversation)
        return conversation

    def open(self, id: str) -> Conversation:
        """Return a conversation as it is now; it is the caller's own copy only inside `change`. Raises Problem where
        there is none.
        """
        path = self._path(id)
        if not files.exists(path):
            raise Problem("chat.no_conversation", id=id)
        return self._files.get(path, [path], lambda: _read(path))

    @contextmanager
    def change(self, id: str) -> Iterator[Conversation]:
        """Give a conversation to be changed, and keep it when the block ends well. Raises Problem."""
        with self._locks.setdefault(id, threading.RLock()):
            conversation = Conversation(**json.loads(json.dumps(asdict(self.open(id)))))
            yield conversation
            conversation.changed = time.time()
            self._save(conversation)

    def branch(self, id: str, turn: int) -> Conversation:
        """Return a new conversation that begins as this one did up to the end of a turn. Raises Problem."""
        old = self.open(id)
        if not 0 <= turn <= old.turns:
            raise Problem("chat.no_turn", turn=turn)
        branch = self.new(old.columns)
        with self.change(branch.id) as made:
            copy = replace(
                old, id=made.id, created=made.created, parent={"id": id, "turn": turn}, messages=old.cut(turn)
            )
            vars(made).update(asdict(copy))
        return self.open(branch.id)

    def delete(self, id: str) -> None:
        """Move a conversation into the trash. Raises Problem where there is none or the disk refuses."""
        title = self.open(id).title
        Trash(self._workspace).put(self._path(id), "conversation", title or id)

    def faults(self) -> list[Problem]:
        """Return why files of conversations cannot be read, one for each."""
        return [one for one in self._all() if isinstance(one, Problem)]

    def _all(self) -> list[Summary | Problem]:
        paths = folders.matching(self.folder, "*-*.json")
        summaries = [(path, self._summaries.get(path, [path], partial(_summary, path))) for path in paths]
        return [one for path, one in summaries if isinstance(one, Summary) or os.path.lexists(path)]

    def list(self, query: str = "") -> list[Summary]:
        """Return the conversations that hold every word of the query, the last changed first; see `faults` for those
        that cannot be read.
        """
        words = query.lower().split()
        matching = [one for one in self._all() if isinstance(one, Summary) and all(word in one.text for word in words)]
        return sorted(matching, key=lambda one: one.changed, reverse=True)

    def _path(self, id: str) -> Path:
        return self._workspace.inside(self.folder, f"{id}.json")

    def _save(self, conversation: Conversation) -> None:
        if not conversation.title:
            first = conversation.question(1)
            conversation.title = " ".join(first["content"].split())[:TITLE_LENGTH] if first else ""
        path, record = self._path(conversation.id), asdict(conversation)
        records.typed(record, StoredConversation, path.name)  # what could not be read again is not written
        write_json(path, record)


def what_was_said(messages: list[Message]) -> list[Message]:
    """Return the messages of a column that count: for the model that is asked on, and in what is trained on.

    An empty answer, also one of a thought alone, is none. A question that got no answer is left out whole, with its
    calls of tools and their results; the last one is not, for it is being asked.
    """
    said: list[Message] = []
    begin = 0  # where the last question stands
    for message in messages:
        if message["role"] == "assistant" and not _says_something(message):
            continue
        if message["role"] == "user":
            if said and (said[-1]["role"] != "assistant" or said[-1].get("calls")):
                del said[begin:]
            begin = len(said)
        said.append(message)
    return said


def _without_figures(message: Message) -> Message:
    figures = message.get("answer", {})
    kept = {key: message[key] for key in ("role", "content", "turn", "images", "calls") if key in message}
    ended = {"finished": figures["finished"]} if "finished" in figures else {}
    fault = {"fault": {"key": "chat.fault_hidden", "facts": {}}} if figures.get("fault") else {}
    return kept | ({"answer": ended | fault} if figures else {})


def _says_something(answer: Message) -> bool:
    return bool(answer.get("calls") or without_reasoning(answer["content"] or "").strip())


def model_messages(messages: list[Message], folder: Path) -> list[Message]:
    """Return what was said in a column as a model takes it: images as paths.

    Raises:
        Problem: an image is a link that leads out of the conversations' files.
    """
    sent = []
    for message in what_was_said(messages):
        images = [str(image_file(folder, image)) for image in message.get("images") or []]
        kept = {key: message[key] for key in ("role", "content", "calls") if message.get(key) is not None}
        sent.append(kept | ({"images": images} if images else {}))
    return sent


def sampling_of(settings: Settings) -> dict:
    """Return settings as `answer.Sampling` takes them."""
    names = {one.name for one in fields(Sampling)}
    return {name: value for name, value in settings.model_dump().items() if name in names}


def _summary(path: Path) -> Summary | Problem:
    try:
        conversation = _read(path)
    except Problem as fault:
        return fault
    contents = (message["content"] for messages in conversation.messages.values() for message in messages)
    text = "\n".join([conversation.title, *conversation.columns, *contents]).lower()
    return Summary(
        conversation.id,
        conversation.title,
        conversation.changed,
        conversation.listed_columns,
        bool(conversation.parent),
        text,
    )


def _read(path: Path) -> Conversation:
    stored = records.load(path, StoredConversation)
    if stored.id != path.stem:
        raise Problem(
            "records.wrong_field", file=path.name, field="id", reason=Reason("reasons.other_id", id=stored.id[:100])
        )
    return Conversation(
        **stored.model_dump(exclude_unset=True, by_alias=True) | {"settings": sampling_of(stored.settings)}
    )
