"""A streamed answer, put together of its pieces, in any form that the stream readers of the field take."""

import time
from collections.abc import Collection

from studio.core.i18n import Problem
from studio.inference import reasoning
from studio.inference.answer import Answer
from studio.inference.remote.error_text import ServerFault, count_of, fault_in, words_of
from studio.inference.remote.message_content import GrowingText, parts_of
from studio.inference.remote.tool_call_stream import ToolCallAccumulator
from studio.inference.remote.wire import Event

_MARGIN = 64
_MOST_CHOICES = 128
_LETTERS_A_TOKEN = 8  # more than any text has on the average; some servers send an answer letter by letter
_THOUGHTS = (
    "reasoning_content",
    "reasoning",
    "thinking",
    "reasoning_text",
    "thought",
    "reasoning_details",
    "thinking_blocks",
)
_LENGTH = (
    "length",
    "max_tokens",
    "model_length",
    "max_length",
    "max_output_tokens",
    "context_length",
    "max_new_tokens",
)
_FILTERED = (
    "content_filter",
    "content_filtered",
    "sensitive",
    "safety",
    "recitation",
    "blocklist",
    "prohibited_content",
    "spii",
    "guardrail",
    "guardrail_intervened",
)
_FAILED = (
    "error",
    "failed",
    "network_error",
    "insufficient_system_resource",
    "abort",
    "aborted",
    "cancelled",
    "engine_error",
    "timeout",
)


class StreamAccumulator:
    """What has come of an answer; a piece costs the same however many came before it.

    reason: why the server says that it ended: "" (it has not said so), "stop", "length", "filtered" or "failed".
    reason_words: the server's word for that. is_done: nothing more belongs to the answer. is_known: a piece of one
    came. heard: when something came last (s, of `time.perf_counter`). finished: see `Answer`.

    Args:
        name: of the column that is answered.
        max_tokens: a server that heeds no limit is cut not far beyond it.
        tools: names of the tools that were offered.
    """

    def __init__(self, name: str, max_tokens: int, tools: Collection[str] = ()):
        self.name, self.finished = name, ""
        self.started_at = self.last_event_at = time.perf_counter()
        self.chunks, self.is_done, self.is_known = 0, False, False
        self._max_tokens, self._tools = max_tokens, frozenset(tools)
        self._choices: dict[int, _Choice] = {}
        self._counts: dict[str, int] = {}
        self._fault: Problem | None = None

    @property
    def reason(self) -> str:
        return self._answering().reason

    @property
    def reason_words(self) -> str:
        return self._answering().reason_words

    @property
    def pieces(self) -> int:
        """How many pieces of text have come."""
        return self._answering().pieces

    @property
    def is_counted(self) -> bool:
        """Whether the server told how many tokens it wrote."""
        return "answer" in self._counts

    @property
    def ends_with_reason(self) -> bool:
        """Tell whether the last piece, and none before it, said why the answer ended; some servers say it in each."""
        choice = self._answering()
        return bool(choice.reason) and not choice.went_on

    def feed(self, event: Event) -> None:
        """Take in a message of the server: a piece of a stream, or a whole completion.

        Raises:
            ServerFault: it tells of an error; what else it holds is taken in.
            ValueError: it is no piece of a chat completion.
        """
        self.last_event_at = time.perf_counter()
        self.chunks += 1
        value = event.value
        if isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
            for one in value:
                self._feed(one, event)
        elif isinstance(value, dict):
            self._feed(value, event)
        elif isinstance(value, str) and value.strip():
            raise ServerFault(value)
        elif value is not None:
            raise ValueError("no piece of a chat completion")

    def _feed(self, value: dict, event: Event) -> None:
        for number, choice in enumerate(_choices_of(value)):
            self.is_known = True
            place = count_of(choice.get("index"))
            is_whole = event.bare and isinstance(choice.get("message"), dict)
            self._feed_choice(number if place is None else place, choice, is_whole)
            self._count(choice.get("usage"))
            self.is_done = self.is_done or is_whole
        extra = value.get("x_groq")
        for usage in (value.get("usage"), extra.get("usage") if isinstance(extra, dict) else None, value):
            self._count(usage)
        self.is_known = self.is_known or isinstance(value.get("choices"), list) or bool(self._counts)
        if fault := fault_in(value, event.name):
            raise ServerFault(fault)

    def _feed_choice(self, index: int, piece: dict, is_whole: bool) -> None:
        if index > _MOST_CHOICES:
            return
        if index not in self._choices:
            self._choices[index] = _Choice(self._tools)
        choice = self._choices[index]
        choice.feed(piece, self.last_event_at, is_whole)
        if (
            choice.pieces > self._max_tokens + _MARGIN
            and choice.letters > _LETTERS_A_TOKEN * self._max_tokens + _MARGIN
        ):
            self.end("length")  # a server that heeds no limit would fill the memory

    def _answering(self) -> "_Choice":
        """Return choice 0, which is the answer; where there is none in the end, the first there is."""
        if 0 not in self._choices and self._choices and (self.is_done or self.finished):
            return self._choices[min(self._choices)]
        return self._choices.get(0) or _Choice(self._tools)

    def _count(self, usage: object) -> None:
        if not isinstance(usage, dict):
            return
        for ours, names in (
            ("prompt", ("prompt_tokens", "input_tokens", "prompt_eval_count")),
            ("answer", ("completion_tokens", "output_tokens", "eval_count")),
        ):
            if count := next(filter(None, (count_of(usage.get(name)) for name in names)), None):
                self._counts[ours] = count

    def end(self, finished: str, fault: Problem | None = None) -> None:
        """End the answer; the first reason holds."""
        if not self.finished:
            self._fault, self.finished = fault, finished

    def answer(self) -> Answer:
        """Return what has come by now."""
        choice, finished = self._answering(), self.finished
        tokens, span = self._counts.get("answer") or choice.pieces, choice.last - choice.first
        calls = choice.calls.calls() if finished else ()
        return Answer(
            target=self.name,
            text=choice.text(bool(calls) or finished == "stop"),
            tokens=tokens,
            first_token_s=choice.first - self.started_at if choice.pieces else None,
            tokens_per_s=(tokens - 1) / span if choice.pieces > 1 and span > 0 else None,
            finished=finished,
            prompt_count=self._counts.get("prompt"),
            calls=calls,
            fault=self._fault,
        )


