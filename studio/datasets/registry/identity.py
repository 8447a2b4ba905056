"""Giving an identity set its name: the shipped rows say `{{name}}` and `{{author}}`, and each run trains on a filled
copy of its own.
"""

import json
import mmap
import os
import re
from pathlib import Path

from studio.core.i18n import Problem
from studio.core.storage import files
from studio.core.storage.file_cache import FileCache
from studio.core.workspace import write_json, write_whole
from studio.datasets.files import reading
from studio.datasets.registry.dataset_info import INFO, data_file, entry_of, read_text

_PLACEHOLDER = re.compile(r"\{\{(name|author)\}\}")


def has_placeholders(data_folder: Path, dataset: str, trusted: tuple[Path, ...] = ()) -> bool:
    """Tell whether `dataset` (one name, or several joined by commas as in a recipe) says `{{name}}` or `{{author}}`.

    Each file is read once and again only after it changed. Data on a hub and folders of files have none.

    Raises:
        Problem: a dataset is unknown or its file is not there.
    """
    return any(_file_has_placeholders(_file(data_folder, name, trusted)) for name in _names(dataset))


def fill(
    data_folder: Path, dataset: str, name: str, author: str, target_folder: Path, trusted: tuple[Path, ...] = ()
) -> None:
    """Write a data folder to `target_folder` that holds only `dataset`, with `{{name}}` and `{{author}}` replaced.

    `dataset` is one name, or several joined by commas as in a recipe. The entries keep their columns; a file without
    placeholders is not copied but named by its full path, which LLaMA-Factory takes too. Nothing in `data_folder` is
    changed. Files may lie in the `trusted` folders too.

    Raises:
        Problem: the name or the author is empty, a dataset is unknown or its file is missing, or the target cannot be
            written.
    """
    for field, value in (("name", name), ("author", author)):
        if not value.strip():
            raise Problem(f"datasets.empty_{field}")
    words = {"name": name.strip(), "author": author.strip()}
    info, taken = {}, {INFO}
    for entry_name in _names(dataset):
        entry, path = dict(entry_of(data_folder, entry_name)), _file(data_folder, entry_name, trusted)
        if path and _file_has_placeholders(path):
            # The entry may name a file by a path that leads out of this folder, and that one stays as it is.
            if (
                not files.real(target_folder / entry["file_name"]).is_relative_to(files.real(target_folder))
                or entry["file_name"] in taken
            ):
                entry["file_name"] = f"{len(taken)}-{path.name}"
            taken.add(entry["file_name"])
            write_whole(target_folder / entry["file_name"], _filled(read_text(path), words))
        elif path:
            entry["file_name"] = str(files.real(path))
        info[entry_name] = entry
    write_json(target_folder / INFO, info)


def _names(dataset: str) -> list[str]:
    return [name.strip() for name in dataset.split(",") if name.strip()]


def _file(data_folder: Path, name: str, trusted: tuple[Path, ...]) -> Path | None:
    entry = entry_of(data_folder, name)
    if not isinstance(entry, dict):
        raise Problem("datasets.entry_not_object", name=name)
    return data_file(data_folder, name, entry, trusted)


def _filled(text: str, words: dict[str, str]) -> str:
    # The text is JSON, so a quote in a name goes in escaped; one pass, so that a name which says {{author}} stays as
    # typed.
    return _PLACEHOLDER.sub(lambda found: json.dumps(words[found[1]], ensure_ascii=False)[1:-1], text)


def _file_has_placeholders(path: Path | None) -> bool:
    if path is None or path.suffix not in (".json", ".jsonl") or not files.is_file(path):
        return False
    try:
        return _placeholders.get(path, [path], lambda: _scan(path))
    except OSError as error:
        raise reading.unreadable(path, error) from error


_placeholders: FileCache[bool] = FileCache(512)


def _scan(path: Path) -> bool:
    """Tell whether a placeholder stands anywhere in a file. Raises OSError."""
    with files.open_file(path) as file:
        if not os.fstat(file.fileno()).st_size:
            return False  # nothing cannot be mapped
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return content.find(b"{{name}}") >= 0 or content.find(b"{{author}}") >= 0
