"""A server's answer is what it said: every form in which real servers send one is read, from the bytes on the wire to the answer."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.chat.remote.server_words import ServerFault, count_of, fault_in, in_one_line, of_body
from studio.chat.remote.stream import StreamAccumulator
from studio.chat.remote.wire import WireReader

CASES = Path(__file__).parents[1] / "cases" / "served-answers"
EIGHT = "one two three four five six seven eight"
NORTH, SOUTH = {"room": "north"}, {"room": "south"}


def heard(body: bytes | str, tools=(), size: int = 0, most: int = 2000) -> tuple[StreamAccumulator, str]:
    """Return what has come of a body that ends where it ends, `size` bytes at a time (0: at once), and the server's words of an error."""
    data = body if isinstance(body, bytes) else body.encode()
    accumulator, reader = StreamAccumulator("c", most, tools), WireReader()
    parts = [data[at : at + size] for at in range(0, len(data), size)] if size else [data]
    try:
        for part in parts:
            for event in reader.feed(part):
                accumulator.feed(event)
        for event in reader.finish():
            accumulator.feed(event)
    except ServerFault as fault:
        return accumulator, fault.words
    accumulator.is_done = accumulator.is_done or reader.done and accumulator.is_known
    if accumulator.is_done or accumulator.reason:
        accumulator.end(accumulator.reason or "stop")
    return accumulator, ""


def answer(body: bytes | str, **more):
    accumulator, words = heard(body, **more)
    assert not words
    return accumulator.answer()


def chunk(delta: dict | None = None, finish=None, **more) -> dict:
    return {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta or {}, "finish_reason": finish}], **more}


def sse(*events, end: str = "data: [DONE]\n\n", line: str = "\n") -> str:
    text = "".join(f"data: {one if isinstance(one, str) else json.dumps(one)}\n\n" for one in events) + end
    return text.replace("\n", line)


def calls_of(*pieces, tools=(), end: str | None = "tool_calls") -> list[tuple]:
    body = sse(*(chunk({"tool_calls": piece if isinstance(piece, list) else [piece]}) for piece in pieces), chunk({}, end))
    return [(call["name"], as_object(call["arguments"])) for call in answer(body, tools=tools).calls]


def as_object(arguments):
    return json.loads(arguments) if isinstance(arguments, str) else arguments


# The cases


@pytest.mark.parametrize("size", [0, 1, 7])
@pytest.mark.parametrize(("file", "text", "calls"), [
    ("calls_one_index.sse", "", [("room_heat", NORTH), ("room_heat", SOUTH)]), ("arguments_object.sse", "", [("room_heat", NORTH)]),
    ("list_content.sse", f"<think>I count.</think>{EIGHT} ", []), ("finish_everywhere.sse", f"{EIGHT} ", []),
    ("done_without_reason.sse", f"{EIGHT} ", []), ("refusal.sse", "I do not talk about this.", []), ("whole_json.json", EIGHT, []),
    ("lone_think.sse", "The person counts. I go on.\n</think>\n\nnine ten", []),
])  # fmt: skip
def test_the_cases_of_the_field_are_read_as_they_were_meant(file, text, calls, size):
    said = answer((CASES / file).read_bytes(), size=size)
    assert (said.text, [(call["name"], as_object(call["arguments"])) for call in said.calls]) == (text, calls)
    assert (said.finished, said.fault) == ("stop", None)


def test_an_error_in_a_stream_is_told_in_the_servers_words_and_what_came_stays():
    accumulator, words = heard((CASES / "error_plain.sse").read_bytes())
    assert words == "The prompt has 5000 tokens, the engine takes 4096." and accumulator.answer().text == "one two "


def test_every_case_of_the_folder_is_tested():
    assert {path.name for path in CASES.iterdir()} == {
        "calls_one_index.sse", "arguments_object.sse", "list_content.sse", "finish_everywhere.sse", "done_without_reason.sse", "refusal.sse",
        "error_plain.sse", "whole_json.json", "lone_think.sse"}  # fmt: skip


# Calls of tools


def call(name=None, arguments=None, **more) -> dict:
    return {"function": {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}, **more}


N, S = json.dumps(NORTH), json.dumps(SOUTH)
BOTH = [("heat", NORTH), ("heat", SOUTH)]


