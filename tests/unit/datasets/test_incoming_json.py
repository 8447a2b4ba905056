"""JSON as people bring it: rows in any wrapper, on lines of any make, under any name, compressed; or named."""

import bz2
import gzip
import json
import lzma
from pathlib import Path

import pytest
from conftest import ROOT

from studio.core.i18n import Problem, Words
from studio.core.jobs import Jobs
from studio.core.workspace import Workspace
from studio.datasets.files import reading
from studio.datasets.files.incoming import packed, source
from studio.datasets.page.add_data.registering import Registration, register
from studio.datasets.registry import dataset_info
from studio.datasets.registry.collection import Collection
from studio.datasets.schema import forms

CASES = ROOT / "tests" / "cases"
ROWS = [{"instruction": f"Say {number}.", "input": "", "output": f"Number {number}."} for number in range(8)]
TALKS = [
    [{"role": "user", "content": f"Say {number}."}, {"role": "assistant", "content": f"Number {number}."}]
    for number in range(4)
]
COLUMNS = {name: [row[name] for row in ROWS] for name in ROWS[0]}
PLAIN = json.dumps(ROWS)
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)


@pytest.fixture
def collection(tmp_path):
    workspace = Workspace(tmp_path / "studio")
    workspace.data.mkdir(parents=True, exist_ok=True)
    return Collection(workspace, Jobs(workspace))


def read(path: Path) -> list:
    return [row.problem or row.value for row in source.rows(path, path.parent)]


SHAPES = {
    "array": PLAIN,
    "pretty array": json.dumps(ROWS, indent=2),
    "lines": LINES,
    "lines of CRLF": LINES.replace("\n", "\r\n"),
    "data": json.dumps({"version": "1.0", "data": ROWS}),
    "pretty data": json.dumps({"data": ROWS, "n": 8}, indent=2),
    "rows": json.dumps({"rows": ROWS}, indent=1),
    "unknown key": json.dumps({"meine_zeilen": ROWS, "autor": "x"}),
    "Chinese key": json.dumps({"数据": ROWS}, ensure_ascii=False),
    "nested": json.dumps({"response": {"data": ROWS}, "status": 200}, indent=2),
    "viewer": json.dumps(
        {
            "features": [{"name": "instruction"}],
            "rows": [{"row_idx": at, "row": row, "truncated_cells": []} for at, row in enumerate(ROWS)],
        }
    ),
    "by keys": json.dumps({str(at): row for at, row in enumerate(ROWS)}),
    "by pretty names": json.dumps({f"q-{at}": row for at, row in enumerate(ROWS)}, indent=2),
    "columns": json.dumps(COLUMNS),
    "pretty columns": json.dumps(COLUMNS, indent=2),
    "pandas' columns": json.dumps(
        {name: {str(at): value for at, value in enumerate(values)} for name, values in COLUMNS.items()}
    ),
    "pandas' split": json.dumps(
        {"columns": list(COLUMNS), "index": list(range(8)), "data": [list(row.values()) for row in ROWS]}
    ),
    "commas between lines": LINES.replace("}\n", "},\n"),
    "commas but the last": LINES.replace("}\n", "},\n").removesuffix(",\n") + "\n",
    "objects one after the other": "".join(json.dumps(row) for row in ROWS),
    "pretty objects": "\n".join(json.dumps(row, indent=2) for row in ROWS),
    "pretty objects with commas": ",\n".join(json.dumps(row, indent=2) for row in ROWS),
    "arrays one after the other": json.dumps(ROWS[:3]) + "\n" + json.dumps(ROWS[3:], indent=1),
    "an object of train": json.dumps({"train": ROWS}),
    "JSON in JSON": json.dumps(PLAIN),
    "lines of JSON in JSON": "".join(json.dumps(json.dumps(row)) + "\n" for row in ROWS),
    "array of JSON in JSON": json.dumps([json.dumps(row) for row in ROWS]),
    "blank lines": "\n\n" + LINES.replace("\n", "\n\n"),
}


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("ending", ["json", "jsonl", "txt"])
@pytest.mark.parametrize("shape", SHAPES)
def test_rows_are_found_in_any_wrapper(tmp_path, shape, ending, codec):
    if ending == "txt" and shape in ("JSON in JSON", "lines of JSON in JSON"):
        pytest.skip("a text of quoted lines is a text")
    file = tmp_path / f"a.{ending}"
    file.write_text(SHAPES[shape], encoding=codec, newline="")
    assert read(file) == ROWS
    assert [row.number for row in source.rows(file, tmp_path)] == list(range(1, 9))


