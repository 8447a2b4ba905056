"""What the header of a GGUF file says, each claim held against the bytes that are there.

gguf's own reader makes objects of every value that a file claims, also of those behind its end, where it reads nothing
and never stops: it is only for processes of their own, and for files that passed here.
"""

import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import BinaryIO

from studio.core.i18n import Reason
from studio.core.storage import files

VERSIONS = (2, 3)
MOST_NAMES = 2**17  # keys, and tensors; one tensor for each expert's matrix of the largest models makes 50,000
MOST_VALUES = 4_000_000  # of all arrays together; a vocabulary of 262,144 tokens has 1.3 million
LONGEST = 2**16  # bytes of a name, and of a text that is kept
DIMENSIONS = 4  # of a tensor; ggml knows no more
NESTED = 4  # arrays in arrays; llama.cpp reads none
ALIGNMENT = 32
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_TEXT, _ARRAY = 8, 9
_LEAST_KEY, _LEAST_TENSOR, _LEAST_TEXT, _LEAST_ARRAY = 13, 24, 8, 12  # bytes that each takes at the least


@dataclass(frozen=True)
class Header:
    """`fields` are the metadata: numbers, and texts of at most LONGEST bytes; a longer one and an array are None.
    `tensors` are the counts of numbers in each, by name.
    """

    fields: dict[str, object]
    tensors: dict[str, int]


def read(file: Path) -> Header:
    """Return the header of a GGUF file, without the values of arrays.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no whole GGUF file, with a Reason.
    """
    with files.open_file(file) as opened:
        return _Walk(opened, file.stat().st_size).header()


class _Walk:
    """A walk through a header from its begin to the end of what the tensors claim."""

    def __init__(self, opened: BinaryIO, size: int):
        self._opened, self._size = opened, size
        self._at, self._values, self._order = 0, 0, "<"

    def header(self) -> Header:
        """Return all of it. Raises ValueError where it claims what is not there."""
        if self._take(4) != b"GGUF":
            raise ValueError(Reason("reasons.gguf_start"))
        version = self._take(4)
        if not any(version[:2]):  # written by a machine of the other byte order
            self._order = ">"
        number = struct.unpack(self._order + "I", version)[0]
        if number not in VERSIONS:
            raise ValueError(Reason("reasons.gguf_version", version=number))
        tensors, keys = self._numbers("QQ")
        fields: dict[str, object] = {}
        self._claim(keys, _LEAST_KEY, MOST_NAMES)
        for _ in range(keys):
            name = self._name(fields)
            fields[name] = self._value(self._number("I"))
        return Header(fields, self._tensors(tensors, fields))

    def _tensors(self, count: int, fields: dict[str, object]) -> dict[str, int]:
        from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

        self._claim(count, _LEAST_TENSOR, MOST_NAMES)
        found: dict[str, int] = {}
        end = 0
        for _ in range(count):
            name = self._name(found)
            dimensions = self._number("I")
            if dimensions > DIMENSIONS:
                raise ValueError(Reason("reasons.header_tensor", name=name))
            shape = self._numbers(f"{dimensions}Q")
            kind, offset = self._numbers("IQ")
            block, bytes_of_block = GGML_QUANT_SIZES[GGMLQuantizationType(kind)]
            if block > 1 and (not shape or shape[0] % block):
                raise ValueError(Reason("reasons.header_tensor", name=name))
            found[name] = prod(shape)
            end = max(end, offset + prod(shape) // block * bytes_of_block)
        align = fields.get("general.alignment", ALIGNMENT)
        if type(align) is not int or align < 1 or align & (align - 1):
            raise ValueError(Reason("reasons.gguf_alignment"))
        if count and -(-self._at // align) * align + end > self._size:
            raise ValueError(Reason("reasons.ends_early"))
        return found

    def _value(self, kind: int, depth: int = 0) -> object:
        if kind in _SCALARS:
            return self._number(_SCALARS[kind])
        if kind == _TEXT:
            length = self._number("Q")
            return self._take(length).decode() if length <= LONGEST else self._skip(length)
        if kind != _ARRAY:
            raise ValueError(Reason("reasons.gguf_kind", kind=kind))
        inner, count = self._numbers("IQ")
        if inner in _SCALARS:
            width = struct.calcsize(_SCALARS[inner])
            self._claim(count, width)
            self._skip(count * width)
        elif inner == _TEXT:
            self._claim(count, _LEAST_TEXT)
            for _ in range(count):
                self._skip(self._number("Q"))
        elif inner == _ARRAY and depth == NESTED:
            raise ValueError(Reason("reasons.nested"))
        elif inner == _ARRAY:
            self._claim(count, _LEAST_ARRAY)
            for _ in range(count):
                self._value(_ARRAY, depth + 1)
        else:
            raise ValueError(Reason("reasons.gguf_kind", kind=inner))
        return None

    def _name(self, known: dict) -> str:
        length = self._number("Q")
        if length > LONGEST:
            raise ValueError(Reason("reasons.gguf_long_name"))
        name = self._take(length).decode()
        if name in known:
            raise ValueError(Reason("reasons.gguf_twice", name=name[:80]))
        return name

    def _claim(self, count: int, least: int, most: int = MOST_VALUES) -> None:
        """Raise ValueError where so many values, of `least` bytes each, cannot be in the rest of the file, or are more
        than any model has.
        """
        self._require(count * least)
        self._values += count
        if count > most or self._values > MOST_VALUES:
            raise ValueError(Reason("reasons.gguf_values", most=f"{most:,}"))

    def _require(self, count: int) -> None:
        if self._at + count > self._size:
            raise ValueError(Reason("reasons.ends_early"))

    def _number(self, letter: str):
        return self._numbers(letter)[0]

    def _numbers(self, letters: str) -> tuple:
        return struct.unpack(self._order + letters, self._take(struct.calcsize("<" + letters)))

    def _take(self, count: int) -> bytes:
        self._require(count)
        self._at += count
        data = self._opened.read(count)
        if len(data) < count:  # it was cut while it is read
            raise ValueError(Reason("reasons.ends_early"))
        return data

    def _skip(self, count: int) -> None:
        self._require(count)
        self._at += count
        self._opened.seek(count, 1)