@pytest.mark.parametrize(("pieces", "calls"), [
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
    ([call("heat", "", index=0, id="a"), call("heat", "", index=1, id="b"), call(None, S, index=1), call(None, N, index=0)], BOTH),
    ([call("heat", "", index=0, id="a"), call(None, N[:5], index=0, id="a"), call(None, N[5:], index=0, id="a"), call("heat", S, index=0, id="b")], BOTH),
    # one call, whose pieces say too much or too little
    ([call("heat", N[:4], index=0), call("heat", N[4:9], index=0), call("heat", N[9:], index=0)], [("heat", NORTH)]),
    ([call("heat", N[:4], index=0, id="a"), call(None, N[4:9], index=0, id="b"), call(None, N[9:], index=0, id="c")], [("heat", NORTH)]),
    ([call("heat", N[:4], id="a"), call(None, N[4:])], [("heat", NORTH)]),
    ([call("heat", N[:4], index=0), call(None, N[4:])], [("heat", NORTH)]),
    ([call("heat", N[:4]), call(None, N[4:], index=0)], [("heat", NORTH)]),
    ([call("heat", N[:4], index=0), call(None, N[4:], index=1)], [("heat", NORTH)]),
    ([call("heat", N, index=0, id="a"), call("heat", "", index=0, id="a")], [("heat", NORTH)]),
    ([call("heat", N, index=0, id="a"), call("heat", N, index=0, id="a")], [("heat", NORTH)]),
    ([call("heat", N, index=0), {"index": 0, "function": None, "id": None}], [("heat", NORTH)]),
    ([{"index": 0, "id": "a", "function": None}, call("heat", N, index=0)], [("heat", NORTH)]),
    ([{"index": 0, "id": "a"}, {"index": 0, "function": {"name": "heat"}}, {"index": 0, "function": {"name": None, "arguments": N}}], [("heat", NORTH)]),
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
])  # fmt: skip
def test_calls_are_told_apart_and_put_together(pieces, calls):
    assert calls_of(*pieces) == calls


def test_the_names_of_the_tools_tell_two_calls_from_two_halves_of_a_name():
    pieces = [call("get", None, index=0), call("getter", N, index=0)]
    assert calls_of(*pieces, tools=["get", "getter"]) == [("get", {}), ("getter", NORTH)]
    assert calls_of(*pieces, tools=["getter"]) == [("getter", NORTH)]
    assert calls_of(call("go", None, index=0), call("go", N, index=0), tools=["gogo"]) == [("gogo", NORTH)]


def test_the_older_form_of_a_call_is_one():
    body = sse(chunk({"function_call": {"name": "heat", "arguments": ""}}), chunk({"function_call": {"arguments": N[:3]}}),
               chunk({"function_call": {"name": None, "arguments": N[3:]}}), chunk({}, "function_call"))
    assert answer(body).calls == ({"name": "heat", "arguments": N},)
    whole = {"choices": [{"message": {"content": None, "function_call": {"name": "heat", "arguments": NORTH}}, "finish_reason": "function_call"}]}
    assert answer(json.dumps(whole)).calls == ({"name": "heat", "arguments": NORTH},)


def test_a_long_call_costs_no_more_than_its_length():
    value = {"text": "{}" * 20_000}
    text = json.dumps(value)
    body = sse(*(chunk({"tool_calls": [call("write" if not at else None, text[at : at + 2], index=0)]}) for at in range(0, len(text), 2)))
    assert as_object(answer(body, most=50_000).calls[0]["arguments"]) == value


# Content, thoughts, refusals


