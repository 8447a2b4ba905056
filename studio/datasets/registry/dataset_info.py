"""Which datasets there are: LLaMA-Factory's `dataset_info.json`, read so that a broken entry is shown with its
reason.
"""

import json
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from studio.core import reasons
from studio.core.i18n import Problem, Reason
from studio.core.storage import files, folders, records
from studio.core.storage.file_cache import FileCache
from studio.core.storage.records import Record, Text
from studio.datasets.files import columnar, reading
from studio.datasets.files.incoming import source as incoming
from studio.datasets.schema.observed_schema import Shape

INFO = "dataset_info.json"
# Folders that the person added as places of theirs, besides the data folder itself.
PLACES = "data_folders.json"
FORMATS = ("alpaca", "sharegpt", "openai")
FILE_TYPES = (".json", ".jsonl", ".csv", ".parquet", ".arrow", ".txt")
# Where data comes from when no file is named, in the order in which LLaMA-Factory 0.9.5 looks (data/parser.py).
HUBS = ("hf_hub_url", "ms_hub_url", "om_hub_url", "script_url", "cloud_file_name")
COLUMNS = (
    "prompt",
    "query",
    "response",
    "history",
    "messages",
    "system",
    "tools",
    "images",
    "videos",
    "audios",
    "chosen",
    "rejected",
    "kto_tag",
)
TAGS = ("role_tag", "content_tag", "user_tag", "assistant_tag", "observation_tag", "function_tag", "system_tag")
_KINDS = {
    "formatting": str,
    "ranking": bool,
    "subset": str,
    "split": str,
    "folder": str,
    "num_samples": int,
    "columns": dict,
    "tags": dict,
    "file_name": str,
    **dict.fromkeys(HUBS, str),
}
# Listing must stay quick: of a larger file only the first rows are read here, and its rows are counted by its index.
_READ_WHOLE = 8 * 2**20
_SAMPLE_ROWS = 200


def _whole_path(path: str) -> str:
    if not Path(path).is_absolute() or "\0" in path:
        raise ValueError("it is no whole path of a folder")
    return path


class DataFolders(Record):
    """The folders that a person added, as PLACES holds them: whole paths."""

    folders: list[Annotated[Text, AfterValidator(_whole_path)]]


@dataclass(frozen=True)
class Dataset:
    """One entry of `dataset_info.json`, with what its file shows at a glance.

    `stage` is "pt", "sft", "dpo" (preference pairs, which reward models use too) or "kto". `rows` is None where they
    cannot be told quickly; `file` (a file or a folder of files) is None for data that lives on a hub; `size` is in
    bytes, None on a hub. `problem` says why the entry cannot be used, or is None. `entry` is as it stands in the file,
    `home` the data folder that holds it.
    """

    name: str
    format: str
    stage: str
    rows: int | None
    file: Path | None
    problem: Problem | None
    size: int | None = None
    entry: dict = field(default_factory=dict)
    home: Path = Path()


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
    return dict(_pairs(data_folder))


def names_twice(data_folder: Path) -> set[str]:
    """Return the names that `dataset_info.json` gives to more than one entry: only the last of each counts. Raises as
    `read_info`.
    """
    names = [name for name, _ in _pairs(data_folder)]
    return {name for name in names if names.count(name) > 1}


def _pairs(data_folder: Path) -> list[tuple[str, object]]:
    path = data_folder / INFO
    if not path.is_symlink() and not files.exists(path):
        return []
    outermost: list[tuple[str, object]] = []

    def collect(pairs: list[tuple[str, object]]) -> dict:
        outermost[:] = pairs  # the outermost object comes last
        return dict(pairs)

    text = read_text(path)
    try:
        info = json.loads(text, object_pairs_hook=collect)
    except json.JSONDecodeError as error:
        raise Problem(
            "datasets.not_json", file=path, line=error.lineno, column=error.colno, reason=reasons.kind(error)
        ) from error
    except RecursionError as error:
        raise Problem("datasets.too_deep", file=path) from error
    except ValueError as error:  # a number of thousands of digits
        raise Problem("datasets.not_json", file=path, line=1, column=1, reason=reasons.of(error)) from error
    try:
        records.parse(text)
    except ValueError as error:  # it is JSON: only its depth is left to be refused
        raise Problem("datasets.too_deep", file=path) from error
    if not isinstance(info, dict):
        raise Problem("datasets.info_not_object", file=path)
    return list(outermost)


