"""Editing: the row and nothing else changes, every change can be taken back, and no other file is ever harmed."""

import json
import os

import pytest
from test_reading import ROWS, put

from studio.core.i18n import Problem
from studio.datasets.files import reading, row_edits
from studio.datasets.files.row_edits import Editor
from studio.datasets.files.row_index import Indexes

NEW = {"instruction": "New, 新的", "output": 'with "quotes", commas\nand lines'}


@pytest.fixture
def editor(tmp_path):
    return Editor(Indexes(tmp_path / "index"), tmp_path / "undo")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def read(path) -> list:
    return [row.problem or row.value for row in reading.rows(path)]


def refused(key: str, change, *args) -> None:
    with pytest.raises(Problem) as told:
        change(*args)
    assert told.value.key == key and str(told.value)


FORMS = [
    ("json", {}),
    ("json", {"indent": 2}),
    ("json", {"indent": 4, "ensure_ascii": False}),
    ("jsonl", {}),
    ("csv", {}),
    ("tsv", {}),
]


@pytest.mark.parametrize(("ending", "form"), FORMS)
def test_any_row_is_changed_added_deleted_and_put_back(editor, folder, ending, form):
    path = put(folder / f"a.{ending}", **form)
    first = path.read_bytes()
    for number in (1, 2, 3):
        editor.change(path, number, NEW, was=ROWS[number - 1])
        assert read(path) == ROWS[: number - 1] + [NEW] + ROWS[number:]
        editor.undo(path)
        editor.delete(path, number)
        assert read(path) == ROWS[: number - 1] + ROWS[number:]
        editor.undo(path)
        assert path.read_bytes() == first
    for after in (0, 1, 2, 3):
        editor.add(path, after, NEW)
        assert read(path) == ROWS[:after] + [NEW] + ROWS[after:]
        editor.undo(path)
    assert path.read_bytes() == first and not editor.can_undo(path)
    assert [each.name for each in folder.iterdir()] == [path.name]


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\r"])
@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "txt", "json"])
def test_a_row_after_the_last_is_a_row_whatever_the_file_ends_with(editor, folder, ending, end):
    path = put(folder / f"a.{ending}") if ending != "txt" else folder / "a.txt"
    if ending == "txt":
        path.write_text("one\ntwo\nthree\n")
    path.write_bytes(path.read_bytes().rstrip(b"\r\n") + end.encode())
    first, rows, new = path.read_bytes(), read(path), {"text": "new"} if ending == "txt" else NEW
    assert len(rows) == 3
    editor.add(path, 3, new)
    assert read(path) == [*rows, new]
    editor.add(path, 4, new)
    assert read(path) == [*rows, new, new]
    editor.undo(path)
    editor.undo(path)
    assert path.read_bytes() == first


@pytest.mark.parametrize("ending", ["csv", "tsv"])
def test_a_table_keeps_every_line_end_that_stands_in_a_field(editor, folder, ending):
    path = put(folder / f"a.{ending}")
    for text in ("a\rb", "a\nb", "a\r\nb", "\r", "b\r"):
        editor.change(path, 2, NEW | {"output": text})
        assert read(path) == [ROWS[0], NEW | {"output": text}, ROWS[2]]
        editor.change(path, 2, {"instruction": "other", "output": text})
        assert read(path) == [ROWS[0], {"instruction": "other", "output": text}, ROWS[2]]


def test_an_array_keeps_its_look(editor, folder):
    rows = [{"a": {"b": 1}}, {"a": {"b": 2}}, {"a": {"b": 3}}]
    path = put(folder / "a.json", rows, indent=2)
    editor.change(path, 2, {"a": {"b": 7}})
    editor.add(path, 3, {"a": {"b": 8}})
    assert path.read_text() == json.dumps([rows[0], {"a": {"b": 7}}, rows[2], {"a": {"b": 8}}], indent=2)


def test_many_steps_are_taken_back_in_turn_even_by_a_later_studio(editor, folder, tmp_path):
    path = put(folder / "a.jsonl")
    states = [path.read_bytes()]
    for step in range(5):
        editor.change(path, 1 + step % 3, {"step": step})
        states.append(path.read_bytes())
    later = Editor(Indexes(tmp_path / "index"), tmp_path / "undo")
    for state in reversed(states[:-1]):
        assert later.can_undo(path)
        later.undo(path)
        assert path.read_bytes() == state
    refused("datasets.nothing_to_undo", later.undo, path)


def test_a_file_changed_by_others_is_not_undone_over_their_work(editor, folder):
    path = put(folder / "a.jsonl")
    editor.delete(path, 1)
    with path.open("a") as file:
        file.write(json.dumps({"theirs": 1}) + "\n")
    theirs = path.read_bytes()
    assert not editor.can_undo(path)
    refused("datasets.changed_elsewhere", editor.undo, path)
    refused("datasets.row_changed", editor.change, path, 1, NEW, ROWS[0])
    assert path.read_bytes() == theirs


