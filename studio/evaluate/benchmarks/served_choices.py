"""Which letter a served model chooses: the likeliest, where its server truly tells how likely each is; else the one
that its answer names.

No server is trusted with probabilities: what it sends must be those of several tokens, not all alike, that make up no
more than one, with the token that it said on top. llama.cpp's server, asked for the probabilities of a prompt's tokens,
sends that of a single one and says nothing of it; all choices are alike then, and the result is chance. So the letters
are read from the first token of an answer, and where they are not told, the answer is asked and read instead.
"""

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from studio.core.i18n import Problem
from studio.core.storage import records
from studio.core.storage.records import Record, Text
from studio.evaluate.benchmarks.answer_text import letter_in
from studio.evaluate.benchmarks.sets.answer_letters import LETTERS
from studio.inference.answer import Answer
from studio.inference.messages import Message
from studio.inference.reasoning import THOUGHT_TAGS
from studio.inference.remote import chat_completion, openai_client
from studio.inference.remote.servers import ServedTarget
from studio.inference.sampling import Sampling

TOP = 20  # the most that OpenAI's API, and vLLM by default, tell
LONGEST_ANSWER = 1024
SILENCE_S = 120.0
_PRESENT = -100.0  # nats; servers write -9999 or so for what they do not tell


class TokenShare(Record):
    """One token that the answer might have begun with, and its log-probability (nats)."""

    token: Text
    logprob: float


class FirstToken(TokenShare):
    """The token that the answer began with, and those that it might have begun with."""

    top_logprobs: list[TokenShare] = []


class TokenShares(Record):
    """The probabilities of an answer's tokens."""

    content: list[FirstToken] | None = None


class ChatMessage(Record):
    """What was said, as far as it is looked at: whether the model thinks before."""

    reasoning_content: Text | None = None
    reasoning: Text | None = None


class ChatChoice(Record):
    """One answer of a chat completion."""

    logprobs: TokenShares | None = None
    message: ChatMessage = ChatMessage()


class ChatReply(Record):
    """A chat completion."""

    choices: list[ChatChoice]


@dataclass(frozen=True)
class ServedChoice:
    """What a served model chose: the letter, None where its answer names none.

    asked: "probabilities" where its server told them, else "text". shares: of each letter, where all of them were told.
    """

    letter: str | None
    asked: Literal["probabilities", "text"]
    shares: list[float] | None = None
    text: str = ""
    tokens: int = 0
    finished: Literal["stop", "length"] = "stop"