def read_text(path: Path) -> str:
    """Return the text of a data file. Raises Problem where it cannot be read or is not UTF-8."""
    try:
        with files.open_file(path) as file:
            return file.read().decode("utf-8")
    except OSError as error:
        raise reading.unreadable(path, error) from error
    except UnicodeDecodeError as error:
        raise Problem("datasets.not_utf8", file=path, byte=error.start) from error


def places(data_folder: Path) -> list[Path]:
    """Return the folders that the person added as places of theirs. Raises Problem where the list of them is broken."""
    path = data_folder / PLACES
    if not path.is_symlink() and not files.exists(path):
        return []
    return list(_places.get(path, [path], lambda: _read_places(path)))


_places: FileCache[tuple[Path, ...]] = FileCache(64)


def _read_places(path: Path) -> tuple[Path, ...]:
    try:
        return tuple(Path(each) for each in records.load(path, DataFolders).folders)
    except Problem as problem:
        raise Problem("datasets.bad_places", file=path) from problem


def known_places(data_folder: Path) -> list[Path]:
    """Return the folders that the person added; none where the list of them is broken, which `places` tells."""
    try:
        return places(data_folder)
    except Problem:
        return []


def datasets(data_folder: Path) -> list[Dataset]:
    """Return every entry of the data folder's `dataset_info.json`, broken ones too. Raises Problem as `read_info`
    does.
    """
    twice = names_twice(data_folder)
    return [_describe(data_folder, name, entry, name in twice) for name, entry in read_info(data_folder).items()]


def dataset(data_folder: Path, name: str, trusted: tuple[Path, ...] = ()) -> Dataset:
    """Return the entry called `name`, which may have a problem; its file may lie in the `trusted` folders too.

    Raises:
        Problem: there is no such entry, or as `read_info` does.
    """
    return _describe(data_folder, name, entry_of(data_folder, name), name in names_twice(data_folder), trusted)


def entry_of(data_folder: Path, name: str) -> object:
    """Return the entry called `name` as it stands in `dataset_info.json`. Raises Problem where there is none."""
    info = read_info(data_folder)
    if name not in info:
        raise Problem("datasets.unknown", name=name, file=data_folder / INFO)
    return info[name]


def data_file(data_folder: Path, name: str, entry: dict[str, object], trusted: tuple[Path, ...] = ()) -> Path | None:
    """Return the file (or folder of files) that `entry` names, None for data on a hub; it may lie in the `trusted`
    folders too.

    Raises:
        Problem: the entry names no source, a place outside the data folder and the places added, nothing that exists,
            or an unknown
            type of file.
    """
    if any(key in entry for key in HUBS):
        return None
    file_name = entry.get("file_name")
    if not isinstance(file_name, str) or not file_name:
        raise Problem("datasets.no_source", name=name)
    require_inside(data_folder, name, entry, trusted)
    path = data_folder / file_name
    if not files.exists(path):
        raise Problem("datasets.missing_file", name=name, file=path)
    if not files.is_file(path) and not folders.is_folder(path):
        raise Problem("datasets.unreadable", file=path, reason=Reason("reasons.not_plain"))
    if files.is_file(path) and path.suffix not in FILE_TYPES:
        raise Problem("datasets.file_type", name=name, file=path, types=" ".join(FILE_TYPES))
    return path


def require_inside(data_folder: Path, name: str, entry: dict[str, object], trusted: tuple[Path, ...] = ()) -> None:
    """Raise Problem where an entry's file lies outside its data folder, the folders that the person added and the
    `trusted` ones.
    """
    file_name = entry.get("file_name")
    if any(key in entry for key in HUBS) or not isinstance(file_name, str) or not file_name:
        return
    real = files.real(data_folder / file_name)
    if "\0" in file_name or not any(
        real.is_relative_to(files.real(folder)) for folder in (data_folder, *known_places(data_folder), *trusted)
    ):
        raise Problem("datasets.outside", name=name, file=file_name)


def require_sound(name: str, entry: object) -> None:
    """Raise Problem where an entry is not what LLaMA-Factory can read, whatever its data is like."""
    if (
        not isinstance(entry, dict)
        or not isinstance(entry.get("columns") or {}, dict)
        or not isinstance(entry.get("tags") or {}, dict)
    ):
        raise Problem("datasets.entry_not_object", name=name)
    for key, value in entry.items():
        kind = _KINDS.get(key)
        if (
            kind
            and value is not None
            and (not isinstance(value, kind) or (kind is int and (isinstance(value, bool) or value < 1)))
        ):
            raise Problem(
                "datasets.entry_value",
                name=name,
                field=key,
                value=json.dumps(value, ensure_ascii=False)[:60],
                kind={str: '"…"', bool: "true/false", int: "1, 2, 3 …", dict: "{…}"}[kind],
            )
    for part in ("columns", "tags"):
        for key, value in (entry.get(part) or {}).items():
            if value is not None and not isinstance(value, str):
                raise Problem(
                    "datasets.entry_value",
                    name=name,
                    field=f"{part}.{key}",
                    value=json.dumps(value, ensure_ascii=False)[:60],
                    kind='"…"',
                )
    if (entry.get("formatting") or "alpaca") not in FORMATS:
        raise Problem("datasets.format", name=name, format=entry["formatting"], formats=", ".join(FORMATS))


