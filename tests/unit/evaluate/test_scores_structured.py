"""JSON and calls of tools in answers."""

import json

import pytest

from studio.evaluate.scores.metric import AnsweredRow, score_row
from studio.evaluate.scores.structured import calls_in, right_calls, right_names, valid_json

WEATHER = {"name": "weather", "arguments": {"city": "Paris", "days": 1}}
TIME = {"name": "time", "arguments": {}}


@pytest.mark.parametrize(
    ("text", "reference", "score"),
    [
        ('{"a": 1}', "", 1.0),
        ('Here it is:\n```json\n{"a": 1}\n```\n', "", 1.0),
        ('<think>{</think>{"a": 1}', '{"a": 2}', 1.0),
        ('{"a": 1, "b": 2}', '{"a": 2}', 1.0),
        ('{"b": 2}', '{"a": 2}', 0.0),
        ("[1]", '{"a": 2}', 0.0),
        ("[1]", "[2, 3]", 1.0),
        ("3", "[2, 3]", 0.0),
        ("3", "plain words", 1.0),
        ("{'a': 1}", "", 0.0),
        ("", "", 0.0),
        ("[" * 100_000, "", 0.0),
        ("```json\n1\n```\n```json\n2\n```", "", 0.0),
    ],
)
def test_valid_json(text, reference, score):
    assert valid_json(text, reference) == score


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(WEATHER),
        json.dumps([WEATHER]),
        json.dumps({"name": "weather", "parameters": WEATHER["arguments"]}),
        f"Let me see.\n<tool_call>\n{json.dumps(WEATHER)}\n</tool_call>",
        f"<tool_call>{json.dumps(WEATHER)}",
        f"[TOOL_CALLS] {json.dumps([WEATHER])}",
        'Action: weather\nAction Input: {"city": "Paris", "days": 1}\n',
        f"weather\n{json.dumps(WEATHER['arguments'])}",
        f"<think>weather</think>\n```json\n{json.dumps(WEATHER)}\n```",
    ],
)
def test_calls_are_found_in_every_common_form(text):
    assert calls_in(text) == (WEATHER,)
    row = AnsweredRow(text, json.dumps([{"name": "weather", "arguments": '{"days": 1.0, "city": "Paris"}'}]))
    assert score_row(["tool_call", "tool_name"], row) == {"tool_call": 1.0, "tool_name": 1.0}


def test_several_calls():
    both = f"<tool_call>{json.dumps(TIME)}</tool_call>\n<tool_call>{json.dumps(WEATHER)}</tool_call>"
    assert calls_in(both) == (TIME, WEATHER)
    assert (
        calls_in('Action: time\nAction Input: {}\nAction: weather\nAction Input: {"city": 1}\n')[1]["name"] == "weather"
    )
    assert right_calls([WEATHER, TIME], [TIME, WEATHER]) == 1.0
    assert right_calls([WEATHER], [TIME, WEATHER]) == right_calls([WEATHER, WEATHER], [WEATHER]) == 0.0
    assert right_calls([], []) == 1.0


def test_arguments_are_compared_as_json():
    other = {"name": "weather", "arguments": {"city": "Paris", "days": True}}
    assert right_calls([other], [WEATHER]) == 0.0
    assert right_names([other], [WEATHER]) == 1.0
    nested = {"name": "f", "arguments": {"a": [1, {"b": None}]}}
    assert right_calls([nested], [{"name": "f", "arguments": json.dumps(nested["arguments"])}]) == 1.0


def test_a_row_without_tools_and_calls_has_no_such_score():
    keys = ["tool_call", "tool_name"]
    assert score_row(keys, AnsweredRow("Hello.", "Hi.")) == {"tool_call": None, "tool_name": None}
    tools = json.dumps([{"name": "weather"}])
    assert score_row(keys, AnsweredRow("Hello.", "Hi.", tools)) == {"tool_call": 1.0, "tool_name": 1.0}
    assert score_row(keys, AnsweredRow(json.dumps(WEATHER), "Hi.", tools)) == {"tool_call": 0.0, "tool_name": 0.0}
    read = AnsweredRow("in a template's own words", "so too", tools, (WEATHER,), (WEATHER,))
    assert score_row(keys, read) == {"tool_call": 1.0, "tool_name": 1.0}


@pytest.mark.parametrize("text", ['{"name": 3}', "[]", "null", "Sure:\n{1}", "weather\n{}\n{", '{"name": "weather"}'])
def test_what_only_resembles_a_call_is_none(text):
    assert calls_in(text) == ()
