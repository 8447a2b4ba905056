"""Changing rows in their file: edit, add, delete, each of which can be undone. The file is replaced whole or not at
all.
"""

import base64
import hashlib
import io
import json
import os
import shutil
import threading
from pathlib import Path
from typing import Annotated

from pydantic import Field, RootModel, field_validator

from studio.core import reasons
from studio.core.i18n import Problem
from studio.core.storage import files, folders, records
from studio.core.storage.atomic import move, scratch
from studio.core.storage.records import Record
from studio.core.workspace import write_json
from studio.datasets.files import large_numbers, reading
from studio.datasets.files.incoming.dialect import write_records
from studio.datasets.files.reading import Row
from studio.datasets.files.row_index import Indexes
from studio.datasets.files.text_rows import TextRows, index_name

MAX_UNDO_STEPS = 100
_CHUNK = 4 * 2**20


Whole = Annotated[int, Field(ge=0, lt=2**62)]


class Step(Record):
    """A change of a data file: `length` bytes that were put at `start`, in the place of `old` (in base64), and the
    file's stamps.
    """

    start: Whole
    length: Whole
    old: str
    before: Annotated[list[Whole], Field(min_length=2, max_length=2)]
    after: Annotated[list[Whole], Field(min_length=2, max_length=2)]

    @field_validator("old")
    @classmethod
    def _is_base64(cls, old: str) -> str:
        base64.b64decode(old, validate=True)  # its error is a ValueError
        return old


class Journal(RootModel[list[Step]]):
    """The changes of one data file, oldest first."""


