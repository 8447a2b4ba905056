"""What a file that comes in really is, whatever it is called, and its rows: every reader of what people bring begins
here.

`reading` reads files as LLaMA-Factory does; this module also reads what LLaMA-Factory does not: other delimiters and
encodings, JSON in any
wrapper or under the name of a text, compressed files.
"""

import contextlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path

from studio.core import reasons
from studio.core.i18n import Problem
from studio.core.storage import files, folders
from studio.core.storage.atomic import scratch
from studio.core.storage.file_cache import FileCache
from studio.datasets.files import reading
from studio.datasets.files.incoming import packed, wrappers
from studio.datasets.files.incoming.dialect import (
    DELIMITER_NAMES,
    Dialect,
    columns_of,
    is_blank,
    known_field,
    lines_of,
    names_of,
    sniff,
)
from studio.datasets.files.incoming.python_values import conversation_in
from studio.datasets.files.large_numbers import parse
from studio.datasets.files.reading import CODECS, Form, Row

_SAMPLE = 2**20
_JSON_BEGINS = re.compile(r'\[\s*[\[{"]|\{\s*"(?:[^"\\]|\\.)*"\s*:|\{\s*\{')
# The part of rows of a text file that must have as many fields as its first line, for it to be a table.
_SURE_TABLE = 0.8


@dataclass(frozen=True)
class Source:
    """How the UTF-8 text of a file is read: as `form` says, or where `whole` as one JSON text that holds the rows
    somewhere.

    With `commas` each line ends in one.
    """

    form: Form
    whole: bool = False
    commas: bool = False


def scan(path: Path) -> Source:
    """Look at the beginning of a file that is not compressed. Raises Problem as `reading.form_of` does."""
    if path.suffix.lower() not in reading.ENDINGS:
        raise Problem("datasets.unknown_ending", file=path, types=" ".join((*reading.ENDINGS, *packed.ENDINGS)))
    try:
        return _sources.get(path, [path], lambda: _scan(path))
    except OSError as error:
        raise reading.unreadable(path, error) from error


_sources: FileCache[Source] = FileCache(512)


def _scan(path: Path) -> Source:
    with files.open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(_SAMPLE)
        if b"\n" not in head:  # a first row this long decides as any other
            head += file.read(reading.LONGEST_ROW)
    if kind := packed.columnar_kind(head):
        return Source(Form(kind))
    ending = reading.ENDINGS[path.suffix.lower()]
    if ending in reading.COLUMNAR:
        return Source(Form(ending))
    encoding = reading.encoding_of(path, head)
    text = head.decode(CODECS.get(encoding, "utf-8"), "ignore").lstrip("\ufeff")
    start = 3 if encoding == "UTF-8 with BOM" else 0
    whole = size <= len(head)
    if ending == "json" or _is_json(text, whole):
        return _json(text, whole, start, encoding)
    dialect = sniff(text, {"csv": ",", "tsv": "\t"}.get(ending, "\t"), known_field)
    if ending == "text" and not _is_table(text, dialect):
        return Source(Form("text", start, encoding))
    kind = ending if ending in reading.DELIMITERS else "tsv"
    return Source(Form(kind, start, encoding, columns_of(text, dialect, path), dialect))


def _is_table(text: str, dialect: Dialect) -> bool:
    """Tell whether a text file is a table: its first line has two names or more that fields of training data have,
    and its rows as many.
    """
    records = [fields for fields in islice(dialect.reader(lines_of(text)), 50) if not is_blank(fields)][
        dialect.sep_line :
    ]
    if len(records) < 2 or sum(map(known_field, names_of(records[0]))) < 2:
        return False
    return sum(len(fields) == len(records[0]) for fields in records[1:]) >= _SURE_TABLE * (len(records) - 1)


def _is_json(text: str, whole: bool) -> bool:
    """Tell whether a file that is not called so holds JSON, by its beginning."""
    stripped = text.lstrip()
    if not _JSON_BEGINS.match(stripped):
        return False
    if isinstance(_value(_line(stripped)), dict | list):
        return True
    # Spread over lines: a text that begins so and goes on as prose cannot be parsed to its end.
    return (
        not whole
        or wrappers.one_after_the_other(stripped.encode()) is not None
        or isinstance(_value(_lines(stripped)[-1]), dict | list)
    )


