"""What checks, tokens, lengths and new sets take and answer as endpoints: typed, refused by name, plain JSON."""

import json

import gradio as gr
import pytest
from conftest import STARTER, wait_for

from studio.core.i18n import Problem, Words
from studio.core.jobs import Jobs
from studio.core.storage.trash import Trash
from studio.datasets import derive
from studio.datasets.analysis import DatasetAnalysis
from studio.datasets.page.analysis_endpoints import endpoints
from studio.datasets.registry import collection as registry
from studio.datasets.registry import entries, hub_data
from studio.datasets.registry.collection import Collection
from studio.datasets.schema import forms
from studio.web.endpoint import checked_endpoint

ROWS = [
    {"instruction": f"What is {number} + {number}?", "input": "", "output": f"{2 * number}."} for number in range(20)
]


@pytest.fixture
def ask(workspace):
    """Call an endpoint of a studio with one dataset, "sums", as a script does."""
    (workspace.data / "sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    entries.add(workspace.data, "sums", {"file_name": "sums.jsonl"})
    analysis, words = DatasetAnalysis(Collection(workspace, Jobs(workspace))), Words("en")
    by_name = {one.__name__: checked_endpoint(one, words) for one in endpoints(analysis, words)}

    def call(name: str, *args, **options):
        return json.loads(json.dumps(by_name[name](*args, **options)))

    call.analysis = analysis
    return call


def test_answers_are_plain_objects_with_the_fields_of_before(ask):
    checked = ask("datasets_check", "sums", STARTER.name, "chatml", 64)
    assert set(checked) == {"ok", "rows", "counts", "lengths", "problems", "intake"}
    assert (checked["ok"], checked["rows"]) == (True, 20), checked["problems"][:1]
    lengths = ask("datasets_lengths", "sums", STARTER.name, "chatml", 64)
    assert lengths == checked["lengths"] and lengths["rows"] == 20 and lengths["cut"]["512"] == 0
    shown = ask("datasets_tokens", "sums", 3, STARTER.name, "chatml")
    assert shown["tokens"] == shown["sequences"][0]["tokens"] and set(shown["tokens"][0]) == {"text", "id", "trained"}
    assert "".join(one["text"] for one in shown["tokens"] if one["trained"]).startswith("4.")
    parts = ask("datasets_split", "sums", "8:2")
    assert parts == {"names": ["sums_train", "sums_test"], "rows": {"sums_train": 16, "sums_test": 4}}
    assert ask("datasets_mix", "sums_train=1, sums_test=1", 6, "both") == {"name": "both", "rows": 6}
    leaks = ask("datasets_leaks", "sums", "sums_test")["leaks"]
    assert len(leaks) == 4 and all(leak["exact"] for leak in leaks)
    assert ask("datasets_keep_good", "sums", "good") == {"name": "good", "rows": 20}


def test_what_is_trained_is_an_option(ask):
    def trained(**options) -> int:
        shown = ask("datasets_tokens", "sums", 1, STARTER.name, "chatml", 64, options or None)
        return sum(one["trained"] for one in shown["tokens"])

    assert trained(train_on_prompt=True) > trained() == trained(train_on_prompt=False)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [({"epochs": 1}, "epochs"), ({"cutoff": "long"}, "cutoff"), ({"packing": "perhaps"}, "packing")],
)
def test_a_wrong_option_is_refused_by_its_name(ask, options, sentence):
    for name in ("datasets_start_check", "datasets_start_lengths"):
        with pytest.raises(gr.Error, match=sentence):
            ask(name, "sums", options)
    assert not ask.analysis.jobs.all()


@pytest.mark.parametrize("cutoff", [0, -3, 10**9])
def test_a_cutoff_that_no_sequence_can_have_is_refused(ask, cutoff):
    for call in (
        lambda: ask("datasets_start_lengths", "sums", {"cutoff": cutoff}),
        lambda: ask("datasets_lengths", "sums", STARTER.name, "chatml", cutoff),
        lambda: ask("datasets_check", "sums", STARTER.name, "chatml", cutoff),
    ):
        with pytest.raises(gr.Error, match="cutoff_len"):
            call()


