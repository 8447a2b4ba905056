"""What the weight files of a model say of themselves: tensors, types, sizes, read from the headers without loading
anything.
"""

import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path

import orjson

from studio.core import llamafactory, reasons
from studio.core.i18n import Reason
from studio.core.storage import files
from studio.models.weights import pickles

BITS = {
    "F64": 64,
    "I64": 64,
    "U64": 64,
    "F32": 32,
    "I32": 32,
    "U32": 32,
    "F16": 16,
    "BF16": 16,
    "I16": 16,
    "U16": 16,
    "F8_E4M3": 8,
    "F8_E5M2": 8,
    "F8_E8M0": 8,
    "I8": 8,
    "U8": 8,
    "BOOL": 8,
    "F4": 4,
}
HEADER_LIMIT = 100_000_000  # safetensors refuses longer ones
NAME_LIMIT = 500
MOST = 2**62  # elements of a tensor and bytes of a file: beyond it nothing can be

# Tensors that quantisers keep beside the weights: scales, zero points, code books, orders.
_BESIDE = (
    "absmax",
    "quant_map",
    "nested_absmax",
    "nested_quant_map",
    "SCB",
    "weight_format",
    "qzeros",
    "scales",
    "g_idx",
    "weight_scale",
    "weight_scale_inv",
    "weight_zero_point",
    "weight_shape",
    "weight_g_idx",
    "input_scale",
    "output_scale",
    "k_scale",
    "v_scale",
    "weight_scale_2",
    "input_global_scale",
    "weight_global_scale",
)


_INTEGERS = {int}


@dataclass(frozen=True)
class Quantization:
    """How the weights are stored: `method` as config.json names it ("gptq", "awq", "bitsandbytes", "fp8"...), `bits` a
    weight.
    """

    method: str
    bits: int | None

    def __str__(self) -> str:
        return f"{self.method} {self.bits}-bit" if self.bits else self.method


@dataclass(frozen=True)
class Shard:
    """One safetensors file. `tensors` are its header's entries {name: {dtype, shape, data_offsets}}; `lacks` counts the
    bytes that the header promises and the file does not have; `fault` says why no header can be read ("" where one
    can)."""

    file: Path
    tensors: dict[str, dict]
    lacks: int = 0
    fault: Reason | None = None


def read_shard(file: Path) -> Shard:
    """Return what the header of a safetensors file says. Nothing is raised: a file that cannot be read comes with its
    fault.
    """
    try:
        with files.open_file(file) as opened:
            size = opened.seek(0, 2)
            opened.seek(0)
            (length,) = struct.unpack("<Q", opened.read(8))
            if length > HEADER_LIMIT:
                return Shard(file, {}, fault=Reason("reasons.no_header"))
            if length > size - 8:
                return Shard(file, {}, lacks=length + 8 - size)
            tensors = orjson.loads(opened.read(length))
    except struct.error:
        return Shard(file, {}, fault=Reason("reasons.shorter_than_header"))
    except OSError as error:
        return Shard(file, {}, fault=reasons.of(error))
    except ValueError:
        return Shard(file, {}, fault=Reason("reasons.no_header"))
    if not isinstance(tensors, dict):
        return Shard(file, {}, fault=Reason("reasons.no_header"))
    tensors.pop("__metadata__", None)
    if (strange := _strange_tensor(tensors)) is not None:
        return Shard(file, {}, fault=Reason("reasons.header_tensor", name=strange[:60]))
    end = max((tensor["data_offsets"][1] for tensor in tensors.values()), default=0)
    return Shard(file, tensors, lacks=max(0, 8 + length + end - size))


