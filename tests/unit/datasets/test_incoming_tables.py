"""Tables as people bring them: any delimiter, quotes, line ends and encoding; every text comes in as it stands, and
LLaMA-Factory trains it.
"""

import csv
import io
import json
from pathlib import Path

import pytest
from conftest import ROOT, examples
from hypothesis import given
from hypothesis import strategies as some
from markupsafe import escape

from studio.core.i18n import Problem, Words
from studio.core.jobs import Jobs
from studio.core.workspace import Workspace
from studio.datasets.files import csv_types, reading
from studio.datasets.files.incoming import source
from studio.datasets.files.incoming.dialect import Dialect, known_field, sniff
from studio.datasets.page.add_data import new_data
from studio.datasets.page.add_data.registering import Registration, register
from studio.datasets.page.schemas import RegisterOptions
from studio.datasets.quality import row_check
from studio.datasets.registry import dataset_info
from studio.datasets.registry.collection import Collection
from studio.datasets.schema import forms
from studio.web.html import render

CASES = ROOT / "tests" / "cases"
ROWS = [
    ("Say 0.", "", "Number 0."),
    ('She said "no", twice', "a;b|c", "Line one\nline two"),
    ("介绍，一下", "x\ty", "好的。"),
]
HEADER = ("instruction", "input", "output")


@pytest.fixture
def workspace(tmp_path):
    made = Workspace(tmp_path / "studio")
    made.data.mkdir(parents=True, exist_ok=True)
    return made


@pytest.fixture
def collection(workspace):
    return Collection(workspace, Jobs(workspace))


def brought(collection, file: Path, **options) -> tuple[dict, list[dict]]:
    """Bring a file in, and return the answer and the rows as LLaMA-Factory's reader has them."""
    collection.drop(file)
    result = register(collection, Words("en"), Registration(str(file), "brought", options=RegisterOptions(**options)))
    dataset = collection.find("brought")
    assert dataset.problem is None
    return result.model_dump(), [row.value for row in csv_types.loaded(dataset.file)]


def pairs(collection, rows: list[dict]) -> list[tuple]:
    """Return question, input and answer of rows by the entry's columns."""
    columns = {"prompt": "instruction", "query": "input", "response": "output"} | (
        collection.find("brought").entry.get("columns") or {}
    )
    return [tuple(row.get(columns.get(name, ""), "") or "" for name in ("prompt", "query", "response")) for row in rows]


def lies(workspace, name: str) -> Path:
    file = workspace.data / Path(name).name
    file.write_bytes((CASES / name).read_bytes())
    return file


def checked(collection) -> row_check.Report:
    dataset = collection.find("brought")
    return row_check.check(csv_types.loaded(dataset.file), dataset.entry, dataset.home)


# Columns without a name


@pytest.mark.parametrize("inside", [True, False])
def test_a_column_without_a_name_is_nobodys(collection, workspace, tmp_path, inside):
    case = CASES / "nameless-column/index_sft.csv"
    file = lies(workspace, "nameless-column/index_sft.csv") if inside else case
    said, rows = brought(collection, file)
    assert (said["rows"], said["left_out"]) == (20, 0)
    assert pairs(collection, rows) == [(f"Say {number}", "", f"Number {number}.") for number in range(20)]
    assert checked(collection).ok


@pytest.mark.parametrize(
    ("entry", "row"),
    [
        (
            {"columns": {"prompt": "instruction", "response": "output"}},
            {"": 3, "instruction": "Say 0.", "output": "Number 0."},
        ),
        (
            {"columns": {"prompt": "instruction", "response": "output"}},
            {"": "{", "instruction": "Say 0.", "output": "Number 0."},
        ),
        (
            {"formatting": "sharegpt", "columns": {"messages": "talk"}},
            {"": "[", "talk": [{"from": "human", "value": "Say 0."}, {"from": "gpt", "value": "Number 0."}]},
        ),
        (
            {"ranking": True, "columns": {"prompt": "q", "chosen": "c", "rejected": "r"}},
            {"": [1], "q": "Say 0.", "c": "Number 0.", "r": "No."},
        ),
        (
            {"columns": {"prompt": "q", "response": "a", "kto_tag": "l"}},
            {"": {"x": 1}, "q": "Say 0.", "a": "Number 0.", "l": True},
        ),
    ],
)
def test_the_check_reads_no_column_that_the_entry_does_not_name(tmp_path, entry, row):
    report = row_check.check([reading.Row(1, row)], entry, tmp_path)
    assert report.ok, report.findings