def _json(text: str, whole: bool, start: int, encoding: str) -> Source:
    """Return how a JSON text that begins with `text` is read."""
    stripped = text.lstrip()
    lines = _lines(stripped, 3)
    as_lines, as_array = Form("lines", start, encoding), Form("array", start, encoding)
    if not lines:
        return Source(as_lines)
    first = _value(lines[0])
    if (
        len(lines) > 1
        and isinstance(first, dict | list | str)
        and not isinstance(_value(stripped.strip()) if whole else None, dict | list)
    ):
        return Source(as_lines, whole=isinstance(first, list) and not wrappers.is_talk(first))
    if lines[0].rstrip().endswith(",") and isinstance(_value(lines[0].rstrip()[:-1]), dict | list):
        return Source(as_lines, commas=True)
    if stripped.startswith("["):
        inner = stripped[1:].lstrip()[:1]
        return Source(
            as_array, whole=inner not in ("{", "[", "") or wrappers.is_talk(_value(stripped.strip()) if whole else None)
        )
    return Source(as_lines, whole=not (isinstance(first, dict) and len(lines) == 1 and whole and _is_one_row(first)))


def _is_one_row(value: dict) -> bool:
    """Tell whether an object by itself is a row, and not what holds the rows."""
    try:
        return wrappers.rows_of(value, Path("-")) == [value]
    except Problem:
        return False


def _lines(text: str, most: int | None = None) -> list[str]:
    found = (line for line in text.split("\n") if line.strip())
    return list(islice(found, most))


def _line(text: str) -> str:
    return text.split("\n", 1)[0].strip().rstrip(",")


def _value(text: str) -> object:
    """Return the JSON value of a text, None where it is none."""
    try:
        return parse(text)
    except ValueError:
        return None


def is_native(path: Path, rows: int) -> bool:
    """Tell whether LLaMA-Factory's reader finds the same rows in a file or folder, judged by its make and by its
    first rows.
    """
    for file in files_of(path):
        if packed.kind_of(file) or file.suffix.lower() not in reading.ENDINGS:
            return False
        found = scan(file)
        if found.whole or found.commas or found.form.encoding != "UTF-8" or found.form != reading.form_of(file):
            return False
        if found.form.kind in ("lines", "array", *reading.DELIMITERS):
            ours = [row.value for row in islice(_read(file, found, file, 0), rows)]
            theirs = [row.value for row in islice(reading.rows_of_file(file, found.form), rows)]
            if ours != theirs:
                return False
    return True


def has_other_shape(path: Path) -> bool:
    """Tell whether a file of UTF-8 text is JSON whose rows stand elsewhere than on lines or in one array."""
    try:
        found = scan(path)
        return (found.whole or found.commas) and any(
            row.value is not None for row in islice(_read(path, found, path, 0), 1)
        )
    except Problem:
        return False


def rows(path: Path, beside: Path) -> Iterator[Row]:
    """Yield every row of a file or folder of files that comes in, in order.

    Args:
        path: the file or folder; it is only read.
        beside: a folder on the disk of which copies are made where they must be (of what is compressed, or is no
            UTF-8).

    Raises:
        Problem: as `reading.rows` does.
    """
    number = 0
    for file in files_of(path):
        with contextlib.ExitStack() as stack:
            whole = stack.enter_context(packed.unpacked(file, beside))
            found = scan(whole)
            text = stack.enter_context(_as_utf8(whole, found.form, beside))
            for row in _read(text, found, file, number):
                number = row.number
                yield row


def files_of(path: Path) -> list[Path]:
    """Return the files that come in; those of a folder may also be compressed, all of them. Raises Problem as
    `reading.files_of` does.
    """
    if (
        folders.is_folder(path)
        and (found := [each for each in folders.entries(path) if files.is_file(each)])
        and all(map(packed.kind_of, found))
    ):
        return found
    return reading.files_of(path)


def _read(text: Path, found: Source, file: Path, number: int) -> Iterator[Row]:
    """Yield the rows of the UTF-8 text of a file; problems name the file itself."""
    form = found.form if text == file else Form(found.form.kind, 0, "UTF-8", found.form.columns, found.form.dialect)
    try:
        if found.whole:
            yield from _rows_of_whole(text, form, file, number)
            return
        parse = partial(_parsed, commas=found.commas)
        for row in reading.rows_of_file(text, form, number, parse):
            yield row if row.problem is None else Row(row.number, None, about(row.problem, file), row.size)
    except Problem as problem:
        raise about(problem, file) from None


def about(problem: Problem, file: Path) -> Problem:
    """Return a problem of a copy of a file as one of the file itself."""
    return Problem(problem.key, **{**problem.facts, "file": file}) if "file" in problem.facts else problem


