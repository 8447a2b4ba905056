"""The models that an evaluation asks: those of this machine in memory, one copy of each base, and those of servers."""

from dataclasses import replace

from studio.core import llamafactory
from studio.core.device_lease import DeviceLease
from studio.core.workspace import Workspace
from studio.inference import target_names
from studio.inference.local.generation import LoadedTarget
from studio.inference.local.local_engine import LocalEngine
from studio.inference.remote.servers import ServedTarget, ServerRegistry
from studio.inference.target_names import SERVED

HOLDER = "evaluate"


class ModelsInUse:
    """What one evaluation has in memory. Close it at the end: the device is held until then.

    Args:
        bits: 4 or 8 to load the models of this machine quantised, None for as they are.
        precision: to compute in; "" is float32 on a processor, where nothing is won by less that a comparison could
            afford to lose, and on a GPU the type that suits it.
    """

    def __init__(
        self,
        workspace: Workspace,
        device: DeviceLease,
        servers: ServerRegistry,
        bits: int | None = None,
        precision: str = "",
    ):
        self.workspace, self._device, self._servers = workspace, device, servers
        self._bits, self._precision = bits, precision
        self._engine = LocalEngine()

    def local(self, names: list[str]) -> list[LoadedTarget]:
        """Load these models of this machine and no others, at most four, and return them in their order.

        Raises:
            Problem: a name stands for nothing, one cannot be loaded, or somebody else holds the memory.
        """
        precision = self._precision or self._of_device()
        targets = [
            replace(target, precision=precision) for target in target_names.resolve(self.workspace, names, self._bits)
        ]
        needed = self._engine.bytes_needed(targets) * (2 if precision == "float32" else 1)
        self._device.acquire(HOLDER, max(0, needed - self._engine.memory_bytes()))
        self._engine.load(targets)
        return [self._engine.loaded(target) for target in targets]

    def served(self, name: str) -> ServedTarget:
        """Return where a served model is asked. Raises Problem where there is no such server."""
        return self._servers.target(name)

    def close(self) -> None:
        """Give up the weights and the device."""
        self._engine.unload()
        self._device.release(HOLDER)

    def _of_device(self) -> str:
        llamafactory.load()
        import torch

        return "" if self._bits or torch.cuda.is_available() else "float32"


def in_memory(names: list[str]) -> list[list[str]]:
    """Return the names of models of this machine in groups that are loaded together, at most four each."""
    local = [name for name in names if not name.startswith(SERVED)]
    return [local[at : at + target_names.MOST] for at in range(0, len(local), target_names.MOST)]
