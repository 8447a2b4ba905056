"""llama.cpp's own library, by ctypes: quantise a GGUF, and decode with one.

For processes of their own only: a fault in the library ends the process, and what it allocates stays until then. The
structures are those of `include/llama.h` of the release that `packages` pins by hash.
"""

import ctypes as c
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_POINTER, _INT, _UINT, _FLOAT, _BOOL = c.c_void_p, c.c_int32, c.c_uint32, c.c_float, c.c_bool


class _ModelParameters(c.Structure):
    _fields_ = [
        *((name, _POINTER) for name in ("devices", "tensor_buft_overrides")),
        *((name, _INT) for name in ("n_gpu_layers", "split_mode", "load_mode", "lazy_mode", "main_gpu")),
        *((name, _POINTER) for name in ("tensor_split", "progress_callback", "progress_user_data", "kv_overrides")),
        *((name, _BOOL) for name in ("vocab_only", "check_tensors", "use_extra_bufts", "no_host", "no_alloc", "mtp")),
    ]


class _ContextParameters(c.Structure):
    _fields_ = [
        *((name, _UINT) for name in ("n_ctx", "n_batch", "n_ubatch", "n_seq_max", "n_rs_seq")),
        *((name, _UINT) for name in ("n_outputs_max", "n_outputs_max_per_seq")),
        *((name, _INT) for name in ("n_threads", "n_threads_batch", "ctx_type", "rope_scaling_type")),
        *((name, _INT) for name in ("pooling_type", "attention_type", "flash_attn_type")),
        *((name, _FLOAT) for name in ("rope_freq_base", "rope_freq_scale", "yarn_ext_factor", "yarn_attn_factor")),
        *((name, _FLOAT) for name in ("yarn_beta_fast", "yarn_beta_slow")),
        ("yarn_orig_ctx", _UINT),
        ("defrag_thold", _FLOAT),
        *((name, _POINTER) for name in ("cb_eval", "cb_eval_user_data")),
        *((name, _INT) for name in ("type_k", "type_v")),
        *((name, _POINTER) for name in ("abort_callback", "abort_callback_data")),
        *((name, _BOOL) for name in ("embeddings", "offload_kqv", "no_perf", "op_offload", "swa_full", "kv_unified")),
        ("samplers", _POINTER),
        ("n_samplers", c.c_size_t),
        ("ctx_other", _POINTER),
    ]


class _Batch(c.Structure):
    _fields_ = [
        ("n_tokens", _INT),
        ("token", c.POINTER(_INT)),
        ("embd", _POINTER),
        ("pos", c.POINTER(_INT)),
        ("n_seq_id", c.POINTER(_INT)),
        ("seq_id", c.POINTER(c.POINTER(_INT))),
        ("logits", c.POINTER(c.c_int8)),
    ]


class _Importance(c.Structure):
    _fields_ = [("name", c.c_char_p), ("data", _POINTER), ("size", c.c_size_t)]


class _QuantizeParameters(c.Structure):
    _fields_ = [
        *((name, _INT) for name in ("nthread", "ftype", "output_tensor_type", "token_embedding_type")),
        *((name, _BOOL) for name in ("allow_requantize", "quantize_output_tensor", "only_copy", "pure")),
        *((name, _BOOL) for name in ("keep_split", "dry_run")),
        *((name, _POINTER) for name in ("imatrix", "kv_overrides", "tt_overrides", "prune_layers")),
        ("max_buf_size", c.c_size_t),
    ]