class _Choice:
    """One of the answers that a server gives to a question."""

    def __init__(self, tools: Collection[str]):
        self.thought, self.visible, self.calls = GrowingText(), GrowingText(), ToolCallAccumulator(tools)
        self.pieces = self.letters = 0
        self.first = self.last = 0.0
        self.reason = self.reason_words = ""
        self.went_on = False  # after a reason to end
        self._old_call_only = True

    def feed(self, choice: dict, now: float, is_whole: bool) -> None:
        """Take in a piece that came at `now` (s), or a whole completion."""
        whole = choice.get("message")
        delta = choice.get("delta") or whole or choice.get("text")
        if isinstance(delta, str):
            delta = {"content": delta}
        if not isinstance(delta, dict | None):
            raise ValueError("no piece of a chat completion")
        before = self.letters
        if delta and not (delta is whole and self._repeats(delta)):
            self._say(delta, is_whole)
        if self.letters > before:
            self.pieces += 1
            self.first, self.last = self.first or now, now
            self.went_on = self.went_on or bool(self.reason)
        self._end(choice)
        if choice.get("error"):
            raise ServerFault(words_of(choice["error"]) or "error")

    def text(self, is_over: bool) -> str:
        """Return what came as one text, reasoning first, in <think></think>; `is_over`: no more of that will come."""
        visible, thought = self.visible.value(), self.thought.value()
        if not thought.strip():
            return visible
        more, rest = reasoning.split_reasoning(visible)  # a server that takes out one thought of two
        return reasoning.with_reasoning(f"{thought}\n\n{more}" if more.strip() else thought, rest, is_over)

    def _repeats(self, message: dict) -> bool:
        """Tell whether a whole message, sent at the end of a stream, is what its pieces said already."""
        text = "".join(part for is_thought, part in parts_of(message.get("content")) if not is_thought)
        return (
            bool(self.pieces)
            and text in ("", self.visible.value())
            and not (message.get("tool_calls") and not self.calls.calls())
        )

    def _say(self, delta: dict, is_whole: bool) -> None:
        for name in _THOUGHTS:
            if thought := "".join(part for _, part in parts_of(delta.get(name))):
                self._add(self.thought, thought)
                break  # several fields say the same
        for is_thought, part in (*parts_of(delta.get("content")), *parts_of(delta.get("images"))):
            self._add(self.thought if is_thought else self.visible, part)
        refusal = "".join(part for _, part in parts_of(delta.get("refusal")))
        if refusal and refusal != delta.get("content"):
            self._add(self.visible, refusal)
        audio = delta.get("audio")
        if isinstance(audio, dict) and isinstance(audio.get("transcript"), str) and not delta.get("content"):
            self._add(self.visible, audio["transcript"])
        if delta.get("tool_calls"):
            self._old_call_only = False
            self.letters += 1 + self.calls.feed(delta["tool_calls"], is_whole)
        elif delta.get("function_call") and self._old_call_only:
            self.letters += 1 + self.calls.feed({"function": delta["function_call"]})

    def _add(self, text: GrowingText, part: str) -> None:
        text.write(part)
        self.letters += len(part)

    def _end(self, choice: dict) -> None:
        server_reason = next(
            (
                one
                for name in ("finish_reason", "done_reason", "stop_reason")
                if isinstance(one := choice.get(name), str) and one
            ),
            "",
        )
        if not server_reason:
            return
        word = server_reason.strip().lower()
        kinds = (("length", _LENGTH), ("filtered", _FILTERED), ("failed", _FAILED))
        self.reason = next((kind for kind, words in kinds if word in words), "stop")
        self.reason_words = _filters(choice) or server_reason if self.reason == "filtered" else server_reason


def _choices_of(value: dict) -> list[dict]:
    """Return the choices in a message; that of Ollama's own API is one. Raises ValueError for what are none."""
    choices = value.get("choices")
    if (
        choices is None
        and "done" in value
        and isinstance(message := value.get("message", value.get("response")), dict | str)
    ):
        done = value.get("done_reason") or "stop" if value["done"] else None
        return [{"index": 0, "delta": message, "finish_reason": done}]
    choices = [choices] if isinstance(choices, dict) else choices or []
    if not isinstance(choices, list) or not all(isinstance(one, dict) for one in choices):
        raise ValueError("no choices")
    return choices


def _filters(choice: dict) -> str:
    """Return which filters a server says that it applied, "" where it does not say."""
    results = (
        choice.get("content_filter_results") or choice.get("content_filter_result") or choice.get("filter_results")
    )
    if not isinstance(results, dict):
        return words_of(results)
    hit = [
        name
        for name, one in results.items()
        if isinstance(one, dict) and (one.get("filtered") is True or one.get("detected") is True)
    ]
    return ", ".join(map(str, hit)) or words_of(results.get("error"))
