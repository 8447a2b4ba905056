"""Rows of any data file: JSON arrays, JSON lines, CSV, TSV, Parquet, Arrow, plain text, and folders of them.

A row that cannot be read is a row with a problem, so that one bad line neither hides the others nor stops a reader.
"""

import codecs
import contextlib
import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson

from studio.core import reasons
from studio.core.i18n import Problem
from studio.core.storage import files, folders
from studio.core.storage.file_cache import FileCache
from studio.datasets.files import columnar, large_numbers, scanning
from studio.datasets.files.incoming.dialect import DELIMITER_NAMES, Dialect, columns_of, known_field, lines_of, sniff

ENDINGS = {
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".txt": "text",
}
DELIMITERS = {"csv": ",", "tsv": "\t"}
COLUMNAR = ("parquet", "arrow")
# No row of training data is near this long; a file without line breaks is, and must not be taken into memory.
LONGEST_ROW = 16 * 2**20
DEEPEST_ROW = 64
_SAMPLE = 2**20
_BOMS = ((codecs.BOM_UTF8, "UTF-8 with BOM"), (codecs.BOM_UTF16_LE, "UTF-16"), (codecs.BOM_UTF16_BE, "UTF-16"))
CODECS = {"UTF-8 with BOM": "utf-8-sig", "UTF-16": "utf-16", "GBK": "gb18030"}


@dataclass(frozen=True)
class Row:
    """One row. `number` counts from 1; `value` is None where `problem` says why the row cannot be read; `size` is in
    bytes.
    """

    number: int
    value: dict | None
    problem: Problem | None = None
    size: int = 0


@dataclass(frozen=True)
class Form:
    """What kind of file this is: `kind` is array, lines, csv, tsv, text, parquet or arrow. `start` is where its first
    row is sought.

    `encoding` is "UTF-8" or a key of CODECS; `columns` and `dialect` are those of a delimited file.
    """

    kind: str
    start: int = 0
    encoding: str = "UTF-8"
    columns: tuple[str, ...] = ()
    dialect: Dialect = Dialect()


def unreadable(path: Path, error: OSError) -> Problem:
    """Return the fault of a file that cannot be read: that it is gone, or why not."""
    if isinstance(error, FileNotFoundError):
        return Problem("datasets.no_file", file=path)
    return Problem("datasets.unreadable", file=path, reason=reasons.of(error))


def form_of(path: Path) -> Form:
    """Look at the beginning of a data file and say what it is. What a JSON file holds counts, not whether it is called
    .json or .jsonl.

    Raises:
        Problem: the ending is unknown, the file cannot be read, or is text in no encoding that is known here.
    """
    if path.suffix.lower() not in ENDINGS:
        raise Problem("datasets.unknown_ending", file=path, types=" ".join(ENDINGS))
    try:
        with files.open_file(path):  # what is no plain file is refused here, before anything waits for it
            pass
        return _forms.get(path, [path], lambda: _form_of(path))
    except OSError as error:
        raise unreadable(path, error) from error


_forms: FileCache[Form] = FileCache(512)


def _form_of(path: Path) -> Form:
    kind = ENDINGS[path.suffix.lower()]
    if kind in COLUMNAR:
        return Form(kind)
    with files.open_file(path) as file:
        head = file.read(_SAMPLE)
    encoding = encoding_of(path, head)
    start = len(codecs.BOM_UTF8) if encoding == "UTF-8 with BOM" else 0
    text = head.decode(CODECS.get(encoding, "utf-8"), "ignore")
    if kind == "json":
        return Form("array" if text.lstrip().startswith("[") else "lines", start, encoding)
    if kind in DELIMITERS:
        dialect = Dialect(DELIMITERS[kind])
        return Form(kind, start, encoding, columns_of(text, dialect, path), dialect)
    return Form(kind, start, encoding)


def encoding_of(path: Path, head: bytes) -> str:
    """Return the encoding of a text that begins with `head`. Raises Problem where it is none of those known here."""
    for bom, name in _BOMS:
        if head.startswith(bom):
            return name
    if _decodes(head, "utf-8"):
        return "UTF-8"
    lines = head.splitlines()
    whole = lines if len(head) < _SAMPLE else lines[: max(1, len(lines) - 1)]  # the last line of a sample may be cut
    beyond_ascii = [line for line in whole if not line.isascii()]
    damaged = sum(not _decodes(line, "utf-8") for line in beyond_ascii)
    if damaged > len(beyond_ascii) / 2 and _decodes(head, "gb18030"):
        return "GBK"
    # A few damaged rows among sound ones are told row by row.
    if damaged <= max(1, len(lines) / 5):
        return "UTF-8"
    raise Problem("datasets.not_utf8", file=path, byte=_first_bad_byte(head))


