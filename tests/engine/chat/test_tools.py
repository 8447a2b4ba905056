"""Tools in the chat: prompts against what LLaMA-Factory trains, calls read back from answers, and definitions that are
refused.
"""

import json
from functools import cache

import pytest
from conftest import ROOT, one_in
from starter_tokenizer import new_tokenizer

from studio.core.i18n import Problem
from studio.inference.local.local_engine import LocalEngine
from studio.inference.local.model_target import ModelTarget
from studio.inference.local.prompt_encoding import PromptEncoder
from studio.inference.sampling import Sampling

MODEL = ROOT / "models" / "SmolLM2-135M-Instruct"
SHIPPED = json.loads((ROOT / "data" / "tool_calls.json").read_text(encoding="utf-8"))
WEATHER = {
    "name": "get_weather",
    "description": "Weather of a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "Name of the city"}},
        "required": ["city"],
    },
}
CALLS = [
    {"name": "get_weather", "arguments": {"city": "北京 <b>", "days": 2}},
    {"name": "now", "arguments": {"zone": "Asia/Shanghai"}},
]
# One template of each of LLaMA-Factory's tool formats.
FORMATS = {
    "default": "chatml",
    "gemma4": "gemma4",
    "glm4": "glm4",
    "glm4_moe": "glm4_moe",
    "lfm2": "lfm2",
    "ling": "bailing_v2",
    "llama3": "llama3",
    "minimax1": "minimax1",
    "minimax2": "minimax2",
    "mistral": "mistral",
    "qwen": "qwen",
    "qwen3_5": "qwen3_5",
    "seed_oss": "seed_oss",
}


@cache
def _encoder(template: str) -> PromptEncoder:
    return PromptEncoder(new_tokenizer(), template)


@cache
def _training(template: str, form: str):
    """Return LLaMA-Factory's converter of a dataset's row, and its processor."""
    from llamafactory.data import get_template_and_fix_tokenizer
    from llamafactory.data.converter import get_dataset_converter
    from llamafactory.data.parser import get_dataset_list
    from llamafactory.data.processor import SupervisedDatasetProcessor
    from llamafactory.hparams import DataArguments

    tokenizer, arguments = new_tokenizer(), DataArguments(template=template, cutoff_len=10**6)
    tags = {
        "role_tag": "role",
        "content_tag": "content",
        "user_tag": "user",
        "assistant_tag": "assistant",
        "observation_tag": "tool",
        "system_tag": "system",
    }
    entry = {
        "file_name": "row",
        "formatting": form,
        "columns": {"messages": "messages" if form == "openai" else "conversations", "tools": "tools"},
    }
    entry |= {"tags": tags} if form == "openai" else {}
    (attributes,) = get_dataset_list(["row"], {"row": entry})
    processor = SupervisedDatasetProcessor(
        get_template_and_fix_tokenizer(tokenizer, arguments), tokenizer, None, arguments
    )
    return get_dataset_converter(form, attributes, arguments), processor


def _trained(template: str, form: str, row: dict) -> list[int]:
    """Return the ids that training puts before the last answer of a row."""
    convert, processor = _training(template, form)
    made = convert(row)
    ids, labels = processor._encode_data_example(
        made["_prompt"], made["_response"], made["_system"], made["_tools"], [], [], []
    )
    return ids[: 1 + max(place for place, label in enumerate(labels) if label == -100)]


def _talk(row: dict) -> list[dict]:
    """Return a row of the shipped set as the chat has it, without the last answer."""
    roles = {"human": "user", "gpt": "assistant", "observation": "tool", "system": "system"}
    talk = []
    for turn in row["conversations"][:-1]:
        if turn["from"] == "function_call":
            called = json.loads(turn["value"])
            talk.append({"role": "assistant", "content": "", "calls": called if isinstance(called, list) else [called]})
        else:
            talk.append({"role": roles[turn["from"]], "content": turn["value"]})
    return talk


