"""The models that an evaluation asks: those of this machine in memory, one copy of each base, and those of servers."""

from dataclasses import replace

from studio.core import llamafactory
from studio.core.device_lease import DeviceLease
from studio.core.workspace import Workspace
from studio.inference import target_names
from studio.inference.local.base_loading import best_precision
from studio.inference.local.generation import LoadedTarget
from studio.inference.local.local_engine import LocalEngine
from studio.inference.local.spare_models import SpareModels
from studio.inference.remote.servers import ServedTarget, ServerRegistry
from studio.inference.target_names import SERVED

HOLDER = "evaluate"


class ModelsInUse:
    """What one evaluation has in memory. Close it at the end: the device is held until then.

    Args:
        bits: 4 or 8 to load the models of this machine quantised, None for as they are.
        precision: to compute in; "" is float32 on a processor, where nothing is won by less that a comparison could
            afford to lose, and on a GPU the type that suits it.
        spare: where weights lie that nobody works with, and where these are left at the end; None: nowhere.
    """

    def __init__(
        self,
        workspace: Workspace,
        device: DeviceLease,
        servers: ServerRegistry,
        bits: int | None = None,
        precision: str = "",
        spare: SpareModels | None = None,
    ):
        self.workspace, self._device, self._servers = workspace, device, servers
        self._bits, self._precision = bits, precision
        self._engine = LocalEngine(spare)

    def local(self, names: list[str]) -> list[LoadedTarget]:
        """Load these models of this machine and no others, at most four, and return them in their order.

        Raises:
            Problem: a name stands for nothing, one cannot be loaded, or somebody else holds the memory.
        """
        precision = self._asked_precision()
        standard = precision == best_precision() and not self._has_gpu()
        targets = [
            # named as Chat names it, so that what Chat and this one have in memory can be the same
            replace(target, precision="" if standard else precision)
            for target in target_names.resolve(self.workspace, names, self._bits)
        ]
        self._engine.adopt(targets)
        needed = self._engine.bytes_needed(targets) * (2 if precision == "float32" else 1)
        self._device.acquire(HOLDER, max(0, needed - self._engine.memory_bytes()))
        self._engine.load(targets)
        return [self._engine.loaded(target) for target in targets]

    def served(self, name: str) -> ServedTarget:
        """Return where a served model is asked. Raises Problem where there is no such server."""
        return self._servers.target(name)

    def close(self) -> None:
        """Give up the device, and the weights to who wants the same next."""
        self._device.release(HOLDER)
        self._engine.hand_over()

    def _asked_precision(self) -> str:
        return self._precision or ("" if self._bits or self._has_gpu() else "float32")

    def _has_gpu(self) -> bool:
        llamafactory.load()
        import torch

        return torch.cuda.is_available()


def in_memory(names: list[str]) -> list[list[str]]:
    """Return the names of models of this machine in groups that are loaded together, at most four each."""
    local = [name for name in names if not name.startswith(SERVED)]
    return [local[at : at + target_names.MOST] for at in range(0, len(local), target_names.MOST)]
