"""Which models the added servers have now: asked in the background, so that one that is down holds up no page."""

import threading
import time

from studio.core.i18n import Problem
from studio.inference.remote.servers import ServerRegistry

FRESH_S = 10.0


class ModelListCache:
    """The last answer of each endpoint to the question for its models."""

    def __init__(self, servers: ServerRegistry):
        self._servers = servers
        self._answers: dict[str, tuple[float, list[str] | Problem | None]] = {}
        self._pending: set[str] = set()

    def models(self) -> dict[str, list[str] | Problem | None]:
        """Return for each endpoint its models, why it does not tell them, or None where its first answer is awaited;
        old ones are asked again.
        """
        names = [one.name for one in self._servers.list()]
        for name in names:
            if name not in self._pending and time.monotonic() - self._answers.get(name, (-FRESH_S,))[0] > FRESH_S:
                self._pending.add(name)
                threading.Thread(target=self._ask, args=(name,), name="model-lists", daemon=True).start()
        return {name: self._answers.get(name, (0, None))[1] for name in names}

    def set(self, name: str, models: list[str]) -> None:
        """Take in what an endpoint told when it was added."""
        self._answers[name] = (time.monotonic(), models)

    def columns(self) -> list[str]:
        """Return the names of all columns that the endpoints can answer, as far as they have told."""
        return [
            f"served:{name}/{model}"
            for name, models in self.models().items()
            if isinstance(models, list)
            for model in models
        ]

    def _ask(self, name: str) -> None:
        try:
            answer: list[str] | Problem = self._servers.models(name)
        except Problem as problem:
            answer = problem
        finally:
            self._pending.discard(name)
        self._answers[name] = (time.monotonic(), answer)
