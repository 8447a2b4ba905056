"""Weights that nobody works with any more, kept a while for who wants the same next.

After an evaluation a person asks its model in Chat, or evaluates it again: it need not be read from the disk a second
time. Whoever else asks for the device has the memory at once.
"""

import threading

from studio.core.device_lease import DeviceLease, free_memory
from studio.inference.local.loaded_model import LoadedModel
from studio.inference.local.model_target import BaseWeights

KEPT_S = 120.0
HOLDER = "spare"


class SpareModels:
    """The weights that were put here last. Any thread may call any method."""

    def __init__(self, device: DeviceLease):
        self._device = device
        self._models: dict[BaseWeights, LoadedModel] = {}
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()

    def put(self, models: dict[BaseWeights, LoadedModel]) -> None:
        """Keep these, in place of those that were kept, for KEPT_S seconds or until somebody asks for the device."""
        self.clear()
        models = {base: model for base, model in models.items() if model.loaded}
        if not models:
            return
        with self._lock:
            self._models = models
            self._timer = threading.Timer(KEPT_S, self.clear)
            self._timer.daemon = True
            self._timer.start()
        self._device.keep(HOLDER, self.clear)

    def take(self, base: BaseWeights) -> LoadedModel | None:
        """Give away the weights of this base, None where they are not kept."""
        with self._lock:
            return self._models.pop(base, None)

    def clear(self) -> None:
        """Give up what is kept."""
        with self._lock:
            models, self._models = self._models, {}
            if self._timer:
                self._timer.cancel()
            self._timer = None
        for model in models.values():
            model.unload()
        if models:
            free_memory()
