"""Which datasets there are: LLaMA-Factory's `dataset_info.json`, read so that a broken entry is shown with its reason."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from studio.interface.language import Problem

INFO = "dataset_info.json"
FORMATS = ("alpaca", "sharegpt", "openai")
FILE_TYPES = (".json", ".jsonl", ".csv", ".parquet", ".arrow", ".txt")
_HUB_KEYS = ("hf_hub_url", "ms_hub_url", "om_hub_url", "script_url", "cloud_file_name")
# Listing must stay quick: a larger JSON file is not parsed here, and its rows are unknown until it is opened.
_PARSE_LIMIT = 64 * 2**20


@dataclass(frozen=True)
class Dataset:
    """One entry of `dataset_info.json`, with what its file shows at a glance.

    `stage` is "pt", "sft", "dpo" (preference pairs, which reward models use too) or "kto". `rows` is None where they cannot be told
    quickly; `file` is None for data that lives on a hub. `problem` says why the entry cannot be used, or is None.
    """

    name: str
    format: str
    stage: str
    rows: int | None
    file: Path | None
    problem: Problem | None


@dataclass(frozen=True)
class Contents:
    """What one look into a data file shows: its rows and its columns, each None where unknown."""

    rows: int | None = None
    columns: frozenset[str] | None = None


def read_info(data_folder: Path) -> dict[str, object]:
    """Return `dataset_info.json` of a data folder as it stands, `{}` where the folder has none.

    Raises:
        Problem: the file cannot be read, is not UTF-8 or not JSON (line and column are named), or is no object.
    """
    path = data_folder / INFO
    if not path.exists():
        return {}
    try:
        info = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise Problem("datasets.not_json", file=path, line=error.lineno, column=error.colno, reason=error.msg) from error
    except RecursionError as error:
        raise Problem("datasets.too_deep", file=path) from error
    if not isinstance(info, dict):
        raise Problem("datasets.info_not_object", file=path)
    return info


def read_text(path: Path) -> str:
    """Return the text of a data file. Raises Problem where it cannot be read or is not UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise Problem("datasets.unreadable", file=path, reason=error.strerror) from error
    except UnicodeDecodeError as error:
        raise Problem("datasets.not_utf8", file=path, byte=error.start) from error


def datasets(data_folder: Path) -> list[Dataset]:
    """Return every entry of the data folder's `dataset_info.json`, broken ones too. Raises Problem as `read_info` does."""
    return [_describe(data_folder, name, entry) for name, entry in read_info(data_folder).items()]


def dataset(data_folder: Path, name: str) -> Dataset:
    """Return the entry called `name`, which may have a problem. Raises Problem where there is none, or as `read_info` does."""
    return _describe(data_folder, name, entry_of(data_folder, name))


def entry_of(data_folder: Path, name: str) -> object:
    """Return the entry called `name` as it stands in `dataset_info.json`. Raises Problem where there is none."""
    info = read_info(data_folder)
    if name not in info:
        raise Problem("datasets.unknown", name=name, file=data_folder / INFO)
    return info[name]


def data_file(data_folder: Path, name: str, entry: dict[str, object]) -> Path | None:
    """Return the file (or folder of files) that `entry` names, None for data on a hub.

    Raises:
        Problem: the entry names no source, a place outside the data folder, nothing that exists, or an unknown type of file.
    """
    if any(key in entry for key in _HUB_KEYS):
        return None
    file_name = entry.get("file_name")
    if not isinstance(file_name, str) or not file_name:
        raise Problem("datasets.no_source", name=name)
    path = data_folder / file_name
    if not path.resolve().is_relative_to(data_folder.resolve()):
        raise Problem("datasets.outside", name=name, file=file_name)
    if not path.exists():
        raise Problem("datasets.missing_file", name=name, file=path)
    if path.is_file() and path.suffix not in FILE_TYPES:
        raise Problem("datasets.file_type", name=name, file=path, types=" ".join(FILE_TYPES))
    return path