@pytest.mark.parametrize("ending", ["json", "jsonl", "csv", "tsv"])
def test_no_row_is_changed_or_deleted_but_the_one_that_was_seen(editor, folder, ending):
    path = put(folder / f"a.{ending}")
    seen = row_edits.digest_of(list(reading.rows(path))[1])
    editor.delete(path, 1)
    left = path.read_bytes()
    refused("datasets.row_changed", editor.delete, path, 2, seen)
    refused("datasets.row_changed", editor.change, path, 2, NEW, None, seen)
    assert path.read_bytes() == left
    editor.change(path, 1, NEW, None, seen)
    refused("datasets.row_changed", editor.delete, path, 1, seen)
    assert read(path) == [NEW, ROWS[2]]


def test_what_cannot_be_edited_is_told_and_left_alone(editor, folder):
    path = put(folder / "a.parquet")
    before = path.read_bytes()
    refused("datasets.not_edited", editor.change, path, 1, NEW)
    refused("datasets.not_edited", editor.add, path, 0, NEW)
    assert path.read_bytes() == before
    table = put(folder / "a.csv")
    before = table.read_bytes()
    refused("datasets.other_columns", editor.change, table, 1, {"instruction": "a"})
    refused("datasets.other_columns", editor.add, table, 1, NEW | {"more": "b"})
    refused("datasets.no_row", editor.delete, table, 9)
    table.chmod(0o444)
    refused("datasets.info_protected", editor.delete, table, 1)
    assert table.read_bytes() == before
    (folder / "a.txt").write_text("one\ntwo\n")
    refused("datasets.one_line", editor.change, folder / "a.txt", 1, {"text": "a\nb"})
    editor.change(folder / "a.txt", 2, {"text": "zwei"})
    assert (folder / "a.txt").read_text() == "one\nzwei\n"


def test_the_last_row_stays_and_an_empty_file_gets_its_first(editor, folder):
    path = put(folder / "a.jsonl", ROWS[:1])
    refused("datasets.last_row", editor.delete, path, 1)
    for name, text in (("b.jsonl", ""), ("b.json", "[]"), ("c.json", "[\n]\n")):
        (folder / name).write_text(text)
        editor.add(folder / name, 0, NEW)
        assert read(folder / name) == [NEW]
        editor.add(folder / name, 1, ROWS[0])
        assert read(folder / name) == [NEW, ROWS[0]]


def test_rows_of_a_folder_are_changed_in_the_file_that_holds_them(editor, folder):
    parts = folder / "parts"
    parts.mkdir()
    first, second = put(parts / "1.jsonl", ROWS[:2]), put(parts / "2.jsonl", ROWS[2:] * 2)
    kept = first.read_bytes()
    editor.change(parts, 3, NEW)
    assert first.read_bytes() == kept and read(second) == [NEW, ROWS[2]]
    editor.undo(parts)
    assert read(parts) == ROWS + ROWS[2:]


def test_a_disk_that_refuses_leaves_the_file_as_it_was(editor, folder, monkeypatch):
    path = put(folder / "a.jsonl")
    before = path.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    refused("workspace.unwritable", editor.change, path, 1, NEW)
    assert path.read_bytes() == before and [each.name for each in folder.iterdir()] == ["a.jsonl"]


@pytest.mark.parametrize(("ending", "form"), [("json", {}), ("json", {"indent": 2}), ("jsonl", {})])
@pytest.mark.parametrize(
    ("value", "key"), [(float("nan"), "not_a_number"), (float("-inf"), "not_a_number"), ("c \ud83d", "half_character")]
)
def test_what_could_not_be_read_again_is_not_written(editor, folder, ending, form, value, key):
    path = put(folder / f"a.{ending}", **form)
    before = path.read_bytes()
    refused(f"datasets.{key}", editor.change, path, 2, NEW | {"more": [value]})
    refused(f"datasets.{key}", editor.add, path, 3, NEW | {"more": {"a": value}})
    assert path.read_bytes() == before
    (folder / "empty.json").write_text("[]")
    refused(f"datasets.{key}", editor.add, folder / "empty.json", 0, {"more": value})


def test_what_a_person_types_must_be_one_object(folder):
    path = folder / "a.jsonl"
    assert row_edits.parsed('{"a": "b"}', path, 3) == {"a": "b"}
    for text, key in (
        ("{", "datasets.row_not_json"),
        ("[1]", "datasets.row_not_object"),
        ('{"a": NaN}', "datasets.not_a_number"),
    ):
        refused(key, row_edits.parsed, text, path, 3)
