"""The index: any page at once, kept on disk, told apart when the file changes, search that finds what values say."""

import json
import resource
import subprocess
import sys
import time

import pytest
from conftest import ROOT
from test_reading import ROWS, put

from studio.core.i18n import Problem
from studio.datasets.files import reading, row_places, text_rows
from studio.datasets.files.row_index import Indexes

COUNT = 30_000
# Counts, reads and searches a folder with as few open files as a quarter of its parts.
FEW_FILES = """
import resource, sys, threading
from pathlib import Path
import numpy, pydantic_core
from studio.datasets.files.row_index import Indexes
from studio.datasets.files import columnar
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
for _ in range(2):  # anew, and by what is kept on disk
    rows = Indexes(Path(sys.argv[1])).of(Path(sys.argv[2]))
    threads = threading.active_count()
    rows.wait(None, 240)
    assert rows.fault is None, rows.fault
    last = rows.page(rows.count - 1, 1)[0].value
    print(rows.count, last["text"], rows.find("part 7 row 19999").rows, threads <= 2)
"""


@pytest.fixture
def indexes(tmp_path):
    return Indexes(tmp_path / "index")


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A file of 30 MB as JSON lines and as one array."""
    folder = tmp_path_factory.mktemp("large")
    rows = [
        json.dumps({"instruction": f'Row {number}: {{"}}', "output": "模型 text " * 50, "deep": [{"n": number}]})
        for number in range(COUNT)
    ]
    (folder / "a.jsonl").write_text("\n".join(rows))
    (folder / "a.json").write_text("[" + ",\n  ".join(rows) + "]")
    return folder


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_any_page_comes_at_once_and_little_memory_is_taken(large, indexes, name):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    rows = indexes.of(large / name)
    assert rows.wait(20, 240)
    assert [row.number for row in rows.page(0, 20)] == list(range(1, 21))
    assert time.process_time() - started < 0.5
    assert rows.wait() and rows.done and rows.share == 1 and rows.fault is None and rows.count == COUNT
    for offset in (0, 12_345, COUNT - 3):
        started = time.process_time()
        page = rows.page(offset, 3)
        assert time.process_time() - started < 0.1
        assert [row.value["deep"][0]["n"] for row in page] == [offset, offset + 1, offset + 2]
    assert rows.page(COUNT, 5) == [] and len(rows.page(COUNT - 2, 5)) == 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000  # kilobytes


def test_a_folder_of_many_files_holds_few_of_them_open(tmp_path):
    folder = tmp_path / "corpus"
    folder.mkdir()
    for part in range(400):
        count = 20_000 if 5 <= part < 25 else 3
        (folder / f"{part:04}.txt").write_text("".join(f"part {part} row {row}\n" for row in range(count)))
    command = [sys.executable, "-c", FEW_FILES, str(tmp_path / "index"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, cwd=ROOT)
    count = 20 * 20_000 + 380 * 3
    assert done.stdout.splitlines() == [f"{count} part 399 row 2 [{15 + 3 * 20_000}] True"] * 2, done.stderr


def test_what_is_kept_on_disk_may_be_deleted_meanwhile(large, tmp_path):
    rows = Indexes(tmp_path / "index").of(large / "a.jsonl")
    rows.wait(None, 240)
    page = rows.page(12_345, 3)
    for file in (tmp_path / "index").iterdir():
        file.unlink()
    assert rows.page(12_345, 3) == page and rows.find("Row 29999:").rows == [COUNT]


def test_the_index_is_kept_on_disk_and_a_changed_file_is_indexed_anew(large, tmp_path, monkeypatch):
    path = tmp_path / "a.jsonl"
    path.write_bytes((large / "a.jsonl").read_bytes())
    Indexes(tmp_path / "index").of(path).wait()

    def never(*_):
        raise AssertionError("scanned again")

    with monkeypatch.context() as patch:
        patch.setattr(reading, "scan", never)
        again = Indexes(tmp_path / "index").of(path)
        assert again.done and again.count == COUNT and again.page(29_999, 1)[0].value["deep"] == [{"n": 29_999}]
    with path.open("a") as file:
        file.write("\n" + json.dumps(ROWS[0]) + "\n")
    indexes = Indexes(tmp_path / "index")
    changed = indexes.of(path)
    changed.wait()
    assert changed.count == COUNT + 1 and changed.page(COUNT, 1)[0].value == ROWS[0]
    assert indexes.of(path) is changed


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-8]),
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
    ],
)
def test_a_damaged_index_is_made_again(large, tmp_path, damage):
    path = large / "a.jsonl"
    Indexes(tmp_path / "index").of(path).wait()
    damage(next((tmp_path / "index").glob("*.rows")))
    rows = Indexes(tmp_path / "index").of(path)
    rows.wait()
    assert rows.count == COUNT and rows.page(29_999, 1)[0].value["deep"] == [{"n": 29_999}]


def test_what_is_found_already_can_be_read_while_the_rest_is_sought(large, indexes, monkeypatch):
    import threading

    go_on = threading.Event()
    scan = reading.scan

    def slow(*args):
        for number, pairs in enumerate(scan(*args)):
            yield pairs
            if number == 3:
                go_on.wait(240)

    monkeypatch.setattr(reading, "scan", slow)
    rows = indexes.of(large / "a.jsonl")
    assert rows.wait(100, 240) and not rows.done and 0 < rows.share < 0.5 and 100 <= rows.count < COUNT
    assert rows.page(50, 1)[0].value["deep"] == [{"n": 50}]
    go_on.set()
    assert rows.wait() and rows.count == COUNT


@pytest.mark.parametrize("ending", ["json", "jsonl", "csv", "tsv", "parquet", "arrow"])
def test_every_kind_of_file_has_pages_and_can_be_searched(tmp_path, indexes, ending):
    rows = indexes.of(put(tmp_path / f"a.{ending}", ROWS * 5))
    rows.wait()
    assert rows.count == 15 and [row.value for row in rows.page(2, 3)] == [ROWS[2], ROWS[0], ROWS[1]]
    assert rows.find("小桔").rows == [3, 6, 9, 12, 15]
    assert rows.find("小桔", offset=6).rows == [9, 12, 15]
    assert rows.find("SAY HELLO").rows == rows.find("say hello").rows == [1, 4, 7, 10, 13]
    assert rows.find('"this"').rows == rows.find("one\nline two").rows == [2, 5, 8, 11, 14]
    assert rows.find("instruction").rows == [], "the name of a field is not what a row says"
    found = rows.find("小桔", limit=2)
    assert found.rows == [3, 6] and found.next == 6 and rows.find("小桔", found.next).rows == [9, 12, 15]


@pytest.mark.parametrize(
    ("name", "line", "typed"),
    [
        ("a.jsonl", '{"instruction": "Привет, Übergröße ÉCOLE"}', ["привет", "ПРИВЕТ", "übergröße", "École"]),
        (
            "a.jsonl",
            r'{"instruction": "\u041f\u0440\u0438\u0432\u0435\u0442 \u6a21\u578b \ud83d\ude00"}',
            ["привет", "模型", "😀"],
        ),
        ("a.jsonl", r'{"instruction": "\u003cthink\u003e a \u0026 b\u0027s"}', ["<think>", "a & B's"]),
        ("a.jsonl", r'{"instruction": "http:\/\/x.org C:\\dir say \"hi\""}', ["http://x.org", "c:\\dir", 'say "hi"']),
        ("a.csv", '"Say ""hi"" to <b>Zoë</b>",1', ['say "hi"', "<B>zoë</b>"]),
        ("a.txt", 'ПРИВЕТ 模型 <think> "hi" http://x.org', ["привет", "模型", "<think>", '"HI"', "http://X.org"]),
    ],
)
def test_a_text_is_found_however_it_is_written(tmp_path, indexes, name, line, typed):
    head = "instruction,n\n" if name.endswith(".csv") else ""
    other = {"a.jsonl": '{"instruction": "nothing"}', "a.csv": "nothing,0", "a.txt": "nothing"}[name]
    (tmp_path / name).write_text(f"{head}{other}\n{line}\n{other}\n", encoding="utf-8")
    rows = indexes.of(tmp_path / name)
    rows.wait(None, 240)
    assert [(one, rows.find(one).rows) for one in typed] == [(one, [2]) for one in typed]


def test_search_goes_through_all_of_a_large_file(large, indexes):
    rows = indexes.of(large / "a.json")
    rows.wait()
    assert rows.find("row 29999:").rows == [30_000]
    stopped = rows.find("nowhere", seconds=0)
    assert stopped.rows == [] and 0 < stopped.share < 1 and stopped.next


def test_a_folder_of_files_is_paged_and_searched_as_one(tmp_path, indexes):
    folder = tmp_path / "parts"
    folder.mkdir()
    for number in range(4):
        put(folder / f"{number}.jsonl", [{"n": number * 10 + row, "text": f"part {number}"} for row in range(10)])
    rows = indexes.of(folder)
    rows.wait()
    assert rows.count == 40 and rows.done and rows.share == 1
    assert [(row.number, row.value["n"]) for row in rows.page(8, 14)] == [(n + 1, n) for n in range(8, 22)]
    assert rows.find("part 2").rows == list(range(21, 31))
    assert rows.find("part 2", offset=25, limit=2).rows == [26, 27]
    assert rows.locate(21) == (rows.parts[2], 1)
    with pytest.raises(Problem):
        rows.locate(41)
    put(folder / "4.jsonl", [{"n": 40}])
    again = indexes.of(folder)
    again.wait()
    assert again.count == 41


def test_rows_before_a_fault_can_be_read_and_the_fault_is_kept(large, tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes((large / "a.json").read_bytes()[:-1000])
    for _ in range(2):
        rows = Indexes(tmp_path / "index").of(path)
        rows.wait()
        assert rows.fault.key == "datasets.half" and "cut off after row" in str(rows.fault)
        assert COUNT - 3 <= rows.count < COUNT and rows.page(0, 1)[0].value


def test_a_file_in_another_encoding_says_so(tmp_path, indexes):
    (tmp_path / "a.jsonl").write_bytes('{"a": "训练数据"}\n'.encode("gbk"))
    rows = indexes.of(tmp_path / "a.jsonl")
    rows.wait()
    assert rows.fault.key == "datasets.encoding" and rows.count == 0


def test_small_files_leave_nothing_on_disk(tmp_path, indexes):
    indexes.of(put(tmp_path / "a.jsonl")).wait()
    assert (tmp_path / "a.jsonl").stat().st_size < text_rows.STORE_FROM_BYTES and not (tmp_path / "index").exists()


@pytest.mark.parametrize("rows", [100, row_places.IN_MEMORY + 100])
def test_an_index_that_cannot_be_kept_is_no_fault_of_the_file(tmp_path, rows):
    """As on a full disk: a file stands where its folder should."""
    (tmp_path / "index").touch()
    path = tmp_path / "a.jsonl"
    path.write_text("".join(f'{{"n": {number}}}\n' for number in range(rows)))
    index = Indexes(tmp_path / "index" / "of_files").of(path)
    index.wait()
    assert index.fault is None and index.count == rows and index.page(rows - 1, 1)[0].value == {"n": rows - 1}
