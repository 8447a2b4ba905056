"""The parts of a split GGUF: found by what their metadata says and not by their names, and joined to one file."""

import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from studio.core import reasons
from studio.core.i18n import Problem, Reason
from studio.core.processes.child import Child, end_with_input
from studio.core.storage import files, folders
from studio.models.gguf import gguf_header
from studio.models.gguf.gguf_header import Header

BROKEN = (ValueError, KeyError, IndexError, OSError, TypeError, OverflowError, MemoryError, AttributeError)
MOST_PARTS = 2**16 - 1  # the count is written in 16 bits
MOST_BESIDE = 500  # files in a folder that are looked at for other parts
_POLL_S = 0.3
_NUMBERED = re.compile(r"(.*)-(\d{5})-of-(\d{5})")


@dataclass(frozen=True)
class Numbered:
    """What the usual name of a part tells: the name of the `whole`, `number` from 1, `count` of all parts."""

    whole: str
    number: int
    count: int


@dataclass(frozen=True)
class Part:
    """What a GGUF says of its place: `number` from 0, `count` of all parts (1 where it was never split), `tensors` of
    all parts together (None where it does not say), `here` those in this file."""

    file: Path
    number: int
    count: int
    tensors: int | None
    here: int


def numbered(file: Path) -> Numbered | None:
    """Return what the name of a file tells of its place among parts, None where it is not the usual one of a part."""
    match = _NUMBERED.fullmatch(file.stem)
    return Numbered(match[1], int(match[2]), int(match[3])) if match else None


def named_parts(file: Path) -> list[Path]:
    """Return the files in the folder of one that are called as the parts of the same whole, in their order; only `file`
    where it is not called as one.
    """
    own = numbered(file)
    if own is None:
        return [file]
    found = [(numbered(one), one) for one in folders.matching(file.parent, f"*{file.suffix}")]
    return [one for its, one in found if its and (its.whole, its.count) == (own.whole, own.count)]


def read_header(file: Path) -> Header:
    """Return what the header of a file says. Raises Problem where it is no whole GGUF file."""
    if not files.is_file(file):  # a pipe would be waited for without end
        raise Problem("gguf.no_file", file=file)
    try:
        return gguf_header.read(file)
    except BROKEN as error:
        raise Problem("gguf.broken", file=file.name, reason=reasons.of(error)) from error


def part_of(file: Path) -> Part:
    """Return what a GGUF file says of its place among parts. Raises Problem where it is no whole GGUF file."""
    header = read_header(file)

    def number(name: str, otherwise: int | None) -> int | None:
        return int(header.fields[name]) if name in header.fields else otherwise

    try:
        part = Part(
            file,
            number("split.no", 0),
            number("split.count", 1),
            number("split.tensors.count", None),
            len(header.tensors),
        )
    except BROKEN as error:
        raise Problem("gguf.broken", file=file.name, reason=reasons.of(error)) from error
    if part.count > MOST_PARTS:
        most = Reason("reasons.field_most", bound=MOST_PARTS)
        raise Problem(
            "gguf.broken", file=file.name, reason=Reason("reasons.of_field", field="split.count", reason=most)
        )
    return part


def parts(file: Path) -> list[Path]:
    """Return the files that together are the model of which `file` is one part, in their order; only `file` where it
    was not split.

    Raises:
        Problem: a part is not beside it, or tensors are missing; it says which part of how many.
    """
    own = part_of(file)
    if own.count <= 1:
        if own.tensors and own.here < own.tensors:
            raise Problem("gguf.fewer_tensors", file=file.name, here=own.here, all=own.tensors)
        return [file]
    found: dict[int, Part] = {own.number: own}
    for other in _beside(file):
        if other.count == own.count and other.tensors == own.tensors:
            found.setdefault(other.number, other)
    lacking = [number for number in range(own.count) if number not in found]
    if lacking:
        raise Problem(
            "gguf.part_missing",
            file=file.name,
            number=own.number + 1,
            count=own.count,
            lacking=_few([one + 1 for one in lacking]),
        )
    here = sum(found[number].here for number in range(own.count))
    if own.tensors and here != own.tensors:
        raise Problem("gguf.fewer_tensors", file=file.name, here=here, all=own.tensors)
    return [found[number].file for number in range(own.count)]


def _few(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:8])) + (" …" if len(numbers) > 8 else "")


def _beside(file: Path) -> list[Part]:
    """Return the other parts in the folder of one: those of its own name where it has the usual one, else all that are
    some.
    """
    others = [one for one in sorted(folders.matching(file.parent, "*.gguf"))[:MOST_BESIDE] if one != file]
    found = []
    for one in [one for one in named_parts(file) if one != file] or others:
        try:
            found.append(part_of(one))
        except Problem:
            continue  # another file of the folder; if it was a part, that part is told as missing
    return found


def join_apart(found: list[Path], target: Path, check: Callable[[], None]) -> None:
    """Write the parts of a GGUF, in their order, as one file, in a process of its own: its reader takes the time and
    the memory that a stranger's file asks for. `check` is called now and then; what it raises ends the process.

    Raises:
        Problem: the disk is full, or they are not the parts of one file.
    """
    command = [sys.executable, "-m", "studio.models.gguf.gguf_parts", str(target), *map(str, found)]
    last = ""
    try:
        with Child(command, environment={**os.environ, "PYTHONIOENCODING": "utf-8"}) as child:
            while (line := child.next_line(_POLL_S)) is not None:
                check()
                last = line.decode("utf-8", "replace").strip() or last
            code = child.wait()
    except OSError as error:
        raise Problem("gguf.not_joined", file=found[0].name, reason=reasons.of(error)) from error
    if code:
        raise Problem("gguf.not_joined", file=found[0].name, reason=reasons.original(last[:200] or str(code)))


def join(found: list[Path], target: Path) -> None:
    """Write the parts of a GGUF, in their order, as one file. Raises OSError where the disk is full."""
    from gguf import GGUFReader, GGUFValueType, GGUFWriter

    readers = [GGUFReader(file) for file in found]
    first = readers[0].fields
    writer = GGUFWriter(str(target), first["general.architecture"].contents(), endianess=readers[0].endianess)
    for field in first.values():
        if field.name.startswith(("GGUF.", "split.")) or field.name == "general.architecture":
            continue
        kind = field.types[0]
        writer.add_key_value(
            field.name, field.contents(), kind, sub_type=field.types[-1] if kind == GGUFValueType.ARRAY else None
        )
    for reader in readers:
        for tensor in reader.tensors:
            writer.add_tensor_info(
                tensor.name, tensor.data.shape, tensor.data.dtype, tensor.data.nbytes, tensor.tensor_type
            )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for reader in readers:
        for tensor in reader.tensors:
            writer.write_tensor_data(tensor.data, tensor_endianess=reader.endianess)
    writer.close()


if __name__ == "__main__":
    end_with_input()
    join([Path(part) for part in sys.argv[2:]], Path(sys.argv[1]))