def _strange_tensor(tensors: dict[str, object]) -> str | None:
    """Return the first tensor whose entry in a header is not as safetensors writes it: no entry, of another size than
    its shape asks for, or over another's bytes. None where all are sound.
    """
    for name, tensor in tensors.items():
        if len(name) > NAME_LIMIT or not _is_entry(tensor):
            return name
        begin, end = tensor["data_offsets"]
        bits = BITS.get(tensor["dtype"])
        elements = prod(tensor["shape"])
        if elements > MOST or (bits and (elements * bits + 7) // 8 != end - begin):
            return name
    before = 0
    for begin, end, name in sorted((*tensor["data_offsets"], name) for name, tensor in tensors.items()):
        if begin < before:
            return name
        before = end
    return None


def _is_entry(tensor: object) -> bool:
    if not isinstance(tensor, dict):
        return False
    offsets, shape, dtype = (tensor.get(key) for key in ("data_offsets", "shape", "dtype"))
    if not (isinstance(offsets, list) and len(offsets) == 2 and isinstance(shape, list) and len(shape) <= 64):
        return False
    if not (isinstance(dtype, str) and len(dtype) <= 20):
        return False
    numbers = (*offsets, *shape)
    # A list has hundreds of models of hundreds of tensors: one call for all numbers instead of one for each.
    return (
        set(map(type, numbers)) == _INTEGERS and min(numbers) >= 0 and max(numbers) <= MOST and numbers[0] <= numbers[1]
    )


def quantization(config: dict) -> Quantization | None:
    """Return how config.json says the weights are quantised, or None."""
    settings = config.get("quantization_config") or config.get("compression_config")
    if not isinstance(settings, dict):
        return None
    method = str(settings.get("quant_method") or ("bitsandbytes" if "load_in_4bit" in settings else "?")).lower()
    bits = settings.get("bits") or settings.get("w_bit")
    if method == "bitsandbytes":
        bits = 4 if settings.get("load_in_4bit") else 8
    elif method in ("fp8", "fbgemm_fp8"):
        bits = 8
    elif method == "mxfp4":
        bits = 4
    groups = settings.get("config_groups")
    for group in groups.values() if isinstance(groups, dict) else []:
        of_weights = group.get("weights") if isinstance(group, dict) else None
        bits = bits or (of_weights.get("num_bits") if isinstance(of_weights, dict) else None)
    return Quantization(method[:60], bits if type(bits) is int and 0 < bits <= 64 else None)


def count(tensors: dict[str, dict], quantized: Quantization | None) -> int:
    """Return the parameters that stand in these tensors.

    Quantisers pack several weights into one integer (a 4-bit weight is half a byte) and keep scales beside them; packed
    ones are counted as what they stand for, scales not at all.
    """
    if quantized is None:
        return sum(prod(tensor["shape"]) for tensor in tensors.values())
    total = 0
    for name, tensor in tensors.items():
        last = name.rpartition(".")[2]
        if last in _BESIDE or ".quant_state." in name or last.endswith("_scales"):
            continue
        number = prod(tensor["shape"])
        if is_packed(last, tensor["dtype"], quantized):
            number = number * BITS[tensor["dtype"]] // quantized.bits
        total += number
    return total


def is_packed(last: str, dtype: str, quantized: Quantization | None) -> bool:
    """Tell whether a tensor of this last name holds several weights in each of its numbers."""
    if quantized is None or not quantized.bits or quantized.bits >= BITS.get(dtype, 0):
        return False
    return (
        last in ("qweight", "weight_packed")
        or last.endswith("_blocks")
        or (quantized.method == "bitsandbytes" and dtype == "U8")
    )


def types(tensors: dict[str, dict]) -> list[str]:
    """Return the types of the tensors, the one with most bytes first."""
    by_type: dict[str, int] = {}
    for tensor in tensors.values():
        begin, end = tensor["data_offsets"]
        by_type[tensor["dtype"]] = by_type.get(tensor["dtype"], 0) + end - begin
    return sorted(by_type, key=by_type.get, reverse=True)


def read_pickle(file: Path) -> dict[str, dict]:
    """Return the tensors of a pickled weight file in the form of a safetensors header, without their data.

    torch reads it with `weights_only`, so no code in it can run.

    Raises:
        Problem: the file is torn, or holds more than weights.
    """
    llamafactory.load()
    return pickles.read(file)
