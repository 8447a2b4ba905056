"""Calls of tools are found in the format of every template of LLaMA-Factory, though nobody says which it is."""

import json

import pytest
from conftest import slow

from studio.evaluate.scores import structured
from studio.evaluate.scores.metric import AnsweredRow, score_row
from studio.evaluate.scores.structured import calls_in

WEATHER = {"name": "weather", "arguments": {"city": "Paris & <x>", "days": 2}}
TIME = {"name": "time", "arguments": {"zone": "UTC"}}
KEYS = ["tool_call", "tool_name"]
ONE_AT_A_TIME = {"glm4"}
# Imported at the top, LLaMA-Factory would be imported while tests are collected.
FORMATS = (
    "default",
    "gemma4",
    "glm4",
    "glm4_moe",
    "lfm2",
    "ling",
    "llama3",
    "minimax1",
    "minimax2",
    "mistral",
    "qwen",
    "qwen3_5",
    "seed_oss",
)


def written(tool_format: str, *calls: dict) -> str:
    from llamafactory.data.tool_utils import TOOLS, FunctionCall

    called = [FunctionCall(call["name"], json.dumps(call["arguments"])) for call in calls]
    return TOOLS[tool_format].function_formatter(called)


def test_these_are_all_formats():
    from llamafactory.data.tool_utils import TOOLS

    assert set(FORMATS) == set(TOOLS)


@pytest.mark.parametrize("tool_format", FORMATS)
def test_calls_are_found_in_every_format(tool_format):
    assert calls_in(written(tool_format, WEATHER)) == (WEATHER,)
    assert calls_in("<think>\nwhich?\n</think>\n\n" + written(tool_format, WEATHER)) == (WEATHER,)
    right, wrong = WEATHER, WEATHER | {"arguments": {"city": "Rome", "days": 2}}
    scores = [
        score_row(KEYS, AnsweredRow(written(tool_format, one), written(tool_format, right) + "\n"))
        for one in (right, wrong)
    ]
    assert scores == [{"tool_call": 1.0, "tool_name": 1.0}, {"tool_call": 0.0, "tool_name": 1.0}]
    if tool_format not in ONE_AT_A_TIME:
        assert calls_in(written(tool_format, WEATHER, TIME)) == (WEATHER, TIME)


@pytest.mark.parametrize(
    "text",
    [
        "<tool_call>",
        "[TOOL_CALLS]",
        "Action: a\nAction Input:",
        "<tool_call>{not json}</tool_call>",
        "<invoke name=",
        "<|tool_call>",
    ],
)
def test_what_only_resembles_a_call_is_told_from_none(text):
    assert calls_in(text) is None
    assert score_row(KEYS, AnsweredRow(text, "Hello.", "[{}]")) == {"tool_call": 0.0, "tool_name": 0.0}
    assert score_row(KEYS, AnsweredRow("Hello.", text, "[{}]")) == {"tool_call": None, "tool_name": None}


# One of them takes as long as it is allowed, and then the process that reads calls has to load LLaMA-Factory again.
@pytest.mark.parametrize(
    "mark",
    ["<tool_call>{", "<tool_call>a<arg_key>b</arg_key>", "<tool_calls>", pytest.param('<invoke name="a">', marks=slow)],
)
def test_a_model_that_repeats_a_mark_for_ever_is_given_up(mark, monkeypatch):
    monkeypatch.setattr(structured, "CALL_SECONDS", 4.0)
    row, told = AnsweredRow(mark * (30_000 // len(mark)), json.dumps(WEATHER), "[{}]"), []
    scores = score_row(KEYS, row, on_fault=lambda key, fault: told.append(fault.key))
    assert scores == dict.fromkeys(KEYS, 0.0) or (scores == dict.fromkeys(KEYS) and told)
    assert set(told) <= {"evaluate.score_slow_calls"}
    assert calls_in(written("minimax2", WEATHER)) == (WEATHER,)  # the next answer is read
