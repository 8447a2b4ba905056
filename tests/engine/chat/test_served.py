"""Columns that a server answers: endpoints and their keys, all that a server can do wrong, and two real engines."""

import base64
import json
import logging
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import odd_server
import pytest
from conftest import STARTER, is_sentence, new_workspace, slow, wait_for
from odd_server import KEY, PIECES

from benchmarks import engines
from studio.chat.history.conversations import Conversations
from studio.chat.page.talk.columns import Columns
from studio.chat.render.markdown import render
from studio.chat.turn_runner import TurnRunner
from studio.core.device_lease import DeviceLease
from studio.core.i18n import Problem, Words
from studio.core.workspace import Workspace
from studio.inference.answer import Answer
from studio.inference.inference_service import InferenceService
from studio.inference.local.base_loading import encoder_of
from studio.inference.remote import chat_completion, openai_client, servers
from studio.inference.remote.engine_prompt import compare, engine_prompt
from studio.inference.remote.servers import ServedTarget, ServerEntry, ServerRegistry
from studio.inference.sampling import Sampling
from studio.inference.target_names import resolve

SAMPLING = Sampling(temperature=0.5, top_p=0.8, max_tokens=24, seed=7, top_k=40)
QUESTION = [{"role": "user", "content": "What is a fox?"}]
TEXT = "".join(PIECES)
EIGHT = "one two three four five six seven eight"


@pytest.fixture(scope="module")
def odd():
    yield from odd_server.running()


@pytest.fixture
def endpoints(tmp_path, monkeypatch) -> ServerRegistry:
    monkeypatch.setattr(openai_client, "_keys", {})
    return ServerRegistry(Workspace(tmp_path).prepare())


def ask(server, model: str, *said, **more) -> Answer:
    url = server.url if isinstance(server, engines.Engine) else f"http://{server.place}/v1"
    return ask_speaker(ServedTarget("c", url, model), *said, **more)


def ask_speaker(
    target,
    messages=QUESTION,
    system: str = "",
    sampling: Sampling = SAMPLING,
    stop=None,
    tools: str = "",
    on_update=lambda answer: None,
) -> Answer:
    # In a thread, as the chat asks: the browser of other tests keeps an event loop running in this one.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(
            chat_completion.ask, target, messages, system, sampling, stop or threading.Event(), tools, on_update
        ).result()


def told(problem: Problem) -> str:
    for language in ("en", "zh"):
        assert is_sentence(Words(language).tell(problem))
    return str(problem)


# Endpoints and keys


@pytest.mark.parametrize("written", ["{}", "http://{}/", " {}/v1/ ", "http://{}/v1/chat/completions", "{}/v1/models"])
def test_an_address_is_taken_as_people_write_it(endpoints, odd, written):
    added = endpoints.add(written.format(odd.place))
    assert (added.name, added.url) == (odd.place, f"http://{odd.place}/v1") and "thinks/new" in added.models
    again = ServerRegistry(Workspace(endpoints._file.parents[2]))
    assert again.list() == [ServerEntry(odd.place, f"http://{odd.place}/v1", False)]
    assert again.models(odd.place) == added.models
    target = again.target(f"served:{odd.place}/thinks/new")
    assert target == ServedTarget(f"served:{odd.place}/thinks/new", f"http://{odd.place}/v1", "thinks/new")
    again.remove(odd.place)
    assert endpoints.list() == []


def test_what_is_no_endpoint_is_told_and_not_kept(endpoints, odd):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        refusing = f"127.0.0.1:{unused.getsockname()[1]}"
        for address, key in (
            (refusing, "unreachable"),
            (f"{odd.place}/nothing", "no_api"),
            (f"{odd.place}/moved", "no_api"),
            ("", "bad_address"),
            ("ftp://x/v1", "bad_address"),
            ("htp:/x", "bad_address"),
            ("http://me:secret@x/v1", "bad_address"),
            ("localhost:99999", "bad_address"),
            ("localhost:0", "bad_address"),
            ("http://[::1", "bad_address"),
            ("two words", "bad_address"),
            ("\u2024.example", "bad_address"),
            ("192.168..10", "no_api"),
        ):
            with pytest.raises(Problem) as refused:
                endpoints.add(address)
            assert refused.value.key == f"served.{key}", address
            assert "secret" not in told(refused.value)
    assert endpoints.list() == []
    for call in (
        endpoints.models,
        endpoints.remove,
        lambda name: endpoints.target(f"served:{name}/m"),
        endpoints.target,
    ):
        with pytest.raises(Problem, match="no endpoint"):
            call("gone")
    with pytest.raises(Problem, match="name cannot be used"):
        endpoints.add(odd.place, name="a/b")


