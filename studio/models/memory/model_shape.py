"""The shape of a language model: its sizes from config.json, and its exact parameter counts from the safetensors
headers.
"""

import re
from collections import Counter
from dataclasses import dataclass
from math import prod
from pathlib import Path

from studio.core.i18n import Problem, Reason
from studio.models.library import library, model_config
from studio.models.weights import tensor_headers

# Architectures whose activations were measured (benchmarks/fit.py), and those built from the same blocks. Any other is
# taken for a Llama.
KNOWN = (
    "llama",
    "mistral",
    "qwen2",
    "qwen3",
    "gemma",
    "gemma2",
    "gemma3_text",
    "gemma3",
    "phi3",
    "qwen3_moe",
    "qwen2_moe",
    "mixtral",
)
NORMS = {"gemma2": 4, "gemma3_text": 4, "gemma3": 4}
NORMED_HEADS = ("qwen3", "qwen3_moe", "gemma3_text", "gemma3")
FUSED = ("phi3",)
NOT_GATED = ("gpt2", "gpt_neox", "phi", "opt", "bloom", "falcon", "starcoder2", "gpt_bigcode", "gptj", "mpt")
DTYPES = {"BF16": "bf16", "F16": "fp16", "F32": "fp32", "bfloat16": "bf16", "float16": "fp16", "float32": "fp32"}
BYTES = {"bf16": 2, "fp16": 2, "fp32": 4}

_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks|block|layer)\.(\d+)\.(.+)$")
_EMBEDDING = re.compile(
    r"(?:embed_tokens|word_embeddings|tok_embeddings|wte|embed_in|embed_out|lm_head|output_layer)\.weight$|^output\.weight$"
)
_HEAD = re.compile(r"(?:lm_head|embed_out|output_layer)\.weight$|^output\.weight$")
_TOWER = re.compile(r"(?:^|\.)(?:visual|vision\w*|audio\w*|image\w*|speech\w*|multi_modal_projector)\.")


@dataclass(frozen=True)
class Linear:
    """One matrix of a decoder block: `name` as LoRA's targets name it, `inputs` x `outputs`; `count` of them in a
    block, on average.
    """

    name: str
    inputs: int
    outputs: int
    count: float = 1


