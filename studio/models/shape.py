"""The shape of a language model: its sizes from config.json, and its exact parameter counts from the safetensors headers."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Linear:
    """One matrix of a decoder block: `name` as LoRA's targets name it, `inputs` x `outputs`, `count` of them in a block (experts)."""

    name: str
    inputs: int
    outputs: int
    count: int = 1


@dataclass(frozen=True)
class ModelShape:
    """What decides a model's memory. Counts of parameters are exact where a safetensors header says them.

    `experts` and `active_experts` are 1 for a dense model. `dtype` is that of the stored weights ("bf16", "fp16", "fp32").
    `exact` is False where the counts come from the config alone. `known` is False for an architecture the estimator has no
    formulas of its own for: it is then taken for a Llama of the same sizes.
    """

    architecture: str
    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    context: int
    tied: bool
    dtype: str
    embedding_parameters: int
    linear_parameters: int
    norm_parameters: int
    linears: tuple[Linear, ...]
    experts: int = 1
    active_experts: int = 1
    exact: bool = True
    known: bool = True

    @property
    def parameters(self) -> int:
        """All parameters; tied embeddings count once."""
        return self.embedding_parameters + self.linear_parameters + self.norm_parameters


def read_shape(folder: Path) -> ModelShape:
    """Return the shape of the model in `folder`. Reads config.json and the headers only, no weights (milliseconds).

    Raises:
        Problem: there is no readable config.json, or it does not say the sizes of a language model.
    """
    raise NotImplementedError
