"""Rows that went wrong become data: with the right answer to train on, or as a pair of a better and a worse one."""

import json
from dataclasses import dataclass

from studio.core import reasons
from studio.core.i18n import Problem
from studio.core.storage import records
from studio.core.storage.atomic import scratch
from studio.datasets.registry.collection import Collection
from studio.datasets.schema import conversion
from studio.datasets.schema.forms import Mapping
from studio.evaluate.evaluation import EvaluatedRow

NAME, PAIRS = "mistakes", "mistake_pairs"
_TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "observation_tag": "tool",
    "function_tag": "function_call",
    "system_tag": "system",
}
_TALK = {"messages": "messages", "system": "system", "tools": "tools"}
ANSWERS = Mapping("chat", _TALK, _TAGS)
PREFERENCES = Mapping("chat_preference", {**_TALK, "chosen": "chosen", "rejected": "rejected"}, _TAGS)


@dataclass(frozen=True)
class AddedRow:
    """A row that was put into a dataset: its name, and how many rows it has now."""

    name: str
    rows: int


def correct(row: EvaluatedRow, answer: str, collection: Collection, name: str = "") -> AddedRow:
    """Put a row with its right answer into a dataset to train on, which is made and registered where it is missing.

    Raises:
        Problem: the answer is empty, the row has a picture, the dataset is of another form, or the disk refuses.
    """
    _require(row, answer)
    messages = [*_before(row), {"role": "assistant", "content": answer}]
    value = {"messages": messages, "system": row.system, "tools": row.tools}
    return _add(value, ANSWERS, name.strip() or NAME, collection)


def prefer(row: EvaluatedRow, chosen: str, rejected: str, collection: Collection, name: str = "") -> AddedRow:
    """Put a row into a dataset of preferences, with a better and a worse answer. Raises Problem as `correct` does, and
    where the two are the same.
    """
    _require(row, chosen)
    _require(row, rejected)
    if chosen.strip() == rejected.strip():
        raise Problem("results.same_answers")
    sides = {"chosen": {"role": "assistant", "content": chosen}, "rejected": {"role": "assistant", "content": rejected}}
    value = {"messages": _before(row), **sides, "system": row.system, "tools": row.tools}
    return _add(value, PREFERENCES, name.strip() or PAIRS, collection)


def _require(row: EvaluatedRow, answer: str) -> None:
    if not answer.strip():
        raise Problem("results.empty_answer")
    if row.images:
        raise Problem("results.no_pictures")


def _before(row: EvaluatedRow) -> list[dict]:
    return [_message(one) for one in row.messages]


def _message(message: dict) -> dict:
    """Return a message in OpenAI's form, as the mapping reads it."""
    role = str(message.get("role") or "user")
    calls = message.get("calls")
    if isinstance(calls, list) and calls:
        return {"role": role, "content": None, "tool_calls": [{"function": call} for call in calls]}
    return {"role": role, "content": str(message.get("content") or "")}


def _add(value: dict, mapping: Mapping, name: str, collection: Collection) -> AddedRow:
    with scratch(collection.folder) as folder:
        source, converted = folder / "row.jsonl", folder / "converted.jsonl"
        try:
            source.write_text(json.dumps(value, ensure_ascii=False) + "\n", encoding="utf-8", errors="replace")
        except OSError as error:
            raise Problem("workspace.unwritable", path=collection.folder, reason=reasons.of(error)) from error
        if not _is_there(name, collection):
            made, written = collection.bring_in(source, name, mapping, {"copy": True})
            return AddedRow(made, written.rows)
        written = conversion.convert(source, mapping, converted)
        _require_form(name, conversion.entry_for(mapping, f"{name}.jsonl", written.media), collection)
        rows = collection.rows(name)
        rows.wait()
        row = records.parse(converted.read_bytes())
        collection.editor.add(collection.find(name).file, rows.count, row)
        return AddedRow(name, rows.count + 1)


def _is_there(name: str, collection: Collection) -> bool:
    try:
        collection.find(name)
    except Problem:
        return False
    return True


def _require_form(name: str, entry: dict, collection: Collection) -> None:
    """Raise Problem where a dataset is not one that rows of these columns can be added to."""
    found = collection.find(name)
    if any(found.entry.get(key) != entry.get(key) for key in ("formatting", "columns", "tags", "ranking")):
        raise Problem("results.other_form", name=name)
