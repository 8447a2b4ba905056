"""Which fields of a row an entry of `dataset_info.json` speaks of, by LLaMA-Factory's rules, without importing it."""

from dataclasses import dataclass
from functools import cached_property

# The defaults of LLaMA-Factory 0.9.5 (data/parser.py, DatasetAttr). They hold only while the entry names no columns (or
# tags) at all: one named column makes it forget all the others.
_COLUMNS = {"prompt": "instruction", "query": "input", "response": "output", "messages": "conversations"}
_TAGS = {
    "role_tag": "from",
    "content_tag": "value",
    "user_tag": "human",
    "assistant_tag": "gpt",
    "observation_tag": "observation",
    "function_tag": "function_call",
    "system_tag": "system",
}
MEDIA = ("images", "videos", "audios")


@dataclass(frozen=True)
class Shape:
    """The form of a dataset's rows: `format` is "alpaca", "sharegpt" or "openai", `stage` "pt", "sft", "dpo" or
    "kto".
    """

    format: str
    stage: str
    columns: dict[str, str]
    tags: dict[str, str]

    @classmethod
    def of(cls, entry: dict) -> "Shape":
        """Return the shape that an entry of `dataset_info.json` gives its rows."""
        columns = _named(entry, "columns", _COLUMNS)
        format = entry.get("formatting") or "alpaca"
        if entry.get("ranking"):
            stage = "dpo"
        elif columns.get("kto_tag"):
            stage = "kto"
        else:
            stage = "pt" if format == "alpaca" and not columns.get("response") else "sft"
        return cls(format, stage, columns, _named(entry, "tags", _TAGS))

    def value(self, row: dict, column: str) -> object:
        """Return what a row says in a column of LLaMA-Factory's. A column that the entry does not name is nobody's:
        None.

        A file may well have a field without a name ("", as pandas writes its index), which no column stands for.
        """
        return named_value(row, self.columns, column)

    def fields(self) -> list[str]:
        """Return the names of the fields of a row that training reads, in the order of the entry."""
        return self._fields

    @cached_property
    def _fields(self) -> list[str]:
        chat = {"prompt", "query", "response", "history"}
        mine = [
            field
            for column, field in self.columns.items()
            if (column not in chat if self.format != "alpaca" else column != "messages")
        ]
        return list(dict.fromkeys(mine))


def named_value(values: dict, names: dict[str, str], name: str) -> object:
    """Return what `values` has under the key that `names` gives for `name`, None where it gives none."""
    key = names.get(name)
    return values.get(key) if key else None


def _named(entry: dict, key: str, defaults: dict[str, str]) -> dict[str, str]:
    given = entry.get(key)
    return {name: field for name, field in (defaults if given is None else given).items() if field}


def texts(value: object) -> list[str]:
    """Return every text inside a value of a row, in order: of lists and objects too. A label, true or false, is a text
    as well.
    """
    if isinstance(value, str):
        return [value]
    if isinstance(value, bool):
        return [str(value)]
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list | tuple):
        return []
    return [text for part in value for text in texts(part)]


def text_of(row: dict, shape: Shape) -> str:
    """Return all that a row says in the fields that training reads, a line each; two rows that say the same train the
    same.
    """
    return "\n".join(text for field in shape.fields() for text in texts(row.get(field)))
