"""Benchmarks in the layouts that are known, and sets of one's own; what is wrong in one is told by file, row, field."""

import json
import stat
import zipfile

import benchmark_sets
import pytest

from studio.core.i18n import Problem
from studio.core.workspace import Workspace
from studio.evaluate.benchmarks import tasks
from studio.evaluate.benchmarks.sets import incoming, layouts
from studio.evaluate.benchmarks.sets.incoming import bring_in
from studio.evaluate.benchmarks.sets.question_files import questions


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    root = tmp_path / "workspace"
    root.mkdir()
    (root / "data").mkdir()
    return Workspace(root).prepare()


def own(folder, text: str, name: str = "set.csv"):
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def test_mmlu(tmp_path):
    found = layouts.look(benchmark_sets.mmlu(tmp_path / "set"))
    read = list(found.questions())
    assert (found.split, found.language, len(found.parts), len(read)) == ("test", "en", 20, 80)
    # in the order of mapping.json, which is not that of the files
    assert [part.subject for part in found.parts][:2] == ["room_19", "room_18"]
    text, choices, answer = benchmark_sets.rows(19, "test", 4)[0]
    assert (read[0].text, list(read[0].choices), read[0].answer, read[0].number) == (text, choices, answer, 0)
    assert any("None" in one.choices for one in read)
    assert found.subject("room_3").category == "Other" and len(found.shots()["room_3"]) == 5


def test_ceval_is_scored_on_val(tmp_path):
    found = layouts.look(benchmark_sets.ceval(tmp_path / "set"))
    assert (found.split, found.language, len(list(found.questions()))) == ("val", "zh", 12)
    with pytest.raises(Problem) as caught:
        layouts.look(benchmark_sets.ceval(tmp_path / "without", val=False))
    assert caught.value.key == "benchmarks.no_answers"


def test_cmmlu(tmp_path):
    found = layouts.look(benchmark_sets.cmmlu(tmp_path / "set"))
    assert (found.split, found.language, len(list(found.questions()))) == ("test", "zh", 12)
    assert found.subject("room_1").name == "room 1"


def test_a_known_set_without_a_mapping_has_the_names_and_the_order_of_llamafactory(tmp_path):
    for subject in ("philosophy", "law", "accountant"):
        lines = [["0", "第一题？", "甲", "乙", "丙", "丁", "A"]]
        for part in ("dev", "val"):
            file = tmp_path / "ceval-exam" / part / f"{subject}_{part}.csv"
            benchmark_sets.write_table(file, ["id", "question", *"ABCD", "answer"], lines)
    (tmp_path / "ceval-exam" / "val" / "philosophy_val.csv").unlink()
    found = layouts.look(tmp_path / "ceval-exam")
    assert [(part.subject, found.subject(part.subject).name) for part in found.parts] == [
        ("accountant", "注册会计师"),
        ("law", "法学"),
    ]


def test_as_hubs_convert_it(tmp_path):
    import pyarrow
    import pyarrow.parquet

    for subject in ("room_1", "all"):
        for split in ("dev", "validation", "test"):
            rows = [{"question": f"{split}?", "subject": "room_1", "choices": ["x", "y", "z", "0"], "answer": 0}] * 2
            rows[1] = rows[1] | {"answer": 3}
            folder = tmp_path / "set" / subject
            folder.mkdir(parents=True, exist_ok=True)
            table = pyarrow.Table.from_pylist(rows)
            pyarrow.parquet.write_table(table, folder / f"{split}-00000-of-00001.parquet")
    found = layouts.look(tmp_path / "set")
    assert [(one.text, one.answer, one.subject) for one in found.questions()] == [
        ("test?", "A", "room_1"),
        ("test?", "D", "room_1"),
    ]
    assert [one.text for one in found.shots()["room_1"]] == ["dev?", "dev?"]


OWN = {
    "letters": ("question,A,B,answer\nOne?,x,y,b\n", "B"),
    "numbers from 0": ("question,A,B,answer\nOne?,x,y,1\nTwo?,x,y,0\n", "B"),
    "numbers from 1": ("question,A,B,answer\nOne?,x,y,1\nTwo?,x,y,2\n", "A"),
    "texts": ("question,A,B,answer\nOne?,x,y,y\n", "B"),
    "texts that are numbers": ("question,A,B,answer\nOne?,2,1,1\nTwo?,2,1,2\n", "B"),
    "a word that pandas takes for nothing": ("question,A,B,answer\nNone,None,NA,None\n", "A"),
    "Chinese, semicolons": ("题目;选项A;选项B;答案\n第一？;甲;乙;乙\n", "B"),
    "a list in a cell": ('question,choices,answer\nOne?,"[""x"",""y"",""z""]",C\n', "C"),
    "ten choices": ("question,A,B,C,D,E,F,G,H,I,J,answer\n1?,a0,b,c,d,e,f,g,h,i,j,J\n", "J"),
}


