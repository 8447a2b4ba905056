"""The endpoints of load tests, recorder, snippets, Open WebUI and RAGFlow, each called by its name."""

import httpx
import odd_server
import pytest
from conftest import is_sentence, wait_for
from endpoint_calls import by_name, closing_studio, refused

from studio.deploy.clients import ragflow
from studio.deploy.clients.open_webui_environment import OpenWebuiEnvironment
from studio.inference.remote import openai_client

TARGET = "served:here/good"


@pytest.fixture(scope="module")
def odd():
    yield from odd_server.running()


@pytest.fixture(scope="module")
def studio(odd, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tools")
    studio = closing_studio(folder)
    studio.tools.open_webui.environment = OpenWebuiEnvironment(studio.jobs, folder / "engines")
    studio.chat.service.servers.add(f"http://{odd.place}/v1", name="here")
    yield studio
    studio.tools.recorders.close()
    studio.jobs.interrupt(10)


@pytest.fixture
def call(studio):
    return by_name(studio)


def test_a_load_test_from_start_to_trash(call):
    options = {"targets": [TARGET], "concurrency": "1, 2", "requests": 2, "max_tokens": 4, "ttft_ms": "", "title": "T"}
    id = call.deploy_load_test(options)["load_test"]
    done = wait_for(lambda: (one := call.deploy_load_test_result(id))["state"] == "finished" and one)
    assert [(one["concurrency"], one["answered"]) for one in done["steps"]] == [(1, 2), (2, 2)]
    assert call.deploy_load_tests()[0]["title"] == "T"
    assert call.deploy_load_test_stop(id)["state"] == "finished"
    assert "cannot be taken up" in refused(call.deploy_load_test_resume, id)
    for form in ("md", "csv", "json"):
        made = call.deploy_load_test_export(id, form)
        assert made["name"].endswith(f".{form}") and "good" in made["text"]
    assert call.deploy_load_test_delete(id)["item"] and call.deploy_load_tests() == []
    assert "targets" in refused(call.deploy_load_test, {"targets": 3})
    assert "concurrency" in refused(call.deploy_load_test, {"targets": [TARGET], "concurrency": "none"})


def test_a_recorder_from_start_to_stop(call, studio):
    started = call.deploy_recorder_start("here", "SmolLM2-135M-Instruct")
    assert started["is_running"] and call.deploy_recorder_list() == [started]
    body = {"model": "good", "messages": [{"role": "user", "content": "Q"}]}
    assert httpx.post(started["url"] + "/chat/completions", json=body).status_code == 200
    (found,) = wait_for(call.deploy_recorder_requests)
    assert call.deploy_recorder_request(found["id"]) == found and found["body"] == body
    made = call.deploy_recorder_prompt(found["id"])  # this engine says [1, 2, 3] to everything
    assert (made["parity"], made["engine"], made["first_difference"]) == ("differs", [1, 2, 3], 1) or made["trained"]
    assert found["id"] in studio.tools.prompts
    assert call.deploy_recorder_clear() == call.deploy_recorder_requests() == []
    assert call.deploy_recorder_stop("here")["is_running"] is False
    refused(call.deploy_recorder_start, "nobody")


def test_programs_and_ragflow_of_a_served_model(call, odd, monkeypatch):
    openai_client.set_key(f"http://{odd.place}/v1", odd_server.KEY)
    try:
        snippets = call.deploy_snippets(TARGET)
        assert {one["streams"] for one in snippets} == {True, False} and len(snippets) == 10
        assert all("good" in one["code"] and odd.place in one["code"] for one in snippets)
        assert not any(odd_server.KEY in one["code"] for one in snippets)  # a program has the variable's name
        assert all("ENGINE_API_KEY" in one["code"] for one in snippets)
        made = call.deploy_ragflow(TARGET)
        port = odd.place.rpartition(":")[2]
        assert made["url"] == f"http://host.docker.internal:{port}/v1" and made["wants_key"]
        assert "host.docker.internal:host-gateway" in made["override"] and is_sentence(made["warning"])
        assert port in refused(call.deploy_ragflow_check, TARGET)  # it listens on 127.0.0.1 alone
        monkeypatch.setattr(ragflow, "outer_address", lambda: "127.0.0.1")
        assert call.deploy_ragflow_check(TARGET)["models"] == len(odd_server.BEHAVIOURS)
    finally:
        openai_client.set_key(f"http://{odd.place}/v1", "")


def test_open_webui_that_is_not_installed(call, studio):
    assert call.deploy_open_webui_status() == {"state": "missing", "url": ""} == call.deploy_open_webui_stop()
    assert "not installed" in refused(call.deploy_open_webui_start, TARGET)
    job = call.deploy_open_webui_install()["job"]
    call.job_cancel(job)
    assert studio.jobs.wait(job, 240).state == "stopped"
    assert call.deploy_open_webui_status()["state"] == "missing"
