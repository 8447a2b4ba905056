"""Reading: every kind of file gives the same rows, and each fault names its file, row and field."""

import json
import random

import pytest
from conftest import is_sentence

from studio.core.i18n import Problem, Words
from studio.datasets.files import columnar, csv_types, reading, scanning

ROWS = [
    {"instruction": "Say hello.", "output": "Hello."},
    {"instruction": 'Quote "this", \\ and {that} [too]', "output": "Line one\nline two\n\nline four"},
    {"instruction": "介绍一下你自己，\t好吗？", "output": "我是小桔。😀 \\"},
]


def put(path, rows=ROWS, **form):
    """Write rows in the form that the ending of `path` names."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as parquet

    if path.suffix == ".json":
        path.write_text(json.dumps(rows, **form), encoding="utf-8")
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row, **form) + "\n" for row in rows), encoding="utf-8")
    elif path.suffix == ".parquet":
        parquet.write_table(pa.Table.from_pylist(rows), path, row_group_size=2)
    elif path.suffix == ".arrow":
        table = pa.Table.from_pylist(rows)
        with pa.ipc.new_stream(str(path), table.schema) as stream:
            stream.write_table(table)
    else:
        pd.DataFrame(rows).to_csv(path, sep="\t" if path.suffix == ".tsv" else ",", index=False)
    return path


def read(path) -> list:
    return [row.problem or row.value for row in reading.rows(path)]


def fault(told, key: str, **facts) -> Problem:
    """See that a problem is the one expected, tells a sentence in both languages, and names what it must."""
    assert isinstance(told, Problem) and told.key == key, told
    assert {name: told.facts[name] for name in facts} == facts
    for language in ("en", "zh"):
        sentence = Words(language).tell(told)
        assert is_sentence(sentence) and str(told.facts["file"].name) in sentence
    return told


def assert_fault(path, key: str, **facts) -> None:
    with pytest.raises(Problem) as told:
        read(path)
    fault(told.value, key, **facts)


@pytest.mark.parametrize("ending", ["json", "jsonl", "csv", "tsv", "parquet", "arrow"])
def test_every_kind_of_file_gives_the_same_rows(tmp_path, ending):
    path = put(tmp_path / f"a.{ending}")
    assert read(path) == ROWS
    assert [row.number for row in reading.rows(path)] == [1, 2, 3]


@pytest.mark.parametrize(
    "form", [{"indent": 2}, {"ensure_ascii": False}, {"separators": (",", ":")}, {"indent": 4, "ensure_ascii": False}]
)
def test_an_array_may_be_written_in_any_way(tmp_path, form):
    assert read(put(tmp_path / "a.json", **form)) == ROWS


def test_what_a_file_holds_counts_and_not_whether_it_is_called_json_or_jsonl(tmp_path):
    put(tmp_path / "lines.jsonl").rename(tmp_path / "lines.json")
    put(tmp_path / "array.json").rename(tmp_path / "array.jsonl")
    assert read(tmp_path / "lines.json") == read(tmp_path / "array.jsonl") == ROWS


def test_an_arrow_file_is_read_as_an_arrow_stream_is(tmp_path):
    import pyarrow as pa

    table = pa.Table.from_pylist(ROWS)
    with pa.ipc.new_file(str(tmp_path / "a.arrow"), table.schema) as file:
        file.write_table(table)
    assert read(tmp_path / "a.arrow") == ROWS


def test_parquet_can_be_entered_anywhere(tmp_path):
    rows = [{"number": number} for number in range(1000)]
    path = put(tmp_path / "a.parquet", rows)
    assert [next(columnar.rows(path, "parquet", offset))["number"] for offset in (0, 1, 2, 999)] == [0, 1, 2, 999]
    assert list(columnar.rows(path, "parquet", 1000)) == []


def test_text_keeps_its_blank_lines_as_llamafactory_does(tmp_path):
    (tmp_path / "a.txt").write_bytes("第一行\r\n\nthird".encode())
    assert read(tmp_path / "a.txt") == [{"text": "第一行"}, {"text": ""}, {"text": "third"}]


def test_lines_of_white_space_are_no_rows(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'\n{"a": 1}\r\n   \n\n\t{"a": 2}\n  \n')
    assert read(tmp_path / "a.jsonl") == [{"a": 1}, {"a": 2}]


def test_a_folder_is_read_file_after_file_with_rows_numbered_through(tmp_path):
    folder = tmp_path / "parts"
    folder.mkdir()
    put(folder / "1.jsonl", ROWS[:2])
    put(folder / "2.json", ROWS[2:])
    assert read(folder) == ROWS
    assert [row.number for row in reading.rows(folder)] == [1, 2, 3]
    (folder / "readme.md").write_text("about")
    assert_fault(folder, "datasets.mixed_folder")


@pytest.mark.parametrize("block", [1, 2, 3, 7, 64])
def test_rows_are_found_wherever_a_block_ends(tmp_path, monkeypatch, block):
    monkeypatch.setattr(scanning, "BLOCK", block)
    chance = random.Random(block)
    texts = ["", "\\", '"', '\\"', "\\\\", "{", "]", "a,b", "|", "中", "\n", "x" * 90]
    rows = [
        {"".join(chance.choices(texts, k=2)): [{"v": "".join(chance.choices(texts, k=5))}, [], {}]} for _ in range(40)
    ]
    for name, form in (
        ("a.json", {"indent": 1}),
        ("a.jsonl", {}),
        ("b.json", {"separators": (",", ":"), "ensure_ascii": False}),
    ):
        assert read(put(tmp_path / name, rows, **form)) == rows


def test_one_bad_row_does_not_hide_the_others(tmp_path):
    path = tmp_path / "a.jsonl"
    deep = b"[" * 1000 + b"]" * 1000
    path.write_bytes(
        b'{"a": 1}\n{"a": }\n"stray"\n{"a": NaN}\n{"b": {"c": [1, -Infinity]}}\n{"a": 1, "a": 2}\n{"a": "\xff"}\n{"a": '
        + deep
        + b'}\n{"a": 3}\n'
    )
    found = read(path)
    assert found[0] == {"a": 1} and found[8] == {"a": 3}
    fault(found[1], "datasets.row_not_json", file=path, row=2, character=7)
    fault(found[2], "datasets.row_not_object", row=3)
    fault(found[3], "datasets.not_a_number", row=4, field="a", value="NaN")
    fault(found[4], "datasets.not_a_number", row=5, field="b", value="-Infinity")
    fault(found[5], "datasets.field_twice", row=6, field="a")
    fault(found[6], "datasets.row_not_utf8", row=7, byte=7)
    fault(found[7], "datasets.row_too_deep", row=8)


def test_a_line_of_50_mb_is_told_and_not_taken_into_memory(tmp_path):
    import resource

    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a": 1}\n{"a": "' + b"x" * 50_000_000 + b'"}\n{"a": 3}\n')
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = read(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # kilobytes
    assert (found[0], found[2]) == ({"a": 1}, {"a": 3})
    fault(found[1], "datasets.row_too_long", row=2, size="50")


@pytest.mark.parametrize(
    ("text", "key", "row"),
    [
        ('[{"a": 1}, {"a": 2}', "datasets.half", 2),
        ('[{"a": 1}, {"a": "cut of', "datasets.half", 1),
        ("[", "datasets.half", 0),
        ('[{"a": 1} {"a": 2}]', "datasets.stray", 2),
        ('[{"a": 1}, 7, {"a": 2}]', "datasets.stray", 2),
        ("[1, 2]", "datasets.stray", 1),
        ('[{"a": 1},]', "datasets.stray", 2),
        ('[{"a": 1}] and more', "datasets.after_end", 1),
        ('[{"a": 1}]\n{"a": 2}', "datasets.after_end", 1),
    ],
)
def test_an_array_that_is_not_whole_says_where(tmp_path, text, key, row):
    path = tmp_path / "a.json"
    path.write_text(text)
    assert_fault(path, key, file=path, row=row)


def test_rows_before_the_end_of_half_a_file_are_still_read(tmp_path):
    path = tmp_path / "a.json"
    whole = json.dumps(ROWS)
    path.write_text(whole[: len(whole) - 20])
    found = reading.rows(path)
    assert [next(found).value, next(found).value] == ROWS[:2]
    with pytest.raises(Problem):
        next(found)


def test_ragged_rows_and_columns_named_twice_are_told(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('a,b\n1,2\n1,2,3\n"x\ny",2\n4\n')
    found = read(path)
    assert (found[0], found[2]) == ({"a": "1", "b": "2"}, {"a": "x\ny", "b": "2"})
    fault(found[1], "datasets.ragged", file=path, row=2, found=3, wanted=2)
    fault(found[3], "datasets.ragged", row=4, found=1, wanted=2)
    path.write_text("a,b,a\n1,2,3\n")
    assert_fault(path, "datasets.column_twice", file=path, column="a")


@pytest.mark.parametrize(("codec", "encoding"), [("utf-16", "UTF-16"), ("utf-16-be", None), ("gbk", "GBK")])
def test_text_in_another_encoding_is_told(tmp_path, codec, encoding):
    path = tmp_path / "a.jsonl"
    path.write_bytes(("\ufeff" if codec == "utf-16-be" else "").encode(codec) + '{"a": "训练数据"}\n'.encode(codec))
    assert_fault(path, "datasets.encoding", file=path, encoding=encoding or "UTF-16")


def test_a_byte_order_mark_is_taken_where_llamafactory_takes_it(tmp_path):
    mark = b"\xef\xbb\xbf"
    (tmp_path / "a.jsonl").write_bytes(mark + b'{"a": 1}\n')
    (tmp_path / "a.csv").write_bytes(mark + b"a\n1\n")
    (tmp_path / "a.json").write_bytes(mark + b'[{"a": 1}]')
    assert read(tmp_path / "a.jsonl") == [{"a": 1}] and read(tmp_path / "a.csv") == [{"a": "1"}]
    assert_fault(tmp_path / "a.json", "datasets.encoding", encoding="UTF-8 with BOM")


def test_what_is_no_data_file_is_told(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"not parquet")
    (tmp_path / "a.arrow").write_bytes(b"not arrow")
    (tmp_path / "a.pdf").write_bytes(b"%PDF")
    assert_fault(tmp_path / "a.parquet", "datasets.unreadable")
    assert_fault(tmp_path / "a.arrow", "datasets.unreadable")
    assert_fault(tmp_path / "a.pdf", "datasets.unknown_ending")
    assert_fault(tmp_path / "none.json", "datasets.no_file")


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_a_line_end_in_a_field_moves_no_row_of_what_is_loaded(tmp_path, end):
    path = tmp_path / "a.csv"
    path.write_bytes(f'q,a\n"a{end}b",one\nc,"{end}"\nd,"three{end}"\n'.encode())
    assert len(read(path)) == 3 and [row.value for row in csv_types.loaded(path)] == read(path)
