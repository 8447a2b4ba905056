"""A server's answer is what it said: content, thoughts, ends and counts in every form of real servers."""

import json

import pytest
from conftest import ROOT
from served_bodies import NORTH, SOUTH, answer, as_object, call, chunk, heard, sse

CASES = ROOT / "tests" / "cases" / "served-answers"
EIGHT = "one two three four five six seven eight"


# The cases


@pytest.mark.parametrize("size", [0, 1, 7])
@pytest.mark.parametrize(
    ("file", "text", "calls"),
    [
        ("calls_one_index.sse", "", [("room_heat", NORTH), ("room_heat", SOUTH)]),
        ("arguments_object.sse", "", [("room_heat", NORTH)]),
        ("list_content.sse", f"<think>I count.</think>{EIGHT} ", []),
        ("finish_everywhere.sse", f"{EIGHT} ", []),
        ("done_without_reason.sse", f"{EIGHT} ", []),
        ("refusal.sse", "I do not talk about this.", []),
        ("whole_json.json", EIGHT, []),
        ("lone_think.sse", "The person counts. I go on.\n</think>\n\nnine ten", []),
    ],
)
def test_the_cases_of_the_field_are_read_as_they_were_meant(file, text, calls, size):
    said = answer((CASES / file).read_bytes(), size=size)
    assert (said.text, [(call["name"], as_object(call["arguments"])) for call in said.calls]) == (text, calls)
    assert (said.finished, said.fault) == ("stop", None)


def test_an_error_in_a_stream_is_told_in_the_servers_words_and_what_came_stays():
    accumulator, words = heard((CASES / "error_plain.sse").read_bytes())
    assert words == "The prompt has 5000 tokens, the engine takes 4096." and accumulator.answer().text == "one two "


def test_every_case_of_the_folder_is_tested():
    assert {path.name for path in CASES.iterdir()} == {
        "calls_one_index.sse",
        "arguments_object.sse",
        "list_content.sse",
        "finish_everywhere.sse",
        "done_without_reason.sse",
        "refusal.sse",
        "error_plain.sse",
        "whole_json.json",
        "lone_think.sse",
    }


# Content, thoughts, refusals


@pytest.mark.parametrize(
    ("deltas", "text"),
    [
        ([{"content": "a"}, {"content": None}, {"content": "b"}], "ab"),
        ([{"content": [{"type": "text", "text": "a"}, {"type": "output_text", "text": "b"}]}], "ab"),
        ([{"content": {"type": "text", "text": "a"}}], "a"),
        ([{"content": ["a", {"text": "b"}, {"type": "text", "text": {"value": "c"}}]}], "abc"),
        ([{"content": []}, {"content": "a"}], "a"),
        ([{"content": [{"type": "image_url", "image_url": {"url": "https://x/y.png"}}]}], "![image](https://x/y.png)"),
        ([{"content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}], "![image]()"),
        (
            [{"content": "a", "images": [{"type": "image_url", "image_url": {"url": "https://x"}}]}],
            "a![image](https://x)",
        ),
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
        (
            [{"reasoning": "t", "reasoning_details": [{"type": "reasoning.text", "text": "t"}]}, {"content": "a"}],
            "<think>t</think>a",
        ),
        (
            [{"reasoning_details": [{"type": "reasoning.summary", "summary": "t"}]}, {"content": "a"}],
            "<think>t</think>a",
        ),
        ([{"reasoning_details": [{"type": "reasoning.encrypted", "data": "xx"}]}, {"content": "a"}], "a"),
        (
            [{"thinking_blocks": [{"type": "thinking", "thinking": "t", "signature": "s"}]}, {"content": "a"}],
            "<think>t</think>a",
        ),
        ([{"content": [{"type": "thinking", "thinking": "t"}, {"type": "text", "text": "a"}]}], "<think>t</think>a"),
        (
            [
                {
                    "content": [
                        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "t"}]},
                        {"type": "text", "text": "a"},
                    ]
                }
            ],
            "<think>t</think>a",
        ),
        ([{"content": [{"type": "reasoning", "reasoning": "t"}, "a"]}], "<think>t</think>a"),
        ([{"content": [{"text": "t", "thought": True}, {"text": "a"}]}], "<think>t</think>a"),
        ([{"content": "a"}, {"reasoning": "t"}, {"content": "b"}], "<think>t</think>ab"),
        ([{"reasoning": "t"}, {"content": "a"}, {"reasoning": "u"}, {"content": "b"}], "<think>tu</think>ab"),
        ([{"reasoning": "t"}, {"content": "<think>u</think>\n\na"}], "<think>t\n\nu</think>a"),
        ([{"reasoning": "about </think>, yes"}, {"content": "a"}], "<think>about &lt;/think>, yes</think>a"),
        ([{"reasoning": "\n"}, {"content": "a"}], "a"),
        ([{"reasoning": "t"}], "<think>t</think>"),
    ],
)
def test_content_and_thoughts_in_every_form(deltas, text):
    said = answer(sse(*map(chunk, deltas), chunk({}, "stop")))
    assert (said.text, said.finished) == (text, "stop")
    whole = {key: value for delta in deltas for key, value in delta.items()}
    if len(deltas) == 1:  # the same as one whole answer
        assert answer(json.dumps({"choices": [{"index": 0, "message": whole, "finish_reason": "stop"}]})).text == text


