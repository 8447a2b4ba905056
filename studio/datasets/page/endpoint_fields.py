"""Fields of what the page's forms send. They are free by nature: a form of a row has a field for each text in it."""

from studio.core.i18n import Problem
from studio.core.storage.records import parse


def text_field(form: dict, field: str, default: str | None = None) -> str:
    """Return a field of a form. Raises Problem where it is missing or no text."""
    value = form.get(field, default)
    if value is None:
        raise Problem("app.argument_missing", argument=field)
    if not isinstance(value, str):
        raise Problem("app.argument_str", argument=field)
    return value


def row_field(form: dict) -> int:
    """Return the number of the row that a form is of, 0 for a new one. Raises Problem where it is none."""
    value = str(form.get("row", ""))
    if not value.isdecimal() or len(value) > 15:
        raise Problem("app.argument_int", argument="row")
    return int(value)


def was_field(form: dict) -> object:
    """Return the row as it stood when the form was drawn. Raises Problem where that is no JSON."""
    try:
        return parse(text_field(form, "was"))
    except ValueError as error:
        raise Problem("app.argument_kind", argument="was") from error