class Editor:
    """Changes rows of the files that `indexes` finds, and keeps in `folder` how to undo it."""

    def __init__(self, indexes: Indexes, folder: Path):
        self.indexes, self.folder = indexes, folder
        self._lock = threading.Lock()

    def change(self, path: Path, number: int, value: dict, was: dict | None = None, digest: str = "") -> None:
        """Put `value` in the place of row `number` (from 1).

        `was` is the row as the person saw it, `digest` what `digest_of` says of it; one of them is enough.

        Raises:
            Problem: there is no such row, it is not `was` any more, the file is of a kind that is not edited here, or
                the disk refuses.
        """
        with self._lock:
            rows, inner = self._rows(path, number)
            row = _require_same(rows, inner, number, was, digest)
            start, end = rows.places(inner - 1, 1)[0].tolist()
            value = large_numbers.restored(value, row.value)
            self._splice(rows, start, end, _written(rows, number, value, _style(rows, start, end)))

    def add(self, path: Path, after: int, value: dict) -> None:
        """Add `value` as a new row after row `after` (from 1; 0 puts it first). Raises Problem as `change` does."""
        with self._lock:
            rows, inner = self._rows(path, after) if after else (self._rows_at_start(path), 0)
            if not rows.count:
                self._add_first(rows, after + 1, value)
                return
            start, end = rows.places(max(inner - 1, 0), 1)[0].tolist()
            new, gap = _written(rows, after + 1, value, _style(rows, start, end)), _gap(rows, end)
            if inner:
                self._splice(rows, end, end, gap + new)
            else:
                self._splice(rows, start, start, new + gap)

    def delete(self, path: Path, number: int, digest: str = "") -> None:
        """Delete row `number` (from 1). Raises Problem as `change` does, and for the only row: a dataset needs one."""
        with self._lock:
            rows, inner = self._rows(path, number)
            _require_same(rows, inner, number, None, digest)
            if rows.count == 1:
                raise Problem("datasets.last_row", file=rows.path)
            around = rows.places(max(inner - 2, 0), 3).tolist()
            start, end = around[min(inner - 1, 1)]
            if inner < rows.count:
                self._splice(rows, start, around[min(inner - 1, 1) + 1][0], b"")
            else:
                self._splice(rows, around[0][1], end, b"")

    def undo(self, path: Path) -> None:
        """Take back the last change of a file or of a file in a folder. Raises Problem where there is none, or the file
        changed since.
        """
        with self._lock:
            file = self._last_changed(path)
            steps = self._steps(file)
            if not steps:
                raise Problem("datasets.nothing_to_undo", file=path)
            step = steps.pop()
            if _stamp(file) != step["after"]:
                raise Problem("datasets.changed_elsewhere", file=file)
            _replace(file, step["start"], step["start"] + step["length"], base64.b64decode(step["old"]))
            if steps and steps[-1]["after"] == step["before"]:
                steps[-1]["after"] = _stamp(file)
            self._save_steps(file, steps)

    def can_undo(self, path: Path) -> bool:
        """Tell whether there is a change of this file, or of a file in this folder, that can be taken back."""
        file = self._last_changed(path)
        steps = self._steps(file)
        return bool(steps) and _stamp(file) == steps[-1]["after"]

    def _rows(self, path: Path, number: int) -> tuple[TextRows, int]:
        rows = self.indexes.of(path)
        rows.wait(number)
        part, inner = rows.locate(number)
        if not isinstance(part, TextRows):
            raise Problem("datasets.not_edited", file=part.path)
        part.wait()
        return part, inner

    def _rows_at_start(self, path: Path) -> TextRows:
        rows = self.indexes.of(path)
        part = rows if isinstance(rows, TextRows) else getattr(rows, "parts", [rows])[0]
        if not isinstance(part, TextRows):
            raise Problem("datasets.not_edited", file=part.path)
        part.wait()
        return part

    def _add_first(self, rows: TextRows, number: int, value: dict) -> None:
        new = _written(rows, number, value, b"")
        if rows.form.kind == "array":
            text = rows.path.read_bytes()
            self._splice(rows, text.index(b"[") + 1, text.rindex(b"]"), b"\n" + new + b"\n")
        else:
            end = rows.path.stat().st_size
            whole_line = not end or files.end_of(rows.path, 1) == b"\n"
            self._splice(rows, end, end, (b"" if whole_line else b"\n") + new + b"\n")

    def _splice(self, rows: TextRows, start: int, end: int, new: bytes) -> None:
        path = rows.path
        if not rows.current():
            raise Problem("datasets.changed_elsewhere", file=path)
        before = _stamp(path)
        with path.open("rb") as file:
            file.seek(start)
            old = file.read(end - start)
        _replace(path, start, end, new)
        step = {
            "start": start,
            "length": len(new),
            "old": base64.b64encode(old).decode(),
            "before": before,
            "after": _stamp(path),
        }
        self._save_steps(path, [*self._steps(path), step][-MAX_UNDO_STEPS:])

    def _journal(self, file: Path) -> Path:
        return self.folder / f"{index_name(file)}.undo"

    def _steps(self, file: Path) -> list[dict]:
        """Return the changes of a file that can be taken back; none where they cannot be read: nobody may write back
        what is not sound.
        """
        try:
            return [dict(step) for step in records.load(self._journal(file), Journal).root]
        except Problem:
            return []

    def _save_steps(self, file: Path, steps: list[dict]) -> None:
        write_json(self._journal(file), steps)

    def _last_changed(self, path: Path) -> Path:
        """Return the file itself, or of a folder the file whose journal is the newest."""
        if not folders.is_folder(path):
            return path
        changed = [(folders.modified(self._journal(file)), file) for file in folders.entries(path) if self._steps(file)]
        return max(changed)[1] if changed else path


def digest_of(row: Row) -> str:
    """Return what tells a row from others, and from what it is after a change, in a few characters."""
    return hashlib.sha256(f"{row.size} {json.dumps(row.value, default=str)}".encode()).hexdigest()[:16]


def _require_same(rows: TextRows, inner: int, number: int, was: dict | None, digest: str) -> Row:
    """Return row `inner` of a file, `number` of its dataset. Raises Problem where it is not the one that the person
    saw.
    """
    (row,) = rows.page(inner - 1, 1)
    is_other = was is not None and row.value != large_numbers.restored(was, row.value)
    if is_other or (digest and digest_of(row) != digest):
        raise Problem("datasets.row_changed", file=rows.path, row=number)
    return row


