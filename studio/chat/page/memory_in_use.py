"""What is loaded of the chat, how far a loading is, or about what the chosen columns will take."""

from dataclasses import dataclass

from studio.chat.turn_runner import TurnRunner
from studio.core.i18n import Problem
from studio.inference import target_names
from studio.inference.inference_service import InferenceService, Loading
from studio.train.recipe.recipes import STARTER_MODEL

TEMPLATE = "chat/page/memory.html"


@dataclass(frozen=True)
class MemoryContext:
    """loaded: how many targets are in memory. bytes: what they take. needed: bytes that the chosen ones will take, None
    where none of them is on this machine. fault: why that cannot be told. is_evicted: another task took the memory.
    """

    loading: Loading | None = None
    loaded: int = 0
    bytes: int = 0
    needed: int | None = None
    fault: Problem | None = None
    is_evicted: bool = False


def memory(turns: TurnRunner, id: str) -> MemoryContext:
    """Return what stands in memory, beside the columns of a conversation ("" for a new one). Raises Problem where there
    is no such conversation.
    """
    columns, bits = [STARTER_MODEL], None
    if id:
        conversation = turns.conversations.open(id)
        columns, bits = conversation.listed_columns, conversation.bits  # the first that is gone is named
    service = turns.service
    if service.loading:
        return MemoryContext(loading=service.loading)
    if targets := service.engine.targets():
        return MemoryContext(loaded=len(targets), bytes=service.engine.memory_bytes())
    return _estimate(service, columns, bits)


def _estimate(service: InferenceService, columns: list[str], bits: int | None) -> MemoryContext:
    local = [name for name in columns if not name.startswith(target_names.SERVED)]
    if not local:
        return MemoryContext(is_evicted=service.is_evicted)
    try:
        needed = service.engine.bytes_needed(target_names.resolve(service.workspace, local, bits))
    except Problem as fault:
        return MemoryContext(fault=fault, is_evicted=service.is_evicted)
    return MemoryContext(needed=needed, is_evicted=service.is_evicted)
