"""Does it fit? The one estimate of the memory that training or running a model takes. Bytes everywhere."""

from dataclasses import dataclass
from pathlib import Path

from studio.models.shape import ModelShape


@dataclass(frozen=True)
class Plan:
    """What is to be done with a model.

    `method` is "lora", "full", "freeze" or "inference"; `bits` 4 or 8 (bitsandbytes) or None; `seq` tokens in each of `batch` rows
    (for inference: the context kept in the KV cache); `compute` "bf16", "fp16" or "fp32"; `pure` LLaMA-Factory's pure_bf16, which
    leaves what is trained in bf16; `device` "cuda" or "cpu".
    """

    method: str = "lora"
    bits: int | None = None
    seq: int = 1024
    batch: int = 1
    checkpointing: bool = True
    rank: int = 8
    targets: tuple[str, ...] = ("all",)
    optimizer: str = "adamw_torch"
    compute: str = "bf16"
    pure: bool = False
    freeze_layers: int = 2
    device: str = "cuda"


@dataclass(frozen=True)
class Estimate:
    """Bytes by what they are for, at the moment when most is in use; `total` is their sum."""

    weights: int
    gradients: int
    optimizer: int
    activations: int
    kv_cache: int
    overhead: int

    @property
    def total(self) -> int:
        """All of it."""
        return sum(self.parts().values())

    def parts(self) -> dict[str, int]:
        """Return {"weights", "gradients", "optimizer", "activations", "kv_cache", "overhead": bytes}; words are `fit.<part>`."""
        return {name: getattr(self, name) for name in ("weights", "gradients", "optimizer", "activations", "kv_cache", "overhead")}


def estimate(shape: ModelShape, plan: Plan) -> Estimate:
    """Return the peak of memory that `plan` takes with a model of this shape."""
    raise NotImplementedError


def plan_of(recipe: dict) -> Plan:
    """Return the plan that a recipe (LLaMA-Factory's arguments) stands for."""
    raise NotImplementedError


def table(folder: Path, machine_bytes: int, plan: Plan = Plan()) -> list[dict]:
    """Return a row for each way to use the model in `folder`: inference, QLoRA, LoRA, freeze, full.

    Each row is {"method", "bits", "bytes", "fits", "parts": {part: bytes}, "advice": {"key", "facts", "bytes", "fits"} | None}. `advice` is the one
    change that helps most where it does not fit (None where it fits): `key` of a sentence `fit.advice_...` with its `facts`, and
    the bytes after the change. `plan` gives what the rows share (seq, batch, rank, device...).

    Raises:
        Problem: the folder holds no model whose sizes can be read.
    """
    raise NotImplementedError