def test_what_the_form_of_the_page_holds_is_taken(ask):
    for options in ({}, {"model": STARTER.name, "template": "chatml", "cutoff": "64", "mask_history": "1"}):
        for name in ("datasets_start_check", "datasets_start_lengths"):
            job = ask.analysis.jobs.wait(ask(name, "sums", options)["job"], 120)
            assert job.error is None and job.result["rows"] == 20


def test_a_split_is_made_whole_or_not_at_all(ask, workspace, monkeypatch):
    in_the_way = workspace.data / "sums_test.jsonl"
    in_the_way.write_text("a person's own\n")
    before = sorted(workspace.data.iterdir())
    with pytest.raises(gr.Error, match="sums_test.jsonl"):
        ask("datasets_split", "sums", "8:2")
    assert sorted(workspace.data.iterdir()) == before and in_the_way.read_text() == "a person's own\n"
    in_the_way.unlink()

    def full(path, rows):
        if path == in_the_way:
            raise Problem("workspace.unwritable", path=path, reason="the disk is full")
        return write(path, rows)

    write = derive.write
    monkeypatch.setattr(derive, "write", full)
    with pytest.raises(gr.Error, match="the disk is full"):
        ask("datasets_split", "sums", "8:2")
    assert not (workspace.data / "sums_train.jsonl").exists()
    monkeypatch.undo()
    assert ask("datasets_split", "sums", "8:2")["rows"] == {"sums_train": 16, "sums_test": 4}


def test_a_mixture_has_as_many_rows_as_were_asked_for(ask, workspace):
    lines = [json.dumps(row) if number % 2 else "{torn" for number, row in enumerate(ROWS)]
    (workspace.data / "sums.jsonl").write_text("\n".join(lines), encoding="utf-8")
    assert ask("datasets_mix", "sums=1", 30, "thirty") == {"name": "thirty", "rows": 30}
    assert len((workspace.data / "thirty.jsonl").read_text().splitlines()) == 30


def test_what_an_earlier_file_left_out_is_not_told_of_a_new_one(ask, workspace):
    collection = ask.analysis.collection
    typed = workspace.root / "typed.jsonl"
    typed.write_text("\n".join([json.dumps(ROWS[0]), "{torn", json.dumps(ROWS[1])]))
    collection.bring_in(typed, "drawn", forms.recognise(ROWS[:2]), {"copy": True})
    assert collection.intakes.of(collection.find("drawn")).left_out == 1
    entries.remove(workspace.data, "drawn", Trash(workspace), with_file=True)
    assert ask("datasets_sample", "sums", 5, "drawn") == {"name": "drawn", "rows": 5}
    assert collection.intakes.of(collection.find("drawn")).left_out == 0


def test_a_hub_is_asked_again_after_it_refused(ask, monkeypatch):
    collection, where = ask.analysis.collection, hub_data.address("maker/pairs")
    answers = [ConnectionError("no route to host"), Problem("datasets.hub_refuses", repo="x", reason="no token"), ROWS]

    def first_rows(*_):
        if isinstance(answer := answers.pop(0), Exception):
            raise answer
        return answer

    def seen():
        try:
            return collection.hub_rows(where, {})
        except Problem as problem:
            return str(problem)

    monkeypatch.setattr(hub_data, "first_rows", first_rows)
    assert "no route to host" in wait_for(seen)
    for _ in range(3):
        assert "no route to host" in seen() and len(answers) == 2  # at once it is not asked again
    monkeypatch.setattr(registry, "REFUSED_S", 0.0)
    collection._hub_rows = {key: (found, 0.0) for key, (found, _) in collection._hub_rows.items()}
    assert wait_for(lambda: "no token" in (found := seen()) and found)
    assert wait_for(lambda: (found := seen()) == ROWS and found) and seen() == ROWS and answers == []
