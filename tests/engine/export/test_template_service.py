"""Templates with real tokenizers, in the child process: their forms, and the comparison with training."""

import json
import os

import llama_server
import pytest
from conftest import SMALL, STARTER, is_sentence
from endpoint_calls import by_name, closing_studio, over, refused
from export_files import exported, write_files
from random_runs import random_run

from studio.core.i18n import LANGUAGES, Words
from studio.export.page.exported import parity_view
from studio.export.templates.cases import CASES
from studio.models.library import library

FORMS = ["jinja", "lmdeploy", "own"]


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    return closing_studio(tmp_path_factory.mktemp("templates"))


@pytest.fixture(scope="module")
def call(studio):
    return by_name(studio)


@pytest.fixture(scope="module")
def run(studio):
    return random_run(studio.workspace, "told", model=SMALL, default_system="You are Xiaoju.")


@pytest.fixture(scope="module")
def compared(call):
    """The starter model with the template that LLaMA-Factory gives it, in the background."""
    job = call.export_parity_start(STARTER.name, "", FORMS)["job"]
    status = over(call, job)
    assert status["state"] == "finished", status["error"]
    return job


def test_ours_is_the_same_and_the_models_own_is_told(call, studio, compared):
    view = parity_view.parity_of_job(studio.export, compared)
    columns = {one.form: one for one in view.columns}
    assert set(columns) == set(FORMS) and len(view.rows) == len(CASES)
    assert columns["jinja"].different == 0 and columns["lmdeploy"].different == 0
    assert columns["jinja"].same + columns["jinja"].seam + columns["jinja"].cannot == len(CASES)
    assert columns["own"].different > 0
    assert {one.comparison.form for one in view.shown} == {"own"}
    for language in LANGUAGES:
        assert all(is_sentence(one.comparison.tell(Words(language))) for one in view.shown)
    assert [one.form for one in view.texts] == ["jinja", "lmdeploy"]


def test_the_endpoint_tells_the_same(call):
    found = call.export_parity(SMALL, "qwen3", ["jinja"])
    assert found["same"] is True and found["template"] == "qwen3" and len(found["cases"]) == len(CASES)
    assert {one["difference"]["kind"] for one in found["cases"] if one["difference"]} <= {"seam"}
    own = call.export_parity(SMALL, "qwen3", ["own"])
    assert own["same"] is False
    first = next(one for one in own["cases"] if one["difference"])
    assert first["difference"]["trained"] != first["difference"]["form"] and is_sentence(
        first["difference"]["sentence"]
    )


def test_a_run_has_its_own_system_message_in_every_form(call, run):
    for form in ("jinja", "ollama"):
        assert "You are Xiaoju." in call.export_template(run.name, "", form)["text"]
    assert "You are Xiaoju." not in call.export_template(SMALL, "", "jinja")["text"]
    assert json.loads(call.export_template(run.name, "llama3", "lmdeploy")["text"])


def test_an_exported_model_is_compared_with_the_template_of_its_record(call, studio, run):
    exported(studio.workspace, "shipped", SMALL, [run.name], settings={"default_system": "You are Xiaoju."})
    folder = library.find(studio.workspace, "shipped").path
    text = call.export_template(run.name, "", "jinja")["text"]
    write_files(folder, {"jinja": text})
    found = call.export_parity("shipped", "", ["own"])
    assert found["same"] is True and {one["form"] for one in found["cases"]} == {"own"}
    assert parity_view.parity_of_model(studio.export, "shipped").columns == ()
    write_files(folder, {"jinja": text.replace("Xiaoju", "Nobody")})
    assert call.export_parity("shipped", "", ["own"])["same"] is False


def test_llama_cpps_own_engine_renders_our_jinja(call, studio, tmp_path, monkeypatch):
    assert "llama_cpp" in studio.export.templates.on_demand() and "llama_cpp" not in studio.export.templates.forms(
        SMALL
    )
    monkeypatch.setenv("PATH", f"{llama_server.on_the_path(tmp_path / 'bin')}{os.pathsep}{os.environ['PATH']}")
    assert "llama_cpp" in studio.export.templates.forms(SMALL)
    found = call.export_parity(SMALL, "qwen3", ["llama_cpp"])
    assert found["same"] is True, [one for one in found["cases"] if one["difference"]]
    assert sum(one["same"] is True for one in found["cases"]) > 15


def test_what_cannot_be_compared_is_one_sentence(call, run):
    assert "nonsense" in refused(call.export_parity, SMALL, "nonsense")
    refused(call.export_parity, "nowhere")
    refused(call.export_parity_start, SMALL, "", ["yaml"])
    refused(call.export_template, SMALL, "nonsense", "jinja")
    refused(call.export_template, run.name, "", "yaml")
