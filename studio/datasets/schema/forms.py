"""What form rows have, and which of their fields say what: recognised from a sample, and put right by the person where
it must be.

A mapping names a form and, by LLaMA-Factory's own column names, the fields of the incoming rows. `convert` writes them
in the form that LLaMA-Factory reads.
"""

from collections.abc import Sequence
from dataclasses import replace

from studio.core.i18n import Problem
from studio.datasets.schema.mapping import FORMS, STAGES, Mapping
from studio.datasets.schema.media import MediaFiles
from studio.datasets.schema.observed_schema import MEDIA, texts
from studio.datasets.schema.recognition import fields_of, recognise
from studio.datasets.schema.row_faults import UnusableRow
from studio.datasets.schema.row_reader import RowReader
from studio.datasets.schema.tool_definitions import read as read_tools

__all__ = [
    "FORMS",
    "STAGES",
    "Mapping",
    "always_converted",
    "described",
    "entry_as_it_is",
    "fields_of",
    "not_taken",
    "recognise",
    "with_choices",
]
# Told of rows that LLaMA-Factory reads where they lie: it trains on them as they are, whatever weight they name.
_REPORTED_ONLY = {"weight"}


def with_choices(
    mapping: Mapping, columns: dict[str, str] | None, tags: dict[str, str] | None, options: dict | None
) -> Mapping:
    """Return `mapping` with what a person chose instead: columns, tags, and of `options` the form and the least score.

    Raises:
        Problem: the form is unknown, or it has no such column.
    """
    choices = options or {}
    form = choices.get("form") or mapping.form
    if form not in FORMS:
        raise Problem("datasets.unknown_form", form=form, known=", ".join(FORMS))
    allowed = [column.rstrip("*") for column in FORMS[form]]
    chosen = {name: value for name, value in mapping.columns.items() if name in allowed} | {
        name: value for name, value in (columns or {}).items() if value is not None
    }
    if strange := [name for name in chosen if name not in allowed]:
        raise Problem("datasets.unknown_column", column=strange[0], form=form, known=", ".join(allowed))
    least = choices.get("min_score", mapping.min_score)
    return replace(
        mapping,
        form=form,
        columns={name: value for name, value in chosen.items() if value},
        tags={**mapping.tags, **(tags or {})},
        known=mapping.known if form == mapping.form else "",
        min_score=least,
    )


def described(mapping: Mapping) -> dict:
    """Return the part of an entry of `dataset_info.json` that says how rows are read as they are: formatting, ranking,
    columns, tags.
    """
    message: dict = {"formatting": "sharegpt"} if mapping.form.startswith("chat") else {}
    if mapping.stage == "dpo":
        message["ranking"] = True
    message["columns"] = dict(mapping.columns)
    if mapping.form.startswith("chat") and mapping.tags:
        message["tags"] = dict(mapping.tags)
    return message


def not_taken(rows: Sequence[dict], mapping: Mapping) -> list[str]:
    """Return the fields that carry text or turns and that the mapping does not take up, in the order in which they
    come.
    """
    taken = set(mapping.columns.values())
    return [
        name
        for name in fields_of(rows)
        if name not in taken and any(any(map(str.strip, texts(row.get(name)))) for row in rows)
    ]


def always_converted(mapping: Mapping) -> bool:
    """Tell whether LLaMA-Factory has no form for what a mapping names, whatever the rows hold."""
    if mapping.form == "chat_preference":
        return not (mapping.columns.get("chosen") and mapping.columns.get("messages"))
    return mapping.form in ("scores", "scored_pairs") or (
        mapping.form.startswith("chat") and bool(mapping.columns.get("response"))
    )


def entry_as_it_is(mapping: Mapping, rows: Sequence[dict], media: MediaFiles | None = None) -> dict | None:
    """Return what an entry says of rows that LLaMA-Factory reads as they are, None where they must be converted first.

    `media` finds the files that they name; only those that LLaMA-Factory finds by the same name can stay as they are.
    """
    if always_converted(mapping):
        return None
    reader = RowReader(mapping, media)
    for row in rows:
        if any(name not in row for name in mapping.columns.values()):
            return None
        try:
            read = reader.read(row)
        except UnusableRow:
            return None  # converting leaves it out, and says why
        for column, name in mapping.columns.items():
            if not _reads_as_it_is(column, row[name], mapping) or (
                column in MEDIA and row[name] != read.value.get(column)
            ):
                return None
        if read.notes - _REPORTED_ONLY or any(
            kind in read.value and kind not in mapping.columns for kind in (*MEDIA, "tools")
        ):
            return None
    return described(mapping)


def _reads_as_it_is(column: str, value: object, mapping: Mapping) -> bool:
    if column == "kto_tag":
        return isinstance(value, bool)
    if column == "history":
        return value is None or isinstance(value, list)
    if column in MEDIA:
        return isinstance(value, list)
    if column == "tools":
        return isinstance(value, str) and (value in ("", "[]") or read_tools(value) == (value, False))
    if column == "messages":
        return isinstance(value, list) and bool(value) and all(_message_reads(message, mapping) for message in value)
    if mapping.form == "chat_preference" and column in ("chosen", "rejected"):
        return isinstance(value, dict) and _message_reads(value, mapping) and "messages" in mapping.columns
    return isinstance(value, str)


def _message_reads(message: object, mapping: Mapping) -> bool:
    tags = mapping.tags
    known = [tags.get(tag) for tag in ("user_tag", "assistant_tag", "observation_tag", "function_tag", "system_tag")]
    return (
        isinstance(message, dict)
        and message.get(tags.get("role_tag")) in known
        and isinstance(message.get(tags.get("content_tag")), str)
        and not message.get("tool_calls")
        and not message.get("function_call")
    )
