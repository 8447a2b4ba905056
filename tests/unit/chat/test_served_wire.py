"""The bytes of an answer: streams, lines and documents, however they are cut; and errors in every form."""

import json

import pytest
from served_bodies import BOTH, NORTH, SOUTH, answer, call, chunk, heard, sse

from studio.inference.remote.error_text import count_of, fault_in, in_one_line, of_body

# Bytes


PLAIN = [chunk({"content": "狐"}), chunk({"content": "狸🦊"}), chunk({}, "stop")]


@pytest.mark.parametrize("size", [0, 1, 2, 5])
@pytest.mark.parametrize(
    "body",
    [
        sse(*PLAIN),
        sse(*PLAIN, line="\r\n"),
        sse(*PLAIN, line="\r"),
        sse(*PLAIN).replace("data: ", "data:"),
        "\ufeff" + sse(*PLAIN),
        sse(*PLAIN).replace("\n\n", "\n"),
        ": hello\n\n" + sse(*PLAIN).replace("\n\n", "\n\n: ping\n\n:\n"),
        "event: message\nid: 1\nretry: 5\n" + sse(*PLAIN),
        sse(*(json.dumps(one, indent=1).replace("\n", "\ndata: ") for one in PLAIN)),
        "data:\n\n" + sse(*PLAIN),
        'event: ping\ndata: {"type": "ping"}\n\n' + sse(*PLAIN),
        sse("null", "ping", *PLAIN, '{"choices": null}', "{}"),
        sse(*PLAIN).replace("data: ", "data: data: "),
        sse(*PLAIN, end="data: [DONE]"),
        sse(*PLAIN, end="[DONE]\n"),
        sse(*PLAIN, end=""),
        sse(*PLAIN, end="")[:-2],
        sse(*PLAIN).replace("\n", "\n\n\n"),
        "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in PLAIN),
        json.dumps(PLAIN),
        json.dumps(PLAIN, indent=2),
        "data: " + json.dumps(PLAIN) + "\n\n",
        json.dumps(
            {"object": "chat.completion", "choices": [{"message": {"content": "狐狸🦊"}}]}, indent=2, ensure_ascii=False
        ),
        json.dumps({"choices": [{"message": {"content": "狐狸🦊"}, "finish_reason": "stop"}]}) + "\r\n\r\n",
        "data: "
        + json.dumps({"choices": [{"message": {"content": "狐狸🦊"}, "finish_reason": "stop"}]})
        + "\n\ndata: [DONE]\n\n",
        sse(*PLAIN[:2], {"choices": [{"delta": {}, "message": {"content": "狐狸🦊"}, "finish_reason": "stop"}]}),
        sse(*PLAIN[:2], {"choices": [{"message": {"content": "狐狸🦊"}, "finish_reason": "stop"}]}),
        "".join(
            json.dumps(one) + "\n"
            for one in (
                {"message": {"role": "assistant", "content": "狐"}, "done": False},
                {"message": {"content": "狸🦊"}, "done": False},
                {"message": {"content": ""}, "done": True, "done_reason": "stop", "eval_count": 3},
            )
        ),
    ],
)
def test_bytes_in_every_form_are_the_same_answer(body, size):
    said = answer(body, size=size)
    assert (said.text, said.finished, said.fault) == ("狐狸🦊", "stop", None)


def test_ollamas_own_stream_thinks_calls_and_counts():
    lines = [
        {"message": {"content": "", "thinking": "hm"}, "done": False},
        {"message": {"tool_calls": [call("heat", NORTH)]}, "done": False},
        {"message": {"tool_calls": [call("heat", SOUTH)]}, "done": False},
        {"message": {"content": ""}, "done": True, "done_reason": "length", "prompt_eval_count": 5, "eval_count": 9},
    ]
    said = answer("\n".join(map(json.dumps, lines)))
    assert (said.text, said.finished, said.prompt_count, said.tokens) == ("<think>hm</think>", "length", 5, 9)
    assert [(one["name"], one["arguments"]) for one in said.calls] == BOTH


def test_a_long_line_costs_no_more_than_its_length_and_one_without_end_is_refused(monkeypatch):
    text = "a" * 4_000_000
    assert answer(sse(chunk({"content": text})), size=4096).text == text
    monkeypatch.setattr("studio.inference.remote.wire.LARGEST_BYTES", 1000)
    with pytest.raises(ValueError):
        heard("data: " + "a" * 2000, size=10)
    assert answer(sse(*[chunk({"content": "a"})] * 500), size=100).text == "a" * 500


