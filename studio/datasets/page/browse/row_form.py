"""The form in which a row is changed: a field for each text in it, and what is not text as JSON; or all as JSON."""

import json
from dataclasses import dataclass

from studio.core.i18n import Problem
from studio.datasets.files.reading import Row
from studio.datasets.files.row_edits import digest_of
from studio.datasets.page.browse.position import Position

LONGEST_FIELD, LONGEST_JSON = 14, 28  # lines


@dataclass(frozen=True)
class FormField:
    """`label` is "" for the whole row; `lines` is the height of the field."""

    name: str
    label: str
    text: str
    lines: int


@dataclass(frozen=True)
class RowForm:
    """`number` is that of the row, from 1, and 0 for a new one; `was` is the row as JSON, as it stood when the form was
    drawn, `digest` its digest, "" for a new one. `back` leads out of the form, `switch` to the same
    form as JSON or as fields, "" where there is only one.
    """

    name: str
    number: int
    fields: tuple[FormField, ...]
    was: str
    is_json: bool
    back: str
    digest: str = ""
    switch: str = ""
    problem: Problem | None = None


def row_form(at: Position, value: object, row: Row | None = None) -> RowForm:
    """Return the form for `row`, or for a new one, which holds `value`: as fields or as JSON, as `at` says."""
    number, digest = (row.number, digest_of(row)) if row else (0, "")
    if at.as_json:
        fields = (_json_field(json.dumps(value, ensure_ascii=False, indent=2, default=str)),)
    else:
        fields = tuple(_field(path, leaf) for path, leaf in leaves(value))
    was = json.dumps(value, ensure_ascii=False, default=str)
    return RowForm(at.name, number, fields, was, at.as_json, _back(at), digest, at.to(as_json=not at.as_json))


def unreadable_row_form(at: Position, row: Row, text: str) -> RowForm:
    """Return the form for a row that cannot be read: its text as it is written in the file."""
    return RowForm(
        at.name, row.number, (_json_field(text),), "null", True, _back(at), digest_of(row), problem=row.problem
    )


def emptied(value: object) -> object:
    """Return a value of the same make with no text in it, but for the roles of messages."""
    if isinstance(value, dict):
        return {key: each if key in ("from", "role") else emptied(each) for key, each in value.items()}
    if isinstance(value, list):
        return [emptied(each) for each in value]
    return "" if isinstance(value, str) else value


def _back(at: Position) -> str:
    return at.to(edit="", as_json=False)


def _json_field(text: str) -> FormField:
    return FormField("json", "", text, min(LONGEST_JSON, text.count("\n") + 3))


def _field(path: str, value: object) -> FormField:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    lines = max(1, min(LONGEST_FIELD, sum(1 + len(line) // 100 for line in text.split("\n"))))
    return FormField(f"at:{path}", path, text, lines)


def leaves(value: object, path: str = "") -> list[tuple[str, object]]:
    """Return every value in a row that holds no other, with its path: ("conversations[0].value", "Hello")."""
    if isinstance(value, dict) and value:
        return [leaf for key, each in value.items() for leaf in leaves(each, f"{path}.{key}" if path else key)]
    if isinstance(value, list) and value:
        return [leaf for number, each in enumerate(value) for leaf in leaves(each, f"{path}[{number}]")]
    return [(path, value)]


def with_leaves(value: object, texts: dict[str, str], path: str = "") -> object:
    """Return `value` with its leaves as a form has them ({path: text}): text stays text, anything else is read as JSON.

    Raises:
        Problem: what was not text is not JSON now.
    """
    if isinstance(value, dict) and value:
        return {key: with_leaves(each, texts, f"{path}.{key}" if path else key) for key, each in value.items()}
    if isinstance(value, list) and value:
        return [with_leaves(each, texts, f"{path}[{number}]") for number, each in enumerate(value)]
    if path not in texts:
        return value
    text = _line_ends(texts[path])
    if isinstance(value, str):
        return value if text == _line_ends(value) else text  # a browser turns every line end into its own
    try:
        return json.loads(text)
    except ValueError as error:
        raise Problem("datasets.field_not_json", field=path) from error


def _line_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