@dataclass(frozen=True)
class ModelShape:
    """What decides a model's memory. Counts of parameters are exact where a safetensors header says them.

    `linears` are those of one decoder block that LoRA and bitsandbytes reach; transformers keeps the experts of a block
    in one tensor, which neither of them reaches: they count in `expert_parameters`, and their width is `intermediate`.
    `experts` and `active_experts` are 1 for a dense model. `dtype` is that of the stored weights ("bf16", "fp16",
    "fp32"), `stored_bytes` what the weights take on disk, `quantized` that they are stored quantised. `norms` counts
    the norms of a block over the hidden size, `normed_heads` says that queries and keys have their own. `eager` models
    keep all attention scores (soft-capped in Gemma 2). In `sliding_layers` only the last `window` tokens stay in the KV
    cache. `tower_parameters` see or hear; they stay frozen. `exact` is False where the counts come from the config
    alone. `known` is False for an architecture the estimator has no formulas of its own for: it is then taken for a
    Llama of the same sizes.
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
    expert_parameters: int = 0
    tower_parameters: int = 0
    stored_bytes: int = 0
    quantized: bool = False
    norms: int = 2
    normed_heads: bool = False
    gated: bool = True
    eager: bool = False
    capped_logits: bool = False
    window: int = 0
    sliding_layers: int = 0

    @property
    def parameters(self) -> int:
        """All parameters; tied embeddings count once."""
        return (
            self.embedding_parameters
            + self.linear_parameters
            + self.norm_parameters
            + self.expert_parameters
            + self.tower_parameters
        )

    @property
    def block_parameters(self) -> float:
        """The parameters of one decoder block."""
        return (self.linear_parameters + self.norm_parameters + self.expert_parameters) / self.layers


def read_shape(folder: Path) -> ModelShape:
    """Return the shape of the model in `folder`. Reads config.json and the headers only, no weights (milliseconds).

    Raises:
        Problem: there is no readable config.json, or it does not say the sizes of a language model.
    """
    config, faults = model_config.read(folder)
    text_config = model_config.text_config(config)
    if faults or not text_config:
        raise faults[0] if faults else Problem("fit.no_config", folder=folder, reason=Reason("reasons.no_architecture"))
    sizes = {name: _number(text_config, config, keys) for name, keys in model_config.SIZES.items()}
    if lacking := [
        model_config.SIZES[name][0] for name in ("layers", "hidden", "heads", "vocabulary") if not sizes[name]
    ]:
        raise Problem("fit.no_sizes", folder=folder, fields=", ".join(lacking))
    sizes |= _completed(text_config, sizes)
    tensors = _tensors(folder)
    quantized = tensor_headers.quantization(config)
    plain = tensors and quantized is None
    counted = _counts(tensors, sizes["layers"]) if plain else _from_config(text_config, config, sizes)
    stored = sum(end - begin for begin, end in (tensor["data_offsets"] for tensor in tensors.values()))
    kind = str(text_config.get("model_type") or config.get("model_type") or "")
    return ModelShape(
        architecture=(config.get("architectures") or ["?"])[0],
        dtype=_dtype(tensors if plain else {}, text_config, config),
        exact=bool(plain),
        known=kind in KNOWN,
        stored_bytes=stored,
        quantized=quantized is not None
        and quantized.method not in ("fp8", "fbgemm_fp8", "mxfp4"),  # LLaMA-Factory undoes these two
        normed_heads=kind in NORMED_HEADS
        or any(name.endswith((".q_norm.weight", ".q_layernorm.weight")) for name in tensors),
        norms=NORMS.get(kind, 2),
        gated=kind not in NOT_GATED,
        eager=kind == "gemma2",
        capped_logits=bool(text_config.get("final_logit_softcapping")),
        sliding_layers=_sliding(text_config, sizes),
        **{
            name: sizes[name]
            for name in (
                "layers",
                "hidden",
                "intermediate",
                "heads",
                "kv_heads",
                "head_dim",
                "vocabulary",
                "context",
                "experts",
                "active_experts",
                "window",
            )
        },
        **counted,
    )


def _number(text_config: dict, config: dict, keys: tuple[str, ...]) -> int:
    """Return a size by any of its names, the largest where each layer has its own, 0 where it is not said."""
    found = (place[key] for place in (text_config, config) for key in keys if place.get(key))
    return next((max(one) if isinstance(one, list) else one for one in found), 0)


def _completed(text_config: dict, sizes: dict[str, int]) -> dict[str, int]:
    """Return the sizes that a config may leave out, by the rules of transformers' own model_config."""
    experts = max(1, sizes["experts"])
    inner = sizes["intermediate"] or 4 * sizes["hidden"]
    return {
        "kv_heads": sizes["kv_heads"] or (1 if text_config.get("multi_query") else sizes["heads"]),
        "head_dim": sizes["head_dim"] or sizes["hidden"] // sizes["heads"],
        "intermediate": _number(text_config, {}, ("moe_intermediate_size",)) or inner if experts > 1 else inner,
        "experts": experts,
        "active_experts": max(1, sizes["active_experts"]) if experts > 1 else 1,
        "context": sizes["context"] or 2048,
    }


def _tensors(folder: Path) -> dict[str, dict]:
    found: dict[str, dict] = {}
    for name in library.weight_names(folder):
        if name.endswith(".safetensors"):
            found |= tensor_headers.read_shard(folder / name).tensors
    return found


