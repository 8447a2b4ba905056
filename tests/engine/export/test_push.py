"""Models sent to both hubs by their own clients, to servers on this machine that speak their protocols."""

import pytest
import yaml
from conftest import SMALL, is_sentence, wait_for
from endpoint_calls import by_name, closing_studio, over, refused
from export_files import exported, formed
from push_hubs import TOKEN, PushHub

from studio.export import form_card, model_forms
from studio.export.page.exported import push_view

HUBS = ("huggingface", "modelscope")


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    made = closing_studio(tmp_path_factory.mktemp("pushing"))
    exported(made.workspace, "mine", SMALL, [SMALL])
    return made


@pytest.fixture(scope="module")
def call(studio):
    return by_name(studio)


@pytest.mark.parametrize("source", HUBS)
def test_a_model_arrives_whole_and_private_and_the_token_stays_nowhere(call, studio, source):
    folder = studio.workspace.models / "mine"
    with PushHub() as hub:
        options = {"token": TOKEN, "endpoint": hub.url}
        job = call.export_push("mine", source, "me/mine", options)["job"]
        status = over(call, job)
        assert status["state"] == "finished", status["error"]
        assert hub.private == {"me/mine": True}
        sent = hub.repos["me/mine"]
        assert {"model.safetensors", "config.json", "README.md", "chat_template.jinja", "Modelfile"} <= set(sent)
        assert all((folder / name).read_bytes() == content for name, content in sent.items())
        puts = len(hub.puts)
        again = over(call, call.export_push("mine", source, "me/mine", options)["job"])
        assert again["state"] == "finished" and len(hub.puts) == puts, "what is there already is not sent again"
    assert status["result"]["url"].endswith("me/mine") and status["result"]["bytes"] > 0
    (first, *_) = push_view.push_view(studio.export, "mine").pushes
    assert first.url.endswith("me/mine")
    for file in studio.workspace.root.rglob("*"):
        if file.is_file() and not file.is_symlink():
            assert TOKEN.encode() not in file.read_bytes(), file


def test_gguf_files_arrive_with_their_card(call, studio):
    formed(studio.workspace, "mine-GGUF", "mine", {"q8_0": 4, "q4_k_m": 4})
    folder = studio.workspace.models / "mine-GGUF"
    forms = model_forms.of_folder(folder)
    form_card.write_form_cards(folder, folder.name, forms, form_card.origin(studio.workspace, "mine"))
    with PushHub() as hub:
        job = call.export_push("mine-GGUF", "huggingface", "me/gguf", {"token": TOKEN, "endpoint": hub.url})["job"]
        status = over(call, job)
        assert status["state"] == "finished", status["error"]
        sent = hub.repos["me/gguf"]
    assert {"mine-Q8_0.gguf", "mine-Q4_K_M.gguf", "README.md", "README_zh.md"} <= set(sent)
    head = yaml.safe_load(sent["README.md"].decode().split("---")[1])
    assert (head["base_model"], head["library_name"], head["license"]) == ("mine", "gguf", "apache-2.0")


@pytest.mark.parametrize("source", HUBS)
def test_a_wrong_token_is_one_sentence_without_it(call, source):
    with PushHub() as hub:
        job = call.export_push("mine", source, "me/mine", {"token": "hf_wrong", "endpoint": hub.url})["job"]
        status = over(call, job)
    assert status["state"] == "failed" and is_sentence(status["error"]) and "hf_wrong" not in status["error"]
    assert "token" in status["error"] and hub.repos == {}


def test_a_push_is_stopped_and_goes_on_without_sending_twice(call, studio):
    with PushHub(slow_s=3.0) as hub:
        job = call.export_push("mine", "huggingface", "me/slow", {"token": TOKEN, "endpoint": hub.url})["job"]
        wait_for(lambda: (call.job_status(job)["message"] or "").startswith("model.safetensors"), every=0.05)
        assert "token" in refused(call.export_push, "mine", "huggingface", "me/other", {"endpoint": hub.url})
        refused(call.export_push, "mine", "huggingface", "me/slow", {"token": TOKEN})
        call.job_cancel(job)
        assert over(call, job)["state"] == "stopped"
        assert "config.json" not in hub.repos["me/slow"]
        wait_for(lambda: hub.puts)
        hub.slow_s = 0.0
        call.job_resume(job)
        status = over(call, job)
        assert status["state"] == "finished", status["error"]
        assert len(hub.puts) == len(set(hub.puts)) and "config.json" in hub.repos["me/slow"]


def test_after_a_restart_the_token_is_asked_for_again(call, studio):
    refused(call.export_push, "nowhere", "modelscope", "me/mine", {"token": TOKEN})
    refused(call.export_push, "mine", "github", "me/mine", {"token": TOKEN})
    refused(call.export_push, "mine", "modelscope", "no address", {"token": TOKEN})
    page = "https://huggingface.co/me/mine"
    assert "ModelScope is chosen" in refused(call.export_push, "mine", "modelscope", page, {"token": TOKEN})
    assert "“v2”" in refused(call.export_push, "mine", "huggingface", page + "/tree/v2", {"token": TOKEN})
    facts = {"name": "mine", "source": "modelscope", "repo": "me/mine", "private": True, "hub": "ModelScope"}
    job = studio.jobs.start("export_push", "push.job", facts)
    status = over(call, job.id)
    assert status["state"] == "failed" and "again" in status["error"]
