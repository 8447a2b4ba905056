"""Does it fit? The one estimate of the memory that training or running a model takes. Bytes everywhere.

What is counted is what torch's allocator holds at its peak, on one device, with LLaMA-Factory's own settings: weights
are loaded in the type they are stored in, what is trained is cast to fp32 (unless pure_bf16) and computed in bf16 or
fp16 under autocast, on a GPU and on a CPU alike (its model/adapter.py and model/loader.py). The peak is the largest of
the moments of a step (`_moments`):

- weights: parameters times their bytes. 4 bits: half a byte, and for each block of 64 an 8-bit constant and a 256th of
  an fp32 one,
  0.127 bits a parameter (QLoRA, arXiv 2305.14314, section 3). 8 bits: a byte, and an fp32 scale for each row
  (LLM.int8(), arXiv
  2208.07339). bitsandbytes converts neither embeddings nor head, nor the experts, which transformers keeps in one
  tensor a block. On a
  CPU the weight files stay mapped as long as one tensor of theirs is used, so a converted copy comes on top.
- gradients: one number for each trained one. Optimizer: the moments that it keeps (`STATES`).
- activations: what the backward pass of a block needs, listed tensor by tensor in `activations.py`; with gradient
  checkpointing each
  block's input, and all of one block (arXiv 2205.05198, sections 4.1 and 5, without its tensor parallelism).
- the loss, among the activations: `log_softmax` keeps an fp32 copy of the logits and its backward makes two more, 12
  bytes for each
  token and each word of the vocabulary. With a small model and a large vocabulary that is most of the memory.
- KV cache: 2 x layers x KV heads x head size for each token; in sliding layers for each token of the window.
- overhead, what torch's allocator does not count: on a GPU the CUDA context with the libraries' workspaces, and what
  the caching allocator holds without use, which grows with the largest tensor, the loss's logits (measured on an H100,
  torch 2.11, shapes of 0.5 to 7 B; see benchmarks/RESULTS.md). On a CPU what the process grows by besides: runs of 0.3
  to 0.7 GB grew it by 0.14 to 0.25 GB more. The libraries themselves are loaded already.

Rows are taken to be full and, in a batch, padded, as the longest batch of a data set is.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from studio.models.memory import activations
from studio.models.memory.model_shape import BYTES, ModelShape, read_shape
from studio.models.memory.plan import Plan

PARTS = ("weights", "gradients", "optimizer", "activations", "kv_cache", "overhead")
WAYS = (("inference", None), ("lora", 4), ("lora", 8), ("lora", None), ("freeze", None), ("full", None))

# Numbers that an optimizer keeps for each trained one; they have its type.
STATES = {"adamw": 2, "adam": 2, "lion": 1, "rmsprop": 1, "adagrad": 1, "adafactor": 0, "sgd": 0, "lomo": 0}
FOUR_BITS = 0.5 + 1 / 64 + 4 / (64 * 256)
EIGHT_BIT_STATE = 1 + 4 / 256

# A CUDA context with cuBLAS and bitsandbytes loaded: 758 to 826 MiB. What torch's caching allocator holds beyond what
# is in use: a share of that, and of the logits in fp32; of 24 runs 23 came within a tenth of it.
CUDA_CONTEXT = 800 * 2**20
CUDA_RESTS = 0.04
CUDA_RESTS_OF_LOGITS = 0.75
CPU_RESTS = 200 * 2**20

SHORTEST = 256


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
        """Return {"weights", "gradients", "optimizer", "activations", "kv_cache", "overhead": bytes}; words are
        `fit.<part>`.
        """
        return {name: getattr(self, name) for name in PARTS}


def estimate(shape: ModelShape, plan: Plan) -> Estimate:
    """Return the peak of memory that `plan` takes with a model of this shape."""
    weights, gradients, states, cache = _weights(shape, plan), 0.0, 0.0, 0.0
    if plan.method == "inference":
        active, cache = activations.prefill(shape, plan), _kv_cache(shape, plan)
    else:
        states = _optimizer(shape, plan)
        gradients, active = max(_moments(shape, plan), key=sum)
    used = weights + gradients + states + active + cache
    overhead = _cuda_overhead(shape, plan, used) if plan.device == "cuda" else CPU_RESTS
    return Estimate(*(round(part) for part in (weights, gradients, states, active, cache, overhead)))


def _cuda_overhead(shape: ModelShape, plan: Plan, used: float) -> float:
    logits = 0 if plan.method == "inference" else 4 * plan.tokens * shape.vocabulary
    return CUDA_CONTEXT + CUDA_RESTS * used + CUDA_RESTS_OF_LOGITS * logits


def _weights(shape: ModelShape, plan: Plan) -> float:
    wide = BYTES[shape.dtype]
    stored = shape.stored_bytes if shape.quantized and shape.stored_bytes else shape.parameters * wide
    copied = plan.trained(shape) * plan.trained_bytes(shape)
    if plan.method == "full":
        return copied + shape.tower_parameters * wide + plan.copies * stored
    reached = shape.linear_parameters + shape.tower_parameters if plan.bits and not shape.quantized else 0
    small = _quantized(shape, plan.bits, reached) if reached else 0
    if plan.device == "cpu":
        return stored + small + copied + shape.expert_parameters * wide + plan.copies * stored
    replaced = plan.trained(shape) * wide if plan.method == "freeze" else 0
    return stored - reached * wide + small + copied - replaced + plan.copies * stored


def _quantized(shape: ModelShape, bits: int, parameters: int) -> float:
    if bits == 4:
        return parameters * FOUR_BITS
    return parameters + 4 * shape.layers * sum(one.outputs * one.count for one in shape.linears)


def _optimizer(shape: ModelShape, plan: Plan) -> float:
    name = plan.optimizer.lower().removeprefix("paged_")
    numbers = next((number for known, number in STATES.items() if name.startswith(known)), 2)
    each = EIGHT_BIT_STATE if "8bit" in name else plan.trained_bytes(shape)
    return plan.trained(shape) * numbers * each


def _moments(shape: ModelShape, plan: Plan) -> list[tuple[float, float]]:
    """Return (gradients, activations) in bytes at the moments of a step at which they may be most.

    These are the backward pass of the loss, that of the last block, that of the first block and the embeddings, and the
    optimizer's step. From the second step on the optimizer's states are there all the time.
    """
    gradients = plan.trained(shape) * plan.trained_bytes(shape)
    before = gradients if plan.accumulation > 1 else 0
    head = shape.vocabulary * shape.hidden * plan.trained_bytes(shape) if plan.method == "full" else 0
    stored, block, passing = (
        activations.stored_bytes(shape, plan),
        activations.block(shape, plan),
        activations.passing(shape, plan),
    )
    of_block = (
        (gradients - head) / shape.layers
        if plan.method != "freeze"
        else gradients / min(plan.freeze_layers, shape.layers)
    )
    return [
        (before, stored + activations.loss(shape, plan)),
        (max(before, head), stored + passing + (block if plan.checkpointing else 0)),
        (max(before, gradients - of_block), block + passing),
        (gradients, head),
        (gradients, _step(shape, plan, gradients)),
    ]


def _step(shape: ModelShape, plan: Plan, gradients: float) -> float:
    """Return what the optimizer's step itself takes: fused ones nothing, torch's plain AdamW the root of a moment."""
    if plan.optimizer != "adamw_torch":
        return 0
    if plan.device == "cuda":
        return gradients
    matrices = [one.inputs * one.outputs for one in shape.linears] + [shape.vocabulary * shape.hidden]
    return 2 * max(matrices) * plan.trained_bytes(shape) if plan.method == "full" else 0


def _kv_cache(shape: ModelShape, plan: Plan) -> float:
    each = 2 * shape.kv_heads * shape.head_dim * plan.product_bytes(shape) * plan.batch
    slid = min(plan.seq, shape.window) if shape.window else plan.seq
    return each * ((shape.layers - shape.sliding_layers) * plan.seq + shape.sliding_layers * slid)


def plan_of(recipe: dict) -> Plan:
    """Return the plan that a recipe (LLaMA-Factory's arguments) stands for, on a CPU where it says `use_cpu`.

    Preference stages pass the chosen and the rejected row together; those that need a reference model keep one beside
    it where the trained weights are not an adapter's.
    """
    stage, method = recipe.get("stage", "sft"), recipe.get("finetuning_type", "lora")
    targets = recipe.get("lora_target", "all")
    pairs = 2 if stage in ("rm", "dpo", "kto") else 1
    needs_reference = stage == "kto" or (stage == "dpo" and recipe.get("pref_loss", "sigmoid") not in ("orpo", "simpo"))
    compute = next(
        (name for name in ("bf16", "fp16") if recipe.get(name)), "bf16" if recipe.get("pure_bf16") else "fp32"
    )
    return Plan(
        method=method if method in ("lora", "full", "freeze") else "lora",
        bits=int(recipe["quantization_bit"]) if recipe.get("quantization_bit") else None,
        seq=int(recipe.get("cutoff_len") or 2048),
        batch=int(recipe.get("per_device_train_batch_size") or 8) * pairs,
        checkpointing=not recipe.get("disable_gradient_checkpointing"),
        rank=int(recipe.get("lora_rank") or 8),
        targets=tuple(part.strip() for part in targets.split(",")) if isinstance(targets, str) else tuple(targets),
        dropout=float(recipe.get("lora_dropout") or 0),
        optimizer=str(recipe.get("optim") or "adamw_torch_fused"),
        compute=compute,
        pure=bool(recipe.get("pure_bf16")),
        freeze_layers=abs(int(recipe.get("freeze_trainable_layers") or 2)),
        accumulation=int(recipe.get("gradient_accumulation_steps") or 1),
        copies=1 if needs_reference and method != "lora" else 0,
        device="cpu" if recipe.get("use_cpu") else "cuda",
    )


@dataclass(frozen=True)
class Advice:
    """The one change to make: `key` of a sentence `fit.advice_...` with its `facts`, and the `bytes` after it."""

    key: str
    facts: dict[str, object]
    bytes: int
    fits: bool


@dataclass(frozen=True)
class MemoryUse:
    """What a way to use a model takes; `parts` are bytes by their names. `advice` is None where it fits."""

    method: str
    bits: int | None
    bytes: int
    fits: bool
    parts: dict[str, int]
    advice: Advice | None


def table(folder: Path, machine_bytes: int, plan: Plan | None = None) -> list[MemoryUse]:
    """Return what each way to use the model in `folder` takes: inference, QLoRA in 4 and 8 bits, LoRA, freeze, full.

    `plan` gives what they share (seq, batch, rank, device...). A model that is stored quantised is only run or trained
    by LoRA.

    Raises:
        Problem: the folder holds no model whose sizes can be read.
    """
    shape = read_shape(folder)
    ways = [way for way in WAYS if not shape.quantized or way in (("inference", None), ("lora", None))]
    plans = [replace(plan or Plan(), method=method, bits=bits) for method, bits in ways]
    return [_use(shape, one, machine_bytes) for one in plans]


def _use(shape: ModelShape, plan: Plan, machine_bytes: int) -> MemoryUse:
    needed = estimate(shape, plan)
    fits = needed.total <= machine_bytes
    change = None if fits else advice(shape, plan, machine_bytes)
    return MemoryUse(plan.method, plan.bits, needed.total, fits, needed.parts(), change)


def advice(shape: ModelShape, plan: Plan, machine_bytes: int) -> Advice:
    """Return the one change that makes `plan` fit at the least loss, or, where none does alone, the one that saves
    most; the key is `fit.advice_smaller` where nothing saves a tenth.
    """
    before = estimate(shape, plan).total
    options = [(key, changed, estimate(shape, changed).total) for key, changed in _changes(shape, plan)]
    fitting = [option for option in options if option[2] <= machine_bytes]
    best = fitting[0] if fitting else min(options, key=lambda option: option[2], default=None)
    if best is None or best[2] > 0.9 * before and not fitting:
        billions = shape.parameters * machine_bytes / before / 1e9
        return Advice("fit.advice_smaller", {"billions": f"{billions:.2g}"}, before, False)
    key, changed, after = best
    facts = {"memory": f"{after / 2**30:.1f} GiB", "seq": changed.seq, "batch": changed.batch}
    return Advice(f"fit.advice_{key}", facts, after, after <= machine_bytes)


def _changes(shape: ModelShape, plan: Plan) -> list[tuple[str, Plan]]:
    """Return what may be changed, that which costs the result least first."""
    runs = plan.method == "inference"
    found = []
    if not plan.checkpointing and not runs:
        found.append(("checkpointing", replace(plan, checkpointing=True)))
    if plan.batch > 1:
        found.append(("batch", replace(plan, batch=1)))
    if plan.method == "full" and "8bit" not in plan.optimizer and plan.device == "cuda":
        found.append(("optimizer", replace(plan, optimizer="adamw_8bit")))
    four_bits = [("four_bits" if runs else "qlora", replace(plan, method="inference" if runs else "lora", bits=4))]
    four_bits = [] if plan.bits == 4 or shape.quantized else four_bits
    if plan.method not in ("full", "freeze"):
        found += four_bits
    shorter = plan.seq // 2
    while shorter >= SHORTEST:
        found.append(("context" if runs else "cutoff", replace(plan, seq=shorter)))
        shorter //= 2
    if plan.method in ("full", "freeze"):
        found += [("lora", replace(plan, method="lora")), *four_bits]
    return found