@pytest.mark.parametrize("kind", OWN)
def test_a_set_of_ones_own(tmp_path, kind):
    text, answer = OWN[kind]
    assert next(questions(own(tmp_path, text))).answer == answer


def test_a_set_of_ones_own_in_json(tmp_path):
    rows = [
        {"question": "One?", "choices": ["x", "y", "z"], "answer": 1, "subject": "a"},
        {"question": "Two?", "options": {"A": "x", "B": "y"}, "answer": "B", "subject": "b", "split": "dev"},
        {"question": "Three?", "A": "x", "B": "y", "answer": 0, "subject": "b"},
    ]
    own(tmp_path / "set", json.dumps(rows), "set.json")
    found = layouts.look(tmp_path / "set")
    assert [(one.subject, one.answer, one.number) for one in found.questions()] == [("a", "B", 0), ("b", "A", 2)]
    assert [one.text for one in found.shots()["b"]] == ["Two?"]


def test_examples_in_a_file_of_their_own_are_for_all_subjects(tmp_path):
    own(tmp_path / "set", "question,A,B,answer\nExample?,x,y,A\n", "dev.csv")
    own(tmp_path / "set", "question,A,B,answer,subject\nOne?,x,y,A,birds\n", "animals.csv")
    found = layouts.look(tmp_path / "set")
    assert [one.subject for one in found.questions()] == ["birds"]
    assert [one.text for one in found.shots()[""]] == ["Example?"]


