"""The one way to ask models, in memory and on servers: what the page and the API use."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from studio.core.device_lease import DeviceLease
from studio.core.i18n import Problem
from studio.core.workspace import Workspace
from studio.inference.answer import Answer, failed
from studio.inference.local.local_engine import POLL_S, LocalEngine, run_in_threads
from studio.inference.local.model_target import ModelTarget
from studio.inference.local.spare_models import SpareModels
from studio.inference.messages import Message
from studio.inference.remote import chat_completion, servers
from studio.inference.remote.model_list_cache import ModelListCache
from studio.inference.sampling import Sampling
from studio.inference.target_names import MOST, SERVED, resolve


@dataclass(frozen=True)
class Loading:
    """How far a loading is: the key of its sentence and a share from 0 to 1."""

    key: str
    share: float


class InferenceService:
    """Answers questions with the models in memory and on servers; loads those that are asked and asks for the device
    first.
    """

    def __init__(self, workspace: Workspace, device: DeviceLease):
        self.workspace, self.device, self.spare = workspace, device, SpareModels(device)
        self.engine = LocalEngine(self.spare)
        self.servers = servers.ServerRegistry(workspace)
        self.model_lists = ModelListCache(self.servers)
        self.loading: Loading | None = None
        self.is_evicted = False  # whether somebody else took the memory, and the chat's models had to go
        self._loading_lock = threading.Lock()

    def load(self, chosen: list[str], bits: int | None = None) -> list[ModelTarget]:
        """Load those chosen and no others, asking for the accelerator first. Raises Problem, and then says what is in
        the way.
        """
        with self._loading_lock:
            targets = resolve(self.workspace, chosen, bits)
            self._load(targets)  # costs almost nothing where all are there, and notices weights that were written anew
            return targets

    def _load(self, targets: list[ModelTarget]) -> None:
        self.engine.adopt(targets)
        needed = max(0, self.engine.bytes_needed(targets) - self.engine.memory_bytes())
        self.device.acquire("chat", needed, evict=self._make_room)
        try:
            self.engine.load(targets, self._report)
            self.is_evicted = False
        except Problem:
            if not self.engine.targets():
                self.device.release("chat")
            raise
        finally:
            self.loading = None

    def _report(self, key: str, share: float) -> None:
        self.loading = Loading(key, share)

    def _make_room(self) -> None:
        self.engine.unload()
        self.is_evicted = True

    def unload(self) -> dict[str, int]:
        """Unload everything, and return the bytes in use before and after: {before, after}."""
        with self._loading_lock:
            freed = self.engine.unload()
            self.device.release("chat")
        gpu = freed.gpu_before is not None and freed.gpu_before > 0
        return (
            {"before": freed.gpu_before, "after": freed.gpu_after}
            if gpu
            else {"before": freed.memory_before, "after": freed.memory_after}
        )

    def ask(
        self,
        conversations: dict[str, list[Message]],
        system: str,
        sampling: Sampling,
        stop: threading.Event,
        tools: str = "",
        bits: int | None = None,
    ) -> Iterator[list[Answer]]:
        """Ask one or several, and yield all their answers as they grow, in the order of `conversations`, the
        finished ones last.

        Models on this machine are loaded where need be and answer together (see `LocalEngine.compare`); each served one
        answers at its own pace. A model that cannot answer says so in its own `Answer.fault` and holds up no other.
        Closing the iterator ends the answers.

        Args:
            conversations: by the name of each model that is asked, the messages up to and with the question.
            stop: set it to end the answers.
            tools: JSON of the tools that may be called, "" for none.
            bits: 4 or 8 to load the models of this machine quantised.

        Raises:
            Problem: nobody is chosen, or too many.
        """
        if not 1 <= len(conversations) <= MOST:
            raise Problem("chat.choose_some", most=MOST)
        sampling.check()
        latest = {name: Answer(name, "", 0, None, None, "") for name in conversations}
        updated, cancel = threading.Event(), threading.Event()
        question = (system, sampling, cancel, tools)

        def update(answer: Answer) -> None:
            before = latest[answer.target]
            # a failure told from outside knows nothing of what had come by then
            latest[answer.target] = (
                replace(before, finished="failed", fault=answer.fault) if answer.fault and not answer.text else answer
            )
            updated.set()

        local = {name: messages for name, messages in conversations.items() if not name.startswith(SERVED)}
        work = [
            partial(self._ask_served, name, messages, question, update)
            for name, messages in conversations.items()
            if name not in local
        ]
        work += [partial(self._ask_local, local, bits, question, update)] if local else []
        with run_in_threads(work, cancel) as finished:
            while not finished.wait(POLL_S):
                if updated.is_set():
                    updated.clear()
                    yield list(latest.values())
                if stop.is_set():
                    cancel.set()
        yield list(latest.values())

    def _ask_local(
        self,
        conversations: dict[str, list[Message]],
        bits: int | None,
        question: tuple,
        update: Callable[[Answer], None],
    ) -> None:
        system, sampling, stop, tools = question
        targets = {name: target for name in conversations if (target := self._known(name, bits, update))}
        while targets:
            try:
                for answers in self.engine.compare(
                    self.load(list(targets), bits),
                    [conversations[name] for name in targets],
                    system or None,
                    sampling,
                    stop,
                    tools,
                ):
                    for answer in answers:
                        update(answer)
                return
            except Problem as fault:  # of one's files: the others can still answer
                path = fault.facts.get("path")
                failing = [
                    name for name, one in targets.items() if path in (one.adapter, one.model, one.model.resolve())
                ] or list(targets)
                for name in failing:
                    update(failed(name, fault))
                    del targets[name]

    def _known(self, name: str, bits: int | None, update: Callable[[Answer], None]) -> ModelTarget | None:
        """Return what a name stands for; where it stands for nothing, that is its answer, and the others are asked."""
        try:
            return resolve(self.workspace, [name], bits)[0]
        except Problem as fault:
            update(failed(name, fault))
            return None

    def _ask_served(
        self, name: str, messages: list[Message], question: tuple, update: Callable[[Answer], None]
    ) -> None:
        try:
            update(chat_completion.ask(self.servers.target(name), messages, *question, update))
        except Problem as fault:
            update(failed(name, fault))
