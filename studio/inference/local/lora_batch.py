"""One batch in which every row has a LoRA adapter of its own, or none, at nearly the cost of one
adapter.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from studio.core import llamafactory


class LoraBatch:
    """All LoRA adapters of a model, packed layer by layer, so that a batch needs two small products however many
    adapters there are.

    peft answers a batch of several adapters by cutting the rows of each adapter out of every layer's input and adding
    them back, which for a small batch costs more than the products themselves. Here the adapters of a layer lie side by
    side in one A and one B, and a gate per row, that adapter's scaling or 0, picks what the row gets:

        y = base(x) + ((x A^T) * gate) B^T,    A = [A_1; A_2; ...],    B = [B_1, B_2, ...]

    (the formula of LoRA, arXiv:2106.09685, section 4.1, summed over gated adapters) with x
    [batch, sequence, in_features], A [ranks, in_features], B [out_features, ranks] and the gate [batch, 1, ranks],
    where ranks is the sum of the ranks of all adapters of the layer. It takes the place of peft's
    `_mixed_batch_forward` in each layer of this one model, so `generate(..., adapter_names=...)` works as ever. Layers
    that hold more than plain LoRA (DoRA, bias, embeddings) keep peft's own way; rows without such are computed
    past peft (see `in_place`): what it does around each layer costs more than a small product.
    """

    def __init__(self, model):
        llamafactory.load()
        from peft.tuners.lora import LoraLayer
        from peft.utils.other import AuxiliaryTrainingWrapper

        self._gates: dict[tuple, list] = {}
        self._rows: list[str] = []
        self._direct: list[tuple] = []  # (layer, what stands in its place)
        self._odd: set[str] = set()  # adapters that hold more than plain LoRA
        self._layers = [layer for layer in model.modules() if isinstance(layer, LoraLayer)]
        # A layer that was trained whole, or tokens that were, are chosen by peft alone.
        self._only_lora = not any(isinstance(module, AuxiliaryTrainingWrapper) for module in model.modules())
        for layer in self._layers:
            self._pack(layer)

    def _pack(self, layer) -> None:
        llamafactory.load()
        import torch
        from peft.tuners.lora.layer import ParamWrapper

        layer.__dict__.pop("_mixed_batch_forward", None)
        names = [name for name in layer.lora_A if name not in layer.lora_variant]
        self._odd |= set(layer.lora_variant)
        if isinstance(layer, ParamWrapper):
            return
        if not names:
            if not layer.lora_embedding_A:
                self._direct.append((layer, layer.base_layer.__call__))
            return
        linear = all(
            isinstance(layer.lora_A[name], torch.nn.Linear) and layer.lora_B[name].bias is None for name in names
        )
        if not linear or len({layer.lora_A[name].weight.dtype for name in names}) > 1:
            return
        down = torch.cat([layer.lora_A[name].weight.data for name in names])
        up = torch.cat([layer.lora_B[name].weight.data for name in names], dim=1)
        start = 0
        for name in names:
            rank = layer.lora_A[name].out_features
            # peft's own weights become views of the packed ones: nothing is held twice.
            layer.lora_A[name].weight.data = down[start : start + rank]
            layer.lora_B[name].weight.data = up[:, start : start + rank]
            start += rank
        shape = (
            down.device,
            down.dtype,
            *((name, layer.lora_A[name].out_features, layer.scaling[name]) for name in names),
        )
        gate = self._gates.setdefault(shape, [None])
        forward = partial(_forward, layer.base_layer, down, up, gate)
        layer.__dict__["_mixed_batch_forward"] = forward
        self._direct.append((layer, forward))

    def fits(self, rows: list[str]) -> bool:
        """Tell whether `in_place` may be used for a batch whose rows have the adapters of these names."""
        return self._only_lora and len(self._direct) == len(self._layers) and self._odd.isdisjoint(rows)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Let the packed products stand in the place of the layers, for rows that fit (see `fits`)."""
        for layer, forward in self._direct:
            layer.__dict__["forward"] = forward
        try:
            yield
        finally:
            for layer, _ in self._direct:
                del layer.__dict__["forward"]

    def set_adapters(self, rows: list[str]) -> None:
        """Set the gates for a batch whose rows have the adapters of these names; "__base__" has none."""
        llamafactory.load()
        import torch

        if rows == self._rows:
            return
        self._rows = list(rows)
        for (device, dtype, *adapters), gate in self._gates.items():
            names = {name for name, _, _ in adapters}
            places = [place for place, row in enumerate(rows) if row in names]
            if not places:
                gate[0] = None
                continue
            # Rows before the first and behind the last that has an adapter are left alone.
            some = slice(places[0], places[-1] + 1)
            rates = [
                [scaling if row == name else 0.0 for name, rank, scaling in adapters for _ in range(rank)]
                for row in rows[some]
            ]
            gate[0] = (some, torch.tensor(rates, dtype=dtype, device=device).unsqueeze(1))

    def remove_hooks(self) -> None:
        """Take off the hooks by which peft hands the names of the adapters to the layers."""
        for layer in self._layers:
            layer._forward_pre_hooks.clear()
            layer._forward_pre_hooks_with_kwargs.clear()


def _forward(base_layer, down, up, gate, x, *arguments, adapter_names=None, alora_offsets=None, **named):
    llamafactory.load()
    from torch.nn.functional import linear

    result = base_layer(x, *arguments, **named)
    if gate[0] is None:
        return result
    rows, rates = gate[0]
    shares = linear(x[rows].to(down.dtype), down)
    shares *= rates if x.dim() == 3 else rates[:, 0]
    if result.dtype == up.dtype and result.is_contiguous():
        result[rows].flatten(0, -2).addmm_(shares.flatten(0, -2), up.t())
    else:
        result[rows] += linear(shares, up).to(result.dtype)
    return result
