"""The studio as a script drives it: JSON in and out, errors in one sentence, and a door that is shut to others."""

import contextlib
import http.client
import json
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from api_client import Client
from conftest import SHORT, STARTER, Server, is_sentence, new_workspace, rest_slow, slow, wait_for
from gradio_client.exceptions import AppError


@pytest.fixture(scope="module")
def client(server):
    return Client(server.url)


def test_a_run_by_the_api_from_start_to_answers(client):
    recipe = SHORT | {"model_name_or_path": STARTER.name}
    run = client.predict(recipe, "in-process", {"name": "Tang", "author": "the lab"}, api_name="/train_start")["run"]
    wait_for(lambda: client.predict(run, api_name="/train_status")["state"] == "finished", seconds=240)
    listed = client.predict(api_name="/train_runs")
    assert {"run": run, "state": "finished", "model": STARTER.name, "dataset": "identity_en"}.items() <= listed[
        0
    ].items()
    seated = client.predict(STARTER.name, [run, f"{run}@checkpoint-1"], None, api_name="/chat_load")
    assert len(seated["speakers"]) == 3
    talk = [{"role": "user", "content": "Name a colour."}]
    answers = client.predict(seated["speakers"], talk, {"temperature": 0, "max_tokens": 8}, api_name="/chat_compare")[
        "answers"
    ]
    assert [answer["speaker"] for answer in answers] == seated["speakers"]
    assert all(answer["text"] and answer["prompt_ids"] == answers[0]["prompt_ids"] for answer in answers)
    freed = client.predict(api_name="/chat_unload")
    assert freed["after"] < freed["before"]


def test_previews_say_what_would_run_and_what_is_wrong(client):
    good = client.predict({}, api_name="/train_preview")
    assert (
        good["problems"] == []
        and "finetuning_type: lora" in good["yaml"]
        and good["command"].startswith("llamafactory-cli train ")
    )
    bad = client.predict({"finetuning_type": "magic"}, api_name="/train_preview")
    assert len(bad["problems"]) == 1 and is_sentence(bad["problems"][0])


@pytest.mark.parametrize("way", ["run", "api", "call"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_name_that_no_endpoint_has_is_told(server, way, language):
    before = len(server.log.read_text())
    request = urllib.request.Request(
        f"{server.url}/gradio_api/{way}/train_begin",
        b'{"data": []}',
        {"Content-Type": "application/json", "Cookie": f"studio_language={language}"},
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    told = json.loads(refused.value.read())["error"]
    assert refused.value.code == 404 and "train_begin" in told and is_sentence(told)
    assert "Traceback" not in server.log.read_text()[before:]


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


@slow  # that every route asks for one, and a script gives it: test_guarded_studio
def test_an_address_that_others_reach_asks_for_a_password(tmp_path):
    server = Server(new_workspace(tmp_path / "w").root, "--host", "0.0.0.0", "--auth", "me:secret-word")
    try:
        request = urllib.request.Request(
            f"{server.url}/gradio_api/run/train_runs",
            json.dumps({"data": []}).encode(),
            {"Content-Type": "application/json"},
        )
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request)
        assert refused.value.code == 401
        assert Client(server.url, auth=("me", "secret-word")).predict(api_name="/train_runs") == []
        assert "secret-word" not in server.log.read_text()
    finally:
        server.stop()


class Proxy(BaseHTTPRequestHandler):
    """A reverse proxy of the simplest kind: a connection for each request, the answer passed on as it comes."""

    port, takes_away, keeps_host = 0, "", True

    def pass_on(self):
        behind = http.client.HTTPConnection("127.0.0.1", self.port)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
        if not self.keeps_host:
            headers |= {"Host": f"127.0.0.1:{self.port}", "X-Forwarded-Host": headers["Host"]}
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        behind.request(self.command, self.path.removeprefix(self.takes_away) or "/", body, headers)
        answer = behind.getresponse()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        with contextlib.suppress(OSError):  # the browser left
            while part := answer.read1():
                self.wfile.write(part)
                self.wfile.flush()

    do_GET = do_POST = do_HEAD = pass_on

    def log_message(self, *_):
        pass


@pytest.mark.parametrize(("takes_away", "keeps_host"), rest_slow(("/tools/studio", True), ("", False)))
def test_behind_a_proxy_under_a_sub_path(browser, tmp_path, takes_away, keeps_host):
    from playwright.sync_api import expect

    server = Server(new_workspace(tmp_path / "w").root, "--root-path", "/tools/studio", "--auth", "me:secret-word")
    kind = type("ThisProxy", (Proxy,), {"port": server.port, "takes_away": takes_away, "keeps_host": keeps_host})
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    proxy.daemon_threads = True
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    address, context, missed = f"http://127.0.0.1:{proxy.server_port}/tools/studio/", browser.new_context(), []
    try:
        page = context.new_page()
        page.on(
            "response",
            lambda answer: (
                missed.append(answer.url) if answer.status in (403, 404) and "manifest" not in answer.url else None
            ),
        )
        place = address + "#/datasets?dataset=kto&section=lengths"
        page.goto(place)
        page.fill("#username", "me")
        page.fill("#password", "secret-word")
        page.press("#password", "Enter")
        expect(page.get_by_role("tab", name="Datasets")).to_have_attribute("aria-selected", "true")
        expect(page.locator(".mon").first).to_contain_text("CPU")
        assert page.url == place and not missed
        assert next(one for one in context.cookies() if "session" in one["name"])["path"] == "/tools/studio"
        script = Client(address, auth=("me", "secret-word"))
        assert script.predict(api_name="/train_runs") == []
        page.locator("[data-switch=leave]").click()
        page.locator("#username").wait_for()
    finally:
        context.close()
        proxy.shutdown()
        server.stop()
