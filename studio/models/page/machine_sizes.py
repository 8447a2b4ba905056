"""How large a model may be on this machine, and which one to begin with; below what the doctor says."""

from dataclasses import dataclass

from studio.models.hub import catalogue
from studio.models.hub.recommended import Recommended, recommended
from studio.models.models_context import ModelsContext

TEMPLATE = "models/page/machine_sizes.html"


@dataclass(frozen=True)
class MachineSizesContext:
    """What fits, on which device ("cuda" or "cpu") with how many bytes; `on_disk` names the recommended model where it
    is here already, and `repo` is its address on `source` otherwise.
    """

    recommended: Recommended
    device: str
    memory: int
    on_disk: str | None
    source: str
    repo: str | None


def machine_sizes(context: ModelsContext) -> MachineSizesContext:
    """Return what fits this machine."""
    best, (device, memory) = recommended(context), context.memory()
    here = catalogue.on_disk(context.workspace).get(best.entry.name) if best.entry else None
    source = "modelscope" if best.entry and best.entry.modelscope else "huggingface"
    return MachineSizesContext(best, device, memory, here, source, best.entry.address(source) if best.entry else None)
