"""Questions and their answers: asked in the background, written down as they come, whoever looks on or leaves."""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from studio.chat.evaluation import prompt_parity
from studio.chat.history import image_files
from studio.chat.history.chat_records import image_file
from studio.chat.history.conversations import Conversation, Conversations, model_messages
from studio.core.i18n import Problem
from studio.core.plain import plain
from studio.inference.answer import Answer, failed
from studio.inference.inference_service import InferenceService
from studio.inference.messages import Message
from studio.inference.sampling import Sampling
from studio.inference.target_names import SERVED

WRITE_EVERY_S = 2.0


@dataclass
class PendingTurn:
    """Answers under way: to which turn, of which columns, what they have said by now, and how to end them."""

    turn: int
    columns: list[str]
    answers: dict[str, Answer] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)


class TurnRunner:
    """Asks in the conversations of a workspace. In each one question is answered at a time."""

    def __init__(self, service: InferenceService, conversations: Conversations):
        self.service, self.conversations = service, conversations
        self._pending: dict[str, PendingTurn] = {}
        self._lock = threading.Lock()

    def pending(self, id: str) -> PendingTurn | None:
        """Return the answers under way in a conversation, None where nobody answers."""
        return self._pending.get(id)

    def send(self, id: str, text: str, images: list[str] | None = None) -> int:
        """Ask every column, and return the turn. Raises Problem where there is nothing to ask, nobody to answer, or an
        answer under way.
        """
        stored = [image_files.store(self.conversations.folder, Path(image)) for image in images or []]
        if not text.strip() and not stored:
            raise Problem("chat.nothing_said")
        with self._begin(id) as pending, self.conversations.change(id) as conversation:
            turn = pending.turn = conversation.turns + 1
            if conversation.blind and turn == 1:
                random.shuffle(conversation.columns)
            pending.columns = list(conversation.columns)
            question = {"role": "user", "content": text, "turn": turn} | ({"images": stored} if stored else {})
            for name in conversation.columns:
                conversation.messages.setdefault(name, []).append(dict(question))
        return self._start(id, pending)

    def regenerate(self, id: str, column: str = "") -> int:
        """Take back the last answer of one column, or of all, and ask for it anew; a column is named as
        `Conversation.called` has it. Raises Problem.
        """
        with self._begin(id) as pending, self.conversations.change(id) as conversation:
            pending.turn = conversation.turns
            pending.columns = [conversation.column(column)] if column else list(conversation.columns)
            for name in pending.columns:
                messages = conversation.of(name)
                while messages and messages[-1]["role"] == "assistant":
                    messages.pop()
                if not messages or messages[-1]["turn"] != pending.turn:
                    raise Problem("chat.nothing_to_repeat", speaker=conversation.called(name))
        return self._start(id, pending)

    def edit(self, id: str, turn: int, text: str) -> Conversation:
        """Ask a turn with other words, in a branch that begins before it, and return the branch. Raises Problem."""
        old = self.conversations.open(id).question(turn)
        if not old:
            raise Problem("chat.no_turn", turn=turn)
        branch = self.conversations.branch(id, turn - 1)
        self.send(
            branch.id, text, [str(image_file(self.conversations.folder, image)) for image in old.get("images", [])]
        )
        return branch

    def submit_tool_outputs(self, id: str, column: str, results: list[str]) -> int:
        """Give a column what the tools it called gave, one text for each call, and let it go on; it is named as in
        `regenerate`. Raises Problem.
        """
        with self._begin(id) as pending, self.conversations.change(id) as conversation:
            column = conversation.column(column)
            messages = conversation.of(column)
            calls = messages[-1].get("calls", []) if messages else []
            if not calls or len(results) != len(calls):
                raise Problem("chat.no_call", speaker=conversation.called(column), count=len(calls))
            pending.turn, pending.columns = messages[-1]["turn"], [column]
            messages += [{"role": "tool", "content": result, "turn": pending.turn} for result in results]
        return self._start(id, pending)

    def stop(self, id: str) -> bool:
        """End the answers under way; what was said stays. Tell whether there were any."""
        pending = self._pending.get(id)
        if pending:
            pending.stop.set()
        return pending is not None

    def wait(self, id: str, seconds: float | None = None) -> bool:
        """Wait until nobody answers in a conversation, at most so many seconds; tell whether it is so."""
        pending = self._pending.get(id)
        return pending is None or pending.done.wait(seconds)

    @contextmanager
    def _begin(self, id: str) -> Iterator[PendingTurn]:
        """Take the right to ask in a conversation; it is given back where the question fails to be asked."""
        with self._lock:
            if id in self._pending:
                raise Problem("chat.busy")
            pending = self._pending[id] = PendingTurn(0, [])
        try:
            yield pending
        except BaseException:
            self._pending.pop(id)
            pending.done.set()
            raise

    def _start(self, id: str, pending: PendingTurn) -> int:
        threading.Thread(target=self._answer, args=(id, pending), name="talk", daemon=True).start()
        return pending.turn

    def _answer(self, id: str, pending: PendingTurn) -> None:
        try:
            self._ask(id, pending)
            self._write(id, pending)
        finally:
            self._pending.pop(id, None)
            pending.done.set()
        with suppress(Problem):  # the conversation was deleted meanwhile
            self._compare_prompts(id, pending)  # nobody waits for it: a server may be slow to tell

    def _ask(self, id: str, pending: PendingTurn) -> None:
        conversation, written = self.conversations.open(id), time.monotonic()
        try:
            messages = {
                name: model_messages(conversation.of(name), self.conversations.folder) for name in pending.columns
            }
            sampling = Sampling(**conversation.settings)
            updates = self.service.ask(
                messages, conversation.system, sampling, pending.stop, conversation.tools, conversation.bits
            )
            for answers in updates:
                pending.answers = {answer.target: answer for answer in answers}
                if time.monotonic() - written > WRITE_EVERY_S:
                    self._write(id, pending)
                    written = time.monotonic()
        except Problem as fault:
            pending.answers = {name: failed(name, fault) for name in pending.columns}

    def _write(self, id: str, pending: PendingTurn) -> None:
        """Keep what was said by now, so that even a killed process leaves it."""
        with self.conversations.change(id) as conversation:
            for name, answer in pending.answers.items():
                messages = conversation.messages.setdefault(name, [])
                if messages and messages[-1]["role"] == "assistant":
                    messages.pop()
                messages.append(as_message(answer, pending.turn))

    def _compare_prompts(self, id: str, pending: PendingTurn) -> None:
        """Write beside the answers of served models whether they got the prompt of training."""
        answered = [name for name, answer in pending.answers.items() if name.startswith(SERVED) and not answer.fault]
        parities = {name: prompt_parity.parity(self.service, self.conversations, id, name) for name in answered}
        if any(parities.values()):
            with self.conversations.change(id) as conversation:
                for name, parity in parities.items():
                    for message in conversation.of(name):
                        if parity and message["role"] == "assistant" and message["turn"] == pending.turn:
                            message["answer"]["parity"] = parity


def as_message(answer: Answer, turn: int) -> Message:
    """Return an answer as a message of a conversation."""
    figures = {
        "tokens": answer.tokens,
        "first_token_s": answer.first_token_s,
        "tokens_per_s": answer.tokens_per_s,
        "finished": answer.finished,
        "prompt_count": answer.prompt_count,
    }
    if answer.fault:
        figures["fault"] = {"key": answer.fault.key, "facts": plain(answer.fault.facts)}
    message = {"role": "assistant", "content": answer.text, "turn": turn, "answer": figures}
    return message | ({"calls": list(answer.calls)} if answer.calls else {})
