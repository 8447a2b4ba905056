"""The tensors that a pass through a model leaves in memory, one by one, as transformers' models and autograd keep them.

For a token, with hidden size h, inner size i, q = heads x head size, k = KV heads x head size, a the bytes of what a
matrix gives (2 under autocast), r those of the stream between the blocks (4 where the embeddings are trained in fp32):

- each norm: its input in fp32, 4h; where its weight is trained also the normed input, rh;
- a copy of its input for each matrix that is trained or carries LoRA, in the compute type: LoRA's come from fp32 and
  are never
  shared; `o_proj` and `down_proj` read what is there anyhow where they are trained themselves. LoRA's small product, a
  x rank;
- attention by SDPA: queries and output 2qa, keys and values 2ka (2qa where rows are padded: a mask needs them repeated
  for every
  head, and is kept in each block, a x seq), 4 for each head (log-sum-exp); no scores. Without SDPA (Gemma 2) the
  scores: 6 for each
  head and token looked at, 2 more with soft-capping;
- the gated MLP: gate, its activation, up: 3ia; a plain one: ia; of experts as many as are active, and their gathered
  inputs;
- norms on queries and keys: 4(q + k), and where trained r(q + k);
- in 8 bits bitsandbytes keeps the inputs of its matrices (`MatMul8bitLt`), in 4 bits none.

These were read off torch's allocator for Llama, Qwen 2 and 3, Gemma 2 and 3, Phi 3 and Qwen 3 MoE; `python -m
benchmarks fit` checks them.
"""

from studio.models.memory.model_shape import BYTES, Linear, ModelShape
from studio.models.memory.plan import Plan

# The matrices that read no norm's output: the last of attention and the last of the MLP.
LAST_OF_ATTENTION = ("o_proj", "out_proj", "dense", "wo")
LAST_OF_MLP = ("down_proj", "fc2", "w2", "dense_4h_to_h")
LOGITS_OF_LOSS = 12


def stored_bytes(shape: ModelShape, plan: Plan) -> float:
    """Return the bytes that all blocks leave for the backward pass; with checkpointing that is each block's input."""
    layers = min(plan.freeze_layers, shape.layers) if plan.method == "freeze" else shape.layers
    each = plan.tokens * plan.stream_bytes(shape) * shape.hidden if plan.checkpointing else block(shape, plan)
    return layers * each


def block(shape: ModelShape, plan: Plan) -> float:
    """Return the bytes of all that one block leaves for its backward pass."""
    weights = _copied(shape, plan, 0 if plan.bits else shape.linear_parameters / shape.layers)
    if plan.mixed and plan.trained_bytes(shape) == 4:
        layers = min(plan.freeze_layers, shape.layers) if plan.method == "freeze" else shape.layers
        inside = plan.trained(shape) - (shape.embedding_parameters if plan.method == "full" else 0)
        weights = 2 * inside / layers
    return weights + plan.tokens * (
        _norms(shape, plan) + _inputs(shape, plan) + _attention(shape, plan) + _mlp(shape, plan)
    )


def loss(shape: ModelShape, plan: Plan) -> float:
    """Return the bytes of the loss and of what stands between the last block and it, at the loss's backward pass.

    `log_softmax` keeps its fp32 result; its backward makes the gradient of that and the gradient of the logits.
    """
    wide, narrow, hidden = plan.stream_bytes(shape), plan.product_bytes(shape), shape.hidden
    each = LOGITS_OF_LOSS * shape.vocabulary + (narrow * shape.vocabulary if shape.capped_logits else 0) + 4 * hidden
    if plan.method != "full":
        return plan.tokens * each + _copied(shape, plan, shape.vocabulary * shape.hidden)
    head = 2 * shape.vocabulary * hidden if plan.mixed else 0
    return plan.tokens * (each + (wide + (narrow if plan.mixed else 0)) * hidden) + head


def _copied(shape: ModelShape, plan: Plan, weights: float) -> float:
    """Return the bytes of the copies that autocast makes of so many frozen weights stored in another type than that of
    the computation (a model in bf16 on a card that only knows fp16); the backward pass needs them.
    """
    return BYTES[plan.compute] * weights if plan.method == "lora" and plan.mixed and plan.compute != shape.dtype else 0


def prefill(shape: ModelShape, plan: Plan) -> float:
    """Return the bytes that a pass over the whole context takes beside weights and cache, where nothing is kept for a
    backward pass.
    """
    narrow, inner = plan.product_bytes(shape), _inner(shape)
    mlp = (3 if shape.gated else 2) * inner * narrow + 4 * shape.hidden * narrow
    norm = (narrow + 12) * shape.hidden
    scores = 10 * shape.heads * plan.seq if shape.eager else 0
    attention = (3 * shape.heads + 2 * shape.kv_heads) * shape.head_dim * narrow + 2 * shape.hidden * narrow + scores
    return plan.tokens * max(mlp, norm, attention) + plan.batch * shape.vocabulary * (narrow + 4)


