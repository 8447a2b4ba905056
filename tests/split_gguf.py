"""A GGUF file in parts, as llama.cpp writes them."""

from collections.abc import Callable
from pathlib import Path


def usual(number: int, count: int) -> str:
    """Return the usual name of a part, `number` from 0."""
    return f"tiny-{number + 1:05}-of-{count:05}.gguf"


def split(file: Path, folder: Path, count: int, names: Callable[[int, int], str] = usual) -> list[Path]:
    """Write a GGUF file as llama.cpp's gguf-split does: all metadata in the first part, a number and the tensors in
    each.
    """
    from gguf import GGUFReader, GGUFValueType, GGUFWriter

    reader = GGUFReader(file)
    tensors, parts = list(reader.tensors), []
    for number in range(count):
        writer = GGUFWriter(str(folder / names(number, count)), "llama")
        if number:
            writer.kv_data[0].clear()  # a later part does not name its architecture
        for field in reader.fields.values() if number == 0 else ():
            if not field.name.startswith("GGUF.") and field.name != "general.architecture":
                kind = field.types[0]
                writer.add_key_value(
                    field.name,
                    field.contents(),
                    kind,
                    sub_type=field.types[-1] if kind == GGUFValueType.ARRAY else None,
                )
        writer.add_uint16("split.no", number)
        writer.add_uint16("split.count", count)
        writer.add_int32("split.tensors.count", len(tensors))
        for tensor in tensors[number::count]:
            writer.add_tensor(tensor.name, tensor.data)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        parts.append(folder / names(number, count))
    return parts
