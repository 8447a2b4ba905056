"""The studio as a script drives it: JSON in and out, errors in one sentence, and a door that is shut to others."""

import json
import urllib.error
import urllib.request

import pytest
from conftest import SHORT, STARTER, Server, is_sentence, new_workspace, wait_for
from gradio_client import Client
from gradio_client.exceptions import AppError


@pytest.fixture(scope="module")
def client(server):
    return Client(server.url, verbose=False)


def test_a_run_by_the_api_from_start_to_answers(client):
    run = client.predict(SHORT, "in-process", {"name": "Tang", "author": "the lab"}, api_name="/train_start")["run"]
    wait_for(lambda: client.predict(run, api_name="/train_status")["state"] == "finished", seconds=240)
    listed = client.predict(api_name="/train_runs")
    assert {"run": run, "state": "finished", "model": STARTER.name, "dataset": "identity_en"}.items() <= listed[0].items()
    seated = client.predict(STARTER.name, [run, f"{run}@checkpoint-1"], None, api_name="/chat_load")
    assert len(seated["speakers"]) == 3
    talk = [{"role": "user", "content": "Name a colour."}]
    answers = client.predict(seated["speakers"], talk, {"temperature": 0, "max_tokens": 8}, api_name="/chat_compare")["answers"]
    assert [answer["speaker"] for answer in answers] == seated["speakers"]
    assert all(answer["text"] and answer["prompt_ids"] == answers[0]["prompt_ids"] for answer in answers)
    freed = client.predict(api_name="/chat_unload")
    assert freed["after"] < freed["before"]


def test_previews_say_what_would_run_and_what_is_wrong(client):
    good = client.predict({}, api_name="/train_preview")
    assert good["problems"] == [] and "finetuning_type: lora" in good["yaml"] and good["command"].startswith("llamafactory-cli train ")
    bad = client.predict({"finetuning_type": "magic"}, api_name="/train_preview")
    assert len(bad["problems"]) == 1 and is_sentence(bad["problems"][0])


@pytest.mark.parametrize(
    ("arguments", "endpoint"),
    [
        ([{"model_name_or_path": "nothing"}], "/train_start"),
        ([{}, "cloud"], "/train_start"),
        (["no/such/run"], "/train_status"),
        (["../../../etc"], "/train_metrics"),
        (["no/such/run"], "/train_stop"),
        (["no/such/run"], "/train_resume"),
        (["nothing"], "/chat_load"),
        ([["nothing"], []], "/chat_compare"),
        ([[STARTER.name], [{"role": "user", "content": "x"}], {"heat": 1}], "/chat_compare"),
        ([[STARTER.name], [{"role": "user", "content": "x"}], {"top_p": 7}], "/chat_compare"),
    ],
)
def test_errors_are_one_clear_sentence(client, arguments, endpoint):
    with pytest.raises(AppError) as told:
        client.predict(*arguments, api_name=endpoint)
    assert is_sentence(str(told.value)), told.value


def test_the_machine_the_models_and_the_data_are_told(client):
    assert client.predict(api_name="/monitor")["memory"]
    assert STARTER.name in [model["name"] for model in client.predict(api_name="/models_list")]
    assert {"identity_en", "identity_zh"} <= {one["name"] for one in client.predict(api_name="/datasets_list")}


def test_an_address_that_others_reach_asks_for_a_password(tmp_path):
    server = Server(new_workspace(tmp_path / "w").root, "--host", "0.0.0.0", "--auth", "me:secret-word")
    try:
        request = urllib.request.Request(f"{server.url}/gradio_api/run/train_runs", json.dumps({"data": []}).encode(),
                                         {"Content-Type": "application/json"})
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request)
        assert refused.value.code == 401
        assert Client(server.url, auth=("me", "secret-word"), verbose=False).predict(api_name="/train_runs") == []
        assert "secret-word" not in server.log.read_text()
    finally:
        server.stop()


def test_behind_a_proxy_under_a_sub_path(browser, tmp_path):
    from playwright.sync_api import expect

    server = Server(new_workspace(tmp_path / "w").root, "--root-path", "/tools/studio", "--auth", "me:secret-word")
    try:
        for takes_it_away in (True, False):
            context = browser.new_context()
            page, missed = context.new_page(), []
            if takes_it_away:
                page.route("**/tools/studio/**", lambda route: route.continue_(url=route.request.url.replace("/tools/studio/", "/")))
            page.on("response", lambda answer, missed=missed: missed.append(answer.url) if answer.status == 404 and "manifest" not in answer.url else None)
            page.goto(f"{server.url}/tools/studio/")
            page.fill("#username", "me")
            page.fill("#password", "secret-word")
            page.press("#password", "Enter")
            expect(page.get_by_role("tab", name="Train")).to_be_visible(timeout=30_000)
            expect(page.locator(".mon").first).to_contain_text("CPU", timeout=30_000)
            assert page.url == f"{server.url}/tools/studio/" and not missed
            assert next(one for one in context.cookies() if "session" in one["name"])["path"] == "/tools/studio"
            context.close()
    finally:
        server.stop()
