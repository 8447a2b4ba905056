"""Rows of JSON that stand neither in an array nor on lines: under a key, by keys, by columns, one object after the
other.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path

from studio.core import reasons
from studio.core.i18n import Problem
from studio.core.storage import records
from studio.datasets.files import large_numbers
from studio.datasets.files.incoming.dialect import known_field
from studio.datasets.schema.names import ROLE_KEYS

# Such a file is read at once: its rows cannot be found without what stands around them.
LARGEST = 256 * 2**20
_WRAPPERS = (
    "data",
    "rows",
    "items",
    "examples",
    "samples",
    "records",
    "instances",
    "entries",
    "results",
    "dataset",
    "train",
    "training",
    "list",
    "数据",
    "样本",
)
_PYTHON = re.compile(r"\s*(?:\[\s*)?\{\s*'|\s*\[\s*'")
_TRAILING_COMMA = re.compile(r",\s*$")
_MOST_NAMED = 5


def rows_in(text: bytes, path: Path) -> list:
    """Return the rows that a JSON text holds, each as it stands there: most are objects.

    Raises:
        Problem: it is no JSON (the place is named, and what it looks like), is nested too deeply, or holds its rows
            in more than one place.
    """
    try:
        value = _parsed(text)
    except ValueError as error:
        found = None if "too deep" in str(error) else one_after_the_other(text)
        if found is None:
            raise _no_json(text, path, error) from error
        return found
    return rows_of(value, path)


def _parsed(text: bytes) -> object:
    value = records.parse(text)
    # NaN is what Python writes for a value that is missing; LLaMA-Factory's reader takes it for null as well.
    has_nan = b"NaN" in text or b"Infinity" in text
    return json.loads(text, parse_constant=lambda name: None) if has_nan else large_numbers.exact(value, text)


def one_after_the_other(text: bytes) -> list | None:
    """Return the values of a text in which one follows the other, with or without commas between them; None where it
    is not so.
    """
    try:
        decoded = text.decode("utf-8")
    except UnicodeDecodeError:
        return None
    decoder, at, found = json.JSONDecoder(parse_constant=lambda name: None), 0, []
    while at < len(decoded):
        if decoded[at] in " \t\r\n,":
            at += 1
            continue
        try:
            begin, (value, at) = at, decoder.raw_decode(decoded, at)
            records.parse(decoded[begin:at])  # which refuses what is nested too deeply
        except (ValueError, RecursionError):
            return None
        found += value if isinstance(value, list) and not is_talk(value) else [value]
    return found


def _no_json(text: bytes, path: Path, error: ValueError) -> Problem:
    start = text[:4096].decode("utf-8", "replace")
    if "too deep" in str(error):
        return Problem("datasets.too_deep", file=path)
    try:
        json.loads(text)
    except json.JSONDecodeError as fault:
        if looks_like_python(start):
            return Problem("datasets.python_text", file=path)
        before = fault.doc[max(0, fault.pos - 200) : fault.pos]
        if _TRAILING_COMMA.search(before):
            return Problem("datasets.trailing_comma", file=path, line=fault.lineno)
        if fault.doc[fault.pos : fault.pos + 2] in ("//", "/*") or fault.doc[fault.pos : fault.pos + 1] == "#":
            return Problem("datasets.json_comment", file=path, line=fault.lineno)
        return Problem(
            "datasets.not_json", file=path, line=fault.lineno, column=fault.colno, reason=reasons.kind(fault)
        )
    except (ValueError, RecursionError) as fault:
        return Problem("datasets.not_json", file=path, line=1, column=1, reason=reasons.kind(fault))
    return Problem("datasets.not_json", file=path, line=1, column=1, reason=reasons.of(error))


def looks_like_python(text: str) -> bool:
    """Tell whether a text begins as Python prints a list or a dict, with single quotes."""
    return bool(_PYTHON.match(text))


def is_talk(value: object) -> bool:
    """Tell whether a value is one conversation: a list of objects of which each says who speaks."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(each, dict) and any(key in each for key in ROLE_KEYS) for each in value)
    )


def rows_of(value: object, path: Path) -> list:
    """Return the rows that a JSON value holds. Raises Problem where they stand in more than one place, or their
    columns do not fit.
    """
    if isinstance(value, str):  # JSON that was written as JSON once more
        inner = _reparsed(value)
        return rows_of(inner, path) if isinstance(inner, dict | list) else [value]
    if isinstance(value, list):
        return [value] if is_talk(value) else [_of_viewer(each) for each in value]
    if not isinstance(value, dict):
        return [value]
    for reader in (_table, _under_key, _row, _by_columns, _by_keys, _nested):
        found = reader(value, path)
        if found is not None:
            return [_of_viewer(each) for each in found]
    return [value]