_LOG = c.CFUNCTYPE(None, c.c_int, c.c_char_p, _POINTER)
_FUNCTIONS = (
    ("llama_model_default_params", _ModelParameters, []),
    ("llama_context_default_params", _ContextParameters, []),
    ("llama_model_quantize_default_params", _QuantizeParameters, []),
    ("llama_model_quantize", _UINT, [c.c_char_p, c.c_char_p, c.POINTER(_QuantizeParameters)]),
    ("llama_model_load_from_file", _POINTER, [c.c_char_p, _ModelParameters]),
    ("llama_init_from_model", _POINTER, [_POINTER, _ContextParameters]),
    ("llama_model_get_vocab", _POINTER, [_POINTER]),
    ("llama_model_n_ctx_train", _INT, [_POINTER]),
    ("llama_vocab_n_tokens", _INT, [_POINTER]),
    ("llama_vocab_is_eog", _BOOL, [_POINTER, _INT]),
    ("llama_token_to_piece", _INT, [_POINTER, _INT, c.c_char_p, _INT, _INT, _BOOL]),
    ("llama_batch_init", _Batch, [_INT, _INT, _INT]),
    ("llama_batch_free", None, [_Batch]),
    ("llama_decode", _INT, [_POINTER, _Batch]),
    ("llama_get_logits_ith", c.POINTER(_FLOAT), [_POINTER, _INT]),
    ("llama_get_memory", _POINTER, [_POINTER]),
    ("llama_memory_clear", None, [_POINTER, _BOOL]),
    ("llama_adapter_lora_init", _POINTER, [_POINTER, c.c_char_p]),
    ("llama_set_adapters_lora", _INT, [_POINTER, c.POINTER(_POINTER), c.c_size_t, c.POINTER(_FLOAT)]),
    ("llama_log_set", None, [_LOG, _POINTER]),
    ("llama_backend_init", None, []),
)


class NativeFault(Exception):
    """llama.cpp refuses; the message is what it logged last."""


class Library:
    """The library in a folder (`Toolkit.library`). Raises OSError where it cannot be loaded.

    Args:
        folder: of the shared libraries.
        on_log: gets each line that the library logs.
    """

    def __init__(self, folder: Path, on_log: Callable[[str], None] = lambda line: None):
        self.last_lines: list[str] = []
        self._rest = ""
        ggml = c.CDLL(str(_one(folder, "libggml.v*")), mode=c.RTLD_GLOBAL)
        self.call = c.CDLL(str(_one(folder, "libllama.v*")))
        for name, result, arguments in _FUNCTIONS:
            function = getattr(self.call, name)
            function.restype, function.argtypes = result, arguments
        self._log = _LOG(lambda level, text, data: self._take(text.decode("utf-8", "replace"), on_log))
        self.call.llama_log_set(self._log, None)
        ggml.ggml_backend_load_all_from_path.argtypes = [c.c_char_p]
        ggml.ggml_backend_load_all_from_path(str(folder).encode())
        self.call.llama_backend_init()

    def quantize(
        self, source: Path, target: Path, ftype: int, threads: int, importance: Mapping[str, np.ndarray] | None = None
    ) -> None:
        """Quantise a GGUF of 16 or 32 bit.

        Args:
            ftype: llama.cpp's number of the type.
            importance: by the name of a tensor the mean squared inputs of its columns, [columns] in float32.

        Raises:
            NativeFault: llama.cpp refuses.
        """
        parameters = self.call.llama_model_quantize_default_params()
        parameters.nthread, parameters.ftype = threads, ftype
        kept: list[object] = []
        if importance:
            table = (_Importance * (len(importance) + 1))()  # ends with an empty one
            for at, (name, values) in enumerate(importance.items()):
                values = np.ascontiguousarray(values, np.float32)
                kept.append(values)
                table[at] = _Importance(name.encode(), values.ctypes.data, values.size)
            kept.append(table)
            parameters.imatrix = c.cast(table, _POINTER)
        if self.call.llama_model_quantize(str(source).encode(), str(target).encode(), c.byref(parameters)):
            raise self.fault()

    def fault(self) -> NativeFault:
        """Return what llama.cpp logged last as a fault."""
        told = [line for line in self.last_lines if "error" in line.lower() or "failed" in line.lower()]
        return NativeFault(" ".join((told or self.last_lines)[-2:])[:300])

    def _take(self, text: str, on_log: Callable[[str], None]) -> None:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            if line.strip():
                self.last_lines = [*self.last_lines[-19:], line.strip()]
                on_log(line)


@dataclass
class Generated:
    """An answer: its tokens, its text, and how many tokens a second came after the first."""

    tokens: list[int]
    text: str
    tokens_per_s: float