def _calls_twice(row: dict) -> bool:
    """Tell whether a row has several calls in one message, which GLM-4's format cannot write."""
    return any(turn["from"] == "function_call" and turn["value"].startswith("[") for turn in row["conversations"])


@pytest.mark.parametrize("template", one_in(3, ["chatml", "default", "qwen", "llama3", "glm4", "mistral", "lfm2"]))
def test_prompt_with_tools_is_what_training_puts_before_the_answer(template):
    for row in SHIPPED[::8] if template != "glm4" else [row for row in SHIPPED if not _calls_twice(row)][::8]:
        assert _encoder(template).encode(_talk(row), tools=row["tools"]) == _trained(template, "sharegpt", row)


@pytest.mark.parametrize("template", ["chatml", "qwen", "llama3"])
def test_thought_and_text_stand_before_the_calls_as_in_training(template):
    mark = _encoder(template).template.tool_call_words
    for before in ("<think>\nThe sky?\n</think>\n\n", "I look it up.\n"):
        said = before + mark[0] + json.dumps(CALLS, ensure_ascii=False) + mark[1]
        row = {
            "conversations": [
                {"from": "human", "value": "?"},
                {"from": "function_call", "value": said},
                {"from": "observation", "value": "[1, 2]"},
                {"from": "gpt", "value": "Sunny."},
            ],
            "tools": json.dumps([WEATHER]),
        }
        talk = [
            {"role": "user", "content": "?"},
            {"role": "assistant", "content": before, "calls": CALLS},
            {"role": "tool", "content": "[1, 2]"},
        ]
        assert _encoder(template).encode(talk, tools=row["tools"]) == _trained(template, "sharegpt", row)


def test_several_results_are_joined_as_llamafactorys_openai_format_joins_them():
    calls = [{"type": "function", "function": call} for call in CALLS]
    messages = [
        {"role": "user", "content": "?"},
        {"role": "assistant", "content": "", "tool_calls": calls},
        {"role": "tool", "content": "rain"},
        {"role": "tool", "content": "noon"},
        {"role": "assistant", "content": "Rain at noon."},
    ]
    tools = [{"type": "function", "function": WEATHER}]
    talk = [messages[0], {"role": "assistant", "content": None, "calls": CALLS}, *messages[2:4]]
    # that format adds "detailed thinking off" to some system prompts, but not where there are tools
    assert _encoder("qwen").encode(talk, tools=tools) == _trained(
        "qwen", "openai", {"messages": messages, "tools": tools}
    )
    seen = _encoder("llama3").tokenizer.decode(
        _encoder("llama3").encode([*talk[:2], {"role": "tool", "content": '{"mm": 3}'}, talk[3]], tools=tools)
    )
    assert '[{"mm": 3}, "noon"]' in seen


@pytest.mark.parametrize("form, template", FORMATS.items())
def test_calls_are_read_as_the_template_writes_them(form, template):
    from llamafactory.data.tool_utils import FunctionCall

    encoder = _encoder(template)
    calls = CALLS[:1] if form == "glm4" else CALLS
    alone = form in ("glm4", "llama3", "mistral")  # these formats have no room for text before a call
    for before in (
        "<think>\nWhich city?\n</think>\n\n".replace("<think>\n", encoder.template.thought_words[0]).replace(
            "\n</think>\n\n", encoder.template.thought_words[1]
        ),
        "" if alone else "I look it up. ",
    ):
        form = encoder.template.format_function
        called = form.tool_utils.function_formatter(
            [FunctionCall(call["name"], json.dumps(call["arguments"])) for call in calls]
        )
        first = form.slots[0] if isinstance(form.slots[0], str) else ""
        said = before + first.partition("{{content}}")[0].strip() + called
        text, found = encoder.calls(encoder.tokenizer.encode(said, add_special_tokens=False))
        assert found == calls
        assert text.strip() == before.strip()


def test_every_tool_format_of_llamafactory_is_tried():
    from llamafactory.data.tool_utils import TOOLS

    assert FORMATS.keys() == TOOLS.keys()