def _rows_of_whole(text: Path, form: Form, file: Path, number: int) -> Iterator[Row]:
    try:
        with files.open_file(text) as opened:
            raw = opened.read(wrappers.LARGEST + 1)
    except OSError as error:
        raise reading.unreadable(file, error) from error
    if len(raw) > wrappers.LARGEST:
        raise Problem("datasets.wrapped_too_large", file=file, mib=wrappers.LARGEST // 2**20)
    raw = raw[form.start :]
    try:
        values = wrappers.rows_in(raw, file)
    except Problem:
        # Lines of which the first is broken: each is told by itself.
        following = _lines(raw[:_SAMPLE].decode("utf-8", "replace"), 20)[1:]
        if form.kind == "lines" and any(isinstance(_value(line), dict) for line in following):
            yield from reading.rows_of_file(text, form, number, partial(_parsed, commas=False))
            return
        raise
    for row, value in enumerate(values, start=number + 1):
        try:
            yield Row(row, _row(value, file, row), None, 0)
        except Problem as problem:
            yield Row(row, None, problem, 0)


def _parsed(path: Path, form: Form, number: int, raw: bytes, commas: bool) -> Row:
    """Read a row as `reading.parse` does, and also a conversation without a name, a row that is a JSON string, and
    NaN.
    """
    if form.kind not in ("lines", "array"):
        row = reading.parse(path, form, number, raw)
        conversations = (
            {name: talk for name, text in (row.value or {}).items() if (talk := conversation_in(text))}
            if form.kind != "text"
            else {}
        )
        return replace(row, value=row.value | conversations) if conversations else row
    if commas:
        raw = raw.rstrip().removesuffix(b",")
    row = reading.parse(path, form, number, raw)
    if (
        row.problem
        and row.problem.key == "datasets.row_not_json"
        and wrappers.looks_like_python(raw[:200].decode("utf-8", "replace"))
    ):
        return Row(number, None, Problem("datasets.python_text", file=path, row=number), len(raw))
    if row.problem is None or row.problem.key not in ("datasets.row_not_object", "datasets.not_a_number"):
        return row
    try:
        value = (
            reading.json_of(path, number, raw)
            if row.problem.key == "datasets.row_not_object"
            else json.loads(raw, parse_constant=lambda name: None)
        )
        return Row(number, _row(value, path, number), None, len(raw))
    except Problem as problem:
        return Row(number, None, problem, len(raw))


def _row(value: object, path: Path, number: int) -> dict:
    """Return a value as a row: an object, a conversation by itself, a JSON string of one of these, a text."""
    if isinstance(value, str):
        inner = _value(value) if value.lstrip()[:1] in ("{", "[") else None
        if not isinstance(inner, dict | list):
            return {"text": value}
        value = inner
    if isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        return {"messages": value}
    if not isinstance(value, dict):
        raise Problem("datasets.row_not_object", file=path, row=number)
    return value


@contextlib.contextmanager
def _as_utf8(path: Path, form: Form, beside: Path) -> Iterator[Path]:
    """Give a text as UTF-8 without a mark before it: itself, or a copy. Raises Problem where it is not what its
    beginning says.
    """
    if form.kind in reading.COLUMNAR or form.encoding == "UTF-8":
        yield path
        return
    with scratch(beside) as folder:
        copy = folder / path.name
        try:
            with (
                path.open(encoding=CODECS[form.encoding], newline="") as source,
                copy.open("w", encoding="utf-8", newline="") as target,
            ):
                while text := source.read(2**20):
                    target.write(text)
        except UnicodeDecodeError as error:
            raise Problem("datasets.not_utf8", file=path, byte=error.start) from error
        except OSError as error:
            raise Problem("workspace.unwritable", path=copy.parent, reason=reasons.of(error)) from error
        yield copy


def read_as(path: Path) -> list[Problem]:
    """Return sentences on what a file really is, where that is not what its name promises; [] where there is nothing
    to tell.

    Raises:
        Problem: as `rows` does.
    """
    sentences = []
    for file in files_of(path)[:1]:
        if kind := packed.kind_of(file):
            return [Problem("datasets.read_unpacked", kind=kind)]
        found, ending = scan(file), reading.ENDINGS[file.suffix.lower()]
        form = found.form
        if form.kind in reading.DELIMITERS:
            sign = form.dialect.delimiter
            if sign != reading.DELIMITERS.get(ending):
                sentences.append(Problem("datasets.read_separated", delimiter=DELIMITER_NAMES.get(sign, sign)))
            if not form.dialect.header:
                sentences.append(Problem("datasets.read_without_header", columns=", ".join(form.columns[:5])))
        elif found.whole or found.commas:
            sentences.append(Problem("datasets.read_wrapped"))
        elif form.kind in ("lines", "array") and ending != "json":
            sentences.append(Problem("datasets.read_json"))
        elif form.kind in reading.COLUMNAR and form.kind != ending:
            sentences.append(Problem("datasets.read_columnar", kind=form.kind.capitalize()))
        if form.encoding not in ("UTF-8", "UTF-8 with BOM"):
            sentences.append(Problem("datasets.read_encoding", encoding=form.encoding))
    return sentences
