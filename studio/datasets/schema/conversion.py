"""Rows of any recognised form written as LLaMA-Factory reads them: always a new file, the one that came in is never
changed.
"""

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count, groupby
from pathlib import Path

import orjson

from studio.core import reasons
from studio.core.i18n import Problem
from studio.core.storage.atomic import move, scratch
from studio.datasets.files.incoming import source as incoming
from studio.datasets.files.reading import Row
from studio.datasets.schema.mapping import Mapping
from studio.datasets.schema.media import MediaFiles
from studio.datasets.schema.observed_schema import MEDIA, texts
from studio.datasets.schema.row_faults import Notes, UnusableRow
from studio.datasets.schema.row_reader import RowReader

MAX_LEFT_OUT_PROBLEMS = 100
# What stands beside the turns of a row, where it says any.
BESIDE = ("system", "tools")


@dataclass
class Written:
    """What a conversion wrote: how many rows, and the first of those left out, each with its problem.

    Of a file that is read where it lies, `rows` is how many it has, None while they are being counted. `not_taken` are
    the fields that carry text and are not taken up, `notes` what else is not trained as it stands in the file. `media`
    counts the rows with each kind of media, and with tools and system prompts; `stored` is the folder of media that
    stood inside of the rows, None where none did.
    """

    rows: int | None = 0
    left_out: int = 0
    problems: list[Problem] = field(default_factory=list)
    not_taken: list[str] = field(default_factory=list)
    notes: Notes = field(default_factory=Notes)
    media: dict[str, int] = field(default_factory=dict)
    stored: Path | None = None

    def leave_out(self, problem: Problem) -> None:
        """Count a row that cannot be used."""
        self.left_out += 1
        if len(self.problems) < MAX_LEFT_OUT_PROBLEMS:
            self.problems.append(problem)


def entry_for(mapping: Mapping, file_name: str, media: Iterable[str] = ()) -> dict:
    """Return the entry of `dataset_info.json` for the file that `convert` writes by this mapping; `media` are the kinds
    in its rows.
    """
    if mapping.form == "text":
        return {"file_name": file_name, "columns": {"prompt": "text"}}
    chat = mapping.form.startswith("chat")
    columns = {"messages": "conversations"} if chat else {"prompt": "instruction", "query": "input"}
    given = [name for name in (*BESIDE, *MEDIA, "history") if mapping.columns.get(name) or name in media]
    if mapping.stage == "dpo":
        columns |= {"chosen": "chosen", "rejected": "rejected"}
    elif not chat:
        columns["response"] = "output"
    if mapping.stage == "kto":
        columns["kto_tag"] = "label"
    columns |= {name: name for name in given}
    return (
        {"file_name": file_name}
        | ({"formatting": "sharegpt"} if chat else {})
        | ({"ranking": True} if mapping.stage == "dpo" else {})
        | {"columns": columns}
    )


def converted(
    rows: Iterator[Row], mapping: Mapping, written: Written, path: Path, media: MediaFiles | None = None
) -> Iterator[dict]:
    """Yield the rows in the form of `entry_for`; those that cannot be used are counted in `written`.

    Args:
        rows: the rows that came in.
        mapping: how to read them; nothing may be `missing()` in it.
        written: is told of every row.
        path: the file they came from, to be named in problems.
        media: finds the files that the rows name.

    Raises:
        Problem: the mapping lacks a column.
    """
    if missing := mapping.missing():
        raise Problem("datasets.column_not_chosen", column=", ".join(missing), file=path)
    rows = _watched(rows, mapping, written)
    if mapping.form == "scored_pairs":
        yield from _pairs(rows, mapping, written, path)
        return
    reader = RowReader(mapping, media)
    for row in rows:
        try:
            if row.problem:
                raise row.problem
            read = reader.read(row.value)
            _require_whole_characters(read.value, path, row.number)
        except UnusableRow as unusable:
            written.leave_out(unusable.problem(path, row.number, mapping.columns.get(unusable.column, unusable.column)))
            continue
        except Problem as problem:
            written.leave_out(problem)
            continue
        written.rows += 1
        written.notes.add(read.notes, row.number)
        for name in (*BESIDE, *MEDIA):
            if name in read.value:
                written.media[name] = written.media.get(name, 0) + 1
        yield read.value


