"""Which datasets a run can be given, and what choosing one of an added folder does."""

import json

import pytest

from studio.core.i18n import Problem
from studio.datasets.registry import entries
from studio.train.recipe import dataset_choices, recipes

CPU = recipes.Machine("cpu", True)


def test_a_dataset_of_an_added_folder_is_offered_and_linked_when_chosen(workspace, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    (disk / "theirs.jsonl").write_text('{"instruction": "a?", "output": "b", "input": ""}\n')
    (disk / "dataset_info.json").write_text(
        json.dumps(
            {
                "theirs": {"file_name": "theirs.jsonl"},
                "identity_en": {"file_name": "theirs.jsonl"},
                "broken": {"file_name": "gone.jsonl"},
                "text": {"file_name": "theirs.jsonl", "columns": {"prompt": "output"}},
            }
        )
    )
    entries.add_place(workspace.data, str(disk))
    assert (f"theirs · {disk}", f"{disk}/theirs") in dataset_choices.offered(workspace, "sft") and (
        "identity_en",
        "identity_en",
    ) in dataset_choices.offered(workspace, "sft")
    # What the workspace has under the same name, and what cannot be read, is not offered.
    assert [name for _, name in dataset_choices.offered(workspace, "sft") if name.startswith(str(disk))] == [
        f"{disk}/theirs"
    ]
    assert dataset_choices.taken(workspace, ["identity_en", f"{disk}/theirs"]) == ["identity_en", "theirs"]
    assert ("theirs", "theirs") in dataset_choices.offered(workspace, "sft")
    recipe = recipes.complete(workspace, {"dataset": "identity_en,theirs"}, CPU)
    assert (recipe["dataset"], recipe["dataset_dir"]) == ("identity_en,theirs", str(workspace.data))
    with pytest.raises(Problem, match="identity_en"):
        dataset_choices.taken(workspace, [f"{disk}/identity_en"])
