"""What of a model that is not here yet would fit this machine, by its number of parameters alone."""

from functools import lru_cache

from studio.models.memory import fit
from studio.models.memory.model_shape import Linear, ModelShape

WAYS = (("qlora4", "lora", 4), ("lora", "lora", None), ("full", "full", None))
_VOCABULARY = 100_000


@lru_cache(4096)
def ways(params: int, device: str, memory: int) -> tuple[tuple[str, int, bool], ...]:
    """Return (way, bytes, fits) for QLoRA in 4 bits, LoRA and full tuning of a model with so many parameters.

    Args:
        params: as its name says.
        device: "cuda" or "cpu".
        memory: what the machine has, in bytes.
    """
    shape = usual_shape(params)
    needed = [
        (name, fit.estimate(shape, fit.Plan(method=method, bits=bits, device=device)).total)
        for name, method, bits in WAYS
    ]
    return tuple((name, size, size <= memory) for name, size in needed)


def largest(params: int | None, device: str, memory: int) -> str | None:
    """Return the most demanding way that fits, None where none does or the size is not known."""
    fitting = [name for name, _, fits in ways(params, device, memory) if fits] if params else []
    return fitting[-1] if fitting else None


def usual_shape(params: int) -> ModelShape:
    """Return the shape that a dense Llama of so many parameters usually has: layers of width 128 times their number,
    experts not told apart.

    With GQA and a gated MLP of 8/3 the width, a layer has about 11 h² parameters (2.5 h² attention, 8 h² MLP), so h³ =
    128 P / 11.
    """
    hidden = max(256, round((128 * params / 11) ** (1 / 3) / 64) * 64)
    layers = max(8, hidden // 128)
    inner, heads = hidden * 8 // 3, max(4, hidden // 128)
    kv_heads = max(1, heads // 4)
    inside = [
        ("q_proj", hidden, hidden),
        ("k_proj", hidden, kv_heads * 128),
        ("v_proj", hidden, kv_heads * 128),
        ("o_proj", hidden, hidden),
        ("gate_proj", hidden, inner),
        ("up_proj", hidden, inner),
        ("down_proj", inner, hidden),
    ]
    embedding = min(params // 3, _VOCABULARY * hidden)
    return ModelShape(
        architecture="LlamaForCausalLM",
        layers=layers,
        hidden=hidden,
        intermediate=inner,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=128,
        vocabulary=max(1, embedding // hidden),
        context=8192,
        tied=True,
        dtype="bf16",
        embedding_parameters=embedding,
        linear_parameters=params - embedding,
        norm_parameters=0,
        linears=tuple(Linear(*one) for one in inside),
        exact=False,
        known=True,
    )
