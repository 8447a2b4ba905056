"""Answers as they come in: drawing tokens, watching a batch, and text that never shows half a character."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from studio.chat.prompt import Encoder
from studio.chat.resident import Resident
from studio.chat.speaker import Speaker
from studio.core import llamafactory
from studio.core.i18n import Problem

_LIKELY = (
    256  # the first part of a distribution in which top-p nearly always ends; where it does not, all of it is sorted
)
_BROKEN = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen: temperature (0 takes the most likely), top_p in (0, 1], at most max_tokens an answer,
    seed.
    """

    temperature: float = 0.7
    top_p: float = 0.9
    max_tokens: int = 512
    seed: int = 0

    def draw(self) -> Callable | None:
        """Return a logits processor that draws, None where the most likely token is wanted. Raises Problem for a
        setting out of range.
        """
        if not (self.temperature >= 0 and 0 < self.top_p <= 1 and self.max_tokens >= 1):
            raise Problem("chat.bad_sampling")
        return _Draw(self) if self.temperature else None


class _Draw:
    """Draw each row's token with a generator of our own, so that a run that trains beside us keeps its random numbers.

    One number a step serves all rows (inverse of the cumulative distribution, most likely first): the same as one
    generator for each row with the same seed. So an answer does not depend on its neighbours, and columns differ by
    their models, not by luck.
    """

    def __init__(self, sampling: Sampling):
        llamafactory.load()
        import torch

        self.sampling = sampling
        self.generator = torch.Generator().manual_seed(sampling.seed)

    def __call__(self, input_ids, scores):
        llamafactory.load()
        import torch

        chance = torch.rand((), generator=self.generator).item()
        chosen = [self._pick(shares, chance) for shares in torch.softmax(scores / self.sampling.temperature, dim=-1)]
        return torch.full_like(scores, -torch.inf).scatter_(-1, torch.stack(chosen)[:, None], 0.0)

    def _pick(self, shares, chance: float):
        llamafactory.load()
        import torch

        top_p = self.sampling.top_p
        largest, tokens = shares.topk(min(_LIKELY, len(shares)))
        if largest.sum() <= (top_p if top_p < 1 else chance):
            largest, tokens = shares.sort(descending=True, stable=True)
        sums = largest.cumsum(0)
        # top-p (arXiv:1904.09751) keeps the fewest tokens whose shares reach p: those before which less than p lies
        kept = sums[(sums - largest < top_p).sum() - 1] if top_p < 1 else 1.0
        place = torch.searchsorted(sums, kept * torch.full_like(sums[:1], chance), right=True)
        return tokens[place.clamp(max=len(tokens) - 1)][0]


@dataclass(frozen=True)
class Answer:
    """What one speaker has said so far.

    text: as the model wrote it, reasoning in <think></think>. tokens: how many, the stop token not counted.
        first_token_s: seconds from
    the question to the first token, None before it. tokens_per_s: from the first token on. finished: "" while it
    speaks, then "stop" (it
    was done), "length" (max_tokens or the model's context reached), "stopped" (by the person) or "failed" (`fault` says
    why).
    prompt_tokens: ids that went in, empty where a server does not tell them; prompt_count: how many, None where that is
        not told either.
    calls: the tools that a finished answer calls, {"name", "arguments"}; then `text` is what stands before them.
    """

    speaker: str
    text: str
    tokens: int
    first_token_s: float | None
    tokens_per_s: float | None
    finished: str
    prompt_tokens: tuple[int, ...] = ()
    prompt_count: int | None = None
    calls: tuple[dict, ...] = ()
    fault: Problem | None = None


def failed(speaker: str, fault: Problem) -> Answer:
    """Return the answer of a speaker that could not be asked."""
    return Answer(speaker, "", 0, None, None, "failed", fault=fault)


@dataclass(frozen=True)
class Seat:
    """A speaker that is loaded: in which resident, under which name of an adapter, and with which encoder."""

    speaker: Speaker
    resident: Resident
    adapter: str
    encoder: Encoder


