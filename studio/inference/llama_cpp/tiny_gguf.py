"""The smallest model that llama.cpp's server loads, of zeros: it answers nothing, but renders chat templates."""

import struct
from pathlib import Path

WIDTH, ALIGNED = 32, 32
_UINT32, _INT32, _FLOAT32, _STRING, _ARRAY = 4, 5, 6, 8, 9
_UNKNOWN, _CONTROL, _BYTE = 2, 3, 6  # kinds of tokens
_TOKENS = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]


def write(path: Path) -> None:
    """Write it. Raises OSError where the disk refuses."""
    fields = _fields()
    shapes = _shapes()
    head = [b"GGUF", struct.pack("<IQQ", 3, len(shapes), len(fields))]
    for key, (kind, value) in fields.items():
        head += [_string(key), struct.pack("<I", kind), value]
    at = 0
    for name, shape in shapes.items():
        head += [_string(name), struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, at)]
        at += -(-4 * _count(shape) // ALIGNED) * ALIGNED
    text = b"".join(head)
    path.write_bytes(text + bytes(-len(text) % ALIGNED) + bytes(at))


def _fields() -> dict[str, tuple[int, bytes]]:
    numbers = {
        "context_length": 2048,
        "embedding_length": WIDTH,
        "block_count": 1,
        "feed_forward_length": WIDTH,
        "attention.head_count": 1,
        "attention.head_count_kv": 1,
        "rope.dimension_count": WIDTH,
        "vocab_size": len(_TOKENS),
    }
    kinds = [_UNKNOWN, _CONTROL, _CONTROL, *[_BYTE] * 256]
    return {
        "general.architecture": (_STRING, _string("llama")),
        **{f"llama.{key}": (_UINT32, struct.pack("<I", value)) for key, value in numbers.items()},
        "llama.attention.layer_norm_rms_epsilon": (_FLOAT32, struct.pack("<f", 1e-5)),
        "tokenizer.ggml.model": (_STRING, _string("llama")),
        "tokenizer.ggml.tokens": (_ARRAY, _array(_STRING, [_string(token) for token in _TOKENS])),
        "tokenizer.ggml.scores": (_ARRAY, _array(_FLOAT32, [struct.pack("<f", 0.0)] * len(_TOKENS))),
        "tokenizer.ggml.token_type": (_ARRAY, _array(_INT32, [struct.pack("<i", kind) for kind in kinds])),
        "tokenizer.ggml.bos_token_id": (_UINT32, struct.pack("<I", 1)),
        "tokenizer.ggml.eos_token_id": (_UINT32, struct.pack("<I", 2)),
        "tokenizer.ggml.unknown_token_id": (_UINT32, struct.pack("<I", 0)),
    }


def _shapes() -> dict[str, tuple[int, ...]]:
    square = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
    return {
        "token_embd.weight": (WIDTH, len(_TOKENS)),
        "output_norm.weight": (WIDTH,),
        "blk.0.attn_norm.weight": (WIDTH,),
        "blk.0.ffn_norm.weight": (WIDTH,),
        **{f"blk.0.{name}.weight": (WIDTH, WIDTH) for name in square},
    }


def _count(shape: tuple[int, ...]) -> int:
    total = 1
    for length in shape:
        total *= length
    return total


def _string(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def _array(kind: int, items: list[bytes]) -> bytes:
    return struct.pack("<IQ", kind, len(items)) + b"".join(items)
