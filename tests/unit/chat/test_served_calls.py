"""Calls of tools in a streamed answer: told apart, and put together, however a server cuts and numbers them."""

import json

import pytest
from served_bodies import BOTH, NORTH, SOUTH, N, S, answer, as_object, call, calls_of, chunk, sse


@pytest.mark.parametrize(
    ("pieces", "calls"),
    [
        ([call("heat", N, index=0, id="a"), call("heat", S, index=1, id="b")], BOTH),
        ([[call("heat", N, index=0, id="a"), call("heat", S, index=1, id="b")]], BOTH),
        ([call("heat", N, index=1), call("heat", S, index=2)], BOTH),
        ([call("heat", N, index="0"), call("heat", S, index="1")], BOTH),
        ([call("heat", N, id="a"), call("heat", S, id="b")], BOTH),
        ([[call("heat", N), call("heat", S)]], BOTH),
        ([call("heat", N), call("heat", S)], BOTH),
        ([call("heat", N, index=0, id=""), call("heat", S, index=0, id="")], BOTH),
        ([call("heat", N, index=0, id=None), call(None, S, index=0, id=None)], BOTH),
        ([call("heat", N, index=0, id="a"), call("heat", S, index=0, id="b")], BOTH),
        ([call("heat", N, index=0, id=7), call("heat", S, index=0, id=8)], BOTH),
        ([call("heat", NORTH), call("heat", SOUTH)], BOTH),
        ([call("heat", NORTH), call("heat", NORTH)], [("heat", NORTH), ("heat", NORTH)]),
        ([call("heat", S, index=1), call("heat", N, index=0)], BOTH),
        (
            [
                call("heat", "", index=0, id="a"),
                call("heat", "", index=1, id="b"),
                call(None, S, index=1),
                call(None, N, index=0),
            ],
            BOTH,
        ),
        (
            [
                call("heat", "", index=0, id="a"),
                call(None, N[:5], index=0, id="a"),
                call(None, N[5:], index=0, id="a"),
                call("heat", S, index=0, id="b"),
            ],
            BOTH,
        ),
        # one call, whose pieces say too much or too little
        (
            [call("heat", N[:4], index=0), call("heat", N[4:9], index=0), call("heat", N[9:], index=0)],
            [("heat", NORTH)],
        ),
        (
            [
                call("heat", N[:4], index=0, id="a"),
                call(None, N[4:9], index=0, id="b"),
                call(None, N[9:], index=0, id="c"),
            ],
            [("heat", NORTH)],
        ),
        ([call("heat", N[:4], id="a"), call(None, N[4:])], [("heat", NORTH)]),
        ([call("heat", N[:4], index=0), call(None, N[4:])], [("heat", NORTH)]),
        ([call("heat", N[:4]), call(None, N[4:], index=0)], [("heat", NORTH)]),
        ([call("heat", N[:4], index=0), call(None, N[4:], index=1)], [("heat", NORTH)]),
        ([call("heat", N, index=0, id="a"), call("heat", "", index=0, id="a")], [("heat", NORTH)]),
        ([call("heat", N, index=0, id="a"), call("heat", N, index=0, id="a")], [("heat", NORTH)]),
        ([call("heat", N, index=0), {"index": 0, "function": None, "id": None}], [("heat", NORTH)]),
        ([{"index": 0, "id": "a", "function": None}, call("heat", N, index=0)], [("heat", NORTH)]),
        (
            [
                {"index": 0, "id": "a"},
                {"index": 0, "function": {"name": "heat"}},
                {"index": 0, "function": {"name": None, "arguments": N}},
            ],
            [("heat", NORTH)],
        ),
        ([call("he", None, index=0), call("at", N, index=0)], [("heat", NORTH)]),
        ([call("he", None, index=0), call("heat", None, index=0), call(None, N, index=0)], [("heat", NORTH)]),
        ([call("heat", "{}", index=0), call(None, N[:6], index=0), call(None, N[6:], index=0)], [("heat", NORTH)]),
        ([call("heat", {}, index=0), call(None, NORTH, index=0)], [("heat", NORTH)]),
        ([{"name": "heat", "arguments": N}], [("heat", NORTH)]),
        ([{"type": "custom", "custom": {"name": "heat", "input": N}}], [("heat", NORTH)]),
        ([{"function": "heat", "arguments": NORTH}], [("heat", NORTH)]),
        # no arguments
        ([call("heat", None, index=0, id="a")], [("heat", {})]),
        ([call("heat", "", index=0)], [("heat", {})]),
        ([call("heat", "null", index=0)], [("heat", {})]),
        ([call("heat", "None", index=0)], [("heat", {})]),
        ([call("heat", [], index=0)], [("heat", {})]),
        ([call("heat", "{}", index=0), call("time", "{}", index=0)], [("heat", {}), ("time", {})]),
        ([None, call("heat", N)], [("heat", NORTH)]),
    ],
)
def test_calls_are_told_apart_and_put_together(pieces, calls):
    assert calls_of(*pieces) == calls


def test_the_names_of_the_tools_tell_two_calls_from_two_halves_of_a_name():
    pieces = [call("get", None, index=0), call("getter", N, index=0)]
    assert calls_of(*pieces, tools=["get", "getter"]) == [("get", {}), ("getter", NORTH)]
    assert calls_of(*pieces, tools=["getter"]) == [("getter", NORTH)]
    assert calls_of(call("go", None, index=0), call("go", N, index=0), tools=["gogo"]) == [("gogo", NORTH)]


def test_the_older_form_of_a_call_is_one():
    body = sse(
        chunk({"function_call": {"name": "heat", "arguments": ""}}),
        chunk({"function_call": {"arguments": N[:3]}}),
        chunk({"function_call": {"name": None, "arguments": N[3:]}}),
        chunk({}, "function_call"),
    )
    assert answer(body).calls == ({"name": "heat", "arguments": N},)
    whole = {
        "choices": [
            {
                "message": {"content": None, "function_call": {"name": "heat", "arguments": NORTH}},
                "finish_reason": "function_call",
            }
        ]
    }
    assert answer(json.dumps(whole)).calls == ({"name": "heat", "arguments": NORTH},)


def test_a_long_call_costs_no_more_than_its_length():
    value = {"text": "{}" * 4_000}
    text = json.dumps(value)
    body = sse(
        *(
            chunk({"tool_calls": [call("write" if not at else None, text[at : at + 2], index=0)]})
            for at in range(0, len(text), 2)
        )
    )
    assert as_object(answer(body, most=10_000).calls[0]["arguments"]) == value