class Row:
    """One speaker's answer while it grows."""

    def __init__(self, seat: Seat, messages: list[dict], system: str | None, sampling: Sampling, tools: str = ""):
        """Encode the question. Raises Problem where it cannot be asked: no such conversation, too long, not in the
        vocabulary.
        """
        speaker, resident = seat.speaker, seat.resident
        self.speaker, self.resident, self.adapter, self.encoder = speaker, resident, seat.adapter, seat.encoder
        self.prompt = self.encoder.prompt(messages, system, tools)
        ids = self.prompt.ids
        room = (resident.context or 2**31) - len(ids)
        if room < 1:
            raise Problem("chat.too_long", tokens=len(ids), context=resident.context, speaker=speaker.name)
        if max(ids, default=0) >= resident.vocabulary:
            raise Problem("chat.template_unfit", template=speaker.template, speaker=speaker.name)
        self.limit = min(sampling.max_tokens, room)
        self.tokens: list[int] = []
        self.first = self.last = 0.0
        self.finished = ""
        self.fault: Problem | None = None
        self._text = Text(self.encoder)
        self._may_call, self._read = bool(tools), None

    def add(self, token: int, now: float, budget: int) -> None:
        """Take in the next token, which came at `now` (s, of `time.perf_counter`); `budget` tokens are the most."""
        if token in self.encoder.stop_ids:
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

    def answer(self, asked: float) -> Answer:
        """Return what has been said by now to a question asked at `asked` (s)."""
        finished = self.finished  # read first: nothing is added after it is set
        count, first, last = len(self.tokens), self.first, self.last
        text, calls = self._whole() if finished else (self._text.of(self.tokens[:count], whole=False), ())
        return Answer(
            speaker=self.speaker.name,
            text=text,
            tokens=count,
            first_token_s=first - asked if count else None,
            tokens_per_s=(count - 1) / (last - first) if count > 1 and last > first else None,
            finished=finished,
            prompt_tokens=tuple(self.prompt.ids),
            prompt_count=len(self.prompt.ids),
            calls=calls,
            fault=self.fault,
        )

    def _whole(self) -> tuple[str, tuple[dict, ...]]:
        """Return the text of a finished answer, and the calls that it ends in."""
        if self._read is None:
            text, calls = self.encoder.calls(self.tokens) if self._may_call else ("", [])
            self._read = (text, tuple(calls)) if calls else (self._text.of(self.tokens, whole=True), ())
        return self._read


class Text:
    """The text of a growing list of tokens, decoded piece by piece.

    A piece is decoded with the piece before it, since a tokenizer may treat the beginning of a text differently, and is
    held back while it ends within a character.
    """

    def __init__(self, encoder: Encoder):
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

    def __init__(self, rows: list[Row], news: threading.Event, stops: list[threading.Event]):
        self.rows, self.resident = rows, rows[0].resident
        # A row that is done is padded on while others speak, and must not be pushed beyond the context either.
        self._budget = min(row.limit for row in rows)
        self._news, self._stops = news, [*stops, self.resident.halt]

    def run(self, sampling: Sampling) -> None:
        """Answer, and return when all rows are done. Raises whatever goes wrong below."""
        names, prompts = [row.adapter for row in self.rows], [row.prompt for row in self.rows]
        if not self.stopped():
            self.resident.generate(names, prompts, self._budget, self, sampling.draw())

    def stopped(self) -> bool:
        """Tell whether somebody wants this batch to end; then its rows end here."""
        if not any(stop.is_set() for stop in self._stops):
            return False
        for row in self.rows:
            row.finished = row.finished or "stopped"
        self._news.set()
        return True

    def put(self, tokens) -> None:
        """Take in the next token of each row; the first call brings the prompts."""
        if tokens.dim() > 1:
            return
        now = time.perf_counter()
        for row, token in zip(self.rows, tokens.tolist(), strict=True):
            if not row.finished:
                row.add(token, now, self._budget)
        self.stopped()
        self._news.set()

    def end(self) -> None:
        """Do nothing: `run` returns when the batch is done."""

    def __call__(self, input_ids, scores, **_):
        """Tell transformers which rows are done."""
        llamafactory.load()
        import torch

        return torch.tensor([bool(row.finished) for row in self.rows], device=input_ids.device)