class ServedChoices:
    """The choices of one served model. Any thread may ask.

    Args:
        seed: of the answers, where they are asked.
        stop: ends the answers under way.
    """

    def __init__(self, target: ServedTarget, seed: int, stop: threading.Event):
        self._target, self._stop = target, stop
        self._sampling = Sampling(0.0, 1.0, LONGEST_ANSWER, seed)
        self._tells: bool | None = None  # whether the server tells probabilities; None until that is known

    def ask(self, messages: list[Message], choices: Sequence[str]) -> ServedChoice | None:
        """Return what the model chooses; None where it was stopped.

        Raises:
            Problem: the server cannot be reached, or refuses the question.
        """
        refused = None
        if self._tells is not False:
            try:
                if choice := self._by_probabilities(messages, len(choices)):
                    return choice
            except _Refused as refusal:
                refused = refusal.problem
                if self._tells:  # of others it told them: what was refused is this question alone
                    raise refused from refusal
        if self._stop.is_set():
            return None
        answer = self._answered(messages, choices)
        if self._stop.is_set():
            return None
        if answer.fault:
            raise answer.fault
        if refused:
            if self._tells:  # of others it told them meanwhile
                raise refused
            self._tells = False  # the same question is answered without them
        ended = "length" if answer.finished == "length" else "stop"
        return ServedChoice(letter_in(answer.text, choices), "text", None, answer.text, answer.tokens, ended)

    def _answered(self, messages: list[Message], choices: Sequence[str]) -> Answer:
        """Return the answer, which is ended as soon as it has begun with its letter."""
        enough = _Either(self._stop)

        def look(answer: Answer) -> None:
            if letter_in(answer.text, choices, whole=False):
                enough.set()

        return chat_completion.ask(self._target, messages, "", self._sampling, enough, "", look)

    def _by_probabilities(self, messages: list[Message], count: int) -> ServedChoice | None:
        """Return the likeliest letter, None where the server does not tell how likely the letters are.

        Raises:
            Problem: the server cannot be reached.
            _Refused: it refuses the question, or its probabilities; which of them is not told.
        """
        import openai

        client = openai_client.client(self._target.url).with_options(timeout=SILENCE_S)
        try:
            with client:
                raw = client.chat.completions.with_raw_response.create(
                    model=self._target.model,
                    messages=openai_client.as_messages(messages, ""),
                    max_tokens=1,
                    temperature=0,
                    logprobs=True,
                    top_logprobs=TOP,
                )
            reply = records.typed(records.parse(raw.text), ChatReply, self._target.name)
        except openai.APIStatusError as error:
            problem = openai_client.problem(error, self._target.url, self._target.model)
            if error.status_code not in (400, 404, 405, 422, 500, 501):
                raise problem from error
            raise _Refused(problem) from error
        except openai.APIError as error:
            raise openai_client.problem(error, self._target.url, self._target.model) from error
        except (ValueError, Problem):  # another form than OpenAI's
            reply = None
        # What one question brings decides for no other, once the server has told probabilities.
        self._tells = bool(self._tells or (reply and _is_truthful(reply)))
        shares = letter_shares(reply, count) if reply else None
        if shares is None:
            return None
        letter = max(sorted(shares), key=shares.get)
        total = sum(shares.values())
        told = [shares[one] / total for one in LETTERS[:count]] if len(shares) == count else None
        return ServedChoice(letter, "probabilities", told, tokens=1)


class _Refused(Exception):
    """A server refused a question that asked for probabilities."""

    def __init__(self, problem: Problem):
        super().__init__(str(problem))
        self.problem = problem


class _Either(threading.Event):
    """An event that is set when it is, or another."""

    def __init__(self, other: threading.Event):
        super().__init__()
        self._other = other

    def is_set(self) -> bool:
        return super().is_set() or self._other.is_set()


def letter_shares(reply: ChatReply, count: int) -> dict[str, float] | None:
    """Return the probabilities of those letters that a server tells; None where it tells none that can be believed, or
    the model thinks before it answers.
    """
    if not _is_truthful(reply):
        return None
    shares: dict[str, float] = {}
    for one in _first(reply).top_logprobs:
        letter = one.token.strip("▁Ġ \n\t")
        if letter in LETTERS[:count] and letter and one.logprob > _PRESENT:
            shares[letter] = max(shares.get(letter, 0.0), math.exp(one.logprob))
    return shares or None


def _first(reply: ChatReply) -> FirstToken | None:
    told = reply.choices[0].logprobs if reply.choices else None
    return told.content[0] if told and told.content else None


def _is_truthful(reply: ChatReply) -> bool:
    first = _first(reply)
    if first is None or _thinks(reply, first.token):
        return False
    told = [one.logprob for one in first.top_logprobs]
    if len(told) < 2 or not all(math.isfinite(one) and one < 1e-3 for one in told):
        return False
    present = [one for one in told if one > _PRESENT]
    alike = len(present) < 2 or max(present) - min(present) < 1e-6
    return not alike and sum(map(math.exp, present)) < 1.01 and abs(first.logprob - max(told)) < 0.05


def _thinks(reply: ChatReply, token: str) -> bool:
    message = reply.choices[0].message
    begun = token.strip().lower()
    return bool(message.reasoning_content or message.reasoning) or (
        len(begun) > 1 and any(opening.lower().startswith(begun) for opening, _ in THOUGHT_TAGS)
    )
