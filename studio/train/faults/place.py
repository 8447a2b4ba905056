"""Where in a person's data an error came about: the dataset, the row, the file and the column, as the libraries' own
frames know them.
"""

import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import orjson

from studio.core.storage import files

MOST_BYTES = 256 * 2**20  # a larger file is not read again to find the row


@dataclass
class Place:
    """What is known of the place of an error. `row` counts from 1, in the dataset or, where several are mixed, in the
    mixture.
    """

    dataset: str = ""
    row: int | None = None
    file: Path | None = None
    column: str = ""
    in_data: bool = False  # whether LLaMA-Factory was reading the data
    in_tools: bool = False  # whether it was at the definitions of tools


def chain(error: BaseException | None) -> list[BaseException]:
    """Return an error and those that it came from, the last that was raised first."""
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return found


def of(error: BaseException) -> Place:
    """Return where an error came about. Nothing is found in what another process raised, but for the names of the files
    of code.
    """
    place, rows, within = Place(), None, 0
    for one in chain(error):
        message = "".join(traceback.format_exception_only(one)) + "".join(getattr(one, "__notes__", []))
        remote = getattr(one, "tb", "") if type(one).__name__ == "RemoteTraceback" else ""
        text = f"{message}{remote}".replace("\\", "/")
        place.in_tools |= "llamafactory/data/tool_utils.py" in text
        place.in_data |= "llamafactory/data/" in text
        for frame in _frames(one):
            code, local = frame.f_code.co_filename.replace("\\", "/"), frame.f_locals
            place.in_data |= "/llamafactory/data/" in code
            place.in_tools |= code.endswith(("/llamafactory/data/tool_utils.py", "/llamafactory/data/formatter.py"))
            if "/datasets/packaged_modules/" in code and isinstance(local.get("file"), (str, Path)):
                place.file = Path(str(local["file"]))
            if (
                code.endswith("/datasets/table.py")
                and isinstance(local.get("name"), str)
                and frame.f_code.co_name in ("<listcomp>", "cast_table_to_schema")
            ):
                place.column = local["name"]
            if frame.f_code.co_name == "_get_merged_dataset" and isinstance(local.get("dataset_name"), str):
                place.dataset = local["dataset_name"]
            if (
                frame.f_code.co_name == "_load_single_dataset"
                and isinstance(local.get("data_files"), list)
                and len(local["data_files"]) == 1
            ):
                place.file = place.file or Path(str(local["data_files"][0]))
            if code.endswith("/datasets/arrow_dataset.py") and frame.f_code.co_name == "iter_outputs":
                rows = local.get("i")
            if (
                "/llamafactory/data/processor/" in code
                and frame.f_code.co_name == "preprocess_dataset"
                and isinstance(local.get("i"), int)
            ):
                within = local["i"]
    if isinstance(rows, int):
        place.row = rows + 1
    elif isinstance(rows, (list, range)) and rows and isinstance(rows[0], int):
        place.row = rows[0] + within + 1
    return place


def _frames(error: BaseException) -> Iterator[FrameType]:
    for frame, _ in traceback.walk_tb(error.__traceback__):
        yield frame


def row_of_other_type(path: Path, column: str, after_nothing: bool = False) -> int | None:
    """Return the first row, counted from 1, in which a column of a JSON file has another type than before; None where
    that is not found.

    With `after_nothing`, it is the first row in which the column has a value at all.
    """
    if not 0 < files.stamp(path)[0] <= MOST_BYTES:
        return None
    first = None
    for number, row in enumerate(_rows(path), 1):
        value = row.get(column) if isinstance(row, dict) else None
        if value is None:
            continue
        kind = "number" if type(value) in (int, float) else type(value).__name__
        if after_nothing and number > 1:
            return number
        first = first or kind
        if kind != first:
            return number
    return None


def _rows(path: Path) -> Iterator[object]:
    try:
        with files.open_file(path) as file:
            if file.read(1).strip() == b"[":
                file.seek(0)
                yield from orjson.loads(file.read())
                return
            file.seek(0)
            for line in file:
                if line.strip():
                    yield orjson.loads(line)
    except (OSError, ValueError):
        return
