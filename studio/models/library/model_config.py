"""config.json as the studio reads it: fields of the types that a model's code needs, and a fault for each that is none
of them.

The file comes from elsewhere. A field of a wrong type is left out and told, so that nobody who uses a config asks for
types again.
"""

import re
from pathlib import Path

from studio.core import reasons
from studio.core.i18n import Problem, Reason
from studio.core.plain import shown
from studio.core.storage import records

FILE = "config.json"
INNER = ("text_config", "llm_config", "thinker_config")
CONTEXT = (
    "max_position_embeddings",
    "n_positions",
    "max_sequence_length",
    "seq_length",
    "max_seq_len",
    "model_max_length",
    "n_ctx",
)
# The sizes of a language model by what they are, under the names that its code gives them.
SIZES = {
    "layers": ("num_hidden_layers", "n_layer", "num_layers", "n_layers"),
    "hidden": ("hidden_size", "n_embd", "d_model", "dim"),
    "heads": ("num_attention_heads", "n_head", "n_heads"),
    "kv_heads": ("num_key_value_heads", "num_kv_heads", "multi_query_group_num", "n_head_kv"),
    "head_dim": ("head_dim", "kv_channels"),
    "intermediate": ("intermediate_size", "ffn_hidden_size", "n_inner", "ffn_dim"),
    "vocabulary": ("vocab_size", "padded_vocab_size"),
    "context": ("max_position_embeddings", "seq_length", "n_positions", "max_sequence_length", "max_seq_len"),
    "experts": ("num_local_experts", "num_experts", "n_routed_experts"),
    "active_experts": ("num_experts_per_tok", "moe_topk"),
    "window": ("sliding_window",),
}
MOST_LAYERS = 65_536
MOST = 2**40
PATTERN = "sliding_window_pattern"
_LETTERS = re.compile(r"[LG]{1,65536}")  # of EXAONE 4: a layer that looks at a window, one that looks at all
_NUMBERS = {*(name for names in SIZES.values() for name in names), *CONTEXT, "moe_intermediate_size", PATTERN}
_OBJECTS = {*INNER, "quantization_config", "compression_config"}
_TEXTS = {"model_type"}
_TYPE_NAMES = {"torch_dtype", "dtype"}


def read(folder: Path) -> tuple[dict, tuple[Problem, ...]]:
    """Return config.json with what in it is sound, and what is wrong with it; {} where it cannot be read."""
    try:
        config = records.read(folder / FILE)
    except Problem as problem:
        return {}, (
            Problem(
                "models.broken_config", file=folder / FILE, reason=problem.facts.get("reason") or reasons.of(problem)
            ),
        )
    if not isinstance(config, dict):
        return {}, (Problem("models.broken_config", file=folder / FILE, reason=Reason("reasons.field_object")),)
    config, wrong = _sound(config, "")
    faults = [
        Problem("models.wrong_field", file=folder / FILE, field=shown(field)[:80], value=_short(value))
        for field, value in wrong.items()
    ]
    if not faults and not config.get("model_type") and not config.get("architectures"):
        faults.append(Problem("models.broken_config", file=folder / FILE, reason=Reason("reasons.no_architecture")))
    return config, tuple(faults)


def text_config(config: dict) -> dict:
    """Return the part of a config that describes the language model: of one that also sees or hears, its inner part."""
    inner = next((config[key] for key in INNER if config.get(key)), None)
    return config | text_config(inner) if inner else config


def _sound(config: dict, above: str) -> tuple[dict, dict[str, object]]:
    """Return a config without the fields that are of a wrong type, and those fields with their values."""
    sound, wrong = {}, {}
    for field, value in config.items():
        if value is None:
            sound[field] = None
        elif field in _OBJECTS and isinstance(value, dict) and field in INNER:
            sound[field], inner = _sound(value, f"{above}{field}.")
            wrong |= inner
        elif not _fits(field, value):
            wrong[above + field] = value
        elif field not in _NUMBERS or (number := _number(field, value)) is None:
            sound[field] = value
        elif number > 0:
            sound[field] = number
    return sound, wrong


def _fits(field: str, value: object) -> bool:
    if field in _OBJECTS:
        return isinstance(value, dict)
    if field in _TEXTS:
        return isinstance(value, str)
    if field in _TYPE_NAMES:
        return isinstance(value, str | dict)
    if field == "architectures":
        return isinstance(value, list) and all(isinstance(one, str) for one in value)
    if field == "auto_map":
        return isinstance(value, dict | list)
    if field not in _NUMBERS or value is False:
        return True
    if field == PATTERN and isinstance(value, str):
        return bool(_LETTERS.fullmatch(value))
    if isinstance(value, list):  # some models give each layer a size of its own
        return field not in SIZES["layers"] and all(type(one) is int and 0 <= one <= MOST for one in value)
    number = _number(field, value)
    return number is not None and number <= (MOST_LAYERS if field in SIZES["layers"] else MOST)


def _number(field: str, value: object) -> int | None:
    """Return a size, 0 for one that stands for none, None where the value is no number; a length that has no end is
    none.
    """
    if value is False:
        return 0
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if field in CONTEXT and value > MOST:
        return 0
    if isinstance(value, float) and not value.is_integer():
        return None
    return max(0, int(value))


def _short(value: object) -> str:
    return re.sub(r"\s+", " ", shown(str(value)))[:60]