def _reparsed(text: str) -> object:
    try:
        return large_numbers.parse(text)
    except ValueError:
        return text


def _of_viewer(row: object) -> object:
    """Return the row inside of what the dataset viewer of a hub says of it."""
    return (
        row["row"]
        if isinstance(row, dict)
        and isinstance(row.get("row"), dict)
        and set(row) <= {"row", "row_idx", "truncated_cells"}
        else row
    )


def _table(value: dict, path: Path) -> list | None:
    """Read pandas' form "split": the names of columns, and lists of values."""
    columns, data = value.get("columns"), value.get("data", value.get("rows"))
    if not isinstance(columns, list) or not isinstance(data, list) or not all(isinstance(row, list) for row in data):
        return None
    names = [column.get("name") if isinstance(column, dict) else column for column in columns]
    if not all(isinstance(name, str) for name in names):
        return None
    for number, row in enumerate(data, start=1):
        if len(row) != len(names):
            raise Problem("datasets.ragged", file=path, row=number, found=len(row), wanted=len(names))
    return [dict(zip(names, row, strict=True)) for row in data]


def _holds_rows(value: object) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and (all(isinstance(each, dict) for each in value) and not is_talk(value) or all(map(is_talk, value)))
    )


def _tells(row: object, path: Path) -> bool:
    """Tell whether a row is visibly one of training data."""
    row = _of_viewer(row)
    return is_talk(row) or (isinstance(row, dict) and _row(row, path) is not None)


def _under_key(value: dict, path: Path) -> list | None:
    """Read rows that stand under a key, beside whatever is said of them."""
    holding = [key for key in value if _holds_rows(value[key])]
    named = [key for key in holding if key.casefold().strip() in _WRAPPERS]
    # Beside the rows may stand a list of something else, as of the names of columns.
    telling = [key for key in holding if _tells(value[key][0], path)]
    if _row(value, path) is not None and not set(named) & set(telling):
        return None
    found = telling or named or holding
    if not found or (len(found) > 1 and not named and _columns(value)):
        return None
    if len(found) > 1:
        keys = ", ".join(str(key)[:60] for key in found[:_MOST_NAMED])
        raise Problem("datasets.several_lists", file=path, keys=keys)
    return value[found[0]]


def _row(value: dict, path: Path) -> list | None:
    """Take an object for a row by itself: a field of a known name has a text, or a conversation."""
    for key, each in value.items():
        if known_field(key) and (isinstance(each, str) or is_talk(each)):
            return [value]
    return None


def _columns(value: dict) -> bool:
    lengths = {len(each) for each in value.values() if isinstance(each, list)}
    if all(map(is_talk, value.values())):
        return False  # conversations, each under a key of its own
    return (
        bool(value)
        and all(isinstance(each, list) for each in value.values())
        and lengths != {0}
        and (any(map(known_field, value)) or len(lengths) == 1)
    )


def _by_columns(value: dict, path: Path) -> list | None:
    """Read columns: a list of values for each, or as pandas writes them an object of {number of the row: value}."""
    if _columns(value):
        lengths = {key: len(each) for key, each in value.items()}
        if len(set(lengths.values())) > 1:
            raise Problem(
                "datasets.columns_unequal",
                file=path,
                columns=", ".join(f"{key[:60]}: {count}" for key, count in list(lengths.items())[:_MOST_NAMED]),
            )
        return [dict(zip(value, row, strict=True)) for row in zip(*value.values(), strict=True)]
    if not value or not all(isinstance(each, dict) for each in value.values()):
        return None
    inner = list(dict.fromkeys(key for each in value.values() for key in each))
    if not any(map(known_field, value)) and (any(map(known_field, inner)) or not all(key.isdecimal() for key in inner)):
        return None
    return [{column: each.get(row) for column, each in value.items()} for row in inner]


def _by_keys(value: dict, path: Path) -> list | None:
    """Read rows of which each stands under a key of its own."""
    each = list(value.values())
    if len(each) > 1 and all(map(is_talk, each)):
        return each
    if not each or not all(isinstance(one, dict) for one in each):
        return None
    common = set(each[0]).intersection(*map(set, each))
    return each if any(map(known_field, common)) or (len(each) > 1 and common) else None


def _nested(value: dict, path: Path) -> list | None:
    """Read what stands one level deeper."""
    readers: tuple[Callable, ...] = (_table, _under_key, _by_columns, _by_keys)
    found = {}
    for key, inner in value.items():
        rows = (
            next((rows for reader in readers if (rows := reader(inner, path)) is not None), None)
            if isinstance(inner, dict)
            else None
        )
        if rows is not None:
            found[key] = rows
    if len(found) > 1:
        raise Problem(
            "datasets.several_lists", file=path, keys=", ".join(str(key)[:60] for key in list(found)[:_MOST_NAMED])
        )
    return next(iter(found.values()), None)
