"""The models on disk: folders with a config and weights, under `models/` and under the folders that the person added."""

import json
import os
import re
import stat
import threading
from dataclasses import dataclass
from pathlib import Path

from studio.core import folders, trust
from studio.interface.language import Problem
from studio.models import health, places, weights
from studio.models.weights import Quantization
from studio.workspace import Workspace

_CONTEXT = ("max_position_embeddings", "n_positions", "max_sequence_length", "seq_length", "max_seq_len", "model_max_length", "n_ctx")


@dataclass(frozen=True)
class Model:
    """A model on disk.

    `params` counts parameters (None where no safetensors header says), `dtype` names the stored types, most bytes first, `context` is
    in tokens, sizes are bytes. `faults` keep it from being loaded, `warnings` do not; `own_code` asks for `trust_remote_code`.
    """

    name: str
    path: Path
    params: int | None
    dtype: str
    size_bytes: int
    architecture: str = "?"
    model_type: str = ""
    quantization: Quantization | None = None
    context: int | None = None
    licence: str | None = None
    pickled: bool = False
    own_code: bool = False
    faults: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()


def models(workspace: Workspace) -> list[Model]:
    """Return the models under `models/` by name, then those under each added folder. Files are read again only when they changed.

    Of two models of one name the later is called `name @folder`. A folder that is not there now (an unplugged disk) counts as empty.
    """
    found = []
    for name, folder in _named(workspace).items():
        try:
            found.append(look(folder, name))
        except FileNotFoundError:
            continue  # removed between the listing and the look
    return found


def _named(workspace: Workspace) -> dict[str, Path]:
    """Return every model's folder by the model's name."""
    named: dict[str, Path] = {}
    for place in [workspace.models, *places.folders(workspace)]:
        try:
            inside = folders_in(place, deep=place != workspace.models)
        except OSError:
            continue  # the page shows the place as not there
        for folder in inside:
            if place == workspace.models and folder.is_symlink() and folder.resolve().parent == workspace.models.resolve():
                continue  # an older name of its neighbour (see `keep.rename`)
            name = title(folder)
            if name in named:
                name = f"{name} @{place.name}"
            named.setdefault(name, folder)
    return named


def folders_in(place: Path, deep: bool = True) -> list[Path]:
    """Return the model folders in a place, by name: itself, its children, and where `deep` those of the hubs' caches too.

    ModelScope keeps `owner/name`, Hugging Face `models--owner--name/snapshots/<commit>`. Raises OSError where it cannot be read.
    """
    if deep and _is_model(place):
        return [place]
    found = []
    for child in sorted((place / name for name in os.listdir(place)), key=lambda path: path.name.lower()):
        if child.name.startswith(".") or not folders.is_folder(child):
            continue
        if _is_model(child):
            found.append(child)
        elif deep and child.name.startswith("models--"):
            found += _snapshots(child)
        elif deep and os.access(child, os.R_OK | os.X_OK):
            found += sorted((one for one in folders.entries(child) if _is_model(one)), key=lambda path: path.name.lower())
    return found


def _snapshots(cached: Path) -> list[Path]:
    snapshots = [path for path in folders.matching(cached, "snapshots/*") if _is_model(path)]
    return sorted(snapshots, key=folders.modified)[-1:]


def _is_model(folder: Path) -> bool:
    try:
        names = set(os.listdir(folder))
    except OSError:
        return False
    if "adapter_config.json" in names and "config.json" not in names:
        return False
    return "config.json" in names or bool(health.weight_files(names)) or any(name.endswith(".gguf") for name in names)


def find(workspace: Workspace, name: str) -> Model:
    """Return the model called `name`, or the one in the folder that an absolute path names. Raises Problem where there is none."""
    if Path(name).is_absolute():
        folder = Path(name)
        name = title(folder)
    else:
        folder = workspace.inside(workspace.models, name)
        if not _is_model(folder):
            folder = _named(workspace).get(name, folder)
    if not _is_model(folder):
        raise Problem("models.missing", name=name, folder=workspace.models)
    return look(folder, name)


def title(folder: Path) -> str:
    """Return what a person calls the model in `folder`; a folder in Hugging Face's cache is named by a commit, the model above it."""
    if in_hub_cache(folder):
        return folder.parents[1].name.split("--")[-1]
    return folder.name


