"""What is wrong with a model's folder, each said with the mend, from names, sizes and headers alone."""

import re
from pathlib import Path

from studio.core import folders, trust
from studio.interface.language import Problem
from studio.models import tokenizer
from studio.models.weights import Shard

MOST_PARTS = 10_000
PICKLES = (".bin", ".pt", ".pth", ".ckpt")
_NUMBERED = re.compile(r"(.+)-(\d{5})-of-(\d{5})(\.safetensors|\.bin)")


def weight_files(names: set[str]) -> list[str]:
    """Return those of the file names that are weights: safetensors where there are any, else pickles."""
    shards = sorted(name for name in names if name.endswith(".safetensors") and not name.startswith("adapter_"))
    return shards or sorted(name for name in names if _is_pickle(name))


def _is_pickle(name: str) -> bool:
    return name.endswith(PICKLES) and name.startswith(("pytorch_model", "model", "consolidated", "weights"))


def faults(folder: Path, names: set[str], shards: list[Shard], config_faults: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """Return what keeps the model in `folder` from being loaded, worst first; empty where it is whole.

    Args:
        folder: the model's folder.
        names: its files.
        shards: what its safetensors files say of themselves.
        config_faults: what is wrong with config.json.
    """
    found = [] if "config.json" in names else [Problem("models.no_config", folder=folder)]
    found += [*config_faults, *_of_weights(folder, names, shards)]
    if not tokenizer.has_tokenizer(names):
        found.append(Problem("models.no_tokenizer", folder=folder))
    return tuple(found + tokenizer.faults(folder, names))


def _of_weights(folder: Path, names: set[str], shards: list[Shard]) -> list[Problem]:
    files = weight_files(names)
    if not files:
        gguf = sorted(name for name in names if name.endswith(".gguf"))
        return [Problem("models.only_gguf", file=gguf[0]) if gguf else Problem("models.no_weights", folder=folder)]
    found = []
    try:
        wanted = _wanted(folder, names, files)
    except Problem as problem:
        found.append(problem)
        wanted = set(files)
    if missing := sorted(wanted - names):
        found.append(Problem("models.missing_shard", file=missing[0], missing=len(missing), all=len(wanted)))
    for shard in shards:
        if shard.fault:
            found.append(Problem("models.torn_shard", file=shard.file.name, reason=shard.fault))
        elif shard.lacks:
            found.append(Problem("models.truncated", file=shard.file.name, megabytes=f"{shard.lacks / 1e6:,.1f}"))
    for name in files if not shards else []:
        if not folders.size_of(folder / name):
            found.append(Problem("models.torn_shard", file=name, reason="0 bytes"))
    return found


def _wanted(folder: Path, names: set[str], files: list[str]) -> set[str]:
    """Return the weight files that must be there, by their numbers (`-00001-of-00004`) or by the index beside them.

    Raises:
        Problem: the index cannot be used, or names files outside the model's folder.
    """
    if files[0] in ("model.safetensors", "pytorch_model.bin"):
        return set(files)
    wanted = set(files)
    if match := _NUMBERED.fullmatch(files[0]):
        stem, _, total, ending = match.groups()
        if int(total) <= MOST_PARTS:
            wanted = {f"{stem}-{number:05}-of-{total}{ending}" for number in range(1, int(total) + 1)}
    index = next((name for name in ("model.safetensors.index.json", "pytorch_model.bin.index.json") if name in names), None)
    if index is None:
        return wanted
    weight_map = tokenizer.read_json(folder / index).get("weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(one, str) for one in weight_map.values()):
        raise Problem("models.broken_config", file=folder / index, reason="weight_map")
    if strange := next((one for one in weight_map.values() if "\0" in one or one.startswith("/") or ".." in one.split("/")), None):
        raise Problem("models.wrong_field", file=folder / index, field="weight_map", value=strange[:60])
    return set(weight_map.values()) if wanted == set(files) else wanted | set(weight_map.values())


def warnings(folder: Path, names: set[str]) -> tuple[Problem, ...]:
    """Return what a person should know although the model can be loaded: pickled weights, code of its own."""
    found = []
    files = weight_files(names)
    if files and not files[0].endswith(".safetensors"):
        found.append(Problem("models.pickled", file=files[0]))
    generation = tokenizer.object_fault(folder / "generation_config.json")
    if generation:
        found.append(generation)
    if trust.asks(folder):
        code = code_files(folder)
        named = ", ".join(code[:5]) + (f" + {len(code) - 5}" if len(code) > 5 else "")
        found.append(Problem("models.own_code", files=named or "?"))
    return tuple(found)


def code_files(folder: Path) -> list[str]:
    """Return the Python files that `trust_remote_code` would run for this model, in its subfolders too; none where it asks for no code."""
    return sorted(trust.code_of(folder).files) if trust.asks(folder) else []