def test_halves_of_a_character_in_two_pieces_are_one():
    body = sse(
        '{"choices":[{"delta":{"content":"a\\ud83e"}}]}',
        '{"choices":[{"delta":{"content":"\\udd8a"}}]}',
        '{"choices":[{"delta":{"content":"\\ud83e b"}}]}',
    )
    assert answer(body).text.encode().decode() == "a🦊\N{REPLACEMENT CHARACTER} b"


# How it ends


@pytest.mark.parametrize(
    ("body", "finished"),
    [
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
    ],
)
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
        return {
            "choices": [{"index": 1, "delta": {"content": second}, **more}, {"index": 0, "delta": {"content": first}}]
        }

    assert (
        answer(
            sse(
                {"choices": [{"index": 1, "delta": {"content": "x"}, "finish_reason": "length"}]},
                pair("a", "y"),
                pair("b", "z"),
            )
        ).text
        == "ab"
    )
    body = json.dumps(
        {"choices": [{"index": 1, "message": {"content": "no"}}, {"index": 0, "message": {"content": "yes"}}]}
    )
    assert answer(body).text == "yes"
    assert (
        answer(json.dumps({"choices": [{"message": {"content": "yes"}}, {"message": {"content": "no"}}]})).text == "yes"
    )
    assert (
        answer(sse({"choices": [{"index": 1, "delta": {"content": "only"}, "finish_reason": "length"}]})).text == "only"
    )


@pytest.mark.parametrize(
    ("usages", "counts"),
    [
        ([{"usage": {"prompt_tokens": 11, "completion_tokens": 7}}], (11, 7)),
        (
            [
                {"usage": {"prompt_tokens": 11, "completion_tokens": 1}},
                {"usage": {"prompt_tokens": 11, "completion_tokens": 7}},
            ],
            (11, 7),
        ),
        ([{"usage": {"prompt_tokens": "11", "completion_tokens": 7.0}}], (11, 7)),
        ([{"usage": {"input_tokens": 11, "output_tokens": 7}}], (11, 7)),
        ([{"x_groq": {"usage": {"prompt_tokens": 11, "completion_tokens": 7}}}], (11, 7)),
        ([{"usage": {"prompt_tokens": "<b>11</b>", "completion_tokens": [7]}}], (None, 2)),
        ([{"usage": {"prompt_tokens": -1, "completion_tokens": 10**40}}], (None, 2)),
        ([{"usage": {"prompt_tokens": True, "completion_tokens": None}}], (None, 2)),
        ([{"usage": {"prompt_tokens": 0, "completion_tokens": 0}}], (None, 2)),
        ([{"usage": [1]}, {"usage": "x"}, {"usage": None}], (None, 2)),
    ],
)
def test_counts_are_numbers_or_passed_over(usages, counts):
    said = answer(
        sse(chunk({"content": "a"}), chunk({"content": "b"}, "stop"), *({"choices": [], **one} for one in usages))
    )
    assert (said.prompt_count, said.tokens) == counts


def test_a_server_that_sends_letters_is_not_cut_and_one_without_end_is():
    text = "An answer of twenty-four tokens may have a hundred letters, and be sent one by one by a slow typist."
    assert answer(sse(*(chunk({"content": letter}) for letter in text)), most=24).text == text
    accumulator, _ = heard(sse(*[chunk({"content": "on "})] * 2000), most=24)
    assert accumulator.answer().finished == "length"
    thinking, _ = heard(sse(*[chunk({"tool_calls": [call("f", "on ", index=0)]})] * 2000), most=24)
    assert thinking.answer().finished == "length"