BARE = {
    "an array": json.dumps(TALKS),
    "a pretty array": json.dumps(TALKS, indent=2),
    "lines": "".join(json.dumps(talk) + "\n" for talk in TALKS),
    "a column": json.dumps({"messages": TALKS}),
    "under a key": json.dumps({"data": TALKS}),
    "by keys": json.dumps({f"id{at}": talk for at, talk in enumerate(TALKS)}),
    "JSON in JSON": json.dumps([json.dumps(talk) for talk in TALKS]),
    "rows": json.dumps([{"messages": talk} for talk in TALKS]),
}


@pytest.mark.parametrize("shape", BARE)
def test_bare_conversations_are_rows(tmp_path, shape):
    file = tmp_path / "a.json"
    file.write_text(BARE[shape])
    assert read(file) == [{"messages": talk} for talk in TALKS]


@pytest.mark.parametrize(
    "row",
    [
        {"messages": TALKS[0]},
        {"conversations": TALKS[0], "tools": [{"name": "a"}, {"name": "b"}]},
        {"instruction": "x", "output": "y", "history": [["a", "b"]]},
        {"messages": TALKS[0], "images": ["a.png", "b.png"]},
        {"text": "words"},
    ],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_one_row_by_itself_is_a_row(tmp_path, row, indent):
    file = tmp_path / "a.json"
    file.write_text(json.dumps(row, indent=indent))
    assert read(file) == [row]


def test_texts_are_rows_as_llamafactory_has_them(tmp_path):
    file = tmp_path / "a.json"
    file.write_text('["A tale.", "Another."]')
    assert read(file) == [{"text": "A tale."}, {"text": "Another."}]


@pytest.mark.parametrize(
    "text",
    [
        '[{"instruction": "Say.", "input": NaN, "output": "Word."}]',
        '{"instruction": "Say.", "input": NaN, "output": "Word."}\n',
        '{"data": [{"instruction": "Say.", "input": NaN, "output": "Word."}]}',
        '{"instruction": ["Say."], "input": [NaN], "output": ["Word."]}',
    ],
)
def test_nan_is_nothing(tmp_path, text):
    file = tmp_path / "a.json"
    file.write_text(text)
    assert read(file) == [{"instruction": "Say.", "input": None, "output": "Word."}]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[{'instruction': 'Say.', 'output': None}]", "datasets.python_text"),
        ('{\n  "data": [\n    {"instruction": "x",},\n  ]\n}', "datasets.trailing_comma"),
        ('// rows\n{\n "data": []\n}', "datasets.json_comment"),
        (json.dumps({"train": ROWS, "test": ROWS}, indent=1), "datasets.several_lists"),
        (json.dumps({"instruction": ["a", "b"], "output": ["c"]}, indent=1), "datasets.columns_unequal"),
        ('{\n "data": [\n {"instruction": "x"', "datasets.not_json"),
    ],
)
def test_what_cannot_be_taken_is_told_as_what_it_is(tmp_path, text, key):
    file = tmp_path / "a.json"
    file.write_text(text)
    with pytest.raises(Problem) as told:
        found = read(file)
        raise next(one for one in found if isinstance(one, Problem))
    assert told.value.key == key, told.value
    assert told.value.facts["file"] == file
    for language in ("en", "zh"):
        assert "a.json" in Words(language).tell(told.value)


def test_a_broken_first_line_hides_no_other(tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_text('{"instruction": "broken\n' + LINES)
    found = read(file)
    assert found[0].key == "datasets.row_not_json" and found[1:] == ROWS


@pytest.mark.parametrize("depth", [120, 5000, 100_000])
def test_what_is_nested_without_end_is_told(tmp_path, depth):
    for text in (
        '{"data":\n' + "[" * depth + "]" * depth + "}",
        '{"data":\n' + '{"a":' * depth + "1" + "}" * depth + "}",
        "[" * depth,
    ):
        file = tmp_path / "a.json"
        file.write_text(text)
        with pytest.raises(Problem):
            raise next(one for one in read(file) if isinstance(one, Problem))


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("json-shapes/wrapped_pretty.json", "Say 0."),
        ("json-shapes/commas_between_lines.jsonl", "Say 0."),
        ("taken-for-plain-text/lines_in.txt", "Say 0."),
    ],
)
@pytest.mark.parametrize("inside", [True, False])
def test_the_cases_come_in_whole(collection, name, first, inside):
    file = CASES / name
    if inside:
        file = collection.folder / file.name
        file.write_bytes((CASES / name).read_bytes())
    collection.drop(file)
    result = register(collection, Words("en"), Registration(str(file), "brought"))
    dataset = collection.find("brought")
    assert (result.form, result.rows, result.left_out, dataset.problem) == ("alpaca", 8, 0, None)
    assert dataset.file.suffix == ".jsonl" and dataset.file != file
    rows = [row.value for row in reading.rows(dataset.file)]
    assert (rows[0]["instruction"], rows[0]["output"], len(rows)) == (first, "Number 0.", 8)


