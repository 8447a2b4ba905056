"""Answers as they are generated: rows of one batch that end each at its own stop tokens, and text that never shows half
a character.
"""

import threading
import time
from dataclasses import dataclass

from studio.core import llamafactory
from studio.core.i18n import Problem
from studio.inference.answer import Answer
from studio.inference.local.loaded_model import LoadedModel
from studio.inference.local.model_target import ModelTarget
from studio.inference.local.prompt_encoding import Prompt, PromptEncoder
from studio.inference.messages import ToolCall
from studio.inference.sampling import Sampling

_BROKEN = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True)
class LoadedTarget:
    """A target that is loaded: in which model, under which name of an adapter (peft's), and with which encoder."""

    target: ModelTarget
    model: LoadedModel
    adapter: str
    encoder: PromptEncoder


class GrowingAnswer:
    """One answer while it grows: a row of a batch.

    tokens: ids that were generated, the stop token not among them. first, last: when the first and the last of them
    came (s, of `time.perf_counter`). finished: as in `Answer`.
    """

    def __init__(
        self,
        loaded: LoadedTarget,
        prompt: Prompt,
        sampling: Sampling,
        may_call: bool = False,
        stop_ids: frozenset[int] | None = None,
    ):
        """Take the question, encoded.

        Args:
            may_call: whether the answer may end in calls of tools.
            stop_ids: the tokens that end the answer; None takes those of the template.

        Raises:
            Problem: it cannot be asked: too long, or not in the vocabulary.
        """
        target, model = loaded.target, loaded.model
        self.target, self.model, self.adapter, self.encoder = target, model, loaded.adapter, loaded.encoder
        self.prompt, self._stop_ids = prompt, self.encoder.stop_ids if stop_ids is None else stop_ids
        ids = self.prompt.ids
        left = (model.context or 2**31) - len(ids)
        if left < 1:
            raise Problem("chat.too_long", tokens=len(ids), context=model.context, speaker=target.name)
        if max(ids, default=0) >= model.vocabulary:
            raise Problem("chat.template_unfit", template=target.template, speaker=target.name)
        self.limit = min(sampling.max_tokens, left)
        self.tokens: list[int] = []
        self.first = self.last = 0.0
        self.finished = ""
        self.fault: Problem | None = None
        self._text = IncrementalDecoder(self.encoder)
        self._may_call, self._parsed = may_call, None

    def add(self, token: int, now: float, budget: int) -> None:
        """Take in the next token, which came at `now` (s, of `time.perf_counter`); `budget` tokens are the most."""
        if token in self._stop_ids:
            self.finished = "stop"
            return
        self.first = self.first or now
        self.last = now
        self.tokens.append(token)
        if len(self.tokens) >= budget:
            self.finished = "length"

    def fail(self, fault: Problem) -> None:
        """End this row with a fault; what was said stays."""
        self.fault = fault
        self.finished = self.finished or "failed"

    def answer(self, started: float) -> Answer:
        """Return what has been said by now to a question asked at `started` (s)."""
        finished = self.finished  # read first: nothing is added after it is set
        count, first, last = len(self.tokens), self.first, self.last
        text, calls = self._whole() if finished else (self._text.of(self.tokens[:count], whole=False), ())
        return Answer(
            target=self.target.name,
            text=text,
            tokens=count,
            first_token_s=first - started if count else None,
            tokens_per_s=(count - 1) / (last - first) if count > 1 and last > first else None,
            finished=finished,
            prompt_tokens=tuple(self.prompt.ids),
            prompt_count=len(self.prompt.ids),
            calls=calls,
            fault=self.fault,
        )

    def _whole(self) -> tuple[str, tuple[ToolCall, ...]]:
        """Return the text of a finished answer, and the calls that it ends in."""
        if self._parsed is None:
            text, calls = self.encoder.calls(self.tokens) if self._may_call else ("", [])
            self._parsed = (text, tuple(calls)) if calls else (self._text.of(self.tokens, whole=True), ())
        return self._parsed


class IncrementalDecoder:
    """The text of a growing list of tokens, decoded piece by piece.

    A piece is decoded with the piece before it, since a tokenizer may treat the beginning of a text differently, and is
    held back while it ends within a character.
    """

    def __init__(self, encoder: PromptEncoder):
        self._decode = lambda ids: encoder.tokenizer.decode(
            ids, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        self._shown, self._start, self._end = "", 0, 0

    def of(self, ids: list[int], whole: bool) -> str:
        """Return the text of `ids`, which begin as they did at the last call; `whole` when no more will come."""
        if whole:
            return self._decode(ids).rstrip(_BROKEN)
        if len(ids) > self._end:
            before, now = self._decode(ids[self._start : self._end]), self._decode(ids[self._start :])
            if not now.endswith(_BROKEN):
                self._shown += now[len(before) :]
                self._start, self._end = self._end, len(ids)
        return self._shown


class Batch:
    """Rows that are answered together: transformers' streamer and stopping criterion in one.

    transformers itself streams a batch of one only, and stops all rows at the same tokens; here every row stops at
    those of its own template.
    """

    eos_token_id = None  # that it is there tells `generate` to leave a row alone once it is done

    def __init__(self, rows: list[GrowingAnswer], updated: threading.Event, stops: list[threading.Event]):
        self.rows, self.model = rows, rows[0].model
        # A row that is done is padded on while others go on, and must not be pushed beyond the context either.
        self._budget = min(row.limit for row in rows)
        self._updated, self._stops = updated, [*stops, self.model.halt]
        self._done: list[bool] | None = None  # which rows were done at the last token, and the same on the device
        self._flags = None

    def run(self, sampling: Sampling) -> None:
        """Answer, and return when all rows are done. Raises whatever goes wrong below."""
        names, prompts = [row.adapter for row in self.rows], [row.prompt for row in self.rows]
        if not self.stopped():
            self.model.generate(names, prompts, self._budget, self, sampling.logits_processor())

    def stopped(self) -> bool:
        """Tell whether somebody wants this batch to end; then its rows end here."""
        if not any(stop.is_set() for stop in self._stops):
            return False
        for row in self.rows:
            row.finished = row.finished or "stopped"
        self._updated.set()
        return True

    def put(self, tokens) -> None:
        """Take in the next tokens, ids of shape [batch]; the first call brings the prompts, [batch, sequence]."""
        if tokens.dim() == 1:
            self.feed(list(range(len(self.rows))), tokens.tolist())

    def feed(self, places: list[int], tokens: list[int]) -> list[int]:
        """Give the rows at these places their next tokens, and return those of them that are not done."""
        now = time.perf_counter()
        for place, token in zip(places, tokens, strict=True):
            if not self.rows[place].finished:
                self.rows[place].add(token, now, self._budget)
        self.stopped()
        self._updated.set()
        return [place for place in places if not self.rows[place].finished]

    def end(self) -> None:
        """Do nothing: `run` returns when the batch is done."""

    def __call__(self, input_ids, scores, **_):
        """Return which rows are done, bool of shape [batch], as transformers' stopping criteria do.

        Args:
            input_ids: [batch, sequence], prompts and what was generated.
            scores: [batch, vocabulary], of the last step.
        """
        llamafactory.load()
        import torch

        done = [bool(row.finished) for row in self.rows]
        if done != self._done:  # not with every token: each copy to a GPU waits for all that was asked of it before
            self._done, self._flags = done, torch.tensor(done, device=input_ids.device)
        return self._flags
