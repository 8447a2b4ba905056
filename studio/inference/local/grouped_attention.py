"""The attention of one new token a row where several queries share a key, without a copy of the keys for each.

transformers repeats keys and values for each query of a group before torch's attention. Where every row has one new
token, all queries of a group look at the same keys, under the same mask: they can stand in the place of tokens.
"""

from functools import cache

from studio.core import llamafactory

NAME = "studio_grouped"


def use(model) -> bool:
    """Let a model on a processor attend so, where it attends by torch's own function; tell whether it does."""
    if model.device.type != "cpu" or model.config._attn_implementation != "sdpa" or not _can_be_set(model):
        return False
    _register()
    model.set_attn_implementation(NAME)
    return model.config._attn_implementation == NAME


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

    AttentionInterface.register(NAME, _attention)
    AttentionMaskInterface.register(NAME, sdpa_mask)


def _attention(module, query, key, value, attention_mask, dropout: float = 0.0, scaling: float | None = None, **named):
    """Return what transformers' `sdpa_attention_forward` does: the output, [batch, tokens, heads, width], and None.

    Args:
        query: [batch, heads, tokens, width]; key, value: [batch, groups, all tokens, width].
        attention_mask: [batch, 1, tokens, all tokens], or None.
    """
    llamafactory.load()
    from torch.nn.functional import scaled_dot_product_attention
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    batch, heads, tokens, width = query.shape
    groups = key.shape[1]
    same_mask = attention_mask is None or attention_mask.shape[1] == 1
    if tokens != 1 or groups == heads or not same_mask or named.get("output_attentions"):
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **named
        )
    grouped = query.reshape(batch, groups, heads // groups, width)
    output = scaled_dot_product_attention(
        grouped, key, value, attn_mask=attention_mask, dropout_p=dropout, scale=scaling
    )
    return output.reshape(batch, 1, heads, value.shape[3]), None