def _decodes(text: bytes, codec: str) -> bool:
    try:
        codecs.getincrementaldecoder(codec)().decode(text)
    except UnicodeDecodeError:
        return False
    return True


def _first_bad_byte(head: bytes) -> int:
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start
    return len(head)


def files_of(path: Path) -> list[Path]:
    """Return the data files that `path` is, or holds: LLaMA-Factory wants the files of a folder to be of one type.

    Raises:
        Problem: nothing is there, the folder is empty, or its files are not of one type.
    """
    if not folders.is_folder(path):
        if not files.exists(path):
            raise Problem("datasets.no_file", file=path)
        return [path]
    found = [each for each in folders.entries(path) if files.is_file(each)]
    if not found:
        raise Problem("datasets.empty", file=path)
    kinds = {ENDINGS.get(each.suffix.lower()) for each in found}
    if len(kinds) > 1 or None in kinds:
        raise Problem(
            "datasets.mixed_folder", file=path, found=" ".join(sorted({each.suffix or each.name for each in found}))
        )
    return found


def rows(path: Path) -> Iterator[Row]:
    """Yield every row of a file, or of a folder of files, in order and one after the other.

    Raises:
        Problem: the file as a whole cannot be read from here on: it is not there, is no JSON, or ends in the middle of
            a row.
    """
    number = 0
    for file in files_of(path):
        for row in rows_of_file(file, form_of(file), number):
            number = row.number
            yield row


def rows_of_file(
    path: Path, form: Form, number: int = 0, parse: Callable[[Path, Form, int, bytes], Row] | None = None
) -> Iterator[Row]:
    """Yield the rows of one file that is of this form; the first of them is row `number` + 1. Raises Problem as `rows`
    does.

    `parse` takes the place of this module's.
    """
    if form.kind in COLUMNAR:
        for row, value in enumerate(columnar.rows(path, form.kind), start=number + 1):
            yield Row(row, value)
        return
    require_utf8(path, form)
    try:
        with files.open_file(path) as boundaries, files.open_file(path) as file:
            for pairs in scan(boundaries, path, form):
                for row in read(file, path, form, pairs.tolist(), number + 1, parse):
                    number = row.number
                    yield row
    except OSError as error:
        raise Problem("datasets.unreadable", file=path, reason=reasons.of(error)) from error


def require_commas(path: Path) -> None:
    """Raise Problem for a CSV file whose columns are separated by something else, which LLaMA-Factory does not read."""
    for file in files_of(path):
        form = form_of(file)
        if form.kind != "csv":
            continue
        with files.open_file(file) as opened:
            text = opened.read(_SAMPLE).decode(CODECS.get(form.encoding, "utf-8"), "ignore")
        found = sniff(text, form.dialect.delimiter, known_field)
        if found.delimiter != form.dialect.delimiter:
            raise Problem(
                "datasets.other_delimiter", file=file, delimiter=DELIMITER_NAMES.get(found.delimiter, found.delimiter)
            )


def require_utf8(path: Path, form: Form) -> None:
    """Raise Problem for text that LLaMA-Factory could not read. A BOM is no harm in lines and tables."""
    harmless = form.encoding == "UTF-8 with BOM" and form.kind != "array"
    if form.encoding != "UTF-8" and not harmless:
        raise Problem("datasets.encoding", file=path, encoding=form.encoding)


def scan(file, path: Path, form: Form) -> Iterator:
    """Yield arrays of the begins and ends of the rows of an open text file (see `scanning`). Raises Problem as its
    scanners do.
    """
    file.seek(form.start)
    if form.kind == "array":
        yield from scanning.array(file, path)
    elif form.kind in DELIMITERS:
        before, found = form.dialect.leading, 0
        try:
            for pairs in scanning.records(file, form.dialect):
                yield pairs[before:]
                found, before = found + len(pairs[before:]), max(0, before - len(pairs))
        except csv.Error as error:
            raise Problem("datasets.not_a_table", file=path, row=found + 1, reason=reasons.of(error)) from error
        except scanning.OpenQuote as error:
            raise Problem("datasets.open_quote", file=path, row=found) from error
    else:
        yield from scanning.lines(file, keep_blank=form.kind == "text")