def in_hub_cache(folder: Path) -> bool:
    """Tell whether a model's folder is a snapshot in Hugging Face's cache, whose files other programs share."""
    return folder.parent.name == "snapshots" and folder.parents[1].name.startswith("models--")


_looked: dict[Path, tuple[tuple, Model]] = {}
_looking = threading.Lock()


def forget() -> None:
    """Forget what was read, so that everything is read from disk again."""
    with _looking:
        _looked.clear()


def look(folder: Path, name: str) -> Model:
    """Return what the files of a model's folder say; from memory where no file changed. Raises FileNotFoundError where it is gone."""
    files = []
    for entry in os.scandir(folder):
        try:
            status = entry.stat()
        except OSError:
            continue  # a link to a file that is gone counts as no file
        if stat.S_ISREG(status.st_mode):
            files.append((entry.name, status.st_size, status.st_mtime_ns))
    mark = (name, *sorted(files))
    with _looking:
        known = _looked.get(folder)
    if known is None or known[0] != mark:
        known = (mark, _read(folder, name, {file: size for file, size, _ in files}))
        with _looking:
            _looked[folder] = known
    return known[1]


def _read(folder: Path, name: str, sizes: dict[str, int]) -> Model:
    names = set(sizes)
    config, config_fault = read_config(folder) if "config.json" in names else ({}, "")
    shards = [weights.read_shard(folder / file) for file in health.weight_files(names) if file.endswith(".safetensors")]
    tensors = {name: tensor for shard in shards for name, tensor in shard.tensors.items()}
    quantized = weights.quantization(config)
    said = text_config(config)
    return Model(
        name=name,
        path=folder,
        params=weights.count(tensors, quantized) or None,
        dtype="/".join(weights.types(tensors)) or str(config.get("torch_dtype") or config.get("dtype") or "?"),
        size_bytes=sum(sizes.values()),
        architecture=(config.get("architectures") or ["?"])[0],
        model_type=str(config.get("model_type") or ""),
        quantization=quantized,
        context=next((said[key] for key in _CONTEXT if isinstance(said.get(key), int)), None),
        licence=_licence(folder, names),
        pickled=bool(health.weight_files(names)) and not shards,
        own_code=trust.asks(folder),
        faults=health.faults(folder, names, shards, config_fault),
        warnings=health.warnings(folder, names),
    )


def weight_names(folder: Path) -> list[str]:
    """Return the names of a model's weight files: safetensors where there are any, else pickles."""
    return health.weight_files(set(os.listdir(folder)))


def read_config(folder: Path) -> tuple[dict, str]:
    """Return config.json and why it cannot be used ("" where it can)."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except OSError as error:
        return {}, error.strerror or str(error)
    except ValueError as error:
        return {}, str(error)
    if not isinstance(config, dict):
        return {}, "not a JSON object"
    if not config.get("model_type") and not config.get("architectures"):
        return config, "it names neither model_type nor architectures"
    return config, ""


def text_config(config: dict) -> dict:
    """Return the part of a config that describes the language model: of one that also sees or hears, its inner part."""
    inner = next((config[key] for key in ("text_config", "llm_config", "thinker_config") if isinstance(config.get(key), dict)), None)
    return config | text_config(inner) if inner else config


def _licence(folder: Path, names: set[str]) -> str | None:
    """Return the licence as the head of README.md names it, else by the words of the licence file; None where neither is there."""
    if "README.md" in names:
        head = _beginning(folder / "README.md", 20_000)
        front = head[3:].partition("\n---")[0] if head.startswith("---") else ""
        said = {key: value.strip().strip("\"'") for key, value in re.findall(r"^(license|license_name):[ \t]*(\S.*)$", front, re.M)}
        if said:
            return said.get("license_name") if said.get("license") == "other" and "license_name" in said else said.get("license")
    file = next((name for name in ("LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE") if name in names), None)
    if file is None:
        return None
    text = _beginning(folder / file, 2_000)
    known = {"Apache License": "apache-2.0", "MIT License": "mit", "LLAMA": "llama", "Llama": "llama", "Gemma": "gemma", "GNU AFFERO": "agpl-3.0",
             "GNU GENERAL": "gpl", "Creative Commons": "cc"}
    return next((licence for words, licence in known.items() if words in text), file)


def _beginning(path: Path, characters: int) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(characters)
    except OSError:
        return ""
