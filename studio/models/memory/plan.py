"""What is to be done with a model, as far as memory is concerned."""

from dataclasses import dataclass

from studio.models.memory.model_shape import BYTES, Linear, ModelShape


@dataclass(frozen=True)
class Plan:
    """How a model is trained or run.

    `method` is "lora", "full", "freeze" or "inference"; `bits` 4 or 8 (bitsandbytes) or None; `seq` tokens in each of
    `batch` rows (for inference: the context kept in the KV cache); `compute` "bf16", "fp16" or "fp32"; `pure`
    LLaMA-Factory's pure_bf16, which leaves what is trained in bf16; `accumulation` the steps whose gradients are added
    up; `copies` of the weights beside the trained ones (the reference model of DPO and KTO where all is trained);
    `device` "cuda" or "cpu".
    """

    method: str = "lora"
    bits: int | None = None
    seq: int = 1024
    batch: int = 1
    checkpointing: bool = True
    rank: int = 8
    targets: tuple[str, ...] = ("all",)
    dropout: float = 0.0
    optimizer: str = "adamw_torch_fused"
    compute: str = "bf16"
    pure: bool = False
    freeze_layers: int = 2
    accumulation: int = 1
    copies: int = 0
    device: str = "cuda"

    @property
    def tokens(self) -> int:
        """The tokens of one pass."""
        return self.seq * self.batch

    @property
    def mixed(self) -> bool:
        """Whether autocast is on: a matrix then takes a copy of its input and of its trained weights in the compute
        type.
        """
        return self.compute != "fp32" and not self.pure

    def targeted(self, linear: Linear) -> bool:
        """Tell whether LoRA goes on this matrix."""
        return self.method == "lora" and ("all" in self.targets or linear.name in self.targets)

    def trained(self, shape: ModelShape) -> float:
        """Return how many parameters are trained: LoRA's r x (inputs + outputs) for each matrix it targets, or the
        unfrozen ones.
        """
        if self.method == "lora":
            return shape.layers * sum(
                self.rank * (one.inputs + one.outputs) * one.count for one in shape.linears if self.targeted(one)
            )
        if self.method == "freeze":
            return shape.block_parameters * min(self.freeze_layers, shape.layers)
        return shape.parameters - shape.tower_parameters if self.method == "full" else 0

    def trained_bytes(self, shape: ModelShape) -> int:
        """Return the bytes of one trained parameter."""
        return BYTES[shape.dtype] if self.pure else 4

    def stream_bytes(self, shape: ModelShape) -> int:
        """Return the bytes of one number between the blocks: embeddings give the type they have."""
        return self.trained_bytes(shape) if self.method == "full" else BYTES[shape.dtype]

    def product_bytes(self, shape: ModelShape) -> int:
        """Return the bytes of one number that a matrix gives."""
        return BYTES[self.compute] if self.mixed else self.stream_bytes(shape)
