"""Files that are compressed, or are something else than their name says, known by their first bytes."""

import bz2
import contextlib
import gzip
import lzma
import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path

from studio.core import reasons
from studio.core.i18n import Problem
from studio.core.storage import files
from studio.core.storage.atomic import scratch
from studio.datasets.files import reading

ENDINGS = (".gz", ".bz2", ".xz")
_OPEN = {"gzip": gzip.open, "bzip2": bz2.open, "xz": lzma.open}
_MAGIC = (
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "Zstandard"),
    (b"PK\x03\x04", "ZIP"),
    (b"7z\xbc\xaf", "7-Zip"),
    (b"Rar!", "RAR"),
)
_COLUMNAR = ((b"PAR1", "parquet"), (b"ARROW1", "arrow"), (b"\xff\xff\xff\xff", "arrow"))
_BLOCK = 2**20
# What stays free on the disk on which a file is unpacked.
_SPARE = 2**30


def columnar_kind(head: bytes) -> str:
    """Return "parquet" or "arrow" for a file that begins so, whatever it is called, else ""."""
    return next((kind for magic, kind in _COLUMNAR if head.startswith(magic)), "")


def kind_of(path: Path) -> str:
    """Return how a file is compressed, "" where it is not, or cannot be read."""
    try:
        with files.open_file(path) as file:
            head = file.read(8)
    except OSError:
        return ""
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), "")


def plain_name(name: str) -> str:
    """Return the name of a file without its endings: "talks" for talks.jsonl.gz."""
    path = Path(name)
    return (
        Path(path.stem).stem
        if path.suffix.lower() in ENDINGS and Path(path.stem).suffix.lower() in reading.ENDINGS
        else path.stem
    )


@contextlib.contextmanager
def unpacked(path: Path, beside: Path) -> Iterator[Path]:
    """Give a file as it is without its compression: itself, or while the context lasts a copy on the disk of `beside`.

    Raises:
        Problem: its compression is not known here, it is damaged, or the disk has no place for it.
    """
    kind = kind_of(path)
    if not kind:
        yield path
        return
    if kind not in _OPEN:
        raise Problem("datasets.packed", file=path, kind=kind)
    name = path.stem if path.suffix.lower() in ENDINGS else path.name
    if Path(name).suffix.lower() not in reading.ENDINGS:
        name += ".jsonl"
    with scratch(beside) as folder:
        copy = folder / name
        _unpack(path, copy, kind)
        yield copy


def _unpack(path: Path, copy: Path, kind: str) -> None:
    free = shutil.disk_usage(copy.parent).free - _SPARE
    try:
        with files.open_file(path) as raw, _OPEN[kind](raw) as source, copy.open("wb") as target:
            while block := source.read(_BLOCK):
                free -= len(block)
                if free < 0:
                    raise Problem("datasets.packed_too_large", file=path)
                target.write(block)
    except (EOFError, OSError, lzma.LZMAError, zlib.error) as error:
        raise Problem("datasets.packed_damaged", file=path, kind=kind, reason=reasons.of(error)) from error
