"""The registry: what `dataset_info.json` says, told entry by entry, broken ones too."""

import json
import os
import string
from pathlib import Path

import pytest
from conftest import ROOT, costs_at_most

from studio.core.i18n import Problem, Words, sentences
from studio.core.storage.trash import Trash
from studio.core.workspace import Workspace
from studio.datasets.registry import entries
from studio.datasets.registry.dataset_info import dataset, datasets

SHIPPED = ROOT / "data"
ROW = {"instruction": "Say hello.", "input": "", "output": "Hello."}


def put(folder: Path, info: dict | str, **files: object) -> Path:
    (folder / "dataset_info.json").write_text(info if isinstance(info, str) else json.dumps(info), encoding="utf-8")
    for name, content in files.items():
        path = folder / name.replace("__", ".")
        path.write_bytes(content) if isinstance(content, bytes) else path.write_text(
            json.dumps(content), encoding="utf-8"
        )
    return folder


def problem_of(folder: Path, name: str) -> Problem:
    found = dataset(folder, name).problem
    assert found is not None
    for language in ("en", "zh"):
        assert Words(language).tell(found)
    return found


def test_every_shipped_dataset_is_sound_and_worth_its_place():
    shipped = datasets(SHIPPED)
    assert {"identity_en", "identity_zh"} <= {each.name for each in shipped}
    for each in shipped:
        assert each.problem is None, str(each.problem)
        assert 50 <= each.rows <= 200, each.name


def test_the_shipped_sets_cover_every_stage_that_can_be_trained():
    assert {(each.format, each.stage) for each in datasets(SHIPPED)} == {
        ("alpaca", "sft"),
        ("sharegpt", "sft"),
        ("alpaca", "dpo"),
        ("sharegpt", "dpo"),
        ("sharegpt", "kto"),
        ("alpaca", "pt"),
    }


def test_the_shipped_choices_have_one_answer_each_and_no_favourite_letter():
    questions = json.loads((SHIPPED / "choices.json").read_text(encoding="utf-8"))
    assert 50 <= len(questions) <= 200
    assert all(set(each) == {"question", "A", "B", "C", "D", "answer"} for each in questions)
    assert all(len({each[letter] for letter in "ABCD"}) == 4 for each in questions)
    counts = [sum(each["answer"] == letter for each in questions) for letter in "ABCD"]
    assert sum(counts) == len(questions) and max(counts) - min(counts) <= 2


def test_format_stage_and_rows(tmp_path):
    put(
        tmp_path,
        {
            "plain": {"file_name": "plain.json"},
            "pairs": {
                "file_name": "pairs.json",
                "ranking": True,
                "columns": {"prompt": "instruction", "chosen": "chosen", "rejected": "rejected"},
            },
            "votes": {
                "file_name": "votes.json",
                "formatting": "sharegpt",
                "columns": {"messages": "conversations", "kto_tag": "good"},
            },
            "text": {"file_name": "text.jsonl", "columns": {"prompt": "text"}},
            "hub": {"hf_hub_url": "someone/something"},
        },
        plain__json=[ROW] * 3,
        pairs__json=[{"instruction": "a", "chosen": "b", "rejected": "c"}],
        votes__json=[{"conversations": [], "good": True}],
        text__jsonl=b'{"text": "a"}\n\n{"text": "b"}\n',
    )
    told = {each.name: (each.format, each.stage, each.rows, each.problem) for each in datasets(tmp_path)}
    assert told == {
        "plain": ("alpaca", "sft", 3, None),
        "pairs": ("alpaca", "dpo", 1, None),
        "votes": ("sharegpt", "kto", 1, None),
        "text": ("alpaca", "pt", 2, None),
        "hub": ("alpaca", "sft", None, None),
    }


def test_a_folder_without_an_index_has_no_datasets(tmp_path):
    assert datasets(tmp_path) == []


def test_a_broken_index_is_told_with_its_line_and_column(tmp_path):
    put(tmp_path, '{\n  "a": {"file_name": "a.json"}\n  "b": {}\n}\n')
    with pytest.raises(Problem) as told:
        datasets(tmp_path)
    assert told.value.key == "datasets.not_json" and (told.value.facts["line"], told.value.facts["column"]) == (3, 3)
    put(tmp_path, "[1]")
    with pytest.raises(Problem, match="must hold one JSON object"):
        datasets(tmp_path)


