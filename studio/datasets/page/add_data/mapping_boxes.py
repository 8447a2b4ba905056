"""The boxes of data that is brought in: its form, and which of its fields stands for which column."""

from dataclasses import dataclass
from urllib.parse import urlencode

from studio.core.i18n import Words
from studio.datasets.page.add_data.choices import NO_FIELD
from studio.datasets.registry import hub_data
from studio.datasets.schema.forms import FORMS, Mapping

HUB_FIELDS = ("subset", "split", "folder", "num_samples")


@dataclass(frozen=True)
class Box:
    """A box to choose in, or to type in where it has no `options` (pairs of a value and its text).

    `base` is what is in hand, to which the value is added under `name`.
    """

    label: str
    name: str
    value: str
    base: str
    options: tuple[tuple[str, str], ...] = ()
    kind: str = "text"
    placeholder: str = ""


def mapping_boxes(words: Words, choices: dict[str, str], mapping: Mapping, fields: list[str] | None) -> tuple[Box, ...]:
    """Return a box for the form and one for each of its columns: to choose among `fields`, or to type where these are
    not known.
    """
    # Another form has other columns: those that were chosen go.
    without_columns = urlencode({name: value for name, value in choices.items() if not name.startswith("c.")})
    forms = tuple((form, words("datasets.form_" + form)) for form in FORMS)
    boxes = [Box(words("datasets.what_it_is"), "form", mapping.form, without_columns, forms)]
    boxes += [_column_box(words, choices, mapping, column, fields) for column in FORMS[mapping.form]]
    if mapping.form == "scores":
        least = f"{mapping.min_score:g}" if mapping.min_score is not None else ""
        boxes.append(Box(words("datasets.min_score"), "min_score", least, urlencode(choices), kind="number"))
    return tuple(boxes)


def _column_box(words: Words, choices: dict[str, str], mapping: Mapping, column: str, fields: list[str] | None) -> Box:
    name, is_required = column.rstrip("*"), column.endswith("*")
    label, chosen, base = words("datasets.column_" + name), mapping.columns.get(name), urlencode(choices)
    if fields is None:
        return Box(label, f"c.{name}", chosen or "", base, placeholder=words("datasets.field_name"))
    none = words("datasets.choose_field" if is_required else "datasets.no_field")
    options = ((NO_FIELD, none), *((field, field) for field in fields))
    return Box(label, f"c.{name}", chosen or NO_FIELD, base, options)


def hub_box(words: Words, choices: dict[str, str], hub: str) -> Box:
    """Return the box of the hub that data lies on."""
    hubs = tuple((each, words("datasets.hub_" + each)) for each in hub_data.KEYS)
    return Box(words("datasets.hub"), "hub", hub, urlencode(choices), hubs)


def hub_boxes(words: Words, choices: dict[str, str]) -> tuple[Box, ...]:
    """Return the boxes of what an entry says of data on a hub."""
    return tuple(
        Box(
            words("datasets.entry_" + name),
            name,
            choices.get(name, ""),
            urlencode(choices),
            kind="number" if name == "num_samples" else "text",
        )
        for name in HUB_FIELDS
    )