def _norms(shape: ModelShape, plan: Plan) -> float:
    heads = (shape.heads + shape.kv_heads) * shape.head_dim if shape.normed_heads else 0
    trained = plan.stream_bytes(shape) if plan.method != "lora" else 0
    return (4 + trained) * (shape.norms * shape.hidden + heads)


def _inputs(shape: ModelShape, plan: Plan) -> float:
    """Return the bytes a token of the inputs that matrices keep for the gradients of their weights, or of LoRA's."""
    narrow = plan.product_bytes(shape)
    found = 0.0
    if plan.method == "lora":
        aimed = [one for one in shape.linears if plan.targeted(one)]
        copies = plan.mixed or plan.trained_bytes(shape) != narrow
        each = narrow if plan.mixed else plan.trained_bytes(shape)
        found += sum(one.count * plan.rank * each for one in aimed)
        found += sum(one.count * one.inputs * each for one in aimed) if copies else _shared(shape, narrow, aimed)
        found += (
            sum(one.count * one.inputs for one in aimed) * (1 if plan.device == "cuda" else 4) if plan.dropout else 0
        )
        found += _shared(shape, narrow, shape.linears) if plan.bits == 8 else 0
        return found
    if plan.mixed:
        found += sum(
            one.count * one.inputs * narrow for one in shape.linears if one.name not in LAST_OF_ATTENTION + LAST_OF_MLP
        )
        return found + _inner(shape) * narrow
    return _shared(shape, narrow, shape.linears)


def _shared(shape: ModelShape, narrow: int, linears: list[Linear] | tuple[Linear, ...]) -> float:
    """Return the bytes of these matrices' inputs where those that read the same tensor share it; attention's output is
    counted there.
    """
    last = sum(one.count * one.inputs for one in linears if one.name in LAST_OF_MLP)
    readers = [one for one in linears if one.name not in LAST_OF_ATTENTION + LAST_OF_MLP]
    of_attention = any(one.name[0] in "qkvQW" or "query" in one.name for one in readers)
    of_mlp = any(one.name in ("gate_proj", "up_proj", "gate_up_proj", "fc1", "w1", "w3") for one in readers)
    return narrow * (last + (of_attention + of_mlp) * shape.hidden)


def _attention(shape: ModelShape, plan: Plan) -> float:
    narrow = plan.product_bytes(shape)
    queries, keys = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    masked = plan.batch > 1
    repeated = (masked or shape.eager) and shape.kv_heads > 1  # of a single head a repetition is no copy
    found = narrow * (queries + 2 * (queries if repeated else keys))
    if shape.eager:
        output = queries * narrow if plan.method != "lora" else 0
        return found + output + shape.heads * plan.seq * (4 + narrow + (narrow if shape.capped_logits else 0))
    return found + narrow * queries + 4 * shape.heads + (narrow * plan.seq if masked else 0)


def _mlp(shape: ModelShape, plan: Plan) -> float:
    narrow = plan.product_bytes(shape)
    gathered = 0.0
    if shape.experts > 1:
        gathered = (
            shape.active_experts * (shape.hidden + (shape.intermediate if plan.method != "lora" else 0)) * narrow
            + 12 * shape.experts
        )
    return gathered + narrow * _inner(shape) * (3 if shape.gated else 1)


def _inner(shape: ModelShape) -> float:
    """Return the width of the MLP that a token goes through: of experts, of all that are active, and of those that
    always are.
    """
    plain = sum(one.count * one.inputs for one in shape.linears if one.name in LAST_OF_MLP)
    if shape.experts > 1:
        return plain + shape.active_experts * shape.intermediate
    return plain or shape.intermediate


def passing(shape: ModelShape, plan: Plan) -> float:
    """Return the bytes of the gradients on their way through a block when most of it is still kept: in its MLP.

    Through LoRA that of the MLP's product comes twice, from the matrix and in fp32 from LoRA, and the stream's in as
    many parts as LoRA reads it; else there are those of both factors of the product, and two of the stream. A quantised
    matrix is made whole for it.
    """
    narrow, inner, hidden = plan.product_bytes(shape), _inner(shape), shape.hidden
    if plan.method == "lora":
        whole = narrow * max((one.inputs * one.outputs for one in shape.linears), default=0) if plan.bits else 0
        return plan.tokens * ((narrow + 4) * inner + 6 * narrow * hidden) + whole
    return plan.tokens * 2 * (narrow * inner + plan.stream_bytes(shape) * hidden)