@pytest.mark.parametrize("template", FORMATS.values())
def test_what_only_resembles_a_call_stays_text(template):
    encoder = _encoder(template)
    for said in (
        "Hello.",
        "42",
        "Answer\n42",
        '{"city": "Oslo"}',
        "[1, 2]",
        "<tool_call>\n5\n</tool_call>",
        "Action: wait",
        "",
    ):
        assert encoder.calls(encoder.tokenizer.encode(said, add_special_tokens=False)) == (said, [])


def test_a_model_calls_a_tool_and_answers_from_its_result():
    target, chat = ModelTarget("base", MODEL, None, "chatml"), LocalEngine()
    chat.load([target])
    talk = []
    for city, sky in (("Lyon", "rain"), ("Rome", "sun")):
        talk += [
            {"role": "user", "content": f"How is the weather in {city}?"},
            {"role": "assistant", "content": "", "calls": [{"name": "get_weather", "arguments": {"city": city}}]},
            {"role": "tool", "content": json.dumps({"sky": sky})},
            {"role": "assistant", "content": f"There is {sky} in {city}."},
        ]
    talk.append({"role": "user", "content": "How is the weather in Oslo?"})
    tools = json.dumps([WEATHER])
    *_, (answer,) = chat.compare([target], [talk], None, Sampling(temperature=0, max_tokens=40), tools=tools)
    assert answer.calls == ({"name": "get_weather", "arguments": {"city": "Oslo"}},)
    assert answer.text.strip() == "" and answer.finished == "stop" and answer.tokens > 5
    talk += [
        {"role": "assistant", "content": answer.text, "calls": list(answer.calls)},
        {"role": "tool", "content": '{"sky": "snow"}'},
    ]
    *_, (answer,) = chat.compare([target], [talk], None, Sampling(temperature=0, max_tokens=12), tools=tools)
    assert "snow" in answer.text and answer.calls == ()
    chat.unload()


@pytest.mark.parametrize(
    "tools, key",
    [
        ("{", "prompt.tools_no_json"),
        ('{"name": "a"}', "prompt.tools_no_list"),
        ('["a"]', "prompt.tool_no_name"),
        ('[{"type": "function", "function": {"description": "nameless"}}]', "prompt.tool_no_name"),
        ('[{"name": "a"}]', "prompt.refused"),  # this template needs the parameters
    ],
)
def test_definitions_that_are_none_are_refused(tools, key):
    with pytest.raises(Problem) as caught:
        _encoder("chatml").encode([{"role": "user", "content": "?"}], tools=tools)
    assert caught.value.key == key and str(caught.value)


def test_no_tools_leave_the_prompt_as_it_is():
    talk = [{"role": "user", "content": "?"}]
    assert len({tuple(_encoder("chatml").encode(talk, tools=tools)) for tools in ("", " ", "[]", None, [])}) == 1


@pytest.mark.parametrize(
    "messages, key",
    [
        ([{"role": "tool", "content": "1"}], "chat.bad_message"),
        ([{"role": "user", "content": "?"}, {"role": "tool", "content": "1"}], "chat.bad_message"),
        (
            [
                {"role": "user", "content": "?"},
                {"role": "assistant", "content": "", "calls": [{"arguments": {}}]},
                {"role": "tool", "content": "1"},
            ],
            "prompt.bad_call",
        ),
        ([{"role": "user", "content": "?"}, {"role": "assistant", "content": "", "calls": CALLS}], "chat.no_question"),
    ],
)
def test_calls_and_results_out_of_turn_are_refused(messages, key):
    with pytest.raises(Problem) as caught:
        _encoder("chatml").encode(messages)
    assert caught.value.key == key and str(caught.value)


def test_more_calls_than_a_template_can_write_are_told():
    talk = [
        {"role": "user", "content": "?"},
        {"role": "assistant", "content": "", "calls": CALLS},
        {"role": "tool", "content": "1"},
    ]
    with pytest.raises(Problem, match="parallel"):
        _encoder("glm4").encode(talk)
