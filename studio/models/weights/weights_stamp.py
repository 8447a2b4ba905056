"""A stamp of a model's weights: the same for the same numbers, wherever they lie, and in however many files.

Stamps that older releases kept have no MARK: of a tensor of fewer than BYTES bytes, bytes of its neighbour are in them.
"""

import hashlib
from pathlib import Path

from studio.core.storage import files
from studio.core.storage.file_cache import FileCache
from studio.models.library import library
from studio.models.weights import tensor_headers

TENSORS, BYTES = 512, 256  # looked at: so many tensors at the most, so many bytes in the middle of each
BLOCKS = 64  # of a pickled file, which tells no tensors without being loaded
MARK = "2:"
_stamps: FileCache[str] = FileCache(256)
_unmarked: FileCache[str] = FileCache(256)


def of(folder: Path) -> str:
    """Return the stamp of the weights in a folder, "" where there are none or they cannot be read.

    Names, types and shapes of all tensors are in it, and bytes out of the middle of TENSORS of them: training changes
    nearly every number, and reading all would take minutes.
    """
    paths = _paths(folder)
    return _stamps.get(folder, paths, lambda: _of(paths, marked=True)) if paths else ""


def differs(folder: Path, kept: str) -> bool:
    """Tell whether the weights in a folder are others than those of a stamp that was kept; no where one of the two says
    nothing.
    """
    paths = _paths(folder)
    if not kept or not paths:
        return False
    old = not kept.startswith(MARK)
    now = _unmarked.get(folder, paths, lambda: _of(paths, marked=False)) if old else of(folder)
    return bool(now) and now != kept


def _paths(folder: Path) -> list[Path]:
    return [folder / name for name in library.weight_names(folder)]


def _of(paths: list[Path], marked: bool) -> str:
    digest = hashlib.sha256()
    try:
        for path in sorted(paths):
            if path.suffix != ".safetensors":
                digest.update(_of_blocks(path))
        for line in _of_tensors([path for path in paths if path.suffix == ".safetensors"], marked):
            digest.update(line)
    except (OSError, ValueError):  # whoever loads it tells what is wrong with it
        return ""
    return (MARK if marked else "") + digest.hexdigest()[:32]


def _of_tensors(paths: list[Path], marked: bool) -> list[bytes]:
    found = []
    for path in paths:
        shard = tensor_headers.read_shard(path)
        if shard.fault or shard.lacks:
            raise ValueError(path.name)
        found += [(name, path, tensor) for name, tensor in shard.tensors.items()]
    found.sort(key=lambda one: one[0])
    lines = [f"{name} {tensor['dtype']} {tensor['shape']}\n".encode() for name, _, tensor in found]
    for name, path, tensor in found[:: max(1, -(-len(found) // TENSORS))]:
        begin, end = tensor["data_offsets"]
        count = min(BYTES, end - begin) if marked else BYTES
        lines.append(name.encode() + _bytes_at(path, _data_start(path) + max(begin, (begin + end - BYTES) // 2), count))
    return lines


def _data_start(path: Path) -> int:
    with files.open_file(path) as opened:
        return 8 + int.from_bytes(opened.read(8), "little")


def _bytes_at(path: Path, at: int, count: int = BYTES) -> bytes:
    with files.open_file(path) as opened:
        opened.seek(at)
        return opened.read(count)


def _of_blocks(path: Path) -> bytes:
    size = path.stat().st_size
    return str(size).encode() + b"".join(_bytes_at(path, size * number // BLOCKS) for number in range(BLOCKS))