def _counts(tensors: dict[str, dict], layers: int) -> dict:
    """Return the parameters by kind, and the linears of an average block, as the headers say."""
    total: Counter[str] = Counter()
    found: Counter[tuple[str, int, int]] = Counter()
    for name, tensor in tensors.items():
        shape, inside = tensor["shape"], _LAYER.search(name)
        if _TOWER.search(name):
            kind = "tower"
        elif _EMBEDDING.search(name):
            kind = "embedding"
        elif ".experts." in name and len(shape) > 1:
            kind = "expert"
        elif len(shape) < 2:
            kind = "norm"
        else:
            kind = "linear"
            if (
                inside
                and len(shape) == 2
                and name.endswith(".weight")
                and not name.endswith((".gate.weight", ".router.weight"))
            ):
                found[name.removesuffix(".weight").rpartition(".")[2], shape[1], shape[0]] += 1
        total[kind] += prod(shape)
    return {
        **{f"{kind}_parameters": total[kind] for kind in ("embedding", "linear", "norm", "expert", "tower")},
        "linears": tuple(Linear(*one, count=number / layers) for one, number in sorted(found.items())),
        "tied": not any(_HEAD.search(name) for name in tensors),
    }


def _from_config(text_config: dict, config: dict, sizes: dict[str, int]) -> dict:
    """Return the same for a Llama (or Phi 3, or a mixture of experts) of these sizes, where no header says it."""
    hidden, inner, layers = sizes["hidden"], sizes["intermediate"], sizes["layers"]
    queries, keys = sizes["heads"] * sizes["head_dim"], sizes["kv_heads"] * sizes["head_dim"]
    kind = str(text_config.get("model_type") or "")
    if kind in FUSED:
        inside = [
            ("qkv_proj", hidden, queries + 2 * keys),
            ("o_proj", queries, hidden),
            ("gate_up_proj", hidden, 2 * inner),
            ("down_proj", inner, hidden),
        ]
    else:
        inside = [
            ("q_proj", hidden, queries),
            ("k_proj", hidden, keys),
            ("v_proj", hidden, keys),
            ("o_proj", queries, hidden),
        ]
        if sizes["experts"] == 1:
            gate = [] if kind in NOT_GATED else [("gate_proj", hidden, inner)]
            inside += [*gate, ("up_proj", hidden, inner), ("down_proj", inner, hidden)]
    tied = bool(text_config.get("tie_word_embeddings", config.get("tie_word_embeddings", kind.startswith("gemma"))))
    experts = sizes["experts"] if sizes["experts"] > 1 else 0
    return {
        "embedding_parameters": sizes["vocabulary"] * hidden * (1 if tied else 2),
        "linear_parameters": layers * (sum(inputs * outputs for _, inputs, outputs in inside) + experts * hidden),
        "norm_parameters": hidden * (layers * NORMS.get(kind, 2) + 1),
        "expert_parameters": layers * experts * 3 * hidden * inner,
        "linears": tuple(Linear(*one) for one in inside),
        "tied": tied,
    }


def _dtype(tensors: dict[str, dict], text_config: dict, config: dict) -> str:
    named = tensor_headers.types(tensors) or [
        str(place.get(key)) for place in (text_config, config) for key in ("dtype", "torch_dtype")
    ]
    return next((DTYPES[name] for name in named if name in DTYPES), "bf16")


def _sliding(text_config: dict, sizes: dict[str, int]) -> int:
    """Return in how many layers only a window of tokens is looked at."""
    if not sizes["window"] or text_config.get("use_sliding_window") is False:
        return 0
    if isinstance(kinds := text_config.get("layer_types"), list):
        return sum(kind == "sliding_attention" for kind in kinds)
    pattern = text_config.get(model_config.PATTERN)
    if isinstance(pattern, str):  # repeated over the layers; the last one looks at all, whatever its letter
        return sum(pattern[layer % len(pattern)] == "L" for layer in range(sizes["layers"] - 1))
    if isinstance(pattern, list):  # no model of transformers has one: taken for layers that all look at all
        return 0
    if pattern:
        return sizes["layers"] - sizes["layers"] // pattern
    return sizes["layers"] // 2 if text_config.get("model_type") == "gemma2" else sizes["layers"]
