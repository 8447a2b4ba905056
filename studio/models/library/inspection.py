"""What is inside a model: config, generation settings, special tokens, chat template, layers and tensors. Read from its
files; no weights.
"""

import re
from dataclasses import dataclass
from math import prod

from studio.models.library import library, model_config, tokenizer_files
from studio.models.library.library import Model
from studio.models.library.tokenizer_files import ChatTemplate
from studio.models.weights import tensor_headers

# The fields of config.json that matter, in the order in which they are read; words are `config.<field>`.
EXPLAINED = (
    "model_type",
    "architectures",
    "num_hidden_layers",
    "hidden_size",
    "intermediate_size",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "vocab_size",
    "max_position_embeddings",
    "sliding_window",
    "rope_theta",
    "rope_scaling",
    "rope_parameters",
    "rms_norm_eps",
    "layer_norm_eps",
    "hidden_act",
    "tie_word_embeddings",
    "attention_bias",
    "mlp_bias",
    "attention_dropout",
    "num_local_experts",
    "num_experts",
    "n_routed_experts",
    "num_experts_per_tok",
    "moe_intermediate_size",
    "torch_dtype",
    "dtype",
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
    "use_cache",
    "initializer_range",
    "quantization_config",
    "auto_map",
    "transformers_version",
)


@dataclass(frozen=True)
class Tensor:
    """One tensor of a layer: its name inside the layer, stored type, shape and bytes."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    bytes: int


@dataclass(frozen=True)
class Layers:
    """Layers that are made alike. `numbers` are theirs (empty for what stands outside the layers), `tensors` those of
    one of them, `params` and `bytes` of all together."""

    name: str
    numbers: tuple[int, ...]
    tensors: tuple[Tensor, ...]
    params: int
    bytes: int


@dataclass(frozen=True)
class Inspection:
    """All that is shown of a model. `explained` are the config's known fields with their values, `others` the rest."""

    explained: dict[str, object]
    others: dict[str, object]
    generation: dict[str, object]
    special: dict[str, str]
    added: dict[str, int]
    template: ChatTemplate | None
    layers: tuple[Layers, ...]


def inspect(model: Model) -> Inspection:
    """Return what the files of a model say. Missing or broken files give empty parts; `model.faults` say so."""
    config = model_config.read(model.path)[0]
    text_config = model_config.text_config(config)
    generation = tokenizer_files.read_json(model.path / "generation_config.json")
    return Inspection(
        explained={field: text_config[field] for field in EXPLAINED if text_config.get(field) is not None},
        others={field: value for field, value in config.items() if field not in EXPLAINED and value is not None},
        generation={
            field: value
            for field, value in generation.items()
            if field not in ("_from_model_config", "transformers_version")
        },
        special=tokenizer_files.special_tokens(model.path),
        added=tokenizer_files.added_tokens(model.path),
        template=tokenizer_files.chat_template(model.path),
        layers=tuple(layers(model)),
    )


def layers(model: Model) -> list[Layers]:
    """Return the model's layers, those made alike together, in the order in which they stand in the model."""
    quantized = model.quantization
    groups: dict[tuple[str, int | None], dict[str, dict]] = {}
    for name, tensor in _tensors(model).items():
        place, number, rest = _place(name)
        groups.setdefault((place, number), {})[rest] = tensor
    alike: dict[tuple, list[int]] = {}
    for (place, number), tensors in groups.items():
        form = tuple(
            (rest, one["dtype"], tuple(one["shape"]))
            for rest, one in sorted(tensors.items(), key=lambda item: _natural(item[0]))
        )
        alike.setdefault((place, form), []).append(number)
    found = []
    for (place, form), numbers in alike.items():
        one = groups[place, numbers[0]]
        size = sum(end - begin for begin, end in (tensor["data_offsets"] for tensor in one.values()))
        rows = tuple(
            Tensor(rest, dtype, shape, prod(shape) * tensor_headers.BITS.get(dtype, 8) // 8)
            for rest, dtype, shape in form
        )
        known = tuple(sorted(number for number in numbers if number is not None))
        found.append(
            Layers(place, known, rows, tensor_headers.count(one, quantized) * len(numbers), size * len(numbers))
        )
    return found


def _tensors(model: Model) -> dict[str, dict]:
    """Return the tensors of all weight files by name; of pickles as torch lists them (`weights_only`, no data)."""
    files = [model.path / name for name in library.weight_names(model.path)]
    found: dict[str, dict] = {}
    for file in files:
        found |= (
            tensor_headers.read_shard(file).tensors
            if file.suffix == ".safetensors"
            else tensor_headers.read_pickle(file)
        )
    return dict(sorted(found.items(), key=lambda item: _order(item[0])))


def _place(name: str) -> tuple[str, int | None, str]:
    """Split a tensor's name into the list of layers it is in, its number there, and the rest."""
    match = re.match(r"(.*?)\.(\d+)\.(.+)$", name)
    if match:
        return match[1], int(match[2]), match[3]
    place, _, last = name.rpartition(".")
    return (place, None, last) if place else ("", None, name)


def _order(name: str) -> tuple:
    """Embeddings before the layers, the head after them, layers by number."""
    first = 0 if re.search(r"embed|wte|wpe", name) else 2 if not re.search(r"\.\d+\.", name) else 1
    return first, _natural(name)


def _natural(name: str) -> list:
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in name.split(".")]


def ranges(numbers: tuple[int, ...]) -> str:
    """Return numbers as a person writes them: `0–29`, `0, 2–5`."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}–{last}" for first, last in parts)
