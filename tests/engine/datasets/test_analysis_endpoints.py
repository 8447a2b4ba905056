"""What checks, tokens, lengths and new sets take and answer as endpoints: typed, refused by name, plain JSON."""

import json

import gradio as gr
import pytest
from conftest import STARTER

from studio.core.i18n import Words
from studio.core.jobs import Jobs
from studio.datasets.analysis import DatasetAnalysis
from studio.datasets.page.analysis_endpoints import endpoints
from studio.datasets.registry import entries
from studio.datasets.registry.collection import Collection
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
