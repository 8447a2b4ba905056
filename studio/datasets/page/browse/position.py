"""Where in a dataset the page stands: which rows it shows, what is sought, which row is being edited."""

from dataclasses import dataclass, replace
from typing import Self
from urllib.parse import parse_qs, urlencode

NEW = "new"


@dataclass(frozen=True)
class Position:
    """`offset` counts rows from 0; `edit` is the number of the row that is being edited (from 1), NEW for one that is
    to be added, "" for none; `as_json` tells whether it is edited as JSON.
    """

    name: str
    offset: int = 0
    find: str = ""
    edit: str = ""
    as_json: bool = False

    @classmethod
    def parse(cls, name: str, address: str) -> Self:
        """Return the position that an address says; the beginning of the dataset where it speaks of another one."""
        values = {key: values[0] for key, values in parse_qs(address, keep_blank_values=True).items()}
        if values.get("name") != name:
            return cls(name)
        return cls(
            name,
            _number(values.get("offset")),
            values.get("find", ""),
            values.get("edit", ""),
            values.get("as") == "json",
        )

    def to(self, **changes: object) -> str:
        """Return what a button takes in hand to lead to this position, or to one that differs by `changes`."""
        at = replace(self, **changes)
        values = {"offset": at.offset or "", "find": at.find, "edit": at.edit, "as": "json" if at.as_json else ""}
        return "page:" + urlencode({"name": at.name} | {key: value for key, value in values.items() if value})

    def rows_from(self, offset: int) -> str:
        """Return what leads to the rows from `offset` on, with nothing sought and nothing edited."""
        return Position(self.name, max(0, offset)).to()

    @property
    def base(self) -> str:
        """The address of the dataset alone, for fields that add where to go."""
        return urlencode({"name": self.name})


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() and len(text) < 16 else 0
