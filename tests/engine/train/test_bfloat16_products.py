"""Products of bfloat16 by those of float32: the same numbers as torch's own, forward and backward, on any processor."""

import pytest
import torch
from torch.nn import functional

from studio.core.processes import bfloat16_products


def kept(product, inputs: list, is_told: bool) -> list[torch.Tensor]:
    """Return the product and the slopes of all inputs."""
    inputs = [None if one is None else one.clone().requires_grad_() for one in inputs]
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=is_told):
        made = product(*inputs)
    made.backward(torch.linspace(-1, 1, made.numel()).reshape(made.shape).to(made.dtype))
    return [made, *(one.grad for one in inputs if one is not None)]


@pytest.mark.parametrize("has_bias", [True, False])
@pytest.mark.parametrize("is_told", [False, True])
@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float32])
def test_the_numbers_are_those_of_torch(kind, is_told, has_bias):
    torch.manual_seed(1)
    inputs = [torch.randn(2, 5, 64), torch.randn(32, 64), torch.randn(32) if has_bias else None]
    inputs = [None if one is None else one.to(kind) for one in inputs]
    theirs = kept(functional.linear, inputs, is_told)
    ours = kept(bfloat16_products.linear_with(torch, functional.linear), inputs, is_told)
    for one, other in zip(ours, theirs, strict=True):
        assert one.dtype == other.dtype and one.shape == other.shape
        torch.testing.assert_close(one, other, rtol=2**-7, atol=2**-5)  # the next number of bfloat16, no more
        assert (one == other).float().mean() > 0.97


def test_what_is_not_bfloat16_is_torchs_own():
    rows, weight = torch.randn(3, 8), torch.randn(4, 8)
    calls = []

    def noted(*given):
        calls.append(given[0].dtype)
        return functional.linear(*given)

    linear = bfloat16_products.linear_with(torch, noted)
    assert torch.equal(linear(rows, weight), functional.linear(rows, weight)) and calls == [torch.float32]
    with pytest.raises(RuntimeError):  # two kinds of numbers are torch's to refuse
        linear(rows.bfloat16(), weight)
    assert linear(rows.to("meta"), weight.to("meta")).device.type == "meta"
