"""A dataset's entry: its text in dataset_info.json to be changed, its name, and its removal."""

import json
from dataclasses import dataclass

from studio.datasets.registry.collection import Collection

TEMPLATE = "datasets/page/browse/entry_editor.html"


@dataclass(frozen=True)
class EntryContext:
    """`key` is the name by which the whole studio knows the dataset, `name` the one in its data folder; `text` is the
    entry as JSON, `data_file` the file that it names, "" where it names none.
    """

    key: str
    name: str
    info_file: str
    text: str
    data_file: str


def entry_editor(collection: Collection, key: str) -> EntryContext | None:
    """Return the entry of a dataset. Raises Problem where there is none of that name."""
    if not key:
        return None
    home, name = collection.home_of(key)
    dataset = collection.find(key)
    text = json.dumps(dataset.entry, ensure_ascii=False, indent=2)
    return EntryContext(key, name, str(home / "dataset_info.json"), text, str(dataset.file or ""))
