"""The models on disk: folders under `models/` with a config and weights."""

import json
import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path

from studio.interface.language import Problem
from studio.workspace import Workspace


@dataclass(frozen=True)
class Model:
    """A model on disk. `params` counts parameters (None where no safetensors header says), sizes are bytes."""

    name: str
    path: Path
    params: int | None
    dtype: str
    size_bytes: int


def models(workspace: Workspace) -> list[Model]:
    """Return the models under `models/`, by name."""
    return [_look(path.parent) for path in sorted(workspace.models.glob("*/config.json"))]


def find(workspace: Workspace, name: str) -> Model:
    """Return the model called `name`, or the one in the folder that an absolute path names. Raises Problem where there is none."""
    folder = Path(name) if Path(name).is_absolute() else workspace.inside(workspace.models, name)
    if not (folder / "config.json").is_file():
        raise Problem("models.missing", name=name, folder=workspace.models)
    return _look(folder)


def _look(folder: Path) -> Model:
    shards = sorted(folder.glob("*.safetensors"))
    tensors = [tensor for shard in shards for tensor in _header(shard).values()]
    kinds = {tensor["dtype"] for tensor in tensors}
    return Model(
        name=folder.name,
        path=folder,
        params=sum(prod(tensor["shape"]) for tensor in tensors) or None,
        dtype="/".join(sorted(kinds)) or "?",
        size_bytes=sum(path.stat().st_size for path in folder.iterdir() if path.is_file()),
    )


def _header(shard: Path) -> dict:
    """Return the tensors a safetensors file says it holds, without reading their data; {} where the file is not whole."""
    try:
        with open(shard, "rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(length))
    except (OSError, ValueError, struct.error):
        return {}
    return {name: tensor for name, tensor in header.items() if name != "__metadata__"}
