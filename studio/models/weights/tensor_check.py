"""The tensors that a model's config asks for, held against those in its files. Runs in the child process of
`core.limited`, and there alone.

transformers gives a tensor that is not in the files random numbers, and says so in a log that nobody reads. Here it
goes the same way as in loading, renamings and tied weights included, on the meta device, which holds no numbers.
"""

import re
from pathlib import Path

from studio.models.weights import pickles, tensor_headers

NAMED = 20  # as many missing tensors are named
# What LLaMA-Factory tries in turn (model/loader.py), by the kind of the config.
_FACTORIES = (
    "AutoModelForImageTextToText",
    "AutoModelForSeq2SeqLM",
    "AutoModelForTextToWaveform",
    "AutoModelForCausalLM",
)
_EXPERT = re.compile(r"(.+\.experts)\.(\d{1,5})\.(.+)")
_INNER_NUMBER = re.compile(r"(?:^|\.)(?=[a-z_]+\.\d+\.)")


def warm() -> bool:
    """Import what building a model takes, so that the first one need not wait for it."""
    import torch
    from transformers import modeling_utils

    return bool(torch and modeling_utils)


def missing(folder: str, names: list[str]) -> dict:
    """Return {"judged", "missing", "count", "misfit"} of the model in `folder`, whose weights are in the files of these
    names.

    `judged` is False where transformers does not know the architecture or cannot build it without code of the model's
    own: then nothing is known. `missing` names the first tensors that the config asks for and no file has, `count` is
    how many there are. `misfit` is the first tensor of another shape than the config says: {"tensor", "has", "wanted"},
    or None.
    """
    found = _judged(folder, names)
    if found is None:
        return {"judged": False, "missing": [], "count": 0, "misfit": None}
    lacking, misfit = found
    return {"judged": True, "missing": lacking[:NAMED], "count": len(lacking), "misfit": misfit}


def _judged(folder: str, names: list[str]) -> tuple[list[str], dict | None] | None:
    """Return the names of the missing tensors and the first that does not fit; None where nothing can be known."""
    import torch
    from transformers.utils import logging

    logging.set_verbosity_error()
    tensors = _read(Path(folder), names)
    try:
        model, quantized = _built(folder)
    except MemoryError:
        raise
    # each architecture fails in its own way at a config that it does not understand; loading tells that, in its words
    except Exception:
        return None
    if gone := _experts_gone(tensors):
        return gone, None
    with torch.no_grad():
        found = _loaded(
            model,
            {
                name: torch.empty(one["shape"], dtype=_type(one["dtype"]), device="meta")
                for name, one in tensors.items()
            },
        )
    tied = getattr(model, "all_tied_weights_keys", None) or {}
    lacking = sorted((name for name in found.missing_keys if tied.get(name) not in found.missing_keys), key=_natural)
    if quantized:
        lacking = [name for name in lacking if not _is_packed(name, tensors)]
    misfit = None
    if not quantized and found.mismatched_keys:
        name, has, expected = sorted(found.mismatched_keys)[0]
        misfit = {"tensor": name, "has": list(has), "wanted": list(expected)}
    return None if found.conversion_errors else (lacking, misfit)


def _read(folder: Path, names: list[str]) -> dict[str, dict]:
    found: dict[str, dict] = {}
    for name in names:
        found |= (
            tensor_headers.read_shard(folder / name).tensors
            if name.endswith(".safetensors")
            else pickles.read(folder / name)
        )
    return found


def _built(folder: str):
    """Return the model of a config on the meta device, and whether its weights are stored quantised."""
    import torch
    import transformers
    from transformers import AutoConfig
    from transformers.initialization import no_init_weights

    config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    quantized = getattr(config, "quantization_config", None) is not None
    for part in (config, config.get_text_config()):
        if getattr(part, "quantization_config", None) is not None:
            quantized = True
            del part.quantization_config
    factory = next(
        one for one in (getattr(transformers, name) for name in _FACTORIES) if type(config) in one._model_mapping
    )
    config._attn_implementation = "eager"
    with torch.device("meta"), no_init_weights():
        return factory._model_mapping[type(config)](config), quantized


def _loaded(model, tensors: dict):
    """Return what transformers says of loading these tensors into a model."""
    from transformers.conversion_mapping import get_model_conversion_mapping
    from transformers.core_model_loading import convert_and_load_state_dict_in_model
    from transformers.modeling_utils import LoadStateDictConfig

    how = LoadStateDictConfig(
        ignore_mismatched_sizes=True, device_map={"": "meta"}, weight_mapping=get_model_conversion_mapping(model)
    )
    found, _ = convert_and_load_state_dict_in_model(model=model, state_dict=tensors, load_config=how, tp_plan=None)
    model.mark_tied_weights_as_initialized(found)
    model.tie_weights(missing_keys=found.missing_keys, recompute_mapping=False)
    model._adjust_missing_and_unexpected_keys(found)
    return found


def _experts_gone(tensors: dict[str, dict]) -> list[str]:
    """Return the tensors of single experts that their neighbours have: transformers makes one tensor of them, and would
    name none.
    """
    blocks: dict[str, set[tuple[int, str]]] = {}
    for name in tensors:
        if match := _EXPERT.fullmatch(name):
            blocks.setdefault(match[1], set()).add((int(match[2]), match[3]))
    numbers = {number for block in blocks.values() for number, _ in block}
    gone = []
    for place, block in blocks.items():
        expected = ((number, rest) for number in range(max(numbers) + 1) for rest in {rest for _, rest in block})
        gone += [f"{place}.{number}.{rest}" for number, rest in expected if (number, rest) not in block]
    return sorted(gone, key=_natural)


def _type(name: str):
    import torch

    known = {
        "F64": torch.float64,
        "F32": torch.float32,
        "F16": torch.float16,
        "BF16": torch.bfloat16,
        "I8": torch.int8,
        "U8": torch.uint8,
        "I32": torch.int32,
        "I64": torch.int64,
        "F8_E4M3": torch.float8_e4m3fn,
        "F8_E5M2": torch.float8_e5m2,
    }
    return known.get(name, torch.uint8)


def _is_packed(name: str, tensors: dict[str, dict]) -> bool:
    """Tell whether a matrix that is not there by its name is there in the parts of a quantiser (`qweight`, `scales`,
    `weight_packed`...).
    """
    module = _tail(name.rpartition(".")[0])
    parent = module.rpartition(".")[0] if ".experts" in module or module.endswith("experts") else module
    return any(tail.startswith((module + ".", module + "_", parent + ".")) for tail in map(_tail, tensors))


def _tail(name: str) -> str:
    """Return a name from its first numbered part on: what stands before differs from one program to the next."""
    match = _INNER_NUMBER.search(name)
    return name[match.end() :] if match else name


def _natural(name: str) -> list:
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in name.split(".")]
