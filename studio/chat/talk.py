"""Questions and their answers: asked in the background, written down as they come, whoever looks on or leaves."""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from studio.chat import pictures, prompts
from studio.chat.answer import Answer, Sampling, failed
from studio.chat.choose import SERVED, Table
from studio.chat.conversation import Conversation, Conversations, spoken
from studio.chat.stored import image_file
from studio.core.i18n import Problem

WRITE_EVERY_S = 2.0


@dataclass
class Asking:
    """Answers under way: to which turn, of which columns, what they have said by now, and how to end them."""

    turn: int
    columns: list[str]
    answers: dict[str, Answer] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)


class Talks:
    """Speaks in the conversations of a workspace. In each one question is answered at a time."""

    def __init__(self, table: Table, conversations: Conversations):
        self.table, self.conversations = table, conversations
        self._asking: dict[str, Asking] = {}
        self._lock = threading.Lock()

    def under_way(self, id: str) -> Asking | None:
        """Return the answers under way in a conversation, None where nobody speaks."""
        return self._asking.get(id)

    def say(self, id: str, text: str, images: list[str] | None = None) -> int:
        """Ask every column, and return the turn. Raises Problem where there is nothing to ask, nobody to answer, or an
        answer under way.
        """
        kept = [pictures.keep(self.conversations.folder, Path(image)) for image in images or []]
        if not text.strip() and not kept:
            raise Problem("chat.nothing_said")
        with self._begin(id) as asking, self.conversations.change(id) as conversation:
            turn = asking.turn = conversation.turns + 1
            if conversation.blind and turn == 1:
                random.shuffle(conversation.columns)
            asking.columns = list(conversation.columns)
            question = {"role": "user", "content": text, "turn": turn} | ({"images": kept} if kept else {})
            for name in conversation.columns:
                conversation.messages.setdefault(name, []).append(dict(question))
        return self._start(id, asking)

    def again(self, id: str, column: str = "") -> int:
        """Take back the last answer of one column, or of all, and ask for it anew. Raises Problem."""
        with self._begin(id) as asking, self.conversations.change(id) as conversation:
            asking.turn, asking.columns = conversation.turns, [column] if column else list(conversation.columns)
            for name in asking.columns:
                said = conversation.of(name)
                while said and said[-1]["role"] == "assistant":
                    said.pop()
                if not said or said[-1]["turn"] != asking.turn:
                    raise Problem("chat.nothing_to_repeat", speaker=name)
        return self._start(id, asking)

    def edit(self, id: str, turn: int, text: str) -> Conversation:
        """Ask a turn with other words, in a branch that begins before it, and return the branch. Raises Problem."""
        old = self.conversations.open(id).question(turn)
        if not old:
            raise Problem("chat.no_turn", turn=turn)
        branch = self.conversations.branch(id, turn - 1)
        self.say(
            branch.id, text, [str(image_file(self.conversations.folder, image)) for image in old.get("images", [])]
        )
        return branch

    def result(self, id: str, column: str, results: list[str]) -> int:
        """Give a column what the tools it called gave, one text for each call, and let it go on. Raises Problem."""
        with self._begin(id) as asking, self.conversations.change(id) as conversation:
            said = conversation.of(column)
            calls = said[-1].get("calls", []) if said else []
            if not calls or len(results) != len(calls):
                raise Problem("chat.no_call", speaker=column, count=len(calls))
            asking.turn, asking.columns = said[-1]["turn"], [column]
            said += [{"role": "tool", "content": result, "turn": asking.turn} for result in results]
        return self._start(id, asking)

    def stop(self, id: str) -> bool:
        """End the answers under way; what was said stays. Tell whether there were any."""
        asking = self._asking.get(id)
        if asking:
            asking.stop.set()
        return asking is not None

    def wait(self, id: str, seconds: float | None = None) -> bool:
        """Wait until nobody speaks in a conversation, at most so many seconds; tell whether it is so."""
        asking = self._asking.get(id)
        return asking is None or asking.done.wait(seconds)

    @contextmanager
    def _begin(self, id: str) -> Iterator[Asking]:
        """Take the right to ask in a conversation; it is given back where the question fails to be asked."""
        with self._lock:
            if id in self._asking:
                raise Problem("chat.busy")
            asking = self._asking[id] = Asking(0, [])
        try:
            yield asking
        except BaseException:
            self._asking.pop(id)
            asking.done.set()
            raise

    def _start(self, id: str, asking: Asking) -> int:
        threading.Thread(target=self._answer, args=(id, asking), name="talk", daemon=True).start()
        return asking.turn

    def _answer(self, id: str, asking: Asking) -> None:
        try:
            self._ask(id, asking)
            self._write(id, asking)
        finally:
            self._asking.pop(id, None)
            asking.done.set()
        with suppress(Problem):  # the conversation was deleted meanwhile
            self._compare_prompts(id, asking)  # nobody waits for it: a server may be slow to tell

    def _ask(self, id: str, asking: Asking) -> None:
        conversation, written = self.conversations.open(id), time.monotonic()
        try:
            talks = {name: spoken(conversation.of(name), self.conversations.folder) for name in asking.columns}
            sampling = Sampling(**conversation.settings)
            told = self.table.ask(
                talks, conversation.system, sampling, asking.stop, conversation.tools, conversation.bits
            )
            for answers in told:
                asking.answers = {answer.speaker: answer for answer in answers}
                if time.monotonic() - written > WRITE_EVERY_S:
                    self._write(id, asking)
                    written = time.monotonic()
        except Problem as fault:
            asking.answers = {name: failed(name, fault) for name in asking.columns}

    def _write(self, id: str, asking: Asking) -> None:
        """Keep what was said by now, so that even a killed process leaves it."""
        with self.conversations.change(id) as conversation:
            for name, answer in asking.answers.items():
                said = conversation.messages.setdefault(name, [])
                if said and said[-1]["role"] == "assistant":
                    said.pop()
                said.append(written_down(answer, asking.turn))

    def _compare_prompts(self, id: str, asking: Asking) -> None:
        """Write beside the answers of served models whether they got the prompt of training."""
        answered = [name for name, answer in asking.answers.items() if name.startswith(SERVED) and not answer.fault]
        found = {name: prompts.parity(self.table, self.conversations, id, name) for name in answered}
        if any(found.values()):
            with self.conversations.change(id) as conversation:
                for name, parity in found.items():
                    for message in conversation.of(name):
                        if parity and message["role"] == "assistant" and message["turn"] == asking.turn:
                            message["answer"]["parity"] = parity


def written_down(answer: Answer, turn: int) -> dict:
    """Return an answer as a message of a conversation."""
    figures = {
        "tokens": answer.tokens,
        "first_token_s": answer.first_token_s,
        "tokens_per_s": answer.tokens_per_s,
        "finished": answer.finished,
        "prompt_count": answer.prompt_count,
    }
    if answer.fault:
        figures["fault"] = {
            "key": answer.fault.key,
            "facts": {name: str(fact) for name, fact in answer.fault.facts.items()},
        }
    message = {"role": "assistant", "content": answer.text, "turn": turn, "answer": figures}
    return message | ({"calls": list(answer.calls)} if answer.calls else {})
