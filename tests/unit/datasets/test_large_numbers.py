"""Whole numbers beyond 64 bits are read, shown, sought, edited and written back digit for digit."""

import json
import re

import pytest
from conftest import costs_at_most

from studio.core.i18n import Words
from studio.core.jobs import Jobs
from studio.core.workspace import Workspace
from studio.datasets.files import large_numbers, reading
from studio.datasets.files.incoming import source
from studio.datasets.page.browse import row_list
from studio.datasets.page.endpoints_rows import endpoints
from studio.datasets.registry.collection import Collection
from studio.web.endpoint import checked_endpoint
from studio.web.html import render

LARGE = 123456789012345678901234567890
NUMBERS = [LARGE, -LARGE, 2**64, -(2**63) - 1, 2**64 - 1, -(2**63), 7, 10**59 + 1, 0.00012345678901234567, 1e30]
ROWS = [
    {"instruction": f"Say {at}.", "output": f"{at}", "meta": {"id": number, "all": [number, "x"]}, "id": f"{number}"}
    for at, number in enumerate(NUMBERS)
]
FORMS = {
    "a.jsonl": "".join(json.dumps(row) + "\n" for row in ROWS),
    "b.jsonl": "".join(json.dumps(row, separators=(",", ":")) + "\r\n" for row in ROWS),
    "c.json": json.dumps(ROWS),
    "d.json": json.dumps(ROWS, indent=2),
    "e.json": json.dumps({"data": ROWS}),
    "f.jsonl": "".join(json.dumps(json.dumps(row)) + "\n" for row in ROWS),
    "g.json": json.dumps(json.dumps(ROWS)),
    "h.json": json.dumps({"columns": list(ROWS[0]), "data": [list(row.values()) for row in ROWS]}),
    "i.json": "\n".join(json.dumps(row, indent=1) for row in ROWS),
}
EDITED = ("a.jsonl", "b.jsonl", "c.json", "d.json")  # those that LLaMA-Factory reads as they are


@pytest.fixture
def collection(tmp_path) -> Collection:
    workspace = Workspace(tmp_path / "workspace").prepare()
    info = {name.split(".")[0]: {"file_name": name} for name in EDITED}
    (workspace.data / "dataset_info.json").write_text(json.dumps(info))
    for name in EDITED:
        (workspace.data / name).write_bytes(FORMS[name].encode())
    return Collection(workspace, Jobs(workspace))


@pytest.fixture
def call(collection):
    """The endpoints of rows by name, as a script reaches them: what they answer went through JSON."""
    made = {one.__name__: checked_endpoint(one, Words("en")) for one in endpoints(collection, Words("en"))}
    return lambda name, *given: json.loads(json.dumps(made[name](*given)))


def in_file(collection, name: str) -> list:
    """Return what Python's own reader reads in the file of a set."""
    text = next(collection.workspace.data.glob(f"{name}.*")).read_text(encoding="utf-8")
    return json.loads(text) if text.lstrip().startswith("[") else [json.loads(line) for line in text.splitlines()]


def typed(value: object) -> str:
    """Return a value as text that tells a whole number from a float."""
    return json.dumps(value)


@pytest.mark.parametrize("name", FORMS)
def test_every_reader_of_rows_reads_every_digit(tmp_path, name):
    (tmp_path / name).write_bytes(FORMS[name].encode())
    assert typed([row.problem or row.value for row in source.rows(tmp_path / name, tmp_path)]) == typed(ROWS)
    if name in EDITED:
        assert typed([row.value for row in reading.rows(tmp_path / name)]) == typed(ROWS)


@pytest.mark.parametrize("name", [name[0] for name in EDITED])
def test_they_are_shown_and_found_by_their_digits(collection, call, name):
    drawn = render(row_list.TEMPLATE, Words("en"), row_list.row_list(collection, name))
    said = re.sub(r"<[^>]*>", "", str(drawn))
    assert all(f'"id": {typed(row["meta"]["id"])}' in said.replace("&#34;", '"') for row in ROWS)
    assert call("datasets_search", name, str(LARGE))["rows"] == [1, 2]
    assert call("datasets_search", name, "1.2345678901234568e+29")["rows"] == []
    rows = call("datasets_preview", name)["rows"]
    assert rows[0]["meta"] == {"id": str(LARGE), "all": [str(LARGE), "x"]}  # of JSON many read no such number


@pytest.mark.parametrize("name", [name[0] for name in EDITED])
def test_what_is_changed_beside_them_is_all_that_changes(collection, call, name):
    for number in range(1, len(ROWS) + 1):
        form = row_list.row_list(collection, f"{name}\nname={name}&offset=0&edit={number}").page.rows[number - 1].form
        fields = {one.name: one.text for one in form.fields} | {"at:output": "by form"}
        call("datasets_save_row", {"name": name, "row": number, "was": form.was, "digest": form.digest, **fields})
    assert typed(in_file(collection, name)) == typed([row | {"output": "by form"} for row in ROWS])
    for number, row in enumerate(ROWS, 1):
        written = json.dumps(row | {"output": "as JSON"})
        call("datasets_save_row", {"name": name, "row": number, "was": "null", "json": written})
    assert typed(in_file(collection, name)) == typed([row | {"output": "as JSON"} for row in ROWS])
    for number, row in enumerate(call("datasets_preview", name)["rows"], 1):
        call("datasets_edit_row", name, number, row | {"output": "by script"}, row)
    assert typed(in_file(collection, name)) == typed([row | {"output": "by script"} for row in ROWS])


def test_a_text_in_the_place_of_such_a_number_is_one(collection, call):
    row = call("datasets_preview", "a")["rows"][0]
    call("datasets_edit_row", "a", 1, row | {"meta": {"id": "1", "all": []}}, row)
    assert in_file(collection, "a")[0]["meta"] == {"id": "1", "all": []}


def test_a_long_run_of_digits_costs_nothing():
    for text in ("1" * 10**6, "1" * 10**6 + ".5", "0." + "1" * 10**6, "-" + "9" * 10**6 + "e1"):
        for raw in (b'{"a": "%s"}' % text.encode(), b"[" + b"0.00012345678901234567, " * 10**5 + b"1]"):
            with costs_at_most(2):
                assert large_numbers.exact("quick", raw) in ("quick", json.loads(raw))