def test_a_nameless_field_is_in_no_form_of_conversion(tmp_path):
    from studio.datasets.schema import conversion

    for form, row in {
        "alpaca": {"": "nobody", "instruction": "Say 0.", "output": "Number 0."},
        "preference": {"": "nobody", "prompt": "Q", "chosen": "A", "rejected": "B"},
        "kto": {"": "nobody", "prompt": "Q", "completion": "A", "label": True},
        "chat": {"": "nobody", "messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]},
    }.items():
        mapping = forms.recognise([row])
        assert mapping.form == form
        written = conversion.Written()
        (made,) = conversion.converted(iter([reading.Row(1, row)]), mapping, written, tmp_path / "x")
        assert "nobody" not in str(made), made


# Line ends


INSIDE = ("\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e")


def test_the_field_of_the_case_is_whole(collection, workspace):
    said, rows = brought(collection, lies(workspace, "csv-line-ends/tabs.tsv"))
    assert (said["rows"], said["left_out"]) == (11, 0)
    assert pairs(collection, rows)[3] == ("Name a thing with 4 letters", "", "word\u2028number 4")


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("sign", INSIDE)
@pytest.mark.parametrize("place", [0, 1])
def test_a_row_ends_at_cr_lf_or_crlf_and_nowhere_else(tmp_path, ends, sign, place):
    file = tmp_path / "a.csv"
    row = ["question", "answer"]
    row[place] = f"one{sign}two"
    file.write_bytes(("instruction,output" + ends + ",".join(row) + ends + "second,last" + ends).encode())
    assert [row.value for row in reading.rows(file)] == [
        {"instruction": row[0], "output": row[1]},
        {"instruction": "second", "output": "last"},
    ]
    assert [one.value for one in csv_types.loaded(file)] == [one.value for one in reading.rows(file)]


@given(
    some.lists(
        some.tuples(*[some.text(some.characters(codec="utf-8", exclude_characters="\0"), max_size=8)] * 2),
        min_size=1,
        max_size=8,
    ),
    some.sampled_from([",", "\t", ";", "|", "\x01"]),
    some.sampled_from(["\n", "\r\n", "\r"]),
    some.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
)
@examples(200)
def test_any_text_survives_any_dialect(tmp_path_factory, rows, delimiter, ends, quoting):
    rows = [row for row in rows if any(field.strip() for field in row)] or [("a", "b")]
    if any(sign in field for row in rows for field in row for sign in "\r\n"):
        quoting = csv.QUOTE_ALL  # the writer leaves a line end unquoted that is not its own
    folder = tmp_path_factory.mktemp("dialect")
    file = folder / "a.csv"
    with file.open("w", encoding="utf-8", newline="") as target:
        writer = csv.writer(target, delimiter=delimiter, lineterminator=ends, quoting=quoting)
        writer.writerow(("instruction", "output"))
        writer.writerows(rows)
    assert [(row.value or {}).get("instruction") for row in source.rows(file, folder)] == [row[0] for row in rows]
    assert [(row.value or {}).get("output") for row in source.rows(file, folder)] == [row[1] for row in rows]


def test_plain_text_ends_its_lines_where_llamafactory_does(tmp_path):
    file = tmp_path / "a.txt"
    for text in ("one\rtwo\nthree\r\n\nfour\u2028five\x0b\x1c\x85six", "\r\r\n\n\rx", "x" * 10 + "\r"):
        file.write_bytes(text.encode())
        with file.open(encoding="utf-8") as opened:
            theirs = [line.rstrip("\n") for line in io.StringIO(opened.read()).readlines()]
        assert [row.value["text"] for row in reading.rows(file)] == theirs


def test_a_quote_that_is_never_closed_is_told_with_its_row(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text('instruction,output\nSay 0.,Number 0.\nSay 1.,"Number 1.\nSay 2.,Number 2.\n')
    with pytest.raises(Problem) as told:
        list(reading.rows(file))
    assert (told.value.key, told.value.facts["row"]) == ("datasets.open_quote", 2)


# Types


@pytest.mark.parametrize("inside", [True, False])
def test_the_texts_of_a_table_are_trained_as_they_stand(collection, workspace, inside):
    file = lies(workspace, "csv-types/times_table.csv") if inside else CASES / "csv-types/times_table.csv"
    said, rows = brought(collection, file)
    assert said["rows"] == len(rows) == 24
    assert pairs(collection, rows)[0] == ("How much is 2 times 3?", "", "6")
    assert checked(collection).ok


@pytest.mark.parametrize("inside", [True, False])
def test_na_is_an_answer(collection, workspace, inside):
    file = lies(workspace, "csv-types/na_answers.csv") if inside else CASES / "csv-types/na_answers.csv"
    said, rows = brought(collection, file)
    assert said["rows"] == len(rows) == 24
    assert [row[2] for row in pairs(collection, rows)][:5] == ["NA", "null", "None", "N/A", "four"]
    report = checked(collection)
    assert set(report.bad) == {"duplicate"}


@pytest.mark.parametrize(
    "answers",
    [
        ["6"] * 9,
        ["00001"] * 9,
        ["True"] * 9,
        ["1.50"] * 9,
        ["x"] * 8 + ["NA"],
        ["x"] * 8 + ["nan"],
        ["x"] * 8 + ["<NA>"],
        ["-"] + ["1e5"] * 8,
        ["1 000"] * 9,
        ["inf"] * 9,
        ["#N/A", *["yes"] * 8],
        ["false"] * 9,
    ],
)
@pytest.mark.parametrize("column", ["instruction", "input", "output"])
def test_what_pandas_would_change_is_written_as_lines(collection, workspace, answers, column):
    file = workspace.data / "a.csv"
    rows = [{"instruction": "Say.", "input": "it", "output": "word", column: answer} for answer in answers]
    with file.open("w", newline="") as target:
        writer = csv.DictWriter(target, HEADER)
        writer.writeheader()
        writer.writerows(rows)
    _, loaded = brought(collection, file)
    assert pairs(collection, loaded) == [tuple(row.values()) for row in rows]


def test_a_table_of_plain_texts_stays_where_it_lies(collection, workspace):
    file = workspace.data / "a.csv"
    file.write_text("instruction,input,output\nSay 0.,,Number 0.\nSay 1.,,Number 1.\n")
    said, _ = brought(collection, file)
    assert collection.find("brought").file == file
    assert said["rows"] == 2


def test_how_many_rows_a_file_has_that_stays_where_it_lies(collection, workspace):
    file = workspace.data / "a.jsonl"
    file.write_text('{"instruction": "Say 0.", "output": "Number 0."}\n' * 20)
    said, _ = brought(collection, file)
    assert collection.find("brought").file == file and said["rows"] == 20


def test_an_entry_made_by_hand_is_not_ok_where_llamafactory_drops_rows(workspace):
    file = lies(workspace, "csv-types/times_table.csv")
    report = row_check.check(csv_types.loaded(file), {"file_name": file.name}, workspace.data)
    assert report.bad["wrong_type"] == set(range(1, 25)) and report.findings[0].field == "output"
    file = lies(workspace, "csv-types/na_answers.csv")
    entry = {"file_name": file.name, "columns": {"prompt": "instruction", "response": "output"}}
    report = row_check.check(csv_types.loaded(file), entry, workspace.data)
    assert len(report.bad["missing_field"]) == 12


def test_true_and_false_of_a_table_are_labels(workspace):
    file = workspace.data / "kto.csv"
    file.write_text("q,a,l\nSay 0.,Number 0.,True\nSay 1.,No.,False\n")
    entry = {"file_name": "kto.csv", "columns": {"prompt": "q", "response": "a", "kto_tag": "l"}}
    assert row_check.check(csv_types.loaded(file), entry, workspace.data).ok


def test_one_row_is_typed_by_its_piece(workspace, collection, monkeypatch):
    monkeypatch.setattr(csv_types, "PIECE", 3)
    file = workspace.data / "a.csv"
    file.write_text(
        "q,a\n"
        + "".join(
            f"Say {number}.,{answer}\n"
            for number, answer in enumerate(["1", "2", "3", "x", "5", "NA", "True", "False"])
        )
    )
    rows = collection.indexes.of(file)
    rows.wait()
    wanted = [1, 2, 3, "x", "5", None, True, False]
    assert [csv_types.loaded_row(rows, number).value["a"] for number in range(1, 9)] == wanted
    assert [row.value["a"] for row in csv_types.loaded(file)] == wanted


# Dialects


def test_semicolons_with_a_mark_before_them(collection, workspace):
    said, rows = brought(collection, lies(workspace, "taken-for-plain-text/semicolon_bom.csv"))
    assert (said["form"], said["rows"], said["left_out"]) == ("alpaca", 19, 0)
    assert pairs(collection, rows)[0] == ("Say 1", "", "Number 1")


@pytest.mark.parametrize("ending", ["csv", "tsv", "txt"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "\x01"])
@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
def test_a_table_is_read_by_what_it_holds(tmp_path, ending, delimiter, codec, quoting):
    file = tmp_path / f"a.{ending}"
    with file.open("w", encoding=codec, newline="") as target:
        writer = csv.writer(target, delimiter=delimiter, quoting=quoting)
        writer.writerow(HEADER)
        writer.writerows(ROWS)
    rows = [row.value for row in source.rows(file, tmp_path)]
    assert [tuple(row.values()) for row in rows] == ROWS
    assert tuple(rows[0]) == HEADER
    mapping = forms.recognise(rows)
    assert (mapping.form, mapping.missing()) == ("alpaca", [])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("sep=;\r\ninstruction;output\r\nSay 0.;Number 0.\r\n", Dialect(";", sep_line=True)),
        ("instruction;output\nSay, please;Number 0, here\nSay 1.;Number, 1\n", Dialect(";")),
        ("Frage;Antwort\nWas, bitte?;Das\nWer?;Der\n", Dialect(";")),
        ("'instruction','output'\n'Say, 0.','Number 0.'\n", Dialect(",", quote="'")),
        ('instruction,output\n"He said \\"no, never\\", once",Number 0.\n"a","b"\n', Dialect(",", escape="\\")),
        ("Say 0.;Number 0.\nSay 1.;Number 1.\n", Dialect(";", header=False)),
        ("Wie heißt du?,Ich heiße Rosa.\nWo?,Dort.\n", Dialect(",", header=False)),
        ("text\nA line; with, all | signs\nanother\n", Dialect(",")),
        (",instruction,output\n0,Say 0.,Number 0.\n", Dialect(",")),
        ('instruction\toutput\nHe said "hi\tNumber 0.\n"quoted word" first\tNumber 1.\n', Dialect("\t")),
    ],
)
def test_the_dialect_is_seen(text, found):
    assert sniff(text, ",", known_field) == found


