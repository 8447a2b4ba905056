"""The attention of models in memory, where torch's own choice costs more than it must.

On a processor transformers repeats keys and values for each query of a group before torch's attention. Where every row
has one new token, all queries of a group look at the same keys, under the same mask: they can stand in the place of
tokens.

On GPUs of compute capability 9.0 and 10.0 torch prefers cuDNN's attention, which makes a plan for each length that a
thread has not met: with every token of an answer, for each answer has a thread of its own (measured on an H200, torch
2.11 with cuDNN 9.19: 51 ms a token, 15 ms where the lengths were met before). torch's switch against it is one for the
whole process, and a run that trains beside the chat would compute otherwise than by the command line. So the kernels
that torch takes on all other GPUs are called by their own names.
"""

from functools import cache

from studio.core import llamafactory

GROUPED, FUSED = "studio_grouped", "studio_fused"
_NAMES = {"cpu": GROUPED, "cuda": FUSED}
ALIGNED = 16  # numbers: the fused kernel that takes a mask wants its rows to begin at a multiple of that


def use(model) -> bool:
    """Let a model attend so, where it attends by torch's own function; tell whether it does."""
    name = _NAMES.get(model.device.type)
    if name is None or model.config._attn_implementation != "sdpa" or not _can_be_set(model):
        return False
    _register()
    model.set_attn_implementation(name)
    return model.config._attn_implementation == name


def _can_be_set(model) -> bool:
    llamafactory.load()
    from transformers import PreTrainedModel

    parts = [part for part in model.modules() if isinstance(part, PreTrainedModel)]
    return all(part._can_set_attn_implementation() for part in parts)


@cache
def _register() -> None:
    llamafactory.load()
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

    for name, attention in ((GROUPED, grouped), (FUSED, fused)):
        AttentionInterface.register(name, attention)
        AttentionMaskInterface.register(name, sdpa_mask)


def grouped(module, query, key, value, attention_mask, dropout: float = 0.0, scaling: float | None = None, **named):
    """Return what transformers' `sdpa_attention_forward` does: the output, [batch, tokens, heads, width], and None.

    Args:
        query: [batch, heads, tokens, width]; key, value: [batch, groups, all tokens, width].
        attention_mask: bool, True where a token is looked at, [batch, 1, tokens, all tokens]; None: all that came
            before.
    """
    llamafactory.load()
    from torch.nn.functional import scaled_dot_product_attention
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    queries = _in_place_of_tokens(query, key, attention_mask)
    if queries is None or named.get("output_attentions"):
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **named
        )
    output = scaled_dot_product_attention(
        queries, key, value, attn_mask=attention_mask, dropout_p=dropout, scale=scaling
    )
    return output.reshape(len(query), 1, query.shape[1], value.shape[3]), None


def fused(module, query, key, value, attention_mask, dropout: float = 0.0, scaling: float | None = None, **named):
    """As `grouped`, by torch's kernels of FlashAttention or of memory-efficient attention where it would take cuDNN's
    (arXiv:2205.14135 and arXiv:2112.05682).
    """
    llamafactory.load()
    import torch
    from torch.nn.attention import SDPBackend
    from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward

    batch, heads, tokens, _ = query.shape
    causal = named.get("is_causal")
    causal = getattr(module, "is_causal", True) if causal is None else causal
    causal = tokens > 1 and attention_mask is None and causal
    queries, keys, values = _in_place_of_tokens(query, key, attention_mask), key, value
    if queries is None:
        queries = query
        if attention_mask is not None and heads != key.shape[1]:
            keys, values = repeat_kv(key, heads // key.shape[1]), repeat_kv(value, heads // key.shape[1])
    shared = queries.shape[1] != keys.shape[1]
    chosen = torch._fused_sdp_choice(
        queries, keys, values, attention_mask, dropout, causal, scale=scaling, enable_gqa=shared
    )
    one_length = not causal or tokens == key.shape[2]
    if chosen == SDPBackend.CUDNN_ATTENTION.value and one_length and not named.get("output_attentions"):
        kernel = _by_flash if attention_mask is None else _by_memory_efficient
        output = kernel(queries, keys, values, attention_mask, dropout, causal, scaling)
        if output is not None:
            if tokens == 1:
                return output.reshape(batch, 1, heads, value.shape[3]), None
            return output.transpose(1, 2).contiguous(), None
    return sdpa_attention_forward(module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **named)


def _in_place_of_tokens(query, key, attention_mask):
    """Return the queries of one token a row as if those of a group were tokens, [batch, groups, heads a group, width];
    None where there are more tokens, no groups, or a mask for each head.
    """
    batch, heads, tokens, width = query.shape
    same_mask = attention_mask is None or attention_mask.shape[1] == 1
    if tokens != 1 or key.shape[1] == heads or not same_mask:
        return None
    return query.reshape(batch, key.shape[1], heads // key.shape[1], width)


def _by_flash(query, key, value, _, dropout: float, causal: bool, scaling: float | None):
    """Return the output without a mask, [batch, heads, tokens, width], None where the kernel does not take these."""
    llamafactory.load()
    import torch
    from torch.backends.cuda import SDPAParams, can_use_flash_attention

    shared = query.shape[1] != key.shape[1]  # by the queries of a group, which the kernel knows
    taken = can_use_flash_attention(SDPAParams(query, key, value, None, dropout, causal, shared))
    if not taken or query.shape[3] % 8:
        return None
    return torch.ops.aten._scaled_dot_product_flash_attention(query, key, value, dropout, causal, scale=scaling)[0]


def _by_memory_efficient(query, key, value, attention_mask, dropout: float, causal: bool, scaling: float | None):
    """Return the output under a mask, [batch, heads, tokens, width], None where the kernel does not take these."""
    llamafactory.load()
    import torch
    from torch.backends.cuda import SDPAParams, can_use_efficient_attention

    added = added_mask(attention_mask, query.dtype).expand(*query.shape[:3], key.shape[2])
    if not can_use_efficient_attention(SDPAParams(query, key, value, added, dropout, causal, False)):
        return None
    return torch.ops.aten._scaled_dot_product_efficient_attention(
        query, key, value, added, False, dropout, causal, scale=scaling
    )[0]


def added_mask(attention_mask, dtype):
    """Return a mask as numbers that are added to the scores, [batch, 1 or heads, tokens, all tokens], each row of them
    at a place in memory that the kernel takes.

    Left out is what gets the least number there is: with minus infinity a row that looks at nothing, which is padding,
    would have no weights at all.
    """
    llamafactory.load()
    import torch
    from torch.nn.functional import pad

    length = attention_mask.shape[3]
    if attention_mask.dtype == torch.bool:
        least = torch.finfo(dtype).min
        attention_mask = torch.zeros_like(attention_mask, dtype=dtype).masked_fill_(~attention_mask, least)
    return pad(attention_mask.to(dtype), (0, -length % ALIGNED))[..., :length]