def _describe(data_folder: Path, name: str, entry: object, twice: bool, trusted: tuple[Path, ...] = ()) -> Dataset:
    shown = entry if isinstance(entry, dict) else {}
    format, stage, rows, path, size = "", "", None, None, None
    try:
        if not isinstance(entry, dict):
            raise Problem("datasets.entry_not_object", name=name)
        format = str(entry.get("formatting") or "alpaca")
        require_sound(name, entry)
        shape = Shape.of(entry)
        stage = shape.stage
        # LLaMA-Factory joins names by commas; a page and an address cannot carry the others.
        if not name.strip() or any(sign in name for sign in ",\n\r\0") or Path(name).is_absolute():
            raise Problem("workspace.bad_name", name=name)
        if twice:
            raise Problem("datasets.name_twice", name=name, file=data_folder / INFO)
        path = data_file(data_folder, name, entry, trusted)
        if path:
            size = sum(folders.size_of(each) for each in reading.files_of(path))
            contents = _contents(path)
            rows = contents.rows
            _require_columns(path, format, entry, contents)
            _require_own(path)
    except Problem as problem:
        return Dataset(name, format, stage, rows, path, problem, size, shown, data_folder)
    return Dataset(name, format, stage, rows, path, None, size, shown, data_folder)


def _require_columns(path: Path, format: str, entry: dict[str, object], contents: Contents) -> None:
    if contents.rows == 0:
        raise Problem("datasets.empty", file=path)
    # LLaMA-Factory 0.9.5 reads these without asking whether they are there (data/parser.py, data/converter.py).
    shape = Shape.of(entry)
    required = (
        set(shape.fields())
        if entry.get("columns")
        else {shape.columns["messages"]}
        if format != "alpaca"
        else set(shape.fields())
    )
    if contents.columns is not None and (missing := required - contents.columns):
        reading.require_commas(path)
        raise Problem("datasets.missing_column", file=path, column=", ".join(sorted(missing)))


def _require_own(path: Path) -> None:
    """Raise Problem for what lies in a folder of data and is none: LLaMA-Factory reads all that is there, hidden files
    and folders too.
    """
    if not folders.is_folder(path):
        return
    foreign = [
        each.name
        for each in folders.entries(path, hidden=True)
        if not files.is_file(each) or each.suffix not in FILE_TYPES
    ]
    if foreign:
        raise Problem(
            "datasets.folder_foreign", file=path, found=", ".join(foreign[:5]) + (" …" if len(foreign) > 5 else "")
        )


def _contents(path: Path) -> Contents:
    try:
        parts = reading.files_of(path)
        return _known_contents.get(path, parts, lambda: _contents_of(path, parts))
    except OSError as error:
        raise reading.unreadable(path, error) from error


_known_contents: FileCache[Contents] = FileCache(512)


def _contents_of(path: Path, parts: list[Path]) -> Contents:
    """Look into one data file or folder, which holds `parts`."""
    form = reading.form_of(parts[0])
    if form.kind in reading.COLUMNAR:
        found = [columnar.describe(each, form.kind) for each in parts]
        return Contents(sum(rows for rows, _ in found), frozenset(column for _, columns in found for column in columns))
    whole = sum(folders.size_of(each) for each in parts) <= _READ_WHOLE
    rows, columns = 0, set(form.columns)
    for row in reading.rows(path) if whole else islice(reading.rows(path), _SAMPLE_ROWS):
        if row.problem:
            raise _of_the_file(path, row.problem)
        rows += 1
        columns.update(row.value)
    return Contents(rows if whole else None, frozenset(columns))


def _of_the_file(path: Path, problem: Problem) -> Problem:
    """Return the fault of a file as a whole where the fault of a row is one: JSON whose rows stand where LLaMA-Factory
    does not look.
    """
    if problem.key not in ("datasets.row_not_json", "datasets.row_not_object") or not files.is_file(path):
        return problem
    return Problem("datasets.other_shape", file=path) if incoming.has_other_shape(path) else problem
