"""The prompt recorder: bytes pass untouched, keys are not kept, and what the engine made of a request is told."""

import json
import threading
import urllib.error
import urllib.request

import httpx
import odd_server
import openai
import pytest
from conftest import is_sentence, new_workspace, wait_for

from studio.core.i18n import LANGUAGES, Problem, Words
from studio.deploy.prompt_recorder import recorded_requests
from studio.deploy.prompt_recorder.recorded_prompt import recorded_prompt
from studio.deploy.prompt_recorder.recorded_requests import RecordedRequest, kept, new_id
from studio.deploy.prompt_recorder.recorder_service import PromptRecorders
from studio.deploy.prompt_recorder.request_kinds import kind_of
from studio.inference.remote import openai_client
from studio.inference.remote.servers import ServedTarget, ServerRegistry

QUESTION = [{"role": "system", "content": "Be short."}, {"role": "user", "content": "What is a fox? 狐狸"}]
TOOL = {"type": "function", "function": {"name": "heat", "description": "h", "parameters": {"type": "object"}}}


@pytest.fixture(scope="module")
def odd():
    yield from odd_server.running()


@pytest.fixture
def recorders(tmp_path, monkeypatch) -> PromptRecorders:
    monkeypatch.setattr(openai_client, "_keys", {})
    workspace = new_workspace(tmp_path)
    made = PromptRecorders(workspace, ServerRegistry(workspace))
    yield made
    made.close()


def started(recorders: PromptRecorders, url: str, **more):
    recorders._servers.add(url, name="here")
    return recorders.start("here", **more)


def recorded(recorders: PromptRecorders, count: int) -> list[RecordedRequest]:
    wait_for(lambda: len(recorders.requests.ids()) == count)
    return [recorders.requests.find(id) for id in recorders.requests.ids()]