@pytest.mark.parametrize(
    ("key", "entry", "content"),
    [
        ("datasets.entry_not_object", "a.json", [ROW]),
        ("datasets.entry_not_object", {"file_name": "a.json", "columns": ["text"]}, [ROW]),
        ("datasets.no_source", {}, [ROW]),
        ("datasets.format", {"file_name": "a.json", "formatting": "sharedgpt"}, [ROW]),
        ("datasets.missing_file", {"file_name": "b.json"}, [ROW]),
        ("datasets.outside", {"file_name": "../a.json"}, [ROW]),
        ("datasets.outside", {"file_name": "/etc/hostname"}, [ROW]),
        ("datasets.file_type", {"file_name": "dataset_info.yaml"}, [ROW]),
        ("datasets.empty", {"file_name": "a.json"}, []),
        ("datasets.half", {"file_name": "a.json"}, b'[{"instruction": "a", "input": "", "outp'),
        ("datasets.row_not_json", {"file_name": "a.json"}, b'{"instruction": "a"}\n{"instruction": }\n'),
        ("datasets.encoding", {"file_name": "a.json"}, '[{"instruction": "中文"}]'.encode("gbk")),
        ("datasets.half", {"file_name": "a.json"}, b"[" * 100_000),
        ("datasets.row_too_deep", {"file_name": "a.json"}, b"[" * 100_000 + b"]" * 100_000),
        ("datasets.stray", {"file_name": "a.json"}, [ROW, "stray"]),
        ("datasets.row_not_object", {"file_name": "a.json"}, [ROW, ["stray"]]),
        ("datasets.entry_value", {"file_name": "a.json", "num_samples": "12"}, [ROW]),
        ("datasets.entry_value", {"file_name": "a.json", "ranking": "yes"}, [ROW]),
        ("datasets.entry_value", {"file_name": "a.json", "columns": {"prompt": ["instruction"]}}, [ROW]),
        ("datasets.missing_column", {"file_name": "a.json"}, [{"instruction": "a", "output": "b"}]),
        ("datasets.missing_column", {"file_name": "a.json", "columns": {"prompt": "question"}}, [ROW]),
    ],
)
def test_a_broken_entry_is_listed_with_its_reason(tmp_path, key, entry, content):
    put(tmp_path, {"broken": entry, "sound": {"file_name": "sound.json"}}, a__json=content, sound__json=[ROW])
    (tmp_path / "dataset_info.yaml").touch()
    assert problem_of(tmp_path, "broken").key == key
    assert [each.problem is None for each in datasets(tmp_path)] == [False, True]


def test_a_fault_in_json_lines_names_the_row(tmp_path):
    put(tmp_path, {"a": {"file_name": "a.jsonl"}}, a__jsonl=b'{"instruction": "a"}\n\n{"instruction": }\n')
    assert problem_of(tmp_path, "a").facts["row"] == 2


def test_a_link_that_leads_out_is_refused(tmp_path):
    folder, outside = tmp_path / "data", tmp_path / "outside.json"
    folder.mkdir()
    outside.write_text(json.dumps([ROW]))
    (folder / "a.json").symlink_to(outside)
    assert problem_of(put(folder, {"a": {"file_name": "a.json"}}), "a").key == "datasets.outside"


def test_a_changed_file_is_counted_again_and_an_unchanged_one_is_not_read(tmp_path):
    put(tmp_path, {"a": {"file_name": "a.json"}}, a__json=[ROW] * 20_000)
    assert dataset(tmp_path, "a").rows == 20_000
    with costs_at_most(0.01):
        assert dataset(tmp_path, "a").rows == 20_000
    put(tmp_path, {"a": {"file_name": "a.json"}}, a__json=[ROW] * 2)
    assert dataset(tmp_path, "a").rows == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read_is_told(tmp_path):
    put(tmp_path, {"a": {"file_name": "a.json"}}, a__json=[ROW])
    (tmp_path / "a.json").chmod(0)
    assert problem_of(tmp_path, "a").key == "datasets.unreadable"