def test_a_table_without_a_header_keeps_its_first_row(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("Say 0.,Number 0.\nSay 1.,Number 1.\n")
    assert [row.value for row in source.rows(file, tmp_path)][0] == {"column 1": "Say 0.", "column 2": "Number 0."}


def test_a_line_that_names_the_delimiter_is_no_row(tmp_path):
    file = tmp_path / "a.csv"
    file.write_bytes("\ufeffsep=|\r\ninstruction|output\r\nSay 0.|Number 0.\r\n".encode())
    assert [row.value for row in source.rows(file, tmp_path)] == [{"instruction": "Say 0.", "output": "Number 0."}]


def test_an_entry_with_another_delimiter_is_told(workspace):
    (workspace.data / "a.csv").write_text("instruction;output\nSay 0.;Number 0.\n")
    (workspace.data / "dataset_info.json").write_text(
        '{"a": {"file_name": "a.csv", "columns": {"prompt": "instruction", "response": "output"}}}'
    )
    (found,) = dataset_info.datasets(workspace.data)
    assert (found.problem.key, found.problem.facts["delimiter"]) == ("datasets.other_delimiter", ";")


@pytest.mark.parametrize(
    "text",
    [
        "Once, there was; a tale.\nIt went | on,\tand on.\n",
        "[1] A note.\n[2] Another.\n",
        '{ this is no JSON }\n"nor" this\n',
        "question, answer and more\nwhat people say: instruction, output\n",
        "# Title\n\n| a | b |\n|---|---|\n",
    ],
)
def test_prose_stays_plain_text(tmp_path, text):
    file = tmp_path / "a.txt"
    file.write_text(text)
    assert [row.value for row in source.rows(file, tmp_path)] == [{"text": line} for line in text.splitlines()]


TALK = [
    {"role": "user", "content": 'It\'s "5 } {", is it?\nYes'},
    {"role": "assistant", "content": "Number 0. {'a': 1} {'b': 2}"},
]


@pytest.mark.parametrize(
    "written",
    [repr(TALK), repr(TALK).replace("}, {'role'", "}\n {'role'"), f"array({TALK!r}, dtype=object)", json.dumps(TALK)],
)
def test_a_conversation_that_python_printed_is_one(tmp_path, written):
    file = tmp_path / "a.csv"
    with file.open("w", newline="") as target:
        csv.writer(target).writerows([("messages", "id"), (written, "1"), ("[{'role': 'user', 'content': nan}]", "2")])
    rows = [row.value for row in source.rows(file, tmp_path)]
    assert rows[0] == {"messages": TALK, "id": "1"}
    assert rows[1]["messages"] == "[{'role': 'user', 'content': nan}]"
    assert not source.is_native(file, 10)


@pytest.mark.parametrize(
    ("name", "content", "keys"),
    [
        ("a.csv", b"instruction,output\nSay.,Word.\n", []),
        ("a.csv", b"instruction;output\nSay.;Word.\n", ["read_separated"]),
        ("a.csv", b"Say 0.,Number 0.\nSay 1.,Number 1.\n", ["read_without_header"]),
        ("a.txt", b'{"text": "a"}\n{"text": "b"}\n', ["read_json"]),
        ("a.json", b'{"data": [{"text": "a"}]}', ["read_wrapped"]),
        ("a.jsonl", b'{"text": "a"}\n', []),
        ("a.txt", b"words\n", []),
        ("a.jsonl", '{"text": "训练数据"}\n'.encode("gb18030"), ["read_encoding"]),
    ],
)
def test_what_a_file_is_read_as_is_told(collection, tmp_path, name, content, keys):
    file = collection.folder / name
    file.write_bytes(content)
    told = source.read_as(file)
    assert [one.key.removeprefix("datasets.") for one in told] == keys
    context = new_data.new_data(Words("en"), collection, f"path={file}")
    assert [one.key for one in context.data.read_as] == [one.key for one in told]
    for language in ("en", "zh"):
        drawn = render(new_data.TEMPLATE, Words(language), context)
        assert all(escape(Words(language).tell(one)) in drawn for one in told)
