"""The models of this machine answer the rows: in batches by length, all targets of one base together, each answer
written down as it comes."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from studio.core.device_lease import free_memory
from studio.core.i18n import Problem
from studio.core.plain import plain
from studio.datasets.encoding.encoded_row import IGNORED
from studio.evaluate.evaluation import EvaluatedRow, Evaluation, Prediction, ReferenceLoss
from studio.evaluate.predict.questions import Conversion, TargetEncoders
from studio.evaluate.predict.reference_loss import Measured, token_losses
from studio.evaluate.predict.row_sources import RowSource
from studio.inference.local.generation import Batch, GrowingAnswer, LoadedTarget
from studio.inference.local.model_faults import as_problem
from studio.inference.local.prompt_encoding import Prompt
from studio.inference.sampling import Sampling

WINDOW = 512  # rows that are encoded and sorted by length at a time: the first answers come soon, and little is held


@dataclass
class Asked:
    """One row put to one target: what goes in, and what it is written down as."""

    row: EvaluatedRow
    loaded: LoadedTarget
    prompt: Prompt
    stop_ids: frozenset[int]
    text: str | None = None
    label: str | None = None
    cut: bool = False

    @property
    def length(self) -> int:
        """Return how many tokens go in."""
        return len(self.prompt.ids)


@dataclass
class Measuring:
    """One row whose reference is measured under one target: token ids and labels, [sequence], and the texts of the
    trained tokens.
    """

    row: EvaluatedRow
    loaded: LoadedTarget
    ids: list[int]
    labels: list[int]
    pieces: list[str]

    @property
    def length(self) -> int:
        """Return how many tokens go in."""
        return len(self.ids)


@dataclass(frozen=True)
class Session:
    """What all who ask in one start of an evaluation share.

    batch: rows at a time, each put to all targets of a base; halved where the memory is not enough. done: is told how
    many answers, or losses, were written down. on_answers: is given the answers that were. stop: ends what is under
    way; nothing of it is written down.
    """

    evaluation: Evaluation
    sampling: Sampling
    batch: int
    done: Callable[[int], None]
    on_answers: Callable[[list[Prediction]], None]
    stop: threading.Event


class LocalAsking:
    """The loaded targets of one group, asked what is still missing of an evaluation.

    Args:
        encoders: by the name of a target.
        sources: the datasets by name.
    """

    def __init__(
        self,
        session: Session,
        targets: list[LoadedTarget],
        encoders: dict[str, TargetEncoders],
        sources: dict[str, RowSource],
    ):
        self._session, self._evaluation, self._stop = session, session.evaluation, session.stop
        self._targets, self._encoders, self._sources = targets, encoders, sources
        self._conversions: dict[str, Conversion] = {}
        self._batch = session.batch

    def run(self, rows: list[EvaluatedRow], answers: bool, losses: bool) -> None:
        """Let every target answer, and measure the loss of the references, as far as either is still missing.

        Raises:
            Problem: the disk refuses.
        """
        answered, measured = self._evaluation.done(Prediction), self._evaluation.done(ReferenceLoss)
        for start in range(0, len(rows), WINDOW):
            window = rows[start : start + WINDOW]
            values = self._values(window)
            for group in self._groups():
                if answers:
                    self._in_batches(self._missing(window, group, answered, values, self._asked), self._answer_batch)
                if losses:
                    with_reference = [row for row in window if row.reference and not row.images]
                    self._in_batches(
                        self._missing(with_reference, group, measured, values, self._sequence), self._measure_batch
                    )

    def _missing(self, rows, group, done, values, encode) -> list[list]:
        """Return for each row that is not done what `encode` makes of it for each target; the longest first, so that
        what does not fit into the memory is met first.
        """
        asked = []
        for row in rows:
            if self._stop.is_set():
                return []
            missing = [one for one in group if (row.row, one.target.name) not in done]
            asked.append([made for one in missing if (made := encode(row, one, values[row.row]))])
        return sorted(filter(None, asked), key=lambda row: row[0].length, reverse=True)

    def _values(self, rows: list[EvaluatedRow]) -> dict[int, dict | Problem]:
        """Return the rows as they stand in their files, by their number in the evaluation; one that is not there any
        more, or another one now, as its fault.
        """
        values: dict[int, dict | Problem] = {}
        for name, source in self._sources.items():
            mine = sorted((row for row in rows if row.dataset == name), key=lambda row: row.source)
            read = dict(source.values([row.source for row in mine])) if mine else {}
            values |= {row.row: self._same(row, read[row.source]) for row in mine}
        return values

    def _same(self, row: EvaluatedRow, value: dict | Problem) -> dict | Problem:
        if isinstance(value, Problem):
            return value
        if row.dataset not in self._conversions:
            self._conversions[row.dataset] = Conversion(self._sources[row.dataset])
        try:
            self._conversions[row.dataset].require_same(row, value)
        except Problem as problem:
            return problem
        return value

    def _groups(self) -> list[list[LoadedTarget]]:
        """Return the targets that can share a batch, and those that cannot each by itself."""
        groups: dict[int, list[LoadedTarget]] = {}
        alone = []
        for one in self._targets:
            if one.model.mixes(one.adapter):
                groups.setdefault(id(one.model), []).append(one)
            else:
                alone.append([one])
        return [*groups.values(), *alone]

    def _in_batches(self, asked: list[list], work: Callable[[list], None]) -> None:
        at = 0
        while at < len(asked) and not self._stop.is_set():
            batch = asked[at : at + min(self._batch, self._most_rows(asked[at]))]
            try:
                work([one for row in batch for one in row])
            except Exception as error:  # of any library below: told, and where it can be, gone round
                fault = as_problem(error, "chat.failed", kind=type(error).__name__)
                free_memory()
                if fault.key == "chat.no_memory" and len(batch) > 1:
                    self._batch = max(1, len(batch) // 2)
                    self._evaluation.note("batch", "evaluate.batch_halved", batch=self._batch)
                    continue
                if len(batch) > 1 and fault.key != "workspace.unwritable":
                    for row in batch:
                        self._alone(row, work)
                else:
                    self._fail(batch[0], fault)
            at += len(batch)

    def _most_rows(self, longest: list) -> int:
        """Return how many rows as long as this one, which is put to each of its targets, there is room for."""
        answer = self._session.sampling.max_tokens if isinstance(longest[0], Asked) else 0
        return max(1, longest[0].loaded.model.most_rows(longest[0].length + answer) // len(longest))

    def _alone(self, row: list, work: Callable[[list], None]) -> None:
        """Try one row by itself, so that the fault of one costs no other its answer."""
        if self._stop.is_set():
            return
        try:
            work(row)
        except Exception as error:  # as in `_in_batches`
            self._fail(row, as_problem(error, "chat.failed", kind=type(error).__name__))

    def _fail(self, row: list, fault: Problem) -> None:
        if fault.key == "workspace.unwritable":
            raise fault
        for one in row:
            self._failed(one.row, one.loaded, fault, isinstance(one, Asked))

    def _failed(self, row: EvaluatedRow, loaded: LoadedTarget, fault: Problem, is_answer: bool) -> None:
        facts = fault.facts | {"row": row.row, "target": loaded.target.name}
        self._evaluation.note("failed", fault.key, **facts)
        if is_answer:
            self._evaluation.add(failed(row, loaded.target.name, fault))
        self._session.done(1)

    def _asked(self, row: EvaluatedRow, loaded: LoadedTarget, value: dict | Problem) -> Asked | None:
        try:
            if isinstance(value, Problem):
                raise value
            if row.images:
                messages = [*row.messages[:-1], row.messages[-1] | {"images": row.images}]
                prompt = loaded.encoder.prompt(messages, row.system, row.tools)
                return Asked(row, loaded, prompt, loaded.encoder.stop_ids)
            encoder = self._encoders[loaded.target.name].of(self._sources[row.dataset])
            question = encoder.question(value)
            return Asked(
                row,
                loaded,
                Prompt(question.prompt),
                encoder.predict_stop_ids | loaded.encoder.stop_ids,
                encoder.decode(question.prompt, with_special=True),
                encoder.decode(question.label, with_special=False),
                question.is_cut,
            )
        except Problem as fault:
            self._failed(row, loaded, fault, is_answer=True)
            return None

    def _sequence(self, row: EvaluatedRow, loaded: LoadedTarget, value: dict | Problem) -> Measuring | None:
        try:
            if isinstance(value, Problem):
                raise value
            tokens = self._encoders[loaded.target.name].of(self._sources[row.dataset]).encode(value)[0].tokens
        except Problem as fault:
            self._failed(row, loaded, fault, is_answer=False)
            return None
        pieces = [token.text for token in tokens if token.label != IGNORED]
        return Measuring(row, loaded, [token.id for token in tokens], [token.label for token in tokens], pieces)

    def _answer_batch(self, batch: list[Asked]) -> None:
        started = time.perf_counter()
        growing = [
            GrowingAnswer(one.loaded, one.prompt, self._session.sampling, stop_ids=one.stop_ids) for one in batch
        ]
        with_images = [[one] for one in growing if one.prompt.inputs]
        together = [one for one in growing if not one.prompt.inputs]
        for rows in [*([together] if together else []), *with_images]:
            Batch(rows, threading.Event(), [self._stop]).run(self._session.sampling)
        if self._stop.is_set():
            return
        seconds = (time.perf_counter() - started) / len(batch)
        answers = [
            Prediction(
                row=one.row.row,
                target=one.loaded.target.name,
                text=answer.encoder.tokenizer.decode(answer.tokens, skip_special_tokens=True),
                tokens=len(answer.tokens),
                seconds=seconds,
                finished="length" if answer.finished == "length" else "stop",
                cut=one.cut,
                prompt=one.text,
                label=one.label,
            )
            for one, answer in zip(batch, growing, strict=True)
        ]
        self._evaluation.add_all(answers)
        self._session.on_answers(answers)
        self._session.done(len(batch))

    def _measure_batch(self, batch: list[Measuring]) -> None:
        batch = sorted(batch, key=lambda one: one.loaded.adapter)  # as `Decoding` does
        adapters, ids, labels = (
            [one.loaded.adapter for one in batch],
            [one.ids for one in batch],
            [one.labels for one in batch],
        )
        measured = token_losses(batch[0].loaded.model, adapters, ids, labels)
        self._evaluation.add_all([_loss(one, found) for one, found in zip(batch, measured, strict=True)])
        self._session.done(len(batch))


def _loss(one: Measuring, measured: Measured) -> ReferenceLoss:
    losses = measured.losses
    return ReferenceLoss(
        row=one.row.row,
        target=one.loaded.target.name,
        loss=sum(losses) / len(losses) if losses else 0.0,
        tokens=len(losses),
        losses=[round(loss, 4) for loss in losses],
        pieces=one.pieces[-len(losses) :] if losses else [],
    )


def failed(row: EvaluatedRow, target: str, fault: Problem) -> Prediction:
    """Return the answer of a model that could not be asked a row."""
    return Prediction(
        row=row.row, target=target, finished="failed", fault={"key": fault.key, "facts": plain(fault.facts)}
    )
