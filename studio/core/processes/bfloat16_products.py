"""Products of bfloat16 on a processor that has no instructions for them (AVX2 alone), by those of float32.

torch's own way there takes 26 times as long: for 288 rows by the weights [1536, 576], forward and backward, 334 ms
against 13 on one core of an AMD EPYC without AVX-512. Both add in float32 and round the sum to bfloat16 once: all but
one number in 5,000 are the same bits, and the others the next ones, since the order of the sums is another.
"""

from functools import cache
from typing import Any

from studio.core.processes.imported import imported


@cache
def install() -> None:
    """Let linear layers multiply so in this process, where the processor needs it; called once torch is loaded."""
    torch = imported("torch")
    if torch and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        torch.nn.functional.linear = linear_with(torch, torch.nn.functional.linear)


def linear_with(torch: Any, theirs: Any) -> Any:
    """Return a `torch.nn.functional.linear` that takes bfloat16 on the CPU by float32, and all else by `theirs`.

    Where torch is told to compute in bfloat16 (`torch.autocast`), float32 is rounded first, as torch does.
    """
    half, plain = torch.bfloat16, (torch.Tensor, torch.nn.Parameter)

    class Product(torch.autograd.Function):
        """rows [..., in] by weights [out, in], and a bias [out] or None, all in bfloat16: [..., out]."""

        @staticmethod
        def forward(ctx, rows, weight, bias):
            ctx.save_for_backward(rows, weight)
            with torch.autocast("cpu", enabled=False):
                return theirs(rows.float(), weight.float(), None if bias is None else bias.float()).to(half)

        @staticmethod
        def backward(ctx, slope):
            """Return the slopes of rows, weights and bias, None where none is asked for."""
            rows, weight = ctx.saved_tensors
            of_rows = of_weight = of_bias = None
            with torch.autocast("cpu", enabled=False):
                slope = slope.float()
                flat = slope.reshape(-1, slope.shape[-1])
                if ctx.needs_input_grad[0]:
                    of_rows = (slope @ weight.float()).to(half)
                if ctx.needs_input_grad[1]:
                    of_weight = (flat.t() @ rows.reshape(-1, rows.shape[-1]).float()).to(half)
                if ctx.needs_input_grad[2]:
                    of_bias = flat.sum(0).to(half)
            return of_rows, of_weight, of_bias

    def rounded(one):
        return one.to(half) if one is not None and one.dtype in (torch.float32, torch.float16) else one

    def linear(rows, weight, bias=None):
        """Return `rows` [..., in] by `weight` [out, in] with `bias` [out] added: [..., out]."""
        given = [one for one in (rows, weight, bias) if one is not None]
        if not all(type(one) in plain and one.device.type == "cpu" for one in given) or weight.dim() != 2:
            return theirs(rows, weight, bias)
        if torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == half:
            rows, weight, bias = map(rounded, (rows, weight, bias))
        if any(one is not None and one.dtype != half for one in (rows, weight, bias)):
            return theirs(rows, weight, bias)
        return Product.apply(rows, weight, bias)

    return linear