def read(
    file, path: Path, form: Form, pairs: list[tuple[int, int]], number: int, parse_row: Callable | None = None
) -> Iterator[Row]:
    """Yield the rows that lie between the given offsets of an open file; the first of them is row `number`."""
    for row, (start, end) in enumerate(pairs, start=number):
        if end - start > LONGEST_ROW:
            yield Row(
                row,
                None,
                Problem("datasets.row_too_long", file=path, row=row, size=f"{(end - start) / 1e6:,.0f}"),
                end - start,
            )
            continue
        file.seek(start)
        yield (parse_row or parse)(path, form, row, file.read(end - start))


def parse(path: Path, form: Form, number: int, raw: bytes) -> Row:
    """Return the row that the bytes `raw` say; a row that cannot be read carries its problem."""
    try:
        if form.kind == "text":
            return Row(number, {"text": _text(path, number, raw).rstrip("\r\n")}, None, len(raw))
        if form.kind in DELIMITERS:
            return Row(number, _delimited(path, form, number, raw), None, len(raw))
        return Row(number, _object(path, number, raw), None, len(raw))
    except Problem as problem:
        return Row(number, None, problem, len(raw))


def _text(path: Path, number: int, raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Problem("datasets.row_not_utf8", file=path, row=number, byte=error.start) from error


def _delimited(path: Path, form: Form, number: int, raw: bytes) -> dict:
    try:
        fields = next(form.dialect.reader(lines_of(_text(path, number, raw))), [])
    except csv.Error as error:
        raise Problem("datasets.not_a_table", file=path, row=number, reason=reasons.of(error)) from error
    if len(fields) != len(form.columns):
        raise Problem("datasets.ragged", file=path, row=number, found=len(fields), wanted=len(form.columns))
    return dict(zip(form.columns, fields, strict=True))


def _object(path: Path, number: int, raw: bytes) -> dict:
    value = json_of(path, number, raw)
    if not isinstance(value, dict):
        raise Problem("datasets.row_not_object", file=path, row=number)
    for field in value:
        if raw.count(b'"%s"' % field.encode()) > 1:
            _require_fields_once(path, number, raw)
            break
    return value


def json_of(path: Path, number: int, raw: bytes) -> object:
    """Return the JSON value of row `number`. Raises Problem for what is none, is nested too deeply, or holds NaN,
    naming the field.
    """
    # Counting brackets is far quicker than walking the value, and few rows have so many.
    if raw.count(b"[") + raw.count(b"{") > DEEPEST_ROW and _depth(raw) > DEEPEST_ROW:
        raise Problem("datasets.row_too_deep", file=path, row=number, most=DEEPEST_ROW)
    try:
        return large_numbers.exact(orjson.loads(raw), raw)
    except orjson.JSONDecodeError as error:
        raise _not_json(path, number, raw, error) from error


def _depth(raw: bytes) -> int:
    """Return how deep the brackets outside strings are nested."""
    depth = deepest = 0
    in_string = escaped = False
    for byte in raw:
        if in_string:
            in_string, escaped = escaped or byte != 34, not escaped and byte == 92
        elif byte == 34:
            in_string = True
        elif byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest


def _not_json(path: Path, number: int, raw: bytes, error: orjson.JSONDecodeError) -> Problem:
    strange: list[str] = []
    with contextlib.suppress(ValueError):  # not even Python's more lenient reader takes it: the error at hand says more
        fields = json.loads(raw, parse_constant=lambda name: strange.append(name) or strange, object_pairs_hook=tuple)
        if strange:
            field = (
                next((name for name, value in fields if _holds(value, strange)), "?")
                if isinstance(fields, tuple)
                else "?"
            )
            return Problem("datasets.not_a_number", file=path, row=number, field=field, value=strange[0])
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as fault:
        return Problem("datasets.row_not_utf8", file=path, row=number, byte=fault.start)
    return Problem("datasets.row_not_json", file=path, row=number, character=error.pos + 1, reason=reasons.kind(error))


def _holds(value: object, target: object) -> bool:
    return value is target or (isinstance(value, list | tuple) and any(_holds(one, target) for one in value))


def _require_fields_once(path: Path, number: int, raw: bytes) -> None:
    def once(pairs: list[tuple[str, object]]) -> dict:
        """Return the fields of an object. Raises Problem where one comes twice."""
        fields = dict(pairs)
        if len(fields) < len(pairs):
            names = [name for name, _ in pairs]
            raise Problem(
                "datasets.field_twice",
                file=path,
                row=number,
                field=next(name for name in names if names.count(name) > 1),
            )
        return fields

    json.loads(raw, object_pairs_hook=once)