def _describe(data_folder: Path, name: str, entry: object) -> Dataset:
    if not isinstance(entry, dict) or not isinstance(entry.get("columns", {}), dict):
        return Dataset(name, "", "", None, None, Problem("datasets.entry_not_object", name=name))
    format, stage, rows, path = entry.get("formatting", "alpaca"), _stage(entry), None, None
    try:
        if format not in FORMATS:
            raise Problem("datasets.format", name=name, format=format, formats=", ".join(FORMATS))
        path = data_file(data_folder, name, entry)
        if path and path.is_file():
            contents = _contents(path)
            rows = contents.rows
            _require_columns(path, format, entry, contents)
    except Problem as problem:
        return Dataset(name, str(format), stage, rows, path, problem)
    return Dataset(name, format, stage, rows, path, None)


def _stage(entry: dict[str, object]) -> str:
    columns = entry.get("columns", {})
    if entry.get("ranking"):
        return "dpo"
    if columns.get("kto_tag"):
        return "kto"
    # LLaMA-Factory forgets its default columns once `columns` is given: a prompt column alone is text without an answer.
    if columns.get("prompt") and not columns.get("response"):
        return "pt"
    return "sft"


def _required_columns(format: str, entry: dict[str, object]) -> set[str]:
    """The columns LLaMA-Factory 0.9.5 reads without asking whether they are there (data/parser.py, data/converter.py)."""
    if named := entry.get("columns"):
        return {str(column) for column in named.values() if column}
    return {"instruction", "input", "output"} if format == "alpaca" else {"conversations"}


def _require_columns(path: Path, format: str, entry: dict[str, object], contents: Contents) -> None:
    if contents.rows == 0:
        raise Problem("datasets.empty", file=path)
    if contents.columns is not None and (missing := _required_columns(format, entry) - contents.columns):
        raise Problem("datasets.missing_column", file=path, column=", ".join(sorted(missing)))


def _contents(path: Path) -> Contents:
    try:
        stat = path.stat()
        return _contents_of(path, stat.st_mtime_ns, stat.st_size)
    except OSError as error:
        raise Problem("datasets.unreadable", file=path, reason=error.strerror) from error


@lru_cache(maxsize=512)
def _contents_of(path: Path, modified: int, size: int) -> Contents:
    """Look into one data file; `modified` and `size` are there so that a changed file is looked at again."""
    if path.suffix == ".parquet":
        return _parquet_contents(path)
    if path.suffix in (".jsonl", ".txt") and size > _PARSE_LIMIT:
        return Contents(rows=_count_lines(path))
    if path.suffix not in (".json", ".jsonl", ".txt") or size > _PARSE_LIMIT:
        return Contents()
    text = read_text(path)
    return Contents(len(text.splitlines()), frozenset({"text"})) if path.suffix == ".txt" else _json_contents(path, text)


def _json_contents(path: Path, text: str) -> Contents:
    rows, columns = 0, set()
    for row in _json_rows(path, text):
        rows += 1
        if not isinstance(row, dict):
            raise Problem("datasets.row_not_object", file=path, row=rows)
        columns.update(row)
    return Contents(rows, frozenset(columns))


def _json_rows(path: Path, text: str) -> Iterator[object]:
    """Yield the rows of an array or of JSON lines: LLaMA-Factory takes either under either ending."""
    number = 1
    try:
        if text.lstrip().startswith("["):
            yield from json.loads(text)
            return
        for number, line in enumerate(text.split("\n"), start=1):
            if line.strip():
                yield json.loads(line)
    except json.JSONDecodeError as error:
        line = number + error.lineno - 1
        raise Problem("datasets.not_json", file=path, line=line, column=error.colno, reason=error.msg) from error
    except RecursionError as error:
        raise Problem("datasets.too_deep", file=path) from error


def _parquet_contents(path: Path) -> Contents:
    from pyarrow import ArrowInvalid
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            return Contents(file.metadata.num_rows, frozenset(file.schema_arrow.names))
    except ArrowInvalid as error:
        raise Problem("datasets.unreadable", file=path, reason=error) from error


def _count_lines(path: Path) -> int:
    with path.open("rb") as file:
        lines, last = 0, b"\n"
        while block := file.read(2**20):
            lines, last = lines + block.count(b"\n"), block[-1:]
    return lines + (last != b"\n")