@pytest.mark.parametrize(("ending", "write"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)])
@pytest.mark.parametrize(
    ("name", "text"),
    [("a.jsonl", LINES), ("a.json", PLAIN), ("a.csv", "instruction;output\n" + "Say 0.;Number 0.\n" * 3)],
)
def test_what_is_compressed_is_unpacked(collection, tmp_path, name, text, ending, write):
    file = tmp_path / (name + ending)
    file.write_bytes(write(text.encode()))
    collection.drop(file)
    result = register(collection, Words("en"), Registration(str(file), ""))
    assert (result.name, result.rows, result.left_out) == ("a", 3 if ";" in text else 8, 0)


@pytest.mark.parametrize("content", [b"PK\x03\x04rest", b"\x28\xb5\x2f\xfdrest"])
def test_other_archives_are_told(tmp_path, content):
    file = tmp_path / "a.jsonl"
    file.write_bytes(content)
    with pytest.raises(Problem) as told:
        read(file)
    assert told.value.key == "datasets.packed"


def test_a_damaged_archive_is_told(tmp_path):
    file = tmp_path / "a.jsonl.gz"
    for raw in (gzip.compress(LINES.encode())[:-20], b"\x1f\x8b\x08\x00 no gzip"):
        file.write_bytes(raw)
        with pytest.raises(Problem) as told:
            read(file)
        assert (told.value.key, told.value.facts["file"]) == ("datasets.packed_damaged", file)


def test_an_archive_that_fills_the_disk_is_stopped(tmp_path, monkeypatch):
    file = tmp_path / "a.txt.gz"
    file.write_bytes(gzip.compress(b"x" * 5_000_000))
    monkeypatch.setattr(packed, "_SPARE", 2**62)
    with pytest.raises(Problem) as told:
        read(file)
    assert told.value.key == "datasets.packed_too_large"


@pytest.mark.parametrize("ending", ["txt", "json", "csv", "parquet"])
@pytest.mark.parametrize("kind", ["parquet", "arrow", "stream"])
def test_columns_are_known_by_their_first_bytes(tmp_path, ending, kind):
    import pyarrow as pa
    import pyarrow.parquet as parquet

    file, table = tmp_path / f"a.{ending}", pa.Table.from_pylist(ROWS)
    if kind == "parquet":
        parquet.write_table(table, file)
    else:
        with (pa.ipc.new_file if kind == "arrow" else pa.ipc.new_stream)(str(file), table.schema) as target:
            target.write_table(table)
    assert read(file) == ROWS


def test_json_that_llamafactory_cannot_read_is_told_in_the_list(collection):
    for name, text in (
        ("wrapped", json.dumps({"data": ROWS}, indent=1)),
        ("one_line", json.dumps({"data": ROWS})),
        ("commas", LINES.replace("}\n", "},\n")),
    ):
        (collection.folder / f"{name}.json").write_text(text)
        (collection.folder / "dataset_info.json").write_text(json.dumps({name: {"file_name": f"{name}.json"}}))
        (found,) = dataset_info.datasets(collection.folder)
        assert found.problem and (found.problem.key == "datasets.other_shape" or name == "one_line"), found


def test_what_need_not_be_written_anew_stays_where_it_lies(collection):
    for name, text in (("a.json", PLAIN), ("b.jsonl", LINES)):
        file = collection.folder / name
        file.write_text(text)
        register(collection, Words("en"), Registration(str(file), f"of_{name[0]}"))
        assert collection.find(f"of_{name[0]}").file == file


def test_a_folder_of_compressed_files_is_one_set(tmp_path):
    folder = tmp_path / "parts"
    folder.mkdir()
    for at in range(2):
        (folder / f"{at}.jsonl.gz").write_bytes(
            gzip.compress("".join(json.dumps(row) + "\n" for row in ROWS[4 * at : 4 * at + 4]).encode())
        )
    assert read(folder) == ROWS
    assert forms.recognise(read(folder)).form == "alpaca"
