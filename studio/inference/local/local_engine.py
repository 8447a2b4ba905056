"""The models in memory: which are loaded, and one question to all of them at once, batched by their base weights."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from studio.core.device_lease import Freed, free_memory
from studio.core.i18n import Problem
from studio.core.storage.folders import size_of
from studio.inference.answer import Answer, failed
from studio.inference.local.generation import Batch, GrowingAnswer, LoadedTarget
from studio.inference.local.loaded_model import LoadedModel
from studio.inference.local.model_faults import as_problem
from studio.inference.local.model_target import BaseWeights, ModelTarget, weight_files
from studio.inference.local.spare_models import SpareModels
from studio.inference.messages import Message
from studio.inference.sampling import STANDARD, Sampling

Report = Callable[[str, float], None]
POLL_S = 0.08  # between two looks at answers that grow: looking takes processor time from the models


class LocalEngine:
    """The targets in memory. Every method may be called from any thread."""

    def __init__(self, spare: SpareModels | None = None) -> None:
        """Take where weights may lie that nobody works with (see `adopt`)."""
        self._spare = spare
        self._models: dict[BaseWeights, LoadedModel] = {}
        self._targets: dict[ModelTarget, LoadedTarget] = {}
        self._lock = threading.RLock()

    def targets(self) -> list[ModelTarget]:
        """Return what can be asked now."""
        return list(self._targets)

    def loaded(self, target: ModelTarget) -> LoadedTarget:
        """Return a target as it is loaded. Raises Problem where it is not."""
        with self._lock:
            if target not in self._targets:
                raise Problem("chat.not_loaded", speaker=target.name)
            return self._targets[target]

    def memory_bytes(self) -> int:
        """Return the bytes that all weights of the chat take, shared ones once."""
        return sum(model.memory_bytes() for model in list(self._models.values()))

    def bytes_needed(self, targets: list[ModelTarget]) -> int:
        """Return about how many bytes these targets will take, by the size of their files; one in 4 or 8 bits takes
        its share.

        Raises:
            Problem: a folder of weights is gone.
        """
        folders = {(target.base, target.base.folder): (target.bits or 16) / 16 for target in targets}
        folders |= {(target.base, target.adapter): 1.0 for target in targets if target.adapter}
        return int(
            sum(share * sum(size_of(file) for file in weight_files(folder)) for (_, folder), share in folders.items())
        )

    def adopt(self, targets: list[ModelTarget]) -> None:
        """Take over those weights of these targets that are kept by nobody. Raises Problem as `ModelTarget.base` does.

        To be called before the device is asked for, which has them put away.
        """
        with self._lock:
            for base in {target.base for target in targets} - set(self._models) if self._spare else ():
                if (model := self._spare.take(base)) is not None:
                    self._models[base] = model

    def hand_over(self) -> None:
        """Leave all weights to who wants the same next, where somebody keeps them; else as `unload`."""
        if self._spare is None:
            self.unload()
            return
        with self._lock:
            models, self._models, self._targets = self._models, {}, {}
            self._spare.put(models)

    def load(self, targets: list[ModelTarget], report: Report = lambda key, fraction: None) -> None:
        """Make these the loaded targets. What is in memory and still needed stays there; what is not goes first.

        Args:
            targets: no two of one name.
            report: is told the key of a sentence and how much is done (0 to 1).

        Raises:
            Problem: one of them cannot be loaded; then none can be asked until a load succeeds, but what is in memory
                stays.
        """
        with self._lock:
            by_base: dict[BaseWeights, list[ModelTarget]] = {}
            for target in targets:
                by_base.setdefault(target.base, []).append(target)
            self._targets = {}
            for base in [base for base in self._models if base not in by_base]:
                report("chat.putting_away", 0.0)
                self._models.pop(base).unload()
                free_memory()
            loaded = {}
            for done, (base, group) in enumerate(by_base.items()):
                report("chat.loading_base", done / len(by_base))
                if base not in self._models or not self._models[base].loaded:
                    self._models[base] = LoadedModel(base)
                model = self._models[base]
                report("chat.loading_adapters", (done + 0.8) / len(by_base))
                model.manage_adapters([target.adapter for target in group if target.adapter])
                loaded |= {
                    target: LoadedTarget(target, model, model.adapter(target), model.encoder(target))
                    for target in group
                }
            self._targets = {target: loaded[target] for target in targets}
            report("chat.loaded", 1.0)

    def unload(self) -> Freed:
        """End what is being answered, give up all weights, and return the memory in use before and after."""
        with self._lock:
            before = free_memory()
            for model in self._models.values():
                model.unload()
            self._models, self._targets = {}, {}
            after = free_memory()
            return Freed(before.memory_after, after.memory_after, before.gpu_after, after.gpu_after)

    def compare(
        self,
        targets: list[ModelTarget],
        messages: list[list[Message]],
        system: str | None = None,
        sampling: Sampling = STANDARD,
        stop: threading.Event | None = None,
        tools: str = "",
    ) -> Iterator[list[Answer]]:
        """Ask every target, and yield all answers as they grow, in the order of `targets`, the finished ones last.

        Targets of one base answer in one batch. Those of different bases answer at the same time, each at its own
        pace; the few that cannot share a batch answer one after the other. Closing the iterator ends the answers.

        Args:
            messages: the conversation of each target, ending with the question (see `PromptEncoder.encode`).
            stop: set it to end the answers within a token.
            tools: JSON of the tools that may be called, "" for none.

        Raises:
            Problem: no target was given, or every answer failed; where only some did, `Answer.fault` says why and the
                others go on.
        """
        if not targets:
            raise Problem("chat.nobody")
        sampling.check()
        started, updated, cancel = time.perf_counter(), threading.Event(), threading.Event()
        entries = [
            self._row(target, one, system, sampling, tools) for target, one in zip(targets, messages, strict=True)
        ]
        rows = [one for one in entries if isinstance(one, GrowingAnswer)]
        work = [
            partial(_answer, batches, sampling)
            for batches in _batches(rows, updated, [cancel, *([stop] if stop else [])])
        ]
        with run_in_threads(work, cancel) as finished:
            while not finished.wait(POLL_S):
                if updated.is_set():
                    updated.clear()
                    yield _snapshots(entries, started)
        answers = _snapshots(entries, started)
        if any(answer.fault for answer in answers):
            free_memory()
        if all(answer.fault for answer in answers):
            raise answers[0].fault
        yield answers

    def _row(
        self, target: ModelTarget, messages: list[Message], system: str | None, sampling: Sampling, tools: str
    ) -> GrowingAnswer | Answer:
        try:
            loaded = self.loaded(target)
            return GrowingAnswer(loaded, loaded.encoder.prompt(messages, system, tools), sampling, bool(tools))
        except Problem as fault:
            return failed(target.name, fault)


@contextmanager
def run_in_threads(work: list[Callable[[], None]], cancel: threading.Event) -> Iterator[threading.Event]:
    """Do all of `work` in threads of their own; give an event that is set when all are done. At the end of the block
    `cancel` is set, and they are waited for."""
    left, finished = set(range(len(work))), threading.Event()

    def do(number: int) -> None:
        try:
            work[number]()
        finally:
            left.discard(number)
            if not left:
                finished.set()

    threads = [threading.Thread(target=do, args=(number,), name="chat", daemon=True) for number in range(len(work))]
    for thread in threads:
        thread.start()
    if not threads:
        finished.set()
    try:
        yield finished
    finally:
        cancel.set()
        for thread in threads:
            thread.join()


def _snapshots(entries: list[GrowingAnswer | Answer], started: float) -> list[Answer]:
    return [one.answer(started) if isinstance(one, GrowingAnswer) else one for one in entries]


def _batches(rows: list[GrowingAnswer], updated: threading.Event, stops: list[threading.Event]) -> list[list[Batch]]:
    """Return for each base the batches it has to answer: first all rows that can share one, then the others one by one.

    One with images goes by itself: the tensors of several have no common shape.
    """
    groups: dict[int, list[list[GrowingAnswer]]] = {}
    for row in rows:
        batches = groups.setdefault(id(row.model), [[]])
        if row.model.mixes(row.adapter) and not row.prompt.inputs:
            batches[0].append(row)
        else:
            batches.append([row])
    return [[Batch(batch, updated, stops) for batch in batches if batch] for batches in groups.values()]


def _answer(batches: list[Batch], sampling: Sampling) -> None:
    for batch in batches:
        try:
            batch.run(sampling)
        except Problem as problem:
            fault = problem
        except Exception as error:
            fault = as_problem(error, "chat.failed", kind=type(error).__name__)
        else:
            continue
        for row in batch.rows:
            row.fail(fault)