def test_a_key_does_not_go_unencrypted_into_the_open_internet():
    assert servers._candidates("api.example.com")[0] == "https://api.example.com/v1"
    assert servers._candidates("localhost:8000")[0] == "http://localhost:8000/v1"
    assert servers._candidates("10.0.0.8")[0] == "http://10.0.0.8/v1"
    assert servers._candidates("10。0．0.8：8000")[0] == "http://10.0.0.8:8000/v1"
    assert servers._candidates("http：／／box：8000／v1") == ["http://box:8000/v1"]
    assert servers._candidates("https://api.example.com/api/paas/v4") == ["https://api.example.com/api/paas/v4"]


def test_a_key_is_sent_and_shown_nowhere(endpoints, odd, caplog, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-another-server")
    caplog.set_level(logging.DEBUG)
    with pytest.raises(Problem) as refused:
        endpoints.add(f"{odd.place}/locked", "sk-wrong")
    assert refused.value.key == "served.bad_key" and "sk-" not in told(refused.value)
    added = endpoints.add(f"{odd.place}/locked", KEY, name="locked")
    assert odd.keys[-1] == f"Bearer {KEY}" and endpoints.list()[0].has_key
    assert endpoints.models("locked") == added.models  # with the key that is known
    answer = ask_speaker(endpoints.target("served:locked/bad-key"))
    assert odd.keys[-1] == f"Bearer {KEY}" and KEY not in told(answer.fault)
    files = "".join(path.read_text() for path in endpoints._file.parent.iterdir())
    assert all(
        KEY not in shown
        for shown in (files, caplog.text, repr(endpoints), repr(endpoints.target("served:locked/good")))
    )
    endpoints.add(odd.place)
    assert odd.keys[-1] == "Bearer none"  # neither another server's nor that of the environment
    with pytest.raises(Problem, match="key cannot be sent"):
        endpoints.add(odd.place, "schlüssel")


def test_a_key_is_kept_only_where_a_person_asks_and_then_for_this_user_alone(endpoints, odd):
    endpoints.add(f"{odd.place}/locked", KEY, keep_key=True, name="kept")
    file = endpoints._file.with_name("keys.json")
    assert file.stat().st_mode & 0o777 == 0o600 and KEY in file.read_text()
    openai_client._keys.clear()  # as in a new process
    assert ServerRegistry(Workspace(file.parents[2])).list()[0].has_key
    endpoints.remove("kept")
    assert KEY not in file.read_text() and not openai_client.key_of(f"http://{odd.place}/locked/v1")


def test_a_broken_file_is_named_and_the_good_endpoints_stay(endpoints):
    endpoints._file.parent.mkdir(exist_ok=True)
    endpoints._file.write_text("{")
    assert endpoints.list() == [] and "endpoints.json" in str(endpoints.faults()[0])
    good = {"good": {"url": "http://localhost:1/v1"}}
    endpoints._file.write_text(
        json.dumps(good | {"bad": {"url": ["x"]}, "a/b": {"url": "http://x"}, "c": {"url": "javascript:alert(1)"}})
    )
    assert [one.name for one in endpoints.list()] == ["good"] and len(endpoints.faults()) == 3


# What servers do wrong


@pytest.mark.parametrize(
    ("model", "fault", "text"),
    [
        ("cut", "cut", TEXT),
        ("unfinished", "cut", TEXT),
        ("garbage", "garbage", TEXT),
        ("a-list", "garbage", TEXT),
        ("odd-choices", "garbage", TEXT),
        ("odd-delta", "garbage", TEXT),
        ("error", "broke", TEXT),
        ("page", "garbage", ""),
        ("bad-key", "bad_key", ""),
        ("vanished", "no_such_model", ""),
        ("busy", "too_many", ""),
        ("fails", "server_error", ""),
        ("gateway", "server_error", ""),
        ("too-long", "refused", ""),
        ("no-temperature", "refused", ""),
        ("empty", "garbage", ""),
        ("only-done", "garbage", ""),
        ("breaks-after-reasons", "cut", TEXT),
        ("filtered", "filtered", "a"),
        ("network-error", "broke", "a"),
        ("plain-error", "broke", ""),
        ("json-error", "broke", ""),
        ("bare-status", "server_error", ""),
        ("sse-status", "refused", ""),
    ],
)
def test_a_fault_is_a_sentence_and_what_had_come_stays(odd, model, fault, text):
    answer = ask(odd, model)
    assert (answer.finished, answer.fault.key, answer.text) == ("failed", f"served.{fault}", text)
    assert odd.place in told(answer.fault) and "<" not in told(answer.fault)


def test_a_server_that_is_not_there_is_told():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        answer = ask_speaker(ServedTarget("c", f"http://127.0.0.1:{unused.getsockname()[1]}/v1", "m"))
    assert answer.finished == "failed" and "cannot be reached" in told(answer.fault)


@pytest.mark.parametrize(("model", "text"), [("silent", ""), ("falls-silent", TEXT)])
def test_a_server_that_says_nothing_is_given_up(odd, monkeypatch, model, text):
    monkeypatch.setattr(chat_completion, "SILENCE_S", 0.5)
    answer = ask(odd, model)
    assert (answer.finished, answer.fault.key, answer.text) == ("failed", "served.silent", text) and told(answer.fault)


@pytest.mark.parametrize(("model", "text"), [("silent", ""), ("falls-silent", TEXT)])
def test_stop_ends_a_server_that_says_nothing_and_the_server_learns_it(odd, model, text):
    odd.left.clear()
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    answer = ask(odd, model, stop=stop)
    assert (answer.finished, answer.fault, answer.text) == ("stopped", None, text)
    assert odd.left.wait(240)


def test_a_server_says_in_its_own_words_what_went_wrong(odd, monkeypatch):
    openai_client.set_key(f"http://{odd.place}/v1", KEY)
    monkeypatch.setattr(openai_client, "_keys", dict(openai_client._keys))
    for model, words in (
        ("filtered", "violence"),
        ("network-error", "network_error"),
        ("plain-error", "upstream connect error: ***"),
        ("json-error", "out of memory"),
        ("bare-status", "Service Unavailable"),
        ("sse-status", "(HTTP 400: too many images)"),
        ("error", "CUDA out of memory"),
    ):
        assert words in told(ask(odd, model).fault), model
    answer = ask(odd, "case/error_plain.sse")
    assert (answer.text, answer.finished) == (
        "one two ",
        "failed",
    ) and "The prompt has 5000 tokens, the engine takes 4096." in told(answer.fault)


def test_who_never_closes_was_done_where_it_said_so(odd, monkeypatch):
    monkeypatch.setattr(chat_completion, "SILENCE_S", 0.5)
    answer = ask(odd, "never-closes")
    assert (answer.finished, answer.fault, answer.text) == ("stop", None, TEXT)


def test_an_answer_without_end_is_cut_and_a_long_one_is_not(odd):
    odd.left.clear()
    answer = ask(odd, "endless")
    assert answer.finished == "length" and SAMPLING.max_tokens < answer.tokens < 2 * SAMPLING.max_tokens + 64
    assert odd.left.wait(240)
    told_of = []
    answer = ask(odd, "long", sampling=Sampling(max_tokens=100_000), on_update=lambda now: told_of.append(now.tokens))
    assert (answer.tokens, len(answer.text), answer.finished) == (100_000, 300_000, "length")
    assert len(told_of) < 20_000 and told_of == sorted(
        told_of
    )  # not once a piece: that would cost the square of the length


# What servers do


@pytest.mark.parametrize(
    ("model", "text", "calls"),
    [
        ("case/calls_one_index.sse", "", ["north", "south"]),
        ("case/arguments_object.sse", "", ["north"]),
        ("case/list_content.sse", f"<think>I count.</think>{EIGHT} ", []),
        ("case/finish_everywhere.sse", f"{EIGHT} ", []),
        ("case/done_without_reason.sse", f"{EIGHT} ", []),
        ("case/refusal.sse", "I do not talk about this.", []),
        ("case/whole_json.json", EIGHT, []),
        ("plain-json", EIGHT, []),
        ("stream-json", EIGHT, []),
        ("plain-stream", f"<think>I count.</think>{EIGHT} ", []),
        ("breaks-after-the-end", TEXT, []),
        ("keeps-alive", TEXT, []),
    ],
)
def test_an_answer_is_what_the_server_said(odd, monkeypatch, model, text, calls):
    monkeypatch.setattr(
        chat_completion, "SILENCE_S", 0.7
    )  # a pause that is shorter is waited for, also after a reason to end
    answer = ask(odd, model)
    rooms = [
        json.loads(call["arguments"]) if isinstance(call["arguments"], str) else call["arguments"]
        for call in answer.calls
    ]
    assert (answer.text, [chat["room"] for chat in rooms]) == (text, calls) and all(
        call["name"] == "room_heat" for call in answer.calls
    )
    assert (answer.finished, answer.fault) == ("stop", None)


def test_a_thought_of_which_only_the_end_is_marked_is_not_sent_back(odd, tmp_path):
    answer = ask(odd, "case/lone_think.sse")
    assert (
        "<summary>Reasoning</summary>" in render(Words("en"), answer.text)
        and "nine ten" in render(Words("en"), answer.text).split("</details>")[1]
    )
    talk = [*QUESTION, {"role": "assistant", "content": answer.text}, *QUESTION]
    ask(odd, "good", talk)
    assert odd.asked[-1]["messages"][1] == {"role": "assistant", "content": "nine ten"}


def test_an_answer_grows_and_is_counted_by_the_server(odd):
    grown = []
    answer = ask(odd, "good", on_update=grown.append)
    assert (answer.text, answer.tokens, answer.prompt_count, answer.finished, answer.fault) == (
        TEXT,
        7,
        11,
        "stop",
        None,
    )
    assert 0 < answer.first_token_s and answer.tokens_per_s > 0
    sent = odd.asked[-1]
    assert {name: sent[name] for name in ("temperature", "top_p", "top_k", "max_tokens", "seed", "stream")} == {
        "temperature": 0.5, "top_p": 0.8, "top_k": 40, "max_tokens": 24, "seed": 7, "stream": True}  # fmt: skip
    answer = ask(odd, "slow", on_update=grown.append)
    texts = [one.text for one in grown if not one.finished]
    assert PIECES[0] in texts and all(TEXT.startswith(text) for text in texts)
    assert answer.tokens == len(PIECES)


@pytest.mark.parametrize(
    ("model", "text"),
    [
        ("torn", "狐🦊"),
        ("thinks/old", f"<think>Let me see.</think>{TEXT}"),
        ("thinks/new", f"<think>Let me see.</think>{TEXT}"),
    ],
)
def test_characters_and_reasoning_arrive_whole(odd, model, text):
    assert ask(odd, model).text == text


def test_calls_of_tools_are_put_together(odd):
    tools = (
        '[{"name": "weather", "description": "Weather", "parameters": {"type": "object"}}, {"type": "function",'
        ' "function": {"name": "time"}}]'
    )
    answer = ask(odd, "calls", tools=tools)
    expected = ({"name": "weather", "arguments": '{"city": "北京"}'}, {"name": "time", "arguments": "{}"})
    assert (answer.text, answer.calls, answer.finished) == (TEXT, expected, "stop")
    assert [tool["function"]["name"] for tool in odd.asked[-1]["tools"]] == ["weather", "time"]
    assert all({"name", "description", "parameters"} <= tool["function"].keys() for tool in odd.asked[-1]["tools"])
    assert [call["arguments"] for call in ask(odd, "calls-zero", tools=tools).calls] == [
        '{"city": "a"}',
        '{"city": "b"}',
    ]
    answer = ask(odd, "whole-with-tools", tools=tools)
    assert (answer.calls, answer.tokens, answer.fault) == (({"name": "weather", "arguments": "{}"},), 4, None)
    assert told(ask(odd, "calls", tools="{").fault)


def test_what_a_server_need_not_know_is_left_out(odd):
    answer = ask(odd, "choosy")
    assert (answer.text, answer.fault) == (TEXT, None)
    assert (
        odd.asked[-1]["max_completion_tokens"] == 24
        and not {"seed", "stream_options", "max_tokens"} & odd.asked[-1].keys()
    )


def test_messages_take_the_form_of_openai(odd, tmp_path):
    (tmp_path / "fox.png").write_bytes(b"\x89PNG")
    call = {"name": "weather", "arguments": '{"city": "北京"}'}
    talk = [
        {"role": "user", "content": "Where?", "images": [str(tmp_path / "fox.png")], "turn": 1},
        {
            "role": "assistant",
            "content": "<think>Hm.</think>\n\nI look.",
            "calls": [call, {**call, "arguments": {}}],
            "turn": 1,
        },
        {"role": "tool", "content": "3", "turn": 1},
        {"role": "tool", "content": "4", "turn": 1},
        {"role": "assistant", "content": "Cold.", "turn": 1},
        {"role": "user", "content": "再见", "turn": 2},
    ]
    assert ask(odd, "good", talk, system="简短").fault is None
    system, user, calls, first, second, cold, last = odd.asked[-1]["messages"]
    assert system == {"role": "system", "content": "简短"} and last == {"role": "user", "content": "再见"}
    assert user["content"] == [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64," + base64.b64encode(b"\x89PNG").decode()}},
        {"type": "text", "text": "Where?"},
    ]
    assert calls["content"] == "I look." and [one["function"] for one in calls["tool_calls"]] == [
        call,
        {**call, "arguments": "{}"},
    ]
    ids = [one["id"] for one in calls["tool_calls"]]
    assert [first, second] == [
        {"role": "tool", "tool_call_id": one, "content": text} for one, text in zip(ids, "34", strict=True)
    ]
    assert cold == {"role": "assistant", "content": "Cold."} and len(set(ids)) == 2
    answer = ask(odd, "good", [{"role": "user", "content": "", "images": [str(tmp_path / "gone.png")]}])
    assert answer.finished == "failed" and "gone.png" in told(answer.fault)


def test_no_proxy_stands_before_a_server_of_this_machine(odd, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert ask(odd, "good").text == TEXT


# The prompt


def test_the_first_difference_of_two_prompts():
    assert compare([1, 2, 3], [1, 2, 3]) is None
    assert compare([1, 2, 3], [1, 9, 3]) == 1
    assert compare([1, 2], [1, 2, 3]) == compare([1, 2, 3], [1, 2]) == 2


def test_the_prompt_is_asked_in_the_form_of_vllm(odd):
    target = ServedTarget("c", f"http://{odd.place}/v1", "good")
    prompt = engine_prompt(target, QUESTION, "Be brief.")
    assert (prompt.text, prompt.ids) == ("<|im_start|>", [1, 2, 3])
    asked = odd.asked[-2]
    assert asked["model"] == "good" and [message["role"] for message in asked["messages"]] == ["system", "user"]
    assert engine_prompt(ServedTarget("c", f"http://{odd.place}/elsewhere/v1", "good"), QUESTION) is None


# Real engines

TALK = [
    {"role": "user", "content": "Who are you?"},
    {"role": "assistant", "content": "I am Xiaoju."},
    {"role": "user", "content": "你好 👋\n\n  再说一遍"},
]
CONVERSATIONS = [(QUESTION, ""), (TALK, ""), (TALK, "Answer in one word. 请简短。")]


@pytest.fixture(scope="module")
def encoder():
    from llamafactory.hparams import get_infer_args
    from llamafactory.model import load_tokenizer

    from studio.inference.local.prompt_encoding import PromptEncoder

    return PromptEncoder(load_tokenizer(get_infer_args({"model_name_or_path": str(STARTER)})[0])["tokenizer"], "chatml")


def test_llama_cpp_answers_and_its_own_template_is_another_than_that_of_training(
    endpoints, encoder, starter_gguf, tmp_path
):
    with engines.llama_cpp(starter_gguf, tmp_path / "llama.log") as engine:
        added = endpoints.add(engine.url)
        target = endpoints.target(f"served:{added.name}/{added.models[0]}")
        answer = ask_speaker(target, QUESTION, "", Sampling(temperature=0, max_tokens=12))
        assert (answer.target, answer.finished, answer.tokens, answer.fault) == (target.name, "length", 12, None)
        assert "fox" in answer.text.lower() and answer.first_token_s > 0
        prompt = engine_prompt(target, QUESTION)
        assert answer.prompt_count == len(prompt.ids)  # what it tells is what it answered
        ours = encoder.encode(QUESTION)
        difference = compare(ours, prompt.ids)
        assert encoder.tokenizer.decode(prompt.ids) == prompt.text and "named SmolLM" in prompt.text
        assert (
            encoder.tokenizer.decode(ours[difference]) == "user"
            and encoder.tokenizer.decode(prompt.ids[difference]) == "system"
        )
        stop = threading.Event()
        long = Sampling(temperature=0, max_tokens=1500)
        answer = ask_speaker(
            target, [{"role": "user", "content": "Count to 1000."}], "", long, stop, "", lambda now: stop.set()
        )
        assert (answer.finished, answer.fault) == ("stopped", None) and 0 < answer.tokens < 1500
    assert "cannot be reached" in told(ask_speaker(target).fault)


def test_llama_cpp_with_the_template_of_training_makes_the_same_prompts(encoder, starter_gguf, tmp_path):
    (tmp_path / "chatml.jinja").write_text(encoder.template._get_jinja_template(encoder.tokenizer), encoding="utf-8")
    with engines.llama_cpp(starter_gguf, tmp_path / "llama.log", tmp_path / "chatml.jinja") as engine:
        target = ServedTarget("c", engine.url, "m")
        for talk, system in CONVERSATIONS:
            assert compare(encoder.encode(talk, system), engine_prompt(target, talk, system).ids) is None
        answer = ask(engine, "m", TALK, "请简短。", Sampling(temperature=0, max_tokens=2))
        assert answer.prompt_count == len(encoder.encode(TALK, "请简短。"))


def test_a_served_column_tells_whether_it_got_the_prompt_of_training(starter_gguf, tmp_path):
    service = InferenceService(new_workspace(tmp_path / "workspace"), DeviceLease())
    turns = TurnRunner(service, Conversations(service.workspace))
    (target,) = resolve(service.workspace, [STARTER.name])
    encoder = encoder_of(target.base, target)
    (tmp_path / "trained.jinja").write_text(encoder.template._get_jinja_template(encoder.tokenizer), encoding="utf-8")
    # The model's own template differs from LLaMA-Factory's by one full stop after the system prompt.
    for template, expected in ((tmp_path / "trained.jinja", "same"), (None, "differs")):
        with engines.llama_cpp(starter_gguf, tmp_path / "llama.log", template) as engine:
            added = service.servers.add(engine.url)
            name = f"served:{added.name}/{added.models[0]}"
            asked = {name: [{"role": "user", "content": "What is a fox?", "turn": 1}]}
            id = turns.conversations.new(
                [STARTER.name, name],
                settings={"temperature": 0.0, "top_p": 1.0, "max_tokens": 4, "seed": 0},
                messages=asked,
            ).id
            turns.regenerate(id, name)
            assert turns.wait(id, 240)
            answer = wait_for(
                lambda id=id, name=name: (
                    (last := turns.conversations.open(id).of(name)[-1]["answer"]).get("parity") and last
                )
            )
            assert answer["parity"] == {"is": expected, "as": STARTER.name} and answer["tokens"] == 4
            drawn = Columns(turns).snapshot(Words("en"), id, {}).columns[1].said[-1].html
            assert f'class="parity {expected}"' in drawn


@slow  # test_llamafactory_api.py of tests/engine/deploy asks the same API
def test_the_api_of_llama_factory_answers(endpoints, tmp_path):
    with engines.factory_api(STARTER, "chatml", tmp_path / "api.log") as engine:
        added = endpoints.add(engine.url)
        assert added.models == [STARTER.name]
        target = endpoints.target(f"served:{added.name}/{STARTER.name}")
        answer = ask_speaker(target, TALK, "Answer briefly.", Sampling(temperature=0, max_tokens=8))
        assert (
            (answer.finished, answer.fault, answer.prompt_count) == ("stop", None, None)
            and answer.text
            and answer.tokens > 1
        )
        assert engine_prompt(target, QUESTION) is None
        tools = (
            '[{"name": "weather", "description": "The weather of a city", "parameters": {"type": "object",'
            ' "properties": {}}}]'
        )
        answer = ask_speaker(target, QUESTION, "", Sampling(temperature=0, max_tokens=8), threading.Event(), tools)
        assert (answer.fault, answer.tokens) == (
            None,
            8,
        ) and answer.prompt_count > 35  # whole, as it cannot stream with tools