def _stamp(path: Path) -> list[int]:
    """Return [size in bytes, time of the last change in ns] of a file; zeros where there is none."""
    return list(files.stamp(path)[:2])


def _replace(path: Path, start: int, end: int, new: bytes) -> None:
    """Write `path` anew with the bytes from `start` to `end` replaced: beside it, then renamed."""
    path = files.real(path)
    if (status := folders.status_of(path)) and not status.st_mode & 0o222:
        raise Problem("datasets.info_protected", file=path)
    try:
        with scratch(path.parent) as folder:
            whole = folder / path.name
            with path.open("rb") as source, whole.open("wb") as target:
                _copy(source, target, start)
                target.write(new)
                source.seek(end)
                shutil.copyfileobj(source, target, _CHUNK)
                target.flush()
                os.fsync(target.fileno())
            shutil.copymode(path, whole)
            move(whole, path)
    except OSError as error:
        raise Problem("workspace.unwritable", path=path, reason=reasons.of(error)) from error


def _copy(source, target, length: int) -> None:
    while length > 0:
        chunk = source.read(min(_CHUNK, length))
        target.write(chunk)
        length -= len(chunk)


def _style(rows: TextRows, start: int, end: int) -> bytes:
    """Return the bytes of a row, and of a JSON array what indents it, so that a new row is written alike."""
    with rows.path.open("rb") as file:
        file.seek(max(0, start - 64))
        before = file.read(min(64, start))
        file.seek(start)
        return before[before.rfind(b"\n") + 1 :] + file.read(min(end - start, 4096))


def _written(rows: TextRows, number: int, value: dict, like: bytes) -> bytes:
    """Return row `number` as the bytes of its file, in the manner of the row `like`. Raises Problem for one that could
    not be read again.
    """
    kind = rows.form.kind
    if kind == "text":
        text = value.get("text")
        if set(value) != {"text"} or not isinstance(text, str) or "\n" in text or "\r" in text:
            raise Problem("datasets.one_line", file=rows.path)
        return text.encode()
    if kind in reading.DELIMITERS:
        if strange := (set(value) ^ set(rows.form.columns)):
            raise Problem("datasets.other_columns", file=rows.path, column=", ".join(sorted(strange)))
        line = io.StringIO()
        write_records(line, [[value[column] for column in rows.form.columns]], reading.DELIMITERS[kind])
        return line.getvalue().removesuffix("\r\n").encode() + b"\n"
    if kind == "array" and b"\n" in like:
        indent = like[: len(like) - len(like.lstrip())].decode()
        first = next((line for line in like.splitlines()[1:] if line.strip()), b"")
        step = max(1, len(first) - len(first.lstrip()) - len(indent))
        text = json.dumps(value, ensure_ascii=False, indent=step).replace("\n", "\n" + indent)
    else:
        text = json.dumps(value, ensure_ascii=False)
    try:
        parsed(text, rows.path, number)
    except UnicodeEncodeError as error:
        raise Problem("datasets.half_character", file=rows.path, row=number) from error
    return text.encode()


def _gap(rows: TextRows, end: int) -> bytes:
    """Return what is to stand between a row that ends at `end` and a new one beside it."""
    if rows.form.kind in reading.DELIMITERS:  # the line end is a part of a row, which the last of a file may lack
        with rows.path.open("rb") as file:
            file.seek(end - 1)
            return b"" if file.read(1) in (b"\n", b"\r") else b"\n"
    if rows.form.kind != "array":
        return b"\n"
    if rows.count < 2:
        return b",\n"
    pairs = rows.places(0, 2).tolist()
    with rows.path.open("rb") as file:
        file.seek(pairs[0][1])
        return file.read(pairs[1][0] - pairs[0][1])


def parsed(text: str, path: Path, number: int) -> dict:
    """Return the row that a person wrote as JSON. Raises Problem where it is none."""
    row = reading.parse(path, reading.Form("lines"), number, text.encode())
    if row.problem:
        raise row.problem
    return row.value
