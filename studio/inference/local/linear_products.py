"""The products of linear layers on a processor, by whichever of torch's ways is the fastest there.

torch multiplies float32 by MKL, which on many processors of AMD leaves AVX-512 unused, and lays out bfloat16 weights
anew for every product. Weights that never change can be laid out once, as oneDNN's kernels want them; and where a few
rows meet float32 weights, the weights multiplied by the rows ("turned") are read faster than as the right side of a
product. Measured on an AMD EPYC with avx512_bf16, one thread, [rows, 576] by [576, 1536], in microseconds:

                        1 row                         4 rows                        16 rows
                        plain   packed   turned       plain   packed   turned       plain   packed   turned
    float32             210     103      144          312     120      169          510     213      563
    the same, AVX2      214     196      154          326     317      171          516     502      584
    bfloat16            136     75       263          128     74       261          181     118      285
"""

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from functools import cache

from studio.core import llamafactory

# What is laid out anew is held beside the weights themselves, so it may take this share of the memory that is free.
MEMORY_SHARE = 0.5
_GAIN = 0.95  # of the time of torch's own way: less is within what a measurement is worth
# One token of one answer, of a few, of a batch. Each stands for what lies between the one before and itself, the last
# for all that is more.
_ROWS = (1, 4, 16)
_REPEATS = 5
_MEASURED_BYTES = 32 * 2**20  # of several layers in turn, for the weights of one stay in the processor's cache


class _Products:
    """How one layer multiplies: a way for each of `_ROWS`, its packed weights where one of them wants those, and where
    the weights lie that this was made for.
    """

    def __init__(self, ways: tuple[Callable, ...] = (), packed=None, place: int = 0):
        self.ways, self.packed, self.place = ways, packed, place

    def __deepcopy__(self, memo) -> "_Products":
        # A copy of a layer, as peft makes them of layers that were trained whole, gets other weights.
        return _Products()


@cache
def _layer_class() -> type:
    llamafactory.load()
    import torch

    class MeasuredLinear(torch.nn.Linear):
        """A linear layer for inference that multiplies by the way that was measured to be the fastest."""

        products: _Products

        def forward(self, x):
            if self.weight.data_ptr() != self.products.place:
                return super().forward(x)
            rows = x.numel() // x.shape[-1]
            way = self.products.ways[min(bisect_left(_ROWS, rows), len(_ROWS) - 1)]
            return way(x, self.weight, self.products.packed, self.bias)

    return MeasuredLinear


def _plain(x, weight, packed, bias):
    llamafactory.load()
    import torch

    return torch.nn.functional.linear(x, weight, bias)


def _by_packed(x, weight, packed, bias):
    llamafactory.load()
    import torch

    return torch.ops.mkldnn._linear_pointwise(x, packed, bias, "none", [], "")


def _turned(x, weight, packed, bias):
    llamafactory.load()
    import torch

    rows = x.reshape(-1, x.shape[-1])
    # Two at the least: MKL multiplies a matrix by a single vector at half the speed.
    product = torch.mm(weight, (rows.expand(2, -1) if len(rows) == 1 else rows).t())
    product = product.t()[: len(rows)].contiguous().view(*x.shape[:-1], len(weight))
    return product if bias is None else product.add_(bias)


def choose(model) -> int:
    """Measure how the linear layers of a model on a processor multiply the fastest, and let them do so, where that is
    not torch's own way.

    The weights themselves stay: adapters look at them, and an embedding may share them. A layer that is given others
    multiplies by those; to write over them in place is not seen by packed ones.

    Returns:
        how many layers multiply another way than torch's own.
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
    if not layers:
        return 0
    size = sum(layer.weight.numel() * layer.weight.element_size() for layer in layers)
    has_room = size <= MEMORY_SHARE * psutil.virtual_memory().available
    ways = _fastest(layers, may_pack=has_room and torch.backends.mkldnn.is_available())
    if set(ways) == {_plain}:
        return 0
    with torch.inference_mode():
        for layer in layers:
            weight = layer.weight.detach()
            packed = _pack(weight) if _by_packed in ways else None
            layer.products = _Products(ways, packed, weight.data_ptr())
            layer.__class__ = _layer_class()
    return len(layers)


def packed_bytes(model) -> int:
    """Return how many bytes the packed weights of a model take."""
    layers = [
        layer for layer in model.modules() if isinstance(layer, _layer_class()) and layer.products.packed is not None
    ]
    return sum(layer.weight.numel() * layer.weight.element_size() for layer in layers)


def _pack(weight):
    llamafactory.load()
    import torch

    return torch.ops.mkldnn._reorder_linear_weight(weight)


def _packed(weights: list) -> list | None:
    """Return weights packed, None on a processor that has no kernels for their type."""
    try:
        return [_pack(weight) for weight in weights]
    except (RuntimeError, AttributeError):
        return None


def _fastest(layers: list, may_pack: bool) -> tuple[Callable, ...]:
    """Return the fastest way for each of `_ROWS`, measured with layers of the shape that has the most weights."""
    llamafactory.load()
    import torch

    shapes = Counter()
    for layer in layers:
        shapes[layer.weight.shape] += layer.weight.numel()
    shape = shapes.most_common(1)[0][0]
    weights = [layer.weight.detach() for layer in layers if layer.weight.shape == shape]
    weights = weights[: 1 + _MEASURED_BYTES // (weights[0].numel() * weights[0].element_size())]
    with torch.inference_mode():
        packed = _packed(weights) if may_pack else None
        ways = (_plain, _turned, *([_by_packed] if packed else []))
        chosen = []
        for rows in _ROWS:
            x = torch.zeros((rows, shape[1]), dtype=weights[0].dtype)
            seconds = {way: _seconds(way, x, weights, packed or weights) for way in ways}
            best = min(seconds, key=seconds.__getitem__)
            chosen.append(best if seconds[best] < _GAIN * seconds[_plain] else _plain)
    return tuple(chosen)


def _seconds(way: Callable, x, weights: list, packed: list) -> float:
    """Return the shortest of some times: whatever else the machine does makes it only longer."""
    times = []
    for _ in range(_REPEATS):
        started = time.perf_counter()
        for weight, laid_out in zip(weights, packed, strict=True):
            way(x, weight, laid_out, None)
        times.append(time.perf_counter() - started)
    return min(times)
