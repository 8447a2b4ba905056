"""Of which kind the values at each place of a row are, and the first place at which two rows cannot stand in one
table.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

_NAMES = {
    str: "string",
    bool: "boolean",
    int: "number",
    float: "number",
    list: "array",
    dict: "object",
}  # as JSON calls them
EMPTY = "null"


def kind_of(value: object) -> str:
    """Return what JSON calls a value's kind; for what JSON does not have, the name of its type."""
    if value is None:
        return EMPTY
    return next((name for type, name in _NAMES.items() if isinstance(value, type)), type(value).__name__)


@dataclass(frozen=True)
class Conflict:
    """A value that the table of the rows before it has no place for.

    `field` is its place ("output", "conversations[2].value"), `found` its kind; `first` the kind that the place has and
    `row` the row that gave it. Where the place was empty in all rows by which the table was made, `first` is "null" and
    `row` the last of them. `at` is the row of the value.
    """

    field: str
    found: str
    first: str
    row: int
    at: int


@dataclass
class _Place:
    kind: str = EMPTY
    row: int = 0
    keys: dict[str, "_Place"] = field(default_factory=dict)
    items: "_Place | None" = None


class Kinds:
    """The kinds of the values at each place of the rows that were added.

    The columnar readers make a table of a first piece of a file, and put later pieces into it: once `freeze` was
    called, a place that was empty until then stays so, and a key that was not there has none.
    """

    def __init__(self):
        self._root = _Place("object")
        self._frozen = 0

    def freeze(self, row: int) -> None:
        """Let the table be as the rows up to `row` make it."""
        self._frozen = self._frozen or row

    def add(self, row: dict, number: int) -> Iterator[Conflict]:
        """Take in a row, and yield what of it does not fit those before; what does not fit is not taken in."""
        yield from self._add(self._root, row, number, "")

    def _add(self, place: _Place, value: object, number: int, path: str) -> Iterator[Conflict]:
        if value is None:
            return
        found = kind_of(value)
        if place.kind == EMPTY:
            if self._frozen:
                yield Conflict(path, found, EMPTY, self._frozen, number)
                return
            place.kind, place.row = found, number
        elif place.kind != found:
            yield Conflict(path, found, place.kind, place.row, number)
            return
        if isinstance(value, dict):
            yield from self._add_object(place, value, number, path)
        elif isinstance(value, list):
            place.items = place.items or _Place()
            for index, part in enumerate(value):
                yield from self._add(place.items, part, number, f"{path}[{index}]")

    def _add_object(self, place: _Place, value: dict, number: int, path: str) -> Iterator[Conflict]:
        for key, part in value.items():
            name = f"{path}.{key}" if path else str(key)
            if key not in place.keys:
                if self._frozen:
                    yield Conflict(name, kind_of(part), EMPTY, self._frozen, number)
                    continue
                place.keys[key] = _Place(row=number)
            yield from self._add(place.keys[key], part, number, name)
