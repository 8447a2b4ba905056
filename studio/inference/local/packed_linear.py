"""Linear layers whose weights lie as oneDNN's kernels want them, on a processor that multiplies faster that way.

torch multiplies float32 by MKL, which on many processors of AMD leaves AVX-512 unused, and lays out bfloat16 weights
anew for every product. Weights that never change can be laid out once. Measured on an AMD EPYC with avx512_bf16, one
thread, [rows, 576] by [576, 1536]: float32 0.33 ms and 0.13 ms for 16 rows, bfloat16 0.059 ms and 0.034 ms for one.
"""

import time
from collections.abc import Callable
from functools import cache

from studio.core import llamafactory

# What is laid out anew is held beside the weights themselves, so it may take this share of the memory that is free.
MEMORY_SHARE = 0.5
_GAIN = 0.95  # of the time: less is within what a measurement is worth
_ROWS, _REPEATS = (1, 16), 7  # one token of one answer, one token of a batch


class _Packed:
    """The packed weights of one layer, and where the weights lie that they were made of."""

    def __init__(self, weight=None, place: int = 0):
        self.weight, self.place = weight, place

    def __deepcopy__(self, memo) -> "_Packed":
        return _Packed()  # a copy of a layer, as peft makes them of layers that were trained whole, gets other weights


@cache
def _layer_class() -> type:
    llamafactory.load()
    import torch

    class PackedLinear(torch.nn.Linear):
        """A linear layer for inference that multiplies by its packed weights."""

        packed: _Packed

        def forward(self, x):
            if self.packed.weight is None or self.weight.data_ptr() != self.packed.place:
                return super().forward(x)
            return _product(x, self.packed.weight, self.bias)

    return PackedLinear


def _product(x, packed, bias=None):
    llamafactory.load()
    import torch

    return torch.ops.mkldnn._linear_pointwise(x, packed, bias, "none", [], "")


def pack(model) -> int:
    """Pack the weights of all linear layers of a model on a processor, where that is faster and the memory allows.

    The weights themselves stay: adapters look at them, and an embedding may share them. A layer that is given others
    multiplies by those; to write over them in place is not seen.

    Returns:
        how many layers are packed.
    """
    llamafactory.load()
    import psutil
    import torch

    kinds = (torch.float32, torch.bfloat16)
    layers = [
        layer
        for layer in model.modules()
        if type(layer) is torch.nn.Linear and layer.weight.device.type == "cpu" and layer.weight.dtype in kinds
    ]
    if not layers or not torch.backends.mkldnn.is_available():
        return 0
    size = sum(layer.weight.numel() * layer.weight.element_size() for layer in layers)
    if size > MEMORY_SHARE * psutil.virtual_memory().available or not _is_faster(layers[0]):
        return 0
    with torch.inference_mode():
        for layer in layers:
            weight = layer.weight.detach()
            layer.packed = _Packed(torch.ops.mkldnn._reorder_linear_weight(weight), weight.data_ptr())
            layer.__class__ = _layer_class()
    return len(layers)


def packed_bytes(model) -> int:
    """Return how many bytes the packed weights of a model take."""
    layers = [
        layer for layer in model.modules() if isinstance(layer, _layer_class()) and layer.packed.weight is not None
    ]
    return sum(layer.weight.numel() * layer.weight.element_size() for layer in layers)


def _is_faster(layer) -> bool:
    """Measure a layer both ways."""
    llamafactory.load()
    import torch

    with torch.inference_mode():
        weight = layer.weight.detach()
        packed = torch.ops.mkldnn._reorder_linear_weight(weight)
        plain_s = packed_s = 0.0
        for rows in _ROWS:
            x = torch.zeros((rows, weight.shape[1]), dtype=weight.dtype)
            plain_s += _seconds(lambda x=x: torch.nn.functional.linear(x, weight))
            packed_s += _seconds(lambda x=x: _product(x, packed))
    return packed_s < _GAIN * plain_s


def _seconds(work: Callable) -> float:
    """Return the shortest of some times: whatever else the machine does makes it only longer."""
    work()
    times = []
    for _ in range(_REPEATS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)