class GgufModel:
    """A GGUF in memory. Raises NativeFault where llama.cpp cannot load it.

    Args:
        context: tokens of the longest sequence.
        adapter: a LoRA adapter as GGUF, applied at its full scale.
    """

    def __init__(self, library: Library, path: Path, context: int, threads: int, adapter: Path | None = None):
        self._library, self._call = library, library.call
        self._model = self._call.llama_model_load_from_file(str(path).encode(), self._call.llama_model_default_params())
        if not self._model:
            raise library.fault()
        parameters = self._call.llama_context_default_params()
        parameters.n_ctx = parameters.n_batch = parameters.n_ubatch = context
        parameters.n_threads = parameters.n_threads_batch = threads
        self._context = self._call.llama_init_from_model(self._model, parameters)
        if not self._context:
            raise library.fault()
        self._vocabulary = self._call.llama_model_get_vocab(self._model)
        self.vocabulary: int = self._call.llama_vocab_n_tokens(self._vocabulary)
        self._batch = self._call.llama_batch_init(context, 0, 1)
        if adapter:
            self._adapt(adapter)

    def logits(self, ids: list[int], positions: list[int]) -> Iterator[np.ndarray]:
        """Yield the logits after each of some positions of a sequence, [vocabulary] in float32. Raises NativeFault."""
        self._call.llama_memory_clear(self._call.llama_get_memory(self._context), True)
        self._decode(ids, 0, set(positions))
        for position in positions:
            yield self._row(position)

    def generate(self, ids: list[int], tokens: int, to_the_end: bool = False) -> Generated:
        """Return the greedy answer to a prompt, of at most so many tokens.

        Args:
            to_the_end: go on at a token that ends an answer, so that the speed is that of all tokens.

        Raises:
            NativeFault: llama.cpp cannot decode it, or the logits are no numbers.
        """
        self._call.llama_memory_clear(self._call.llama_get_memory(self._context), True)
        self._decode(ids, 0, {len(ids) - 1})
        row, answer, began = self._row(len(ids) - 1), [], 0.0
        while len(answer) < tokens:
            if not np.isfinite(row).all():
                raise NativeFault("logits are not finite")
            token = int(row.argmax())
            if not to_the_end and self.ends(token):
                break
            answer.append(token)
            began = began or time.perf_counter()
            self._decode([token], len(ids) + len(answer) - 1, {0})
            row = self._row(0)
        seconds = time.perf_counter() - began if began else 0.0
        text = b"".join(map(self._piece, answer)).decode("utf-8", "replace")
        return Generated(answer, text, len(answer) / seconds if seconds else 0.0)

    def ends(self, token: int) -> bool:
        """Tell whether llama.cpp ends an answer at a token."""
        return self._call.llama_vocab_is_eog(self._vocabulary, token)

    def _adapt(self, adapter: Path) -> None:
        loaded = self._call.llama_adapter_lora_init(self._model, str(adapter).encode())
        if not loaded:
            raise self._library.fault()
        adapters, scales = (_POINTER * 1)(loaded), (_FLOAT * 1)(1.0)
        if self._call.llama_set_adapters_lora(self._context, adapters, 1, scales):
            raise self._library.fault()

    def _decode(self, ids: list[int], start: int, wanted: set[int]) -> None:
        batch = self._batch
        batch.n_tokens = len(ids)
        for at, token in enumerate(ids):
            batch.token[at], batch.pos[at] = token, start + at
            batch.n_seq_id[at], batch.logits[at] = 1, at in wanted
            batch.seq_id[at][0] = 0
        if self._call.llama_decode(self._context, batch):
            raise self._library.fault()

    def _row(self, position: int) -> np.ndarray:
        return np.ctypeslib.as_array(
            self._call.llama_get_logits_ith(self._context, position), (self.vocabulary,)
        ).copy()

    def _piece(self, token: int) -> bytes:
        buffer = c.create_string_buffer(256)
        length = self._call.llama_token_to_piece(self._vocabulary, token, buffer, len(buffer), 0, True)
        return buffer.raw[: max(0, length)]


def _one(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if not found:
        raise OSError(f"{folder}: {pattern}")
    return found[0]
