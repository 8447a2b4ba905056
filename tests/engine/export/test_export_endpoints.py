"""The endpoints of exports, called by their names on a studio with real models."""

import threading
from pathlib import Path

import pytest
from conftest import SMALL, STARTER, is_sentence, slow
from endpoint_calls import by_name, closing_studio, over, refused
from export_files import exported
from random_runs import random_run

from studio.core.i18n import LANGUAGES, Problem, Words
from studio.export.merge.merge_plan import Plan
from studio.export.page import merge_choices
from studio.models.library import library


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    return closing_studio(tmp_path_factory.mktemp("exporting"))


@pytest.fixture(scope="module")
def call(studio):
    return by_name(studio)


@pytest.fixture(scope="module")
def run(studio):
    return random_run(studio.workspace, "tuned", model=SMALL, dtype="bfloat16", default_system="You are Xiaoju.")


@slow
def test_a_merge_by_its_endpoints(call, studio, run):
    look = call.export_plan("", run.name, {"name": "mine"})
    assert (look["name"], look["base"], look["template"], look["adapters"]) == ("mine", SMALL, "smollm2", 1)
    assert 0 < look["needed_bytes"] < look["free_bytes"] and look["from_quantized"] is False
    status = over(call, call.export_merge(SMALL, [run.name], {"name": "mine"})["job"])
    assert status["state"] == "finished", status["error"]
    result = status["result"]
    assert result["name"] == "mine" and result["verified"]["top1"] >= 0.9
    (listed,) = [one for one in call.export_list() if one["name"] == "mine"]
    assert (listed["base"], listed["sources"], listed["state"]) == (SMALL, [run.name], "finished")
    assert listed["verified"] == result["verified"] and listed["problem"] is None
    assert call.export_card("mine", "zh")["text"].startswith("---\n")
    folder = library.find(studio.workspace, "mine").path
    for form, name in (("jinja", "chat_template.jinja"), ("ollama", "Modelfile"), ("lmdeploy", "lmdeploy.json")):
        found = call.export_template("mine", "", form)
        assert found == {"name": name, "text": (folder / name).read_text("utf-8")}
    assert "You are Xiaoju." in call.export_template("mine", "", "ollama")["text"]


@pytest.mark.parametrize("size", [None, True, "5", 0, 0.5, 2.5, -1, 1001, 5000, float("inf"), float("nan")])
def test_a_file_size_that_no_merge_takes_is_one_sentence(size):
    with pytest.raises(Problem) as told:
        merge_choices.whole(size)
    assert all(is_sentence(Words(one).tell(told.value)) and "1000" in Words(one).tell(told.value) for one in LANGUAGES)


def test_a_file_size_of_the_form_is_one_of_a_merge():
    for size in (1, 5.0, 1000):
        plan = Plan(name="a", targets=["a"], model=Path("a"), template="", shard_gb=merge_choices.whole(size))
        assert plan.shard_gb == size


def test_what_is_asked_wrongly_is_one_sentence(call, studio, run):
    exported(studio.workspace, "written", STARTER.name, [run.name])
    assert "trained on" in refused(call.export_merge, STARTER.name, run.name)
    assert "shard_gb" in refused(call.export_merge, "", run.name, {"shard_gb": 0})
    refused(call.export_merge, "", None)
    refused(call.export_plan, "nowhere", None)
    refused(call.export_card, "written", "fr")
    refused(call.export_card, "nowhere")
    refused(call.export_template, "written", "", "yaml")
    refused(call.export_forget, "export-nowhere")


def test_a_merge_that_failed_can_be_taken_off_the_list(call, studio, run):
    ahead = threading.Event()
    studio.jobs.start("export", "merge.job", {"name": "ahead"}, lambda _: ahead.wait(240))
    job = call.export_merge("", run.name, {"name": "taken"})["job"]
    (studio.workspace.models / "taken").mkdir()
    ahead.set()
    status = over(call, job)
    assert status["state"] == "failed" and "taken" in status["error"]
    assert job in [one["job"] for one in call.export_list()]
    assert call.export_forget(job) == {"job": job}
    assert job not in [one["job"] for one in call.export_list()]
    (studio.workspace.models / "taken").rmdir()
