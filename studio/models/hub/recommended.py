"""The model of the catalogue that a person should begin with on this machine."""

from dataclasses import dataclass

from studio.models.hub import catalogue
from studio.models.hub.catalogue import Entry
from studio.models.memory import by_parameters
from studio.models.models_context import ModelsContext

# One family in all sizes, on both hubs, that knows English and Chinese; these are under Apache-2.0, which its
# 3 B and 72 B are not.
FAMILY = tuple(f"Qwen2.5-{size}B-Instruct" for size in ("0.5", "1.5", "7", "14", "32"))
# On a processor a larger model may fit the memory, but not the patience of a first day.
LARGEST_ON_CPU = 2_000_000_000
SIZES = (0.5e9, 1.5e9, 3e9, 7e9, 14e9, 32e9, 72e9)
USABLE = 0.8  # of the memory: the system, the page and the data take the rest


@dataclass(frozen=True)
class Recommended:
    """`entry` with its way to be tuned here ("lora" or "qlora4"), and `largest`: of each way that fits anything, the
    parameters of the largest usual model. `entry` is None where the smallest is too large for this machine.
    """

    entry: Entry | None
    way: str | None
    largest: tuple[tuple[str, int], ...]


def recommended(context: ModelsContext) -> Recommended:
    """Return what to begin with on this machine. Raises Problem where the catalogue cannot be read."""
    device, memory = context.memory()
    usable = int(memory * USABLE)
    known = {one.name: one for one in catalogue.entries()}
    fitting = [
        (known[name], way)
        for name in FAMILY
        if name in known and known[name].params
        for way in ("lora", "qlora4")
        if (device != "cpu" or (known[name].params <= LARGEST_ON_CPU and way == "lora"))
        and way in _ways(known[name].params, device, usable)
    ]
    best = max((entry for entry, _ in fitting), key=lambda entry: entry.params, default=None)
    return Recommended(best, next((way for entry, way in fitting if entry is best), None), _largest(device, usable))


def _ways(params: float, device: str, memory: int) -> list[str]:
    return [name for name, _, fits in by_parameters.ways(int(params), device, memory) if fits]


def _largest(device: str, memory: int) -> tuple[tuple[str, int], ...]:
    found: dict[str, int] = {}
    for size in SIZES:
        found |= dict.fromkeys(_ways(size, device, memory), int(size))
    return tuple((name, found[name]) for name, *_ in by_parameters.WAYS if name in found)