@pytest.mark.parametrize(("deltas", "text"), [
    ([{"content": "a"}, {"content": None}, {"content": "b"}], "ab"),
    ([{"content": [{"type": "text", "text": "a"}, {"type": "output_text", "text": "b"}]}], "ab"),
    ([{"content": {"type": "text", "text": "a"}}], "a"),
    ([{"content": ["a", {"text": "b"}, {"type": "text", "text": {"value": "c"}}]}], "abc"),
    ([{"content": []}, {"content": "a"}], "a"),
    ([{"content": [{"type": "image_url", "image_url": {"url": "https://x/y.png"}}]}], "![image](https://x/y.png)"),
    ([{"content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}], "![image]()"),
    ([{"content": "a", "images": [{"type": "image_url", "image_url": {"url": "https://x"}}]}], "a![image](https://x)"),
    ([{"content": [{"type": "refusal", "refusal": "No."}]}], "No."),
    ([{"content": [{"type": "video", "id": 5}]}], "[video]"),
    ([{"refusal": "I do "}, {"refusal": "not."}], "I do not."),
    ([{"content": "", "refusal": "No."}], "No."),
    ([{"content": "No.", "refusal": "No."}], "No."),
    ([{"audio": {"transcript": "Hi"}}], "Hi"),
    ([{"reasoning_content": "t", "content": "a"}], "<think>t</think>a"),
    ([{"reasoning_content": "t"}, {"reasoning_content": "", "content": "a"}], "<think>t</think>a"),
    ([{"reasoning": "t"}, {"reasoning": None, "content": "a"}], "<think>t</think>a"),
    ([{"thinking": "t"}, {"content": "a"}], "<think>t</think>a"),
    ([{"reasoning": "t", "reasoning_content": "t"}, {"content": "a"}], "<think>t</think>a"),
    ([{"reasoning": "t", "reasoning_details": [{"type": "reasoning.text", "text": "t"}]}, {"content": "a"}], "<think>t</think>a"),
    ([{"reasoning_details": [{"type": "reasoning.summary", "summary": "t"}]}, {"content": "a"}], "<think>t</think>a"),
    ([{"reasoning_details": [{"type": "reasoning.encrypted", "data": "xx"}]}, {"content": "a"}], "a"),
    ([{"thinking_blocks": [{"type": "thinking", "thinking": "t", "signature": "s"}]}, {"content": "a"}], "<think>t</think>a"),
    ([{"content": [{"type": "thinking", "thinking": "t"}, {"type": "text", "text": "a"}]}], "<think>t</think>a"),
    ([{"content": [{"type": "reasoning", "summary": [{"type": "summary_text", "text": "t"}]}, {"type": "text", "text": "a"}]}], "<think>t</think>a"),
    ([{"content": [{"type": "reasoning", "reasoning": "t"}, "a"]}], "<think>t</think>a"),
    ([{"content": [{"text": "t", "thought": True}, {"text": "a"}]}], "<think>t</think>a"),
    ([{"content": "a"}, {"reasoning": "t"}, {"content": "b"}], "<think>t</think>ab"),
    ([{"reasoning": "t"}, {"content": "a"}, {"reasoning": "u"}, {"content": "b"}], "<think>tu</think>ab"),
    ([{"reasoning": "t"}, {"content": "<think>u</think>\n\na"}], "<think>t\n\nu</think>a"),
    ([{"reasoning": "about </think>, yes"}, {"content": "a"}], "<think>about &lt;/think>, yes</think>a"),
    ([{"reasoning": "\n"}, {"content": "a"}], "a"),
    ([{"reasoning": "t"}], "<think>t</think>"),
])  # fmt: skip
def test_content_and_thoughts_in_every_form(deltas, text):
    said = answer(sse(*map(chunk, deltas), chunk({}, "stop")))
    assert (said.text, said.finished) == (text, "stop")
    whole = {key: value for delta in deltas for key, value in delta.items()}
    if len(deltas) == 1:  # the same as one whole answer
        assert answer(json.dumps({"choices": [{"index": 0, "message": whole, "finish_reason": "stop"}]})).text == text


def test_halves_of_a_character_in_two_pieces_are_one():
    body = sse('{"choices":[{"delta":{"content":"a\\ud83e"}}]}', '{"choices":[{"delta":{"content":"\\udd8a"}}]}', '{"choices":[{"delta":{"content":"\\ud83e b"}}]}')
    assert answer(body).text.encode().decode() == "a🦊\N{REPLACEMENT CHARACTER} b"


# How it ends


@pytest.mark.parametrize(("body", "finished"), [
    (sse(chunk({"content": "a"}), chunk({}, "stop")), "stop"),
    (sse(chunk({"content": "a"}), chunk({}, "length")), "length"),
    (sse(chunk({"content": "a"}), chunk({}, "max_tokens")), "length"),
    (sse(chunk({"content": "a"}), chunk({}, "MAX_TOKENS")), "length"),
    (sse(chunk({"content": "a"}), chunk({}, "end_turn")), "stop"),
    (sse(chunk({"content": "a"}), chunk({}, "")), "stop"),
    (sse(chunk({"content": "a"})), "stop"),
    (sse(chunk({"content": "a"}), chunk({}, "stop"), end=""), "stop"),
    (sse(chunk({"content": "a"}), end=""), ""),
    (sse(chunk({"content": "a"}), '{"choices": [{"del', end="")[:-2], ""),
    (sse(chunk({"content": "a"}, "stop"), chunk({"content": ""}, "length")), "length"),
    (sse(chunk({"content": "a"}), {"choices": [], "usage": {"completion_tokens": 3}}), "stop"),
    (sse(chunk({"content": "a"}, "content_filter")), "filtered"),
    (sse(chunk({"content": "a"}, "error")), "failed"),
    (sse(chunk({"content": "a"}), "[DONE]", chunk({"content": "b"})), "stop"),
])  # fmt: skip
def test_an_answer_ends_as_the_server_says(body, finished):
    said = answer(body)
    assert (said.text, said.finished) == ("a", finished)


def test_a_reason_in_every_piece_is_no_end():
    accumulator, _ = heard(sse(chunk({"content": "a"}, "stop"), chunk({"content": "b"}, "stop"), end=""))
    assert not accumulator.ends_with_reason and accumulator.answer().text == "ab"
    accumulator, _ = heard(sse(chunk({"content": "a"}), chunk({"content": "b"}, "stop"), end=""))
    assert accumulator.ends_with_reason


def test_choice_0_is_the_answer_in_whatever_order_they_come():
    def pair(first, second, **more):
        return {"choices": [{"index": 1, "delta": {"content": second}, **more}, {"index": 0, "delta": {"content": first}}]}

    assert answer(sse({"choices": [{"index": 1, "delta": {"content": "x"}, "finish_reason": "length"}]}, pair("a", "y"), pair("b", "z"))).text == "ab"
    body = json.dumps({"choices": [{"index": 1, "message": {"content": "no"}}, {"index": 0, "message": {"content": "yes"}}]})
    assert answer(body).text == "yes"
    assert answer(json.dumps({"choices": [{"message": {"content": "yes"}}, {"message": {"content": "no"}}]})).text == "yes"
    assert answer(sse({"choices": [{"index": 1, "delta": {"content": "only"}, "finish_reason": "length"}]})).text == "only"


@pytest.mark.parametrize(("usages", "counts"), [
    ([{"usage": {"prompt_tokens": 11, "completion_tokens": 7}}], (11, 7)),
    ([{"usage": {"prompt_tokens": 11, "completion_tokens": 1}}, {"usage": {"prompt_tokens": 11, "completion_tokens": 7}}], (11, 7)),
    ([{"usage": {"prompt_tokens": "11", "completion_tokens": 7.0}}], (11, 7)),
    ([{"usage": {"input_tokens": 11, "output_tokens": 7}}], (11, 7)),
    ([{"x_groq": {"usage": {"prompt_tokens": 11, "completion_tokens": 7}}}], (11, 7)),
    ([{"usage": {"prompt_tokens": "<b>11</b>", "completion_tokens": [7]}}], (None, 2)),
    ([{"usage": {"prompt_tokens": -1, "completion_tokens": 10**40}}], (None, 2)),
    ([{"usage": {"prompt_tokens": True, "completion_tokens": None}}], (None, 2)),
    ([{"usage": {"prompt_tokens": 0, "completion_tokens": 0}}], (None, 2)),
    ([{"usage": [1]}, {"usage": "x"}, {"usage": None}], (None, 2)),
])  # fmt: skip
def test_counts_are_numbers_or_passed_over(usages, counts):
    said = answer(sse(chunk({"content": "a"}), chunk({"content": "b"}, "stop"), *({"choices": [], **one} for one in usages)))
    assert (said.prompt_count, said.tokens) == counts


def test_a_server_that_sends_letters_is_not_cut_and_one_without_end_is():
    text = "An answer of twenty-four tokens may well have a hundred and twenty letters, and be sent letter by letter by a slow typist."
    assert answer(sse(*(chunk({"content": letter}) for letter in text)), most=24).text == text
    accumulator, _ = heard(sse(*[chunk({"content": "on "})] * 2000), most=24)
    assert accumulator.answer().finished == "length"
    thinking, _ = heard(sse(*[chunk({"tool_calls": [call("f", "on ", index=0)]})] * 2000), most=24)
    assert thinking.answer().finished == "length"


# Bytes


PLAIN = [chunk({"content": "狐"}), chunk({"content": "狸🦊"}), chunk({}, "stop")]


@pytest.mark.parametrize("size", [0, 1, 2, 5])
@pytest.mark.parametrize("body", [
    sse(*PLAIN), sse(*PLAIN, line="\r\n"), sse(*PLAIN, line="\r"), sse(*PLAIN).replace("data: ", "data:"), "\ufeff" + sse(*PLAIN),
    sse(*PLAIN).replace("\n\n", "\n"), ": hello\n\n" + sse(*PLAIN).replace("\n\n", "\n\n: ping\n\n:\n"),
    "event: message\nid: 1\nretry: 5\n" + sse(*PLAIN), sse(*(json.dumps(one, indent=1).replace("\n", "\ndata: ") for one in PLAIN)),
    "data:\n\n" + sse(*PLAIN), "event: ping\ndata: {\"type\": \"ping\"}\n\n" + sse(*PLAIN), sse("null", "ping", *PLAIN, '{"choices": null}', "{}"),
    sse(*PLAIN).replace("data: ", "data: data: "), sse(*PLAIN, end="data: [DONE]"), sse(*PLAIN, end="[DONE]\n"), sse(*PLAIN, end=""),
    sse(*PLAIN, end="")[:-2], sse(*PLAIN).replace("\n", "\n\n\n"), "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in PLAIN),
    json.dumps(PLAIN), json.dumps(PLAIN, indent=2), "data: " + json.dumps(PLAIN) + "\n\n",
    json.dumps({"object": "chat.completion", "choices": [{"message": {"content": "狐狸🦊"}}]}, indent=2, ensure_ascii=False),
    json.dumps({"choices": [{"message": {"content": "狐狸🦊"}, "finish_reason": "stop"}]}) + "\r\n\r\n",
    "data: " + json.dumps({"choices": [{"message": {"content": "狐狸🦊"}, "finish_reason": "stop"}]}) + "\n\ndata: [DONE]\n\n",
    sse(*PLAIN[:2], {"choices": [{"delta": {}, "message": {"content": "狐狸🦊"}, "finish_reason": "stop"}]}),
    sse(*PLAIN[:2], {"choices": [{"message": {"content": "狐狸🦊"}, "finish_reason": "stop"}]}),
    "".join(json.dumps(one) + "\n" for one in ({"message": {"role": "assistant", "content": "狐"}, "done": False}, {"message": {"content": "狸🦊"}, "done": False},
                                               {"message": {"content": ""}, "done": True, "done_reason": "stop", "eval_count": 3})),
])  # fmt: skip
def test_bytes_in_every_form_are_the_same_answer(body, size):
    said = answer(body, size=size)
    assert (said.text, said.finished, said.fault) == ("狐狸🦊", "stop", None)


def test_ollamas_own_stream_thinks_calls_and_counts():
    lines = [{"message": {"content": "", "thinking": "hm"}, "done": False}, {"message": {"tool_calls": [call("heat", NORTH)]}, "done": False},
             {"message": {"tool_calls": [call("heat", SOUTH)]}, "done": False},
             {"message": {"content": ""}, "done": True, "done_reason": "length", "prompt_eval_count": 5, "eval_count": 9}]  # fmt: skip
    said = answer("\n".join(map(json.dumps, lines)))
    assert (said.text, said.finished, said.prompt_count, said.tokens) == ("<think>hm</think>", "length", 5, 9)
    assert [(one["name"], one["arguments"]) for one in said.calls] == BOTH


def test_a_long_line_costs_no_more_than_its_length_and_one_without_end_is_refused(monkeypatch):
    text = "a" * 4_000_000
    assert answer(sse(chunk({"content": text})), size=4096).text == text
    monkeypatch.setattr("studio.chat.remote.wire.LARGEST_BYTES", 1000)
    with pytest.raises(ValueError):
        heard("data: " + "a" * 2000, size=10)
    assert answer(sse(*[chunk({"content": "a"})] * 500), size=100).text == "a" * 500


@pytest.mark.parametrize("data", ["{not json", "[1, 2]", '{"choices": 5}', '{"choices": [7]}', '{"choices": [{"delta": 7}]}', "17",
                                  '{"choices": [{"delta": {"tool_calls": 7}}]}', '{"choices": [{"delta": {"tool_calls": [{"function": [1]}]}}]}',
                                  '{"choices": [{"delta": {"content": ' + "[" * 900 + "]" * 900 + "}}]}", "[" * 100_000])  # fmt: skip
def test_what_is_no_answer_is_refused(data):
    with pytest.raises(ValueError):
        heard(sse(chunk({"content": "a"}), data))


# Errors


@pytest.mark.parametrize("value", [
    {"error": {"message": "W", "type": "t", "code": 400}}, {"error": "W"}, {"error": ["W"]}, {"error": True, "message": "W"}, {"object": "error", "message": "W"},
    {"detail": "W"}, {"detail": [{"msg": "W"}]}, {"detail": {"error": "W"}}, {"message": "W"}, {"errors": [{"message": "W"}]}, {"errors": ["W"]},
    {"error_code": 336, "error_msg": "W"}, {"code": 500, "msg": "W"}, {"base_resp": {"status_code": 1004, "status_msg": "W"}, "choices": None},
    {"type": "error", "error": {"type": "overloaded", "message": "W"}}, {"error": {"error": {"message": "W"}}}, {"error": {"code": 500, "message": {"detail": "W"}}},
    {"error": 500, "message": "W"}, {"choices": [], "error": {"message": "W"}}, {"choices": [{"delta": {"content": ""}, "error": {"message": "W"}}]},
    {"success": False, "message": "W"}, {"error": {"message": "W", "metadata": {"raw": ""}}}, {"error": {"reason": "W"}},
])  # fmt: skip
@pytest.mark.parametrize("form", ["event", "named", "line", "document", "indented"])
def test_an_error_in_any_form_is_told(value, form):
    text = json.dumps(value)
    bodies = {"event": sse(chunk({"content": "a"}), text), "named": f"event: error\ndata: {text}\n\n", "line": sse(chunk({"content": "a"}), end=text),
              "document": text, "indented": json.dumps(value, indent=2)}  # fmt: skip
    accumulator, words = heard(bodies[form])
    assert words == "W" and accumulator.answer().text == ("a" if form in ("event", "line") else "")


def test_words_that_are_no_json_are_told_too():
    assert heard("event: error\ndata: out of memory\n\n")[1] == "out of memory"
    assert heard("data: Internal Server Error\n\n")[1] == "Internal Server Error"
    assert heard(sse(chunk({"content": "a"}, "stop"), {"error": {"code": 507}}))[1] == "507"
    for quiet in ({"error": None}, {"error": {}}, {"error": ""}, {"errors": []}, {"base_resp": {"status_code": 0, "status_msg": "success"}}):
        assert not fault_in({**chunk({"content": "a"}), **quiet})


@pytest.mark.parametrize(("body", "words"), [
    ("", ""), (None, ""), ("Bad Gateway", "Bad Gateway"), ("<html><head><title>x</title></head><body><h1>502 Bad <b>G</b></h1></body></html>", "502 Bad G"),
    ('data: {"error": {"message": "W"}}\n\n', "W"), ({"detail": [{"loc": ["body", "seed"], "msg": "Not permitted"}]}, "seed: Not permitted"),
    ({"error": {"message": "P", "metadata": {"raw": "why"}}}, "P: why"), ({"weird": 1}, '{"weird": 1}'), ([{"msg": "a"}, "b"], "a; b"),
    ("a < b and c > d", "a < b and c > d"), ("x" * 500, "x" * 199 + "…"), ("sk-1 is wrong", "*** is wrong"),
])  # fmt: skip
def test_the_words_of_an_http_error_are_one_line(body, words):
    assert in_one_line(of_body(body), "sk-1") == words


def test_a_count_is_a_whole_number():
    for value, count in ((3, 3), (3.0, 3), ("3", 3), (" 3 ", 3), (0, 0)):
        assert count_of(value) == count
    for value in (True, None, 3.5, float("nan"), float("inf"), -1, "x", "٣", [3], {}, 10**40, "9" * 400):
        assert count_of(value) is None


# Any answer in any dialect


MARK = re.compile(r"<\||\|>|[◁\[]|think|thought|reasoning", re.IGNORECASE)  # of a thought
WORDS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=12).filter(lambda text: not MARK.search(text))
VALUES = st.recursive(st.none() | st.booleans() | st.integers(-9, 9) | WORDS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3))
CALLS = st.lists(st.tuples(st.sampled_from(["heat", "time", "weather_now"]), st.dictionaries(WORDS, VALUES, max_size=3)), max_size=3)


@st.composite
def answers_and_bodies(draw):
    """An answer, and its bytes in a dialect."""
    thought, said, calls = draw(st.lists(WORDS, max_size=4)), draw(st.lists(WORDS, max_size=5)), draw(CALLS)
    field, style = draw(st.sampled_from(["reasoning_content", "reasoning", "thinking", "part"])), draw(st.sampled_from(["text", "part", "parts"]))
    pieces: list[dict] = [{"role": "assistant", "content": draw(st.sampled_from(["", None]))}]
    pieces += [{"content": [{"type": "thinking", "thinking": one}]} if field == "part" else {field: one} for one in thought]
    if thought and said and draw(st.booleans()) and field != "part":  # the end of the thought and the first word in one piece
        pieces[-1]["content"] = _content(said[0], style)
        pieces += [{"content": _content(one, style)} for one in said[1:]]
    else:
        pieces += [{"content": _content(one, style)} for one in said]
    pieces += draw(_call_pieces(calls))
    everywhere, reason = draw(st.booleans()), draw(st.sampled_from(["stop", "length", "eos"]))
    events = [chunk(one, reason if everywhere else None) for one in pieces] + [chunk({}, reason)]
    usage = {"usage": {"prompt_tokens": 5, "completion_tokens": 9}}
    events += draw(st.sampled_from([[], [{"choices": [], **usage}], [{**usage}]]))
    done, line, ascii_only = draw(st.booleans()), draw(st.sampled_from(["\n", "\r\n", "\r"])), draw(st.booleans())
    lines = [json.dumps(one, ensure_ascii=ascii_only) for one in events]
    if draw(st.booleans()):
        body = line.join(lines) + (line + "[DONE]" if done else "")
    else:
        head, between = draw(st.sampled_from(["data:", "data: "])), draw(st.sampled_from([2 * line, line, 2 * line + ": ping" + 2 * line]))
        body = "".join(head + one + between for one in lines) + (f"{head}[DONE]" if done else "")
    cut = reason == "length" and not "".join(said) and not calls
    text = (f"<think>{''.join(thought)}" + ("" if cut else "</think>") if "".join(thought).strip() else "") + "".join(said)
    return (text, calls, "length" if reason == "length" else "stop"), body.encode(), draw(st.integers(1, 40))


def _content(word: str, style: str) -> object:
    part = {"type": "text", "text": word}
    return word if style == "text" else part if style == "part" else [part]


@st.composite
def _call_pieces(draw, calls):
    """The pieces of calls in one style of numbering, names and arguments."""
    style, cut, base = draw(st.sampled_from(["index", "id", "both", "one index", "none"])), draw(st.booleans()), draw(st.integers(0, 1))
    again, as_dict = draw(st.booleans()), draw(st.booleans())
    pieces = []
    for number, (name, arguments) in enumerate(calls):
        numbers = {"index": number + base} if style in ("index", "both") else {"index": 0} if style == "one index" else {}
        numbers |= {"id": f"c{number}"} if style in ("id", "both") else {}
        text = json.dumps(arguments, ensure_ascii=False)
        if as_dict or not cut or style == "none" or arguments == {}:
            pieces.append({"tool_calls": [{**numbers, "type": "function", "function": {"name": name, "arguments": arguments if as_dict else text}}]})
            continue
        place = draw(st.integers(1, len(text) - 1))
        pieces.append({"tool_calls": [{**numbers, "function": {"name": name, "arguments": text[:place]}}]})
        pieces.append({"tool_calls": [{**numbers, "function": {"name": name if again else None, "arguments": text[place:]}}]})
    return pieces


@settings(max_examples=400, deadline=None)
@given(answers_and_bodies())
def test_any_answer_in_any_dialect_is_read_back_equal(drawn):
    (text, calls, finished), body, size = drawn
    said = answer(body, size=size)
    assert (said.text, [(one["name"], as_object(one["arguments"])) for one in said.calls], said.finished) == (text, calls, finished)
