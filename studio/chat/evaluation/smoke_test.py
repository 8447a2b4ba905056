"""The smoke test of a model: load it, ask it one thing, and unload it, with its speed and the memory that came back."""

import threading
import time
from dataclasses import dataclass
from pathlib import Path

from studio.core import llamafactory, trust
from studio.core.device_lease import DeviceLease, Freed, free_memory
from studio.core.i18n import Problem
from studio.core.storage import files
from studio.core.workspace import Workspace
from studio.inference.local.local_engine import LocalEngine
from studio.inference.local.model_target import ModelTarget
from studio.inference.sampling import Sampling
from studio.models.chat_template_match import template_match
from studio.models.library import library
from studio.models.weights import completeness

MOST_TOKENS = 64


@dataclass
class SmokeTest:
    """How far a smoke test is: `stage` is loading, answering, unloading, done or failed. Memory in bytes (the
    GPU's where there is one).
    """

    model: str
    question: str
    stage: str = "loading"
    answer: str = ""
    tokens: int = 0
    first_token_s: float | None = None
    tokens_per_s: float | None = None
    load_s: float | None = None
    before: int = 0
    loaded: int = 0
    after: int = 0
    error: Problem | None = None


class SmokeTests:
    """The last smoke test of each model. One runs at a time."""

    def __init__(self, workspace: Workspace, device: DeviceLease):
        self.workspace, self.device = workspace, device
        self._tests: dict[str, SmokeTest] = {}
        self._turn = threading.Lock()
        self._asked: Path | None = None

    def last(self, model: str) -> SmokeTest | None:
        """Return the last smoke test of a model in this process, None where there was none."""
        return self._tests.get(model)

    def run(self, name: str, question: str) -> SmokeTest:
        """Load, ask, unload. Raises Problem where there is no such model, no room for it, another one at work, or it
        cannot answer.
        """
        model = completeness.find(self.workspace, name)
        if model.faults:
            raise model.faults[0]
        if not self._turn.acquire(blocking=False):
            raise Problem("hello.busy")
        test = self._tests[name] = SmokeTest(name, question)
        self._asked = model.path
        try:
            self._run(test, model)
        except Problem as problem:
            test.stage, test.error = "failed", problem
            raise
        finally:
            self._asked = None
            self._turn.release()
        return test

    def require_unused(self, path: Path) -> None:
        """Raise Problem where the test at work reads a place."""
        if (asked := self._asked) and files.overlap(asked, path):
            raise Problem("models.used_by_smoke_test", name=path.name)

    def _run(self, test: SmokeTest, model: library.Model) -> None:
        llamafactory.load()  # what a library takes when it is first imported is not the model's
        template = template_match.of(model.path, model.name, model.model_type).template
        allowed = trust.allows(model.path)
        target, engine = ModelTarget(model.name, model.path, None, template, own_code=allowed), LocalEngine()
        self.device.acquire("hello", engine.bytes_needed([target]))
        try:
            test.before = _in_use(free_memory())
            began = time.perf_counter()
            engine.load([target])
            test.load_s, test.stage = time.perf_counter() - began, "answering"
            messages = [[{"role": "user", "content": test.question}]]
            for (answer,) in engine.compare(
                [target], messages, None, Sampling(temperature=0.0, max_tokens=MOST_TOKENS)
            ):
                test.answer, test.tokens = answer.text, answer.tokens
                test.first_token_s, test.tokens_per_s = answer.first_token_s, answer.tokens_per_s
            # Only now: weights that lie in a file take memory as they are used.
            test.stage, test.loaded = "unloading", _in_use(free_memory())
        finally:
            test.after = _in_use(engine.unload())
            self.device.release("hello")
        test.stage = "done"


def _in_use(freed: Freed) -> int:
    """Return the bytes in use now: on the GPU where anything ever was there, else in memory."""
    return freed.gpu_after if freed.gpu_before or freed.gpu_after else freed.memory_after
