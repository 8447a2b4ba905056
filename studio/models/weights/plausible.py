"""Sizes that a config.json claims, held against the weights beside it, before anything is made of them.

A model is built from its config before its weights are read: one that claims a million million layers would be built
until the memory is full. Published models stay far below the limits here.
"""

import re
from math import prod

from studio.core.i18n import Problem
from studio.models.library import model_config

# Of counts (each makes modules), of widths (each makes numbers), and of anything else that is a length.
MOST_PARTS, MOST_WIDE, MOST_LONG = 20_000, 2**25, 2**34
_PARTS = re.compile(
    r"(?:^|_)(?:layers?|depths?|blocks?|experts?|heads?|stages?)$|^n_layer|layer_types|num_.*(?:layers|experts|heads)"
)
_WIDE = re.compile(r"(?:size|dim|embd|d_model|d_ff|d_kv|inner|width|channels|vocab|rank)(?:$|_)")
_LONG = re.compile(r"position|seq|context|length|window|tokens")
_NUMBERED = re.compile(r"(?:^|\.)(?:layers|h|blocks|block|layer)\.(\d+)\.")
_EXPERT = re.compile(r"\.experts\.(\d+)\.")
# Faults of a config by which nothing may be built: what it claims, and what of it is no size at all.
KEYS = (
    "models.implausible",
    "models.implausible_limit",
    "models.implausible_bytes",
    "models.wrong_field",
    "models.broken_config",
)
UNSEEN = 2 * 10**9  # a model that claims no more takes no more memory than a machine has, whatever its weights are
FEWEST_BYTES = (
    1 / 40
)  # a weight of 1.58 bits takes a fifth of a byte, and some architectures use one block a dozen times


def fault(config: dict, tensors: dict[str, dict], weight_bytes: int) -> Problem | None:
    """Return the first size in a config that no weights like these can fill, None where all are plausible.

    Args:
        config: what config.json holds.
        tensors: the entries of the safetensors headers, {} where there are none.
        weight_bytes: what the files of weights take on disk.
    """
    for field, value in _numbers(config):
        if (most := _most(field)) and value > most:
            return Problem(
                "models.implausible_limit",
                field=field,
                value=f"{value:.3g}" if value < 1e300 else "10^300",
                most=f"{most:,}",
            )
    claims = {size: _named(config, names) for size, names in model_config.SIZES.items()}
    return _beside_tensors(claims, tensors) or _beside_bytes(claims, weight_bytes)


def _most(field: str) -> int | None:
    if _LONG.search(field):
        return MOST_LONG
    if _PARTS.search(field):
        return MOST_PARTS
    return MOST_WIDE if _WIDE.search(field) else None


def _numbers(config: dict) -> list[tuple[str, float]]:
    """Return every number in a config with the name of its field, and the lengths of lists; nested ones too."""
    found, level = [], [config]
    while level:
        inside: list[dict] = []
        for one in level:
            for field, value in one.items():
                if isinstance(value, dict):
                    inside.append(value)
                elif isinstance(value, list):
                    found.append((field, len(value)))
                    inside += [inner for inner in value if isinstance(inner, dict)]
                elif isinstance(value, int | float) and not isinstance(value, bool):
                    found.append((field, min(value, 10**300) if isinstance(value, int) else value))
        level = inside
    return found


def _named(config: dict, names: tuple[str, ...]) -> int:
    """Return a size by any of its names, of the language model inside where there is one; 0 where it is not said."""
    inner = next((config[key] for key in model_config.INNER if isinstance(config.get(key), dict)), {})
    found = (place[name] for place in (inner, config) for name in names if type(place.get(name)) is int)
    return next(found, 0)


def _beside_tensors(claims: dict[str, int], tensors: dict[str, dict]) -> Problem | None:
    if not tensors:
        return None
    layers = 1 + max((int(match[1]) for name in tensors if (match := _NUMBERED.search(name))), default=-1)
    experts = 1 + max((int(match[1]) for name in tensors if (match := _EXPERT.search(name))), default=-1)
    shapes = [tensor["shape"] for tensor in tensors.values()]
    widest = max((side for shape in shapes for side in shape), default=0)
    experts = max([experts, *(shape[0] for shape in shapes if len(shape) > 2)])
    # Packed weights are up to sixteen times narrower than what they stand for.
    checks = (
        ("layers", claims["layers"], layers, layers and 4 * layers + 64),
        ("experts", claims["experts"], experts, experts and 4 * experts + 64),
        ("hidden", claims["hidden"], widest, 16 * widest),
        ("vocabulary", claims["vocabulary"], widest, 16 * widest),
        ("intermediate", claims["intermediate"], widest, 16 * widest),
        ("heads", claims["heads"] * (claims["head_dim"] or 1), widest, 16 * widest),
    )
    for size, value, found, most in checks:
        if most and value > most:
            return Problem(
                "models.implausible", field=model_config.SIZES[size][0], value=f"{value:,}", found=f"{found:,}"
            )
    return None


def _beside_bytes(claims: dict[str, int], weight_bytes: int) -> Problem | None:
    hidden, experts = claims["hidden"], max(1, claims["experts"])
    block = 2 * prod((hidden, hidden)) + 2 * prod((hidden, claims["intermediate"] if experts == 1 else 0))
    claimed = claims["layers"] * block + claims["vocabulary"] * hidden
    if claimed > UNSEEN and claimed * FEWEST_BYTES > weight_bytes > 0:
        return Problem("models.implausible_bytes", claimed=f"{claimed:,}", mib=f"{weight_bytes / 2**20:,.1f}")
    return None