def test_parquet_is_counted_without_reading_it_all(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as parquet

    parquet.write_table(pa.Table.from_pylist([ROW] * 7), tmp_path / "a.parquet")
    put(tmp_path, {"a": {"file_name": "a.parquet"}, "b": {"file_name": "b.parquet"}}, b__parquet=b"not parquet")
    assert (dataset(tmp_path, "a").rows, dataset(tmp_path, "a").problem) == (7, None)
    assert problem_of(tmp_path, "b").key == "datasets.unreadable"


def test_an_unknown_name_is_told(tmp_path):
    put(tmp_path, {})
    with pytest.raises(Problem) as told:
        dataset(tmp_path, "nothing")
    assert told.value.key == "datasets.unknown"


def test_the_words_of_both_languages_take_the_same_facts():
    def facts(language: str) -> dict[str, set]:
        return {
            key: {field for _, field, _, _ in string.Formatter().parse(text) if field}
            for key, text in sentences(language).items()
            if key.startswith("datasets.")
        }

    assert facts("en") == facts("zh")


def info_of(folder: Path) -> dict:
    return json.loads((folder / "dataset_info.json").read_text(encoding="utf-8"))


def assert_refused(key: str, change, *args) -> Problem:
    with pytest.raises(Problem) as told:
        change(*args)
    assert told.value.key == key
    return told.value


def test_every_field_of_llamafactorys_entries_is_taken_and_kept(tmp_path):
    whole = {
        "file_name": "a.json",
        "formatting": "sharegpt",
        "ranking": False,
        "subset": "main",
        "split": "train",
        "folder": "part",
        "num_samples": 3,
        "columns": {"messages": "talk", "system": "system", "tools": "tools", "images": "images"},
        "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"},
        "note": "of a later release",
    }
    put(tmp_path, {"a": whole}, a__json=[{"talk": [], "system": "", "tools": "", "images": []}])
    assert dataset(tmp_path, "a").problem is None
    entries.add(tmp_path, "b", {"ms_hub_url": "someone/something", "subset": "x"})
    entries.rename(tmp_path, "a", "first")
    entries.replace(tmp_path, "b", {"hf_hub_url": "someone/else", "num_samples": 10})
    with pytest.raises(Problem) as told:
        entries.replace(tmp_path, "b", {"hf_hub_url": "mine"}, was={"hf_hub_url": "someone/else"})
    assert told.value.key == "datasets.entry_changed"
    assert list(info_of(tmp_path).items()) == [
        ("first", whole),
        ("b", {"hf_hub_url": "someone/else", "num_samples": 10}),
    ]


@pytest.mark.parametrize("broken", ["a.json", None, ["a.json"], 7])
def test_an_entry_that_is_no_object_is_mended_where_it_is_shown_as_an_empty_one(tmp_path, broken):
    put(tmp_path, {"a": broken}, a__json=[{"instruction": "a", "output": "b"}])
    shown = dataset(tmp_path, "a").entry
    entries.replace(tmp_path, "a", {"file_name": "a.json"}, was=shown)
    assert info_of(tmp_path)["a"] == {"file_name": "a.json"}


def bin_of(folder) -> Trash:
    """Return a trash for a data folder that was added to a workspace."""
    return Trash(Workspace(folder.parent / f"{folder.name}-workspace"), [folder])


def test_removing_an_entry_keeps_its_file_unless_asked(tmp_path):
    put(tmp_path, {"a": {"file_name": "a.json"}, "b": {"file_name": "b.json"}}, a__json=[ROW], b__json=[ROW])
    before, bin = info_of(tmp_path), bin_of(tmp_path)
    first = entries.remove(tmp_path, "a", bin)
    assert (tmp_path / "a.json").exists() and list(info_of(tmp_path)) == ["b"]
    second = entries.remove(tmp_path, "b", bin, with_file=True)
    assert not (tmp_path / "b.json").exists() and info_of(tmp_path) == {}
    for id in (first, second):
        entries.restore(bin.find(id), bin, [tmp_path])
    assert info_of(tmp_path) == before and (tmp_path / "b.json").exists() and bin.list() == []


def test_what_stands_in_its_place_keeps_a_dataset_in_the_trash(tmp_path):
    put(tmp_path, {"a": {"file_name": "a.json"}}, a__json=[ROW])
    bin = bin_of(tmp_path)
    id = entries.remove(tmp_path, "a", bin, with_file=True)
    (tmp_path / "a.json").write_text("[]")
    assert_refused("trash.taken", entries.restore, bin.find(id), bin, [tmp_path])
    assert info_of(tmp_path) == {} and (tmp_path / "a.json").read_text() == "[]"
    entries.add(tmp_path, "a", {"file_name": "a.json"})
    assert_refused("datasets.name_taken", entries.restore, bin.find(id), bin, [tmp_path])
    assert_refused("datasets.no_folder", entries.restore, bin.find(id), bin, [tmp_path / "elsewhere"])
    assert [item.id for item in bin.list()] == [id]


def test_of_a_link_only_the_link_goes(tmp_path):
    put(tmp_path, {"a": {"file_name": "a.json"}}, real__json=[ROW])
    (tmp_path / "a.json").symlink_to(tmp_path / "real.json")
    bin = bin_of(tmp_path)
    entries.remove(tmp_path, "a", bin, with_file=True)
    bin.empty()
    assert not (tmp_path / "a.json").is_symlink() and (tmp_path / "real.json").exists()


