"""Which letter a model of this machine chooses: the likeliest of them at the place where its answer begins."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from studio.core import llamafactory
from studio.core.device_lease import free_memory
from studio.core.i18n import Problem
from studio.evaluate.benchmarks import prompts
from studio.evaluate.benchmarks.question_rows import Asked
from studio.evaluate.benchmarks.sets.answer_letters import LETTERS
from studio.evaluate.benchmarks.shared_prefix import Batch, Ids, PrefixCache, plan
from studio.inference.local.generation import LoadedTarget
from studio.inference.local.model_faults import as_problem

WINDOW = 2048  # questions of a subject that are encoded and sorted at a time
_SAME = 0.05  # shares of one question with and without a kept beginning may differ so much: rounding of 16 bits


@dataclass(frozen=True)
class Choice:
    """What a model chose: the letter, and the share of each letter. seconds: of its batch, shared among its rows."""

    asked: Asked
    target: str
    letter: str
    shares: list[float]
    seconds: float


@dataclass(frozen=True)
class Failure:
    """A question that a model could not be asked."""

    asked: Asked
    target: str
    fault: Problem


@dataclass(frozen=True)
class _Question:
    asked: Asked
    ids: Ids


class LetterChoices:
    """Targets of one base and one template, asked together: each question goes through every adapter in one batch.

    Args:
        targets: see `groups`.
        batch: rows at a time, a row being a question put to one target; halved where the memory is not enough.
        on_halved: is told the new number of rows.
    """

    def __init__(self, targets: list[LoadedTarget], batch: int, on_halved: Callable[[int], None] = lambda batch: None):
        self._targets, self._batch, self._on_halved = targets, batch, on_halved
        self._model, self._encoder = targets[0].model, targets[0].encoder
        self._letters = prompts.letter_ids(self._encoder)
        self._prefix = PrefixCache(self._model, [one.adapter for one in targets])
        self._shares_checked = False
        self._shares = self._prefix.usable

    def ask(self, questions: Sequence[Asked]) -> Iterator[list[Choice | Failure]]:
        """Ask all targets the questions, and yield what came of each batch. Best given a subject at a time."""
        for start in range(0, len(questions), WINDOW):
            encoded, unfit = [], []
            for asked in questions[start : start + WINDOW]:
                try:
                    encoded.append(_Question(asked, self._encode(asked)))
                except Problem as fault:
                    unfit += [Failure(asked, one.target.name, fault) for one in self._targets]
            if unfit:
                yield unfit
            yield from self._in_batches(sorted(encoded, key=lambda one: one.ids.tolist()))

    def _encode(self, asked: Asked) -> Ids:
        ids, target = prompts.encode(self._encoder, asked.messages), self._targets[0].target
        if len(ids) > (self._model.context or 2**31):
            facts = {"tokens": len(ids), "context": self._model.context, "speaker": target.name}
            raise Problem("chat.too_long", **facts)
        letters = self._letters[: len(asked.row.choices)]
        if max(*ids, *letters) >= self._model.vocabulary:
            raise Problem("chat.template_unfit", template=target.template, speaker=target.name)
        if len(set(letters)) < len(letters):
            raise Problem("benchmarks.letters_alike", speaker=target.name)
        return np.asarray(ids, np.int64)

    def _in_batches(self, questions: list[_Question]) -> Iterator[list[Choice | Failure]]:
        at = 0
        while at < len(questions):
            left = questions[at:]
            most = min(self._batch, self._model.most_rows(max(len(one.ids) for one in left)))
            for batch in plan([one.ids for one in left], max(1, most // len(self._targets))):
                some = left[batch.start : batch.stop]
                try:
                    made = self._choose(some, batch)
                except Exception as error:  # of any library below: gone round where it can be, else told
                    fault = as_problem(error, "chat.failed", kind=type(error).__name__)
                    self._prefix.clear()
                    free_memory()
                    if fault.key == "chat.no_memory" and len(some) > 1:
                        self._batch = max(1, self._batch // 2)
                        self._on_halved(self._batch)
                        break
                    made = self._one_by_one(some) if len(some) > 1 else self._failed(some[0], fault)
                at += len(some)
                yield made

    def _one_by_one(self, questions: list[_Question]) -> list[Choice | Failure]:
        """Ask each by itself, so that the fault of one costs no other its answer."""
        made: list[Choice | Failure] = []
        for one in questions:
            try:
                made += self._choose([one], Batch(0, 1, 0))
            except Exception as error:  # as in `_in_batches`
                made += self._failed(one, as_problem(error, "chat.failed", kind=type(error).__name__))
        return made

    def _failed(self, question: _Question, fault: Problem) -> list[Failure]:
        return [Failure(question.asked, one.target.name, fault) for one in self._targets]

    def _choose(self, questions: list[_Question], batch: Batch) -> list[Choice | Failure]:
        """Return what each target chooses; a target that computes no numbers fails alone. Raises whatever the model
        raises.
        """
        started = time.perf_counter()
        shared = batch.shared if self._shares else 0
        if shared and not self._shares_checked:
            self._check_sharing(questions[0].ids, shared)
            shared = shared if self._shares else 0
        ids = [one.ids for one in questions]
        logits = self._logits(ids, shared)
        seconds = (time.perf_counter() - started) / len(logits)
        made: list[Choice | Failure] = []
        for place, target in enumerate(self._targets):
            name = target.target.name
            for row, one in zip(logits[place * len(ids) :], questions, strict=False):
                mine = row[: len(one.asked.row.choices)]
                if not np.isfinite(mine).all():
                    made.append(Failure(one.asked, name, Problem("benchmarks.no_numbers", speaker=name)))
                    continue
                shares = _softmax(mine)
                made.append(Choice(one.asked, name, LETTERS[int(np.argmax(shares))], shares.tolist(), seconds))
        return made

    def _check_sharing(self, ids: Ids, shared: int) -> None:
        """See once whether a kept beginning changes nothing for this model; else it is not used."""
        whole, kept = (np.stack([_softmax(row) for row in self._logits([ids], begin)]) for begin in (0, shared))
        same = (whole.argmax(1) == kept.argmax(1)).all() and np.abs(whole - kept).max() < _SAME
        self._shares, self._shares_checked = bool(same), True

    def _logits(self, ids: list[Ids], shared: int) -> np.ndarray:
        """Return the logits of the letters where the answers begin, float32 of shape [targets * questions, letters]:
        all questions of the first target, then those of the next.

        Args:
            ids: the prompts, [questions][sequence].
            shared: how many tokens at their begin are the same.
        """
        llamafactory.load()
        import torch

        rests = [one[shared:] for one in ids]
        width, count = max(map(len, rests)), len(self._targets)
        # Padded on the left, so that the last position is that of the answer in every row.
        rows = np.stack([np.concatenate([np.zeros(width - len(one), np.int64), one]) for one in rests])
        mask = np.stack([np.arange(width) >= width - len(one) for one in rests]).astype(np.int64)
        places = shared + np.maximum(mask.cumsum(axis=1) - 1, 0)
        seen = np.concatenate([np.ones((len(rows), shared), np.int64), mask], axis=1)
        past = self._prefix.expanded(ids[0][:shared], len(rests))

        def tensor(values: np.ndarray):
            return torch.as_tensor(np.tile(values, (count, 1)), device=self._model.device)

        adapters = [one.adapter for one in self._targets for _ in rests]
        with self._model.forward(adapters) as forward:
            logits = forward(
                input_ids=tensor(rows),
                attention_mask=tensor(seen),
                position_ids=tensor(places),
                past_key_values=past,
                use_cache=past is not None,
                logits_to_keep=1,
            ).logits
            return logits[:, -1, self._letters].float().cpu().numpy()


def _softmax(logits: np.ndarray) -> np.ndarray:
    """Return the shares of logits, float32."""
    raised = np.exp(logits - logits.max())
    return raised / raised.sum()


def groups(targets: list[LoadedTarget]) -> list[list[LoadedTarget]]:
    """Return the targets that can be asked together: of one base and one template, whose adapters share a batch."""
    found: dict[tuple, list[LoadedTarget]] = {}
    for one in targets:
        alone = None if one.model.mixes(one.adapter) else one.target
        found.setdefault((id(one.model), id(one.encoder), alone), []).append(one)
    return list(found.values())