WRONG = {
    "3 choices where 4 are said": (
        "question,A,B,C,D,answer\n1?,x,y,z,v,A\n2?,x,y,z,,A\n",
        "benchmarks.empty",
        {"row": 2, "field": "D"},
    ),
    "a field is missing": ("question,A,B,C,D,answer\n1?,x,y,z,A\n", "benchmarks.ragged", {"row": 1, "found": 5}),
    "no answer": ("question,A,B,answer\n1?,x,y,\n", "benchmarks.empty", {"row": 1, "field": "answer"}),
    "a letter beyond": ("question,A,B,answer\n1?,x,y,C\n", "benchmarks.bad_answer", {"row": 1, "answer": "C"}),
    "a number beyond": (
        "question,A,B,answer\n1?,x,y,0\n2?,x,y,2\n",
        "benchmarks.bad_answer",
        {"row": 2, "answer": "2"},
    ),
    "numbers of which nobody knows": (
        "question,A,B,C,answer\n1?,x,y,z,1\n2?,x,y,z,2\n",
        "benchmarks.ambiguous",
        {"row": 1, "answer": "1"},
    ),
    "no question": ("question,A,B,answer\n  ,x,y,A\n", "benchmarks.empty", {"row": 1, "field": "question"}),
    "no column of questions": ("Frage,A,B,answer\n1?,x,y,A\n", "benchmarks.no_column", {"column": "question"}),
    "no choices": ("question,answer\n1?,A\n", "benchmarks.no_column", {"row": 1, "column": "choices"}),
    "one choice": ("question,A,answer\n1?,x,A\n", "benchmarks.choices", {"row": 1, "found": 1}),
    "no list": ("question,choices,answer\n1?,x and y,A\n", "benchmarks.no_list", {"row": 1, "field": "choices"}),
    "an empty choice in a list": (
        'question,choices,answer\n1?,"[""x"",""""]",A\n',
        "benchmarks.empty",
        {"row": 1, "field": "choices.1"},
    ),
    "a choice twice, named by its text": (
        "question,A,B,answer\n1?,x,x,x\n",
        "benchmarks.bad_answer",
        {"row": 1, "answer": "x"},
    ),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_wrong_is_told_by_file_row_and_field(tmp_path, kind):
    text, key, facts = WRONG[kind]
    with pytest.raises(Problem) as caught:
        list(questions(own(tmp_path, text)))
    assert caught.value.key == key and caught.value.facts["file"] == "set.csv", str(caught.value)
    assert caught.value.facts | facts == caught.value.facts


ANSWERED, UNTOLD = "question,A,B,answer\nOne?,x,y,A\n", "question,A,B\nOne?,x,y\n"
WHOLE, LACKS = ({"question": "One?", "A": "x", "B": "y", "answer": "A"}, {"question": "Two?", "A": "x", "B": "y"})


def lines(*rows: dict) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


UNANSWERED = {  # the files, and where the answer is missing
    "a row of JSONL": ({"set.jsonl": lines(WHOLE, LACKS)}, "set.jsonl", 2),
    "the first row of JSONL": ({"set.jsonl": lines(LACKS, WHOLE)}, "set.jsonl", 1),
    "the first row, where there is a part to validate with": (
        {"test.jsonl": lines(LACKS, WHOLE), "val.jsonl": lines(WHOLE)},
        "test.jsonl",
        1,
    ),
    "a row of a JSON array": ({"set.json": json.dumps([WHOLE, LACKS])}, "set.json", 2),
    "an example among the rows": ({"set.jsonl": lines(WHOLE, LACKS | {"split": "dev"})}, "set.jsonl", 2),
    "an example in a file of its own": ({"set.jsonl": lines(WHOLE), "dev.jsonl": lines(LACKS)}, "dev.jsonl", 1),
    "the file of a subject": ({"test/a.csv": ANSWERED, "test/b.csv": UNTOLD}, "b.csv", 1),
    "the examples of a subject": ({"test/a.csv": ANSWERED, "dev/a_dev.csv": UNTOLD}, "a_dev.csv", 1),
}


@pytest.mark.parametrize("kind", UNANSWERED)
def test_a_question_without_an_answer_is_told_by_file_and_row(workspace, kind):
    made, file, row = UNANSWERED[kind]
    for name, text in made.items():
        path = workspace.data / "benchmarks" / "set" / name
        own(path.parent, text, path.name)
    problem = tasks.tasks(workspace)[0].problem
    assert problem and problem.key == "benchmarks.empty"
    assert problem.facts == {"file": file, "row": row, "field": "answer"}


@pytest.mark.parametrize("make", [benchmark_sets.mmlu, benchmark_sets.ceval, benchmark_sets.cmmlu])
def test_a_zip_is_brought_in(workspace, tmp_path, make):
    folder = make(tmp_path / "set")
    with zipfile.ZipFile(tmp_path / "rooms.zip", "w") as archive:
        for file in folder.rglob("*.*"):
            archive.write(file, file.relative_to(folder))
    found = bring_in(workspace, tmp_path / "rooms.zip")
    assert found.folder == workspace.data / "benchmarks" / "rooms"
    assert list(found.questions()) == list(layouts.look(folder).questions())
    with pytest.raises(Problem) as caught:
        bring_in(workspace, tmp_path / "rooms.zip")
    assert caught.value.key == "benchmarks.exists"
    assert bring_in(workspace, folder, "other").name == "other"


def zip_of(path, entries: dict[str, bytes], mode: int = 0):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr, entry.compress_type = mode << 16, zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    return path


@pytest.mark.parametrize("name", ["../../escaped.csv", "/tmp/escaped.csv", "..\\escaped.csv", "C:escaped.csv"])
def test_a_zip_that_leads_out_is_not_unpacked(workspace, tmp_path, name):
    with pytest.raises(Problem) as caught:
        bring_in(workspace, zip_of(tmp_path / "set.zip", {"test/a.csv": b"", name: b"question,A,B,answer\n1?,x,y,A\n"}))
    assert caught.value.key == "benchmarks.leads_out" and caught.value.facts["entry"] == name
    assert not (workspace.data / "benchmarks" / "set").exists()


def test_a_link_in_a_zip_is_not_followed(workspace, tmp_path):
    with pytest.raises(Problem) as caught:
        bring_in(workspace, zip_of(tmp_path / "set.zip", {"set.csv": b"/etc/passwd"}, stat.S_IFLNK | 0o777))
    assert caught.value.key == "benchmarks.leads_out"


def test_a_zip_that_grows_without_end_is_not_unpacked(workspace, tmp_path, monkeypatch):
    monkeypatch.setattr(incoming, "LARGEST_BYTES", 2**21)
    with pytest.raises(Problem) as caught:
        bring_in(workspace, zip_of(tmp_path / "set.zip", {"a.csv": b"a," * 2**20, "b.csv": b"b," * 2**20}))
    assert caught.value.key == "benchmarks.too_large"
    assert not list((workspace.data / "benchmarks").iterdir())


def test_a_damaged_zip_is_told(workspace, tmp_path):
    whole = zip_of(tmp_path / "whole.zip", {"a.csv": bytes(range(256)) * 100}).read_bytes()
    (tmp_path / "set.zip").write_bytes(whole[:60] + bytes(20) + whole[80:])
    with pytest.raises(Problem) as caught:
        bring_in(workspace, tmp_path / "set.zip")
    assert caught.value.key == "benchmarks.bad_zip"


@pytest.mark.parametrize(
    "entries", [{}, {"notes.txt": b"nothing"}, {"dev/a_dev.csv": b"question,A,B,answer\n1,x,y,A\n"}]
)
def test_what_holds_no_questions_is_refused(workspace, tmp_path, entries):
    with pytest.raises(Problem) as caught:
        bring_in(workspace, zip_of(tmp_path / "set.zip", entries))
    assert caught.value.key in ("benchmarks.no_files", "benchmarks.nothing_to_score")
    assert not (workspace.data / "benchmarks" / "set").exists()


def test_100_000_questions_are_read_as_they_come(tmp_path):
    lines = [[f"Question {number}?", "x", "y", "z", "v", "ABCD"[number % 4]] for number in range(100_000)]
    benchmark_sets.write_table(tmp_path / "set" / "all.csv", ["question", *"ABCD", "answer"], lines)
    found = iter(layouts.look(tmp_path / "set").questions())
    assert next(found).number == 0  # the first is there before the others are read
    assert sum(1 for _ in found) == 99_999
