"""The attention and the cache of the models in memory give what transformers' own give."""

from types import SimpleNamespace

import pytest

from studio.inference.local import attention, key_value_cache


def tensors(*shape: int, count: int = 1):
    import torch

    generator = torch.Generator().manual_seed(sum(shape))
    return [torch.randn(shape, generator=generator) for _ in range(count)]


@pytest.mark.parametrize("name", ["grouped", "fused"])
@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("tokens, heads, groups", [(1, 9, 3), (1, 4, 4), (1, 8, 1), (5, 9, 3)])
def test_attention_is_that_of_transformers(tokens, heads, groups, masked, name):
    """`fused` takes kernels of a card there (see tests/gpu), and here what torch chooses."""
    import torch
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    (query,), (key, value) = tensors(2, heads, tokens, 16), tensors(2, groups, 7, 16, count=2)
    mask = torch.ones(2, 1, tokens, 7, dtype=torch.bool) if masked else None
    if masked:
        mask[0, :, :, :3] = False  # padding on the left
    module = SimpleNamespace(num_key_value_groups=heads // groups, is_causal=True)
    theirs, _ = sdpa_attention_forward(module, query, key, value, mask, scaling=0.2)
    ours, _ = getattr(attention, name)(module, query, key, value, mask, scaling=0.2)
    assert ours.shape == theirs.shape and torch.allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("length", [16, 17, 31])
def test_a_mask_that_is_added_is_the_same_mask_in_aligned_rows(length):
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    (query,), (key, value) = tensors(2, 4, 3, 16), tensors(2, 4, length, 16, count=2)
    mask = torch.rand(2, 1, 3, length, generator=torch.Generator().manual_seed(1)) < 0.7
    mask[0, 0, 0] = False  # a row that looks at nothing is padding, and must not spoil the others
    added = attention.added_mask(mask, torch.float32)
    assert added.shape == mask.shape and added.stride(2) % attention.ALIGNED == 0
    ours, theirs = (scaled_dot_product_attention(query, key, value, attn_mask=one) for one in (added, mask))
    assert torch.isfinite(ours).all()
    seen = mask.any(-1).expand(2, 4, 3)
    assert torch.allclose(ours[seen], theirs[seen], atol=1e-6)


def test_the_cache_with_room_holds_what_transformers_holds():
    import torch
    from transformers import DynamicCache

    ours, theirs = key_value_cache.new_cache(), DynamicCache()

    def both(deed) -> None:
        results = [deed(one) for one in (ours, theirs)]
        for place in range(2):
            for name in ("keys", "values"):
                mine, other = (getattr(one.layers[place], name) for one in (ours, theirs))
                assert torch.equal(mine, other)
        if isinstance(results[0], tuple):
            assert all(map(torch.equal, *results))
        assert ours.get_seq_length() == theirs.get_seq_length()

    def grown(rows: int, tokens: int) -> None:
        for place in range(2):
            keys, values = tensors(rows, 3, tokens + place * 0, 8, count=2)
            if place >= len(theirs.layers):
                ours.update(keys, values, place), theirs.update(keys, values, place)
            else:
                both(lambda one, keys=keys, values=values, place=place: one.update(keys, values, place))

    grown(4, 5)
    for _ in range(3):
        grown(4, 1)
    held = ours.layers[0]._key_room
    grown(4, 1)
    assert ours.layers[0]._key_room is held  # one more token costs no copy of those before
    both(lambda one: [layer.batch_select_indices(torch.tensor([2, 0])) for layer in one.layers])
    grown(2, 1)
    both(lambda one: one.crop(6))
    grown(2, 2)
    both(lambda one: one.batch_repeat_interleave(3))
    grown(6, 200)
    grown(6, 1)
