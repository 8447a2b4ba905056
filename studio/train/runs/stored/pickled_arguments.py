"""`training_args.bin`: the arguments of transformers' trainer, as every run leaves them, read without running anything
that is in it.

It is a pickle, which may name any function of any library. Here a name of a class or function becomes a plain object
that does nothing; nothing is imported by it, and Python's own unpickler is used because the fast one takes memory by
numbers in the file.
"""

import io
import pickle
import zipfile
from collections.abc import Collection
from pathlib import Path

from studio.core.i18n import Problem
from studio.core.storage import files

FILE = "training_args.bin"
LARGEST_BYTES = 2**20  # a few kilobytes in truth


class _Inert:
    """Stands for every class and function: an object that keeps, as plain values, what it was made of and what was put
    into it.
    """

    def __new__(cls, *made_of: object):
        self = super().__new__(cls)
        self.made_of, self.fields = made_of, {}
        return self

    def __call__(self, *made_of: object) -> "_Inert":
        return _Inert(*made_of)

    def __setstate__(self, state: object) -> None:
        if isinstance(state, dict):
            self.fields = state


class _Unpickler(pickle._Unpickler):
    def find_class(self, module: str, name: str) -> type[_Inert]:
        return _Inert

    def persistent_load(self, pid: object) -> None:
        return None  # a tensor's storage, of which arguments have none

    def get_extension(self, code: int) -> None:
        raise pickle.UnpicklingError("it names an extension")


def read(path: Path, names: Collection[str]) -> dict[str, object]:
    """Return those of the named arguments that are numbers, text, true or false, or lists and mappings of these; a
    choice is its text.

    Raises:
        Problem: the file is not there, too large, or no such pickle.
    """
    try:
        found = _Unpickler(io.BytesIO(_pickle(path))).load()
    except OSError as error:
        raise files.unreadable(path, error) from error
    except (Exception, RecursionError) as error:  # whatever a pickle made by anybody ends in
        raise Problem("train.arguments_unreadable", path=path) from error
    if not isinstance(found, _Inert) or not found.fields:
        raise Problem("train.arguments_unreadable", path=path)
    return {name: value for name in names if (value := _plain(found.fields.get(name))) is not None}


def _pickle(path: Path) -> bytes:
    with files.open_file(path) as file:
        raw = file.read(LARGEST_BYTES + 1)
    if len(raw) > LARGEST_BYTES:
        raise ValueError("too large")
    if not raw.startswith(b"PK"):
        return raw  # as torch wrote before 1.6; also what pickle itself writes
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        inside = next(one for one in archive.infolist() if one.filename.endswith("data.pkl"))
        if inside.file_size > LARGEST_BYTES:
            raise ValueError("too large")
        with archive.open(inside) as file:
            return file.read(LARGEST_BYTES)


def _plain(value: object, deep: int = 2) -> object:
    """Return a value as YAML can hold it, None for one that it cannot, or that says nothing."""
    if isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return value[:4096]
    if isinstance(value, _Inert):  # a choice, as SchedulerType("cosine")
        return (
            value.made_of[0]
            if len(value.made_of) == 1 and isinstance(value.made_of[0], str) and not value.fields
            else None
        )
    if not deep or not isinstance(value, (list, tuple, dict)) or len(value) > 100:
        return None
    if isinstance(value, dict):
        return {
            name: one
            for name, raw in value.items()
            if isinstance(name, str) and (one := _plain(raw, deep - 1)) is not None
        } or None
    return [one for raw in value if (one := _plain(raw, deep - 1)) is not None] or None