def _require_whole_characters(value: dict, path: Path, number: int) -> None:
    """Raise Problem for a row that holds half of a surrogate pair, which JSON can escape and no UTF-8 has."""
    with contextlib.suppress(TypeError):  # quicker than the other writer, which takes all else that stands in rows
        orjson.dumps(value)
        return
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise Problem("datasets.half_character", file=path, row=number) from error


def _watched(rows: Iterator[Row], mapping: Mapping, written: Written) -> Iterator[Row]:
    """Pass rows on, and name in `written` the fields with text that the mapping does not take up."""
    known = set(mapping.columns.values())
    for row in rows:
        if row.value is not None:
            for name, value in row.value.items():
                if name not in known and any(map(str.strip, texts(value))):
                    known.add(name)
                    written.not_taken.append(name)
        yield row


def _pairs(rows: Iterator[Row], mapping: Mapping, written: Written, path: Path) -> Iterator[dict]:
    """Yield of the neighbouring rows with one prompt the best answer beside the worst, where their scores differ."""
    prompt, response, score = (mapping.columns[name] for name in ("prompt", "response", "score"))

    def usable() -> Iterator[Row]:
        """Yield the rows that have a prompt, an answer and a score; the others are left out and told."""
        for row in rows:
            if row.problem:
                written.leave_out(row.problem)
            elif not all(
                isinstance(row.value.get(name), kind)
                for name, kind in ((prompt, str), (response, str), (score, int | float))
            ):
                written.leave_out(Problem("datasets.unusable_value", file=path, row=row.number, field=score))
            else:
                try:
                    _require_whole_characters(row.value, path, row.number)
                except Problem as problem:
                    written.leave_out(problem)
                    continue
                yield row

    for question, group in groupby(usable(), key=lambda row: row.value[prompt]):
        answers = sorted(group, key=lambda row: row.value[score])
        worst, best = answers[0], answers[-1]
        if worst.value[score] == best.value[score]:
            written.leave_out(Problem("datasets.no_pair", file=path, row=worst.number, field=score))
            continue
        written.rows += 1
        system = {"system": best.value.get(mapping.columns["system"]) or ""} if mapping.columns.get("system") else {}
        yield {
            "instruction": question,
            "input": "",
            "chosen": best.value[response],
            "rejected": worst.value[response],
        } | system


def _free(folder: Path) -> Path:
    """Return a folder that does not exist yet, called as `folder` or with a number."""
    numbered = (folder if number == 1 else folder.with_name(f"{folder.name}_{number}") for number in count(1))
    return next(each for each in numbered if not each.exists())


def _write(path: Path, rows: Iterator[dict]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _fill(path: Path, written: Written) -> None:
    """Write the file again with every column of it in every row: a table has its columns from the first row on."""
    empty = {name: "" if name in BESIDE else [] for name in written.media}
    whole = path.with_suffix(".whole")
    with path.open(encoding="utf-8") as source:
        _write(
            whole,
            (
                {**json.loads(line), **{name: value for name, value in empty.items() if name not in json.loads(line)}}
                for line in source
            ),
        )
    move(whole, path)


def convert(path: Path, mapping: Mapping, target: Path, progress: Callable[[int], None] | None = None) -> Written:
    """Write the rows of `path` (a file or a folder of files) to `target` as JSON lines: whole, or not at all.

    Args:
        path: where the rows are; it is only read.
        mapping: how to read them.
        target: a file that does not exist yet, ending in .jsonl.
        progress: called with the number of rows read; what it raises ends the conversion.

    Raises:
        Problem: `target` exists, the file cannot be read as a whole, no row of it can be used, or the disk refuses.
    """
    if target.exists():
        raise Problem("datasets.file_exists", file=target)
    written = Written()

    def counted(rows: Iterator[Row]) -> Iterator[Row]:
        for row in rows:
            if progress and row.number % 1000 == 0:
                progress(row.number)
            yield row

    with scratch(target.parent) as folder:
        whole, store = folder / target.name, _free(target.with_name(f"{target.stem}_media"))
        media = MediaFiles(path if path.is_dir() else path.parent, target.parent, folder / "media", store.name)
        try:
            _write(whole, converted(counted(incoming.rows(path, target.parent)), mapping, written, path, media))
            if any(rows != written.rows for rows in written.media.values()):
                _fill(whole, written)
        except OSError as error:
            raise Problem("workspace.unwritable", path=target, reason=reasons.of(error)) from error
        if not written.rows:
            raise written.problems[0] if written.problems else Problem("datasets.empty", file=path)
        if media.store.is_dir():
            move(media.store, store)
            written.stored = store
        move(whole, target)
    return written