def test_a_file_that_another_entry_needs_or_that_is_not_ours_is_not_deleted(tmp_path):
    folder, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    folder.mkdir(), elsewhere.mkdir()
    (elsewhere / "c.json").write_text(json.dumps([ROW]))
    put(
        folder,
        {"a": {"file_name": "a.json"}, "b": {"file_name": "a.json"}, "c": {"file_name": str(elsewhere / "c.json")}},
        a__json=[ROW],
    )
    before = info_of(folder)
    assert_refused("datasets.file_shared", entries.remove, folder, "a", bin_of(folder), True)
    assert_refused("datasets.not_ours", entries.remove, folder, "c", bin_of(folder), True)
    assert info_of(folder) == before and (folder / "a.json").exists() and (elsewhere / "c.json").exists()


@pytest.mark.parametrize("text", ['{"a": {"file_name": "a.json"}', "[]", '{"a": {}, "a": {}}', "{" * 3])
def test_a_broken_index_is_never_overwritten(tmp_path, text):
    put(tmp_path, text)
    for change, args in (
        (entries.add, ("b", {"file_name": "b.json"})),
        (entries.rename, ("a", "b")),
        (entries.remove, ("a", bin_of(tmp_path))),
        (entries.replace, ("a", {"file_name": "b.json"})),
    ):
        with pytest.raises(Problem):
            change(tmp_path, *args)
    assert (tmp_path / "dataset_info.json").read_text() == text


def test_a_protected_index_is_told_and_left_alone(tmp_path):
    put(tmp_path, {"a": {"file_name": "a.json"}})
    before = (tmp_path / "dataset_info.json").read_bytes()
    (tmp_path / "dataset_info.json").chmod(0o444)
    assert_refused("datasets.info_protected", entries.add, tmp_path, "b", {"file_name": "b.json"})
    assert_refused("datasets.info_protected", entries.remove, tmp_path, "a", bin_of(tmp_path))
    assert (tmp_path / "dataset_info.json").read_bytes() == before


def test_two_entries_of_one_name_are_told(tmp_path):
    put(tmp_path, '{"a": {"file_name": "x.json"}, "a": {"file_name": "a.json"}}', a__json=[ROW])
    assert problem_of(tmp_path, "a").key == "datasets.name_twice"


@pytest.mark.parametrize("name", ["../a", "/a", "a/b", "a,b", "", ".hidden", "a "])
def test_a_name_that_is_not_plain_is_refused(tmp_path, name):
    put(tmp_path, {"old": {"file_name": "a.json"}})
    assert_refused("workspace.bad_name", entries.add, tmp_path, name, {"file_name": "a.json"})
    assert_refused("workspace.bad_name", entries.rename, tmp_path, "old", name)


def test_a_folder_added_by_the_person_may_be_pointed_to(tmp_path):
    folder, mine = tmp_path / "data", tmp_path / "mine"
    folder.mkdir(), mine.mkdir()
    (mine / "a.json").write_text(json.dumps([ROW]))
    put(folder, {"a": {"file_name": str(mine / "a.json")}})
    assert problem_of(folder, "a").key == "datasets.outside"
    entries.add_place(folder, str(mine))
    assert (dataset(folder, "a").problem, dataset(folder, "a").rows) == (None, 1)
    assert_refused("datasets.folder_known", entries.add_place, folder, str(mine))
    assert_refused("datasets.no_folder", entries.add_place, folder, "mine")
    entries.drop_place(folder, str(mine))
    assert problem_of(folder, "a").key == "datasets.outside"


def test_a_folder_of_files_is_one_dataset(tmp_path):
    (tmp_path / "parts").mkdir()
    for number in range(3):
        (tmp_path / "parts" / f"{number}.jsonl").write_text(json.dumps(ROW) + "\n")
    put(tmp_path, {"a": {"file_name": "parts"}})
    assert (dataset(tmp_path, "a").problem, dataset(tmp_path, "a").rows) == (None, 3)
    (tmp_path / "parts" / "note.md").touch()
    assert problem_of(tmp_path, "a").key == "datasets.mixed_folder"


def test_a_large_file_is_listed_at_once_and_its_rows_are_left_to_its_index(tmp_path):
    with open(tmp_path / "a.jsonl", "w") as file:
        file.writelines(json.dumps(ROW | {"output": "x" * 1000}) + "\n" for _ in range(20_000))
    put(tmp_path, {"a": {"file_name": "a.jsonl"}})
    with costs_at_most(0.2):
        found = dataset(tmp_path, "a")
    assert (found.rows, found.problem, found.size) == (None, None, (tmp_path / "a.jsonl").stat().st_size)