def raw(url: str, body: dict, path: str = "/chat/completions", **headers: str) -> tuple[int, bytes, dict]:
    request = urllib.request.Request(
        url + path, json.dumps(body).encode(), {"Content-Type": "application/json", **headers}
    )
    try:
        with urllib.request.urlopen(request, timeout=240) as answer:
            return answer.status, answer.read(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        return error.code, error.read(), dict(error.headers)


def test_a_real_engine_is_asked_through_it_and_its_prompt_is_that_of_training(recorders, llama_engine):
    status = started(recorders, llama_engine.url, trained="SmolLM2-135M-Instruct")
    with openai.OpenAI(base_url=status.url, api_key="sk-secret", max_retries=0) as client:
        model = client.models.list().data[0].id
        pieces = client.chat.completions.create(
            model=model, messages=QUESTION, max_tokens=6, temperature=0, stream=True,
            stream_options={"include_usage": True},
        )  # fmt: skip
        streamed = "".join(one.choices[0].delta.content or "" for one in pieces if one.choices)
        with openai.OpenAI(base_url=llama_engine.url, api_key="-", max_retries=0) as direct:
            asked = {"model": model, "messages": QUESTION, "max_tokens": 6, "temperature": 0}
            assert direct.chat.completions.create(**asked).choices[0].message.content == streamed
    (request,) = recorded(recorders, 1)
    assert (request.kind, request.model, request.messages, request.answer) == ("chat", model, QUESTION, streamed)
    assert (request.status, request.tokens, request.finished, request.fault) == (200, 6, "length", "")
    assert 0 < request.ttft_s < request.seconds and "OpenAI" in request.client
    assert request.parameters["temperature"] == 0 and request.parameters["stream"] is True
    files = "".join(path.read_text() for path in recorders.requests.folder.iterdir())
    assert "sk-secret" not in files
    target = recorders._servers.target(f"served:here/{model}")
    made = recorded_prompt(recorders.workspace, target, request, status.trained)
    assert (made.parity, made.first_difference) == ("same", None), (made.engine.fault, made.trained.fault)
    assert "".join(made.engine.texts).endswith("<|im_start|>assistant\n") and request.prompt_tokens == len(
        made.engine.ids
    )
    # Training puts in a system prompt where none is sent; this engine's template does not.
    bare = request.model_copy(update={"body": request.body | {"messages": QUESTION[1:]}})
    made = recorded_prompt(recorders.workspace, target, bare, status.trained)
    at = made.first_difference
    assert made.parity == "differs" and made.engine.ids[:at] == made.trained.ids[:at] and at > 0
    assert recorded_prompt(recorders.workspace, target, request, "").parity == "untold"


def test_bytes_pass_as_they_are_whatever_the_server_sends(recorders, odd):
    status = started(recorders, f"http://{odd.place}/v1")
    models = ["good", "bare-status", "plain-error", "plain-json", "case/whole_json.json", "sse-status"]
    for model in models:
        body = {"model": model, "messages": QUESTION, "stream": True, "weird": "é\u0000"}
        through, direct = raw(status.url, body), raw(f"http://{odd.place}/v1", body)
        assert through[:2] == direct[:2], model
        assert {name.lower() for name in direct[2]} - {"transfer-encoding", "connection", "server", "date"} <= {
            name.lower() for name in through[2]
        }
        assert odd.asked[-2] == odd.asked[-1] == body
    assert raw(status.url, {}, "/nothing")[0] == 404
    found = {one.model: one for one in recorded(recorders, len(models))}
    assert found["good"].answer == "".join(odd_server.PIECES) and found["good"].tokens == 7
    assert found["bare-status"].status == 503 and found["bare-status"].fault


def test_a_key_reaches_the_engine_and_no_file(recorders, odd):
    status = started(recorders, f"http://{odd.place}/v1")
    body = {"model": "good", "messages": QUESTION, "api_key": "sk-in-body", "metadata": {"token": "sk-in-metadata"}}
    raw(status.url, body, "/chat/completions?key=sk-in-query", Authorization="Bearer sk-in-header")
    assert odd.keys[-1] == "Bearer sk-in-header" and odd.paths[-1].endswith("?key=sk-in-query")
    assert odd.asked[-1] == body
    recorded(recorders, 1)
    kept_files = [path for path in (recorders.workspace.saves / ".recorder").rglob("*") if path.is_file()]
    assert len(kept_files) == 2 and not any("sk-in" in path.read_text() for path in kept_files)


def test_a_page_of_another_site_does_not_get_through(recorders, odd):
    status = started(recorders, f"http://{odd.place}/v1")
    asked = len(odd.asked)
    assert raw(status.url, {"model": "good"}, Host="evil.example:80")[0] == 403
    assert len(odd.asked) == asked and recorders.requests.ids() == []


def test_the_engine_learns_that_the_client_left(recorders, odd):
    status = started(recorders, f"http://{odd.place}/v1")
    odd.left.clear()
    with httpx.stream("POST", status.url + "/chat/completions", json={"model": "endless", "messages": []}) as answer:
        next(answer.iter_raw())
    assert odd.left.wait(240)
    assert recorded(recorders, 1)[0].fault == "the client left"


@pytest.mark.parametrize(("model", "fault"), [("never-closes", ""), ("falls-silent", "the client left")])
def test_who_leaves_after_the_last_word_has_left_nothing(recorders, odd, model, fault):
    """A client closes the connection once it has read the end; the engine may not have ended it by then."""
    status = started(recorders, f"http://{odd.place}/v1")
    body, read = {"model": model, "messages": QUESTION, "stream": True}, b""
    with httpx.stream("POST", status.url + "/chat/completions", json=body) as answer:
        for part in answer.iter_raw():
            read += part
            if b'"stop"' in read or (fault and odd_server.PIECES[-1].encode() in read):
                break
    request = recorded(recorders, 1)[0]
    assert (request.fault, request.finished) == (fault, "" if fault else "stop")


def test_many_at_once_each_get_their_own_answer(recorders, odd):
    status, wrong = started(recorders, f"http://{odd.place}/v1"), []

    def ask() -> None:
        for _ in range(5):
            if raw(status.url, {"model": "good", "messages": QUESTION})[0] != 200:
                wrong.append(1)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and len(recorded(recorders, 40)) == 40


def test_it_ends_with_the_studio_and_the_next_takes_it_up(recorders, odd):
    status = started(recorders, f"http://{odd.place}/v1", trained="SmolLM2-135M-Instruct")
    recorders.close()
    with pytest.raises(httpx.ConnectError):
        httpx.get(status.url + "/models")
    later = PromptRecorders(recorders.workspace, recorders._servers)
    assert [one.is_running for one in later.list()] == [False] and is_sentence(later.list()[0].fault.tell(Words("zh")))
    later.take_up()
    try:
        again = later.status("here")
        assert (again.port, again.is_running, again.trained, again.fault) == (
            status.port, True, "SmolLM2-135M-Instruct", None,
        )  # fmt: skip
        assert httpx.get(status.url + "/models").status_code == 200
        later._children["here"]._process.kill()
        wait_for(lambda: not later.status("here").is_running)
        assert later.status("here").fault.key == "recorder.ended"
        stopped = later.stop("here")
        assert (stopped.is_on, stopped.fault) == (False, None)
    finally:
        later.close()


def test_what_cannot_be_recorded_is_said(recorders, odd):
    with pytest.raises(Problem, match="There is no endpoint"):
        recorders.start("nobody")
    with pytest.raises(Problem, match="never recorded"):
        recorders.stop("nobody")
    recorders._servers.add(f"http://{odd.place}/v1", name="here")
    with pytest.raises(Problem) as told:
        recorders.start("here", port=int(odd.place.rpartition(":")[2]))
    assert told.value.key == "recorder.no_start" and is_sentence(Words("zh").tell(told.value))
    assert recorders.list() == []


@pytest.mark.parametrize(
    ("messages", "kind"),
    [
        ([{"role": "user", "content": "Generate a title for my essay about foxes."}], "chat"),
        ([{"role": "user", "content": "### Task:\nGenerate a concise title summarizing the chat history.\n"}], "title"),
        ([{"role": "user", "content": "### Task:\nGenerate 1-3 broad tags categorizing the chat history"}], "tags"),
        ([{"role": "user", "content": "Predict 3-5 useful messages this user might send <chat_history>"}], "follow_up"),
        ([{"role": "user", "content": [{"type": "text", "text": "根据对话生成一个简短的标题"}]}], "title"),
        ([{"role": "system", "content": "Summarize the conversation into a title."}, QUESTION[1]], "title"),
        ([{"role": "user", "content": "You are an autocompletion system. Continue `<text>`"}], "autocomplete"),
        ([None, 3, {"role": 1, "content": {}}], "chat"),
        ("none", "chat"),
    ],
)
def test_what_clients_ask_by_themselves_is_told_from_questions(messages, kind):
    assert kind_of("/v1/chat/completions", {"messages": messages}) == kind


def test_paths_are_told_apart():
    assert kind_of("/api/generate", {}) == "completion" and kind_of("/v1/embeddings", {}) == "embedding"
    assert kind_of("/v1/models", None) == "other"


def test_only_the_newest_are_kept_and_images_are_shortened(recorders, monkeypatch):
    monkeypatch.setattr(recorded_requests, "MOST", 3)
    image = "data:image/png;base64," + "A" * 4000
    body = kept({"messages": [{"content": [{"image_url": {"url": image}}]}], "tools": [TOOL | {"password": "kept"}]})
    assert "A" * 200 not in json.dumps(body) and "3000 B" in json.dumps(body) and body["tools"][0]["password"] == "kept"
    for at in range(5):
        recorders.requests.add(RecordedRequest(id=new_id(1e9 + at), server="s", time=1e9 + at, method="POST", path="/"))
    found = [recorders.requests.find(id).time for id in recorders.requests.ids()]
    assert found == [1e9 + 4, 1e9 + 3, 1e9 + 2]
    with pytest.raises(Problem):
        recorders.requests.find("../recorders")


def test_a_template_cannot_say_all_that_a_client_can():
    target = ServedTarget("c", "http://127.0.0.1:9/v1", "m")
    request = RecordedRequest(id="a", server="s", time=1.0, method="POST", path="/v1/completions", body={"prompt": "x"})
    made = recorded_prompt(None, target, request, "")
    assert made.parity == "untold" and made.engine.fault.key == "recorder.no_messages"


@pytest.mark.parametrize("port", [-5, 65536, 70000, 2**70])
def test_a_number_that_is_no_port_is_told_before_anything_is_started(odd, recorders, port):
    with pytest.raises(Problem) as told:
        started(recorders, f"http://{odd.place}/v1", port=port)
    assert told.value.key == "recorder.bad_port" and recorders.list() == []
    assert all(is_sentence(Words(one).tell(told.value)) for one in LANGUAGES)