@pytest.mark.parametrize(
    "data",
    [
        "{not json",
        "[1, 2]",
        '{"choices": 5}',
        '{"choices": [7]}',
        '{"choices": [{"delta": 7}]}',
        "17",
        '{"choices": [{"delta": {"tool_calls": 7}}]}',
        '{"choices": [{"delta": {"tool_calls": [{"function": [1]}]}}]}',
        '{"choices": [{"delta": {"content": ' + "[" * 900 + "]" * 900 + "}}]}",
        "[" * 100_000,
    ],
)
def test_what_is_no_answer_is_refused(data):
    with pytest.raises(ValueError):
        heard(sse(chunk({"content": "a"}), data))


# Errors


@pytest.mark.parametrize(
    "value",
    [
        {"error": {"message": "W", "type": "t", "code": 400}},
        {"error": "W"},
        {"error": ["W"]},
        {"error": True, "message": "W"},
        {"object": "error", "message": "W"},
        {"detail": "W"},
        {"detail": [{"msg": "W"}]},
        {"detail": {"error": "W"}},
        {"message": "W"},
        {"errors": [{"message": "W"}]},
        {"errors": ["W"]},
        {"error_code": 336, "error_msg": "W"},
        {"code": 500, "msg": "W"},
        {"base_resp": {"status_code": 1004, "status_msg": "W"}, "choices": None},
        {"type": "error", "error": {"type": "overloaded", "message": "W"}},
        {"error": {"error": {"message": "W"}}},
        {"error": {"code": 500, "message": {"detail": "W"}}},
        {"error": 500, "message": "W"},
        {"choices": [], "error": {"message": "W"}},
        {"choices": [{"delta": {"content": ""}, "error": {"message": "W"}}]},
        {"success": False, "message": "W"},
        {"error": {"message": "W", "metadata": {"raw": ""}}},
        {"error": {"reason": "W"}},
    ],
)
@pytest.mark.parametrize("form", ["event", "named", "line", "document", "indented"])
def test_an_error_in_any_form_is_told(value, form):
    text = json.dumps(value)
    bodies = {
        "event": sse(chunk({"content": "a"}), text),
        "named": f"event: error\ndata: {text}\n\n",
        "line": sse(chunk({"content": "a"}), end=text),
        "document": text,
        "indented": json.dumps(value, indent=2),
    }
    accumulator, words = heard(bodies[form])
    assert words == "W" and accumulator.answer().text == ("a" if form in ("event", "line") else "")


def test_words_that_are_no_json_are_told_too():
    assert heard("event: error\ndata: out of memory\n\n")[1] == "out of memory"
    assert heard("data: Internal Server Error\n\n")[1] == "Internal Server Error"
    assert heard(sse(chunk({"content": "a"}, "stop"), {"error": {"code": 507}}))[1] == "507"
    for quiet in (
        {"error": None},
        {"error": {}},
        {"error": ""},
        {"errors": []},
        {"base_resp": {"status_code": 0, "status_msg": "success"}},
    ):
        assert not fault_in({**chunk({"content": "a"}), **quiet})


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("", ""),
        (None, ""),
        ("Bad Gateway", "Bad Gateway"),
        ("<html><head><title>x</title></head><body><h1>502 Bad <b>G</b></h1></body></html>", "502 Bad G"),
        ('data: {"error": {"message": "W"}}\n\n', "W"),
        ({"detail": [{"loc": ["body", "seed"], "msg": "Not permitted"}]}, "seed: Not permitted"),
        ({"error": {"message": "P", "metadata": {"raw": "why"}}}, "P: why"),
        ({"weird": 1}, '{"weird": 1}'),
        ([{"msg": "a"}, "b"], "a; b"),
        ("a < b and c > d", "a < b and c > d"),
        ("x" * 500, "x" * 199 + "…"),
        ("sk-1 is wrong", "*** is wrong"),
    ],
)
def test_the_words_of_an_http_error_are_one_line(body, words):
    assert in_one_line(of_body(body), "sk-1") == words


def test_a_count_is_a_whole_number():
    for value, count in ((3, 3), (3.0, 3), ("3", 3), (" 3 ", 3), (0, 0)):
        assert count_of(value) == count
    for value in (True, None, 3.5, float("nan"), float("inf"), -1, "x", "٣", [3], {}, 10**40, "9" * 400):
        assert count_of(value) is None
