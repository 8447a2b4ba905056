"""STUB, being filled: LLaMA-Factory's own table of supported models, searchable."""

from dataclasses import dataclass

from studio.workspace import Workspace


@dataclass(frozen=True)
class Entry:
    """A model that LLaMA-Factory knows."""

    name: str  # as LLaMA-Factory calls it, e.g. Qwen2.5-0.5B-Instruct
    huggingface: str | None  # address on the hub, owner/name
    modelscope: str | None
    template: str | None  # None: a base model, for which LLaMA-Factory has no template of its own
    chat: bool
    multimodal: bool
    params: int | None  # guessed from the name
    bytes: int | None  # about, from params and the name's quantisation


def entries() -> list[Entry]:
    """Return the whole table, in LLaMA-Factory's order; some ms the first time, then cached. Never imports torch."""


def search(query: str = "", chat: bool | None = None, multimodal: bool | None = None, limit: int = 100) -> list[Entry]:
    """Return the entries that have every word of `query` in name, address or template, best first."""


def on_disk(workspace: Workspace) -> dict[str, str]:
    """Return {entry name: model name under models/} for the entries whose model is on disk."""
