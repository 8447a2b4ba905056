"""A model's reasoning: what is shown as a thought is exactly what is never sent back, however it is marked."""

from pathlib import Path

import pytest
from conftest import ROOT, costs_at_most
from hypothesis import given
from hypothesis import strategies as st

from studio.chat.evaluation import preferences
from studio.chat.history.conversations import model_messages
from studio.chat.history.votes import Vote
from studio.chat.page.prompt_lists.answers_table import _cell
from studio.core.i18n import Words
from studio.inference.reasoning import THOUGHT_TAGS, answer_in, split_reasoning, with_reasoning, without_reasoning
from studio.inference.remote import openai_client
from studio.inference.remote.engine_prompt import _ids


@pytest.mark.parametrize(
    ("text", "thought", "said"),
    [
        ("<think>t</think>a", "t", "a"),
        ("\n<think>\nt\n</think>\n\na", "\nt\n", "a"),
        ("<think>t", "t", ""),
        ("<think>t</thi", "t", ""),
        ("<thi", "", ""),
        ("<think></think>a", "", "a"),
        ("<THINK>t</Think>a", "t", "a"),
        ("<thinking>t</thinking>a", "t", "a"),
        ("<thought>t</thought>a", "t", "a"),
        ("<reasoning>t</reasoning>a", "t", "a"),
        ("[THINK]t[/THINK]a", "t", "a"),
        ("◁think▷t◁/think▷a", "t", "a"),
        ("<seed:think>t</seed:think>a", "t", "a"),
        ("<|channel|>analysis<|message|>t<|end|><|start|>assistant<|channel|>final<|message|>a", "t", "a"),
        # only its end is marked
        ("The person counts. I go on.\n</think>\n\nnine ten", "The person counts. I go on.\n", "nine ten"),
        ("t</think>\na", "t", "a"),
        ("t.</think> a", "t.", "a"),
        ("t</think>a", "t", "a"),
        ("嗯。</think>好", "嗯。", "好"),
        ("t\n</think> a", "t\n", "a"),
        ("t</think>", "t", ""),
        ("t[/THINK]\na", "t", "a"),
        # several
        ("<think>t</think>a<think>u</think>b", "t\n\nu", "ab"),
        ("a\n<think>t</think>b", "t", "a\nb"),
        ("a<think>t\n</think>b", "t\n", "ab"),
        # no thought
        ("a", "", "a"),
        ("", "", ""),
        (
            "Models write `</think>` after it, or <think> before.",
            "",
            "Models write `</think>` after it, or <think> before.",
        ),
        ("The mark </think> ends it.", "", "The mark </think> ends it."),
        ("“</think>” ends it", "", "“</think>” ends it"),
        ("```\n<think>t</think>\n```\na", "", "```\n<think>t</think>\n```\na"),
        ("```\nt\n</think>\n```\na", "", "```\nt\n</think>\n```\na"),
        ("<think>t</think>Write `<think>x</think>`.", "t", "Write `<think>x</think>`."),
        ("[T", "", ""),
        ("[", "", "["),
        ("<", "", "<"),
        ("<b>", "", "<b>"),
    ],
)
def test_a_thought_is_told_from_what_is_said(text, thought, said):
    assert split_reasoning(text) == (thought, said)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<think> 12? </think> 42", "42"),
        ("12? </think> 42", "42"),
        ("so 12 </think> **42**", "**42**"),
        ("Hm <think> 12 </think> 42", "Hm  42"),
        ("42\n<think>or is it 12", "42"),
        ("<think>12", ""),
        ("12 </think>", ""),
        ("<think>t</think>The mark </think> ends it.", "The mark </think> ends it."),  # whose thought was marked
        ("t\n</think>\nThe mark </think> ends it.", "The mark </think> ends it."),
        ("It writes `</think>` and “</think>” after it.", "It writes `</think>` and “</think>” after it."),
        ("It writes `</think>` so </think> 42", "42"),
        ("```\n12 </think> 42\n```\na", "```\n12 </think> 42\n```\na"),
        ("A model writes <think> before it answers.", "A model writes <think> before it answers."),
        (" a \n", " a \n"),
    ],
)
def test_what_is_scored_is_what_stands_beside_a_thought_also_within_a_line(text, answer):
    assert answer_in(text) == answer


def test_every_mark_of_llama_factorys_templates_is_known():
    source = (ROOT / "studio/inference/reasoning.py").read_text(encoding="utf-8")
    import importlib.util
    import re

    template = Path(importlib.util.find_spec("llamafactory").origin).with_name("data") / "template.py"
    for found in re.findall(r"thought_words=(?:thought_words or )?\((.*)\)", template.read_text(encoding="utf-8")):
        for word in re.findall(r'"(.*?)"', found):
            assert word.replace("\\n", "").strip() in source, word


@given(st.text(max_size=30), st.text(max_size=30))
def test_what_is_marked_is_read_back(thought, said):
    text = with_reasoning(thought, said)
    if thought.strip() and not any(mark in said.lower() for _, mark in THOUGHT_TAGS):
        assert split_reasoning(text) == (thought.replace("</think>", "&lt;/think>"), said.lstrip("\n"))


def test_a_hostile_text_of_marks_is_read_at_once():
    for text in (
        "<think>" * 40_000 + "</thinking>",
        "</think> x " * 40_000,
        "`" * 100_000 + "</think>",
        "x <think>" * 40_000 + "\n</think>",
        "```\n" * 40_000 + "</think>x",
    ):
        with costs_at_most(2):
            assert split_reasoning(text) is not None and answer_in(text) is not None


LONE = "The person counts. I go on.\n</think>\n\nnine ten"


@pytest.mark.parametrize(
    "text",
    [
        LONE,
        "<think>t</think>nine ten",
        "<thinking>\nt\n</thinking>\nnine ten",
        "<think>t</think>nine <think>u</think>ten",
    ],
)
def test_no_thought_is_sent_back_or_trained_as_history(text, tmp_path):
    talk = [
        {"role": "user", "content": "Count.", "turn": 1},
        {"role": "assistant", "content": text, "turn": 1},
        {"role": "user", "content": "On.", "turn": 2},
    ]
    sent = openai_client.as_messages(model_messages(talk, tmp_path), "")
    assert [message["content"] for message in sent] == ["Count.", "nine ten", "On."]
    vote = Vote("c", 2, ["x", "y"], {"x": LONE, "y": "no"}, {"x": talk, "y": talk}, "x")
    (row,) = preferences._rows(vote, preferences.Counter())
    assert [message["content"] for message in row["messages"]] == ["Count.", "nine ten", "On."]
    assert (
        row["chosen"]["content"] == "<think>The person counts. I go on.\n</think>nine ten"
        and row["rejected"]["content"] == "no"
    )


def test_an_answer_of_a_thought_alone_is_no_answer(tmp_path):
    talk = [
        {"role": "user", "content": "a", "turn": 1},
        {"role": "assistant", "content": "<think>cut in the", "turn": 1},
        {"role": "user", "content": "b", "turn": 2},
    ]
    assert model_messages(talk, tmp_path) == [{"role": "user", "content": "b"}]
    talk[1]["calls"] = [{"name": "f", "arguments": {}}]
    sent = openai_client.as_messages(model_messages(talk[:2], tmp_path), "")
    assert sent[1]["content"] is None and sent[1]["tool_calls"][0]["function"]["name"] == "f"


def test_what_stands_in_code_is_sent_back_whole():
    text = "Write `<think>` before it.\n\n```\n<think>\nx\n</think>\n```\n\nThat is all."
    assert without_reasoning(text) == text


def test_token_ids_of_an_engine_are_numbers():
    assert _ids({"tokens": [1, "2", 3.0, {"id": 4, "piece": "x"}]}) == [1, 2, 3, 4]
    for tokens in ("<b>", [None], ["x"], [1.5], [-1], [2**40], {"a": 1}, [[1]]):
        with pytest.raises((ValueError, KeyError)):
            _ids({"tokens": tokens})


def test_a_prompt_list_folds_a_thought_and_begins_with_what_was_said():
    text = "<think>" + "I count. " * 200 + "</think>" + "nine ten " * 20
    cell = _cell(Words("en"), {"text": text, "tokens": 9, "finished": "length"})
    assert cell.beginning.startswith("nine ten") and "I count." not in cell.beginning
    assert '<details class="reasoning">' in cell.body and "think&gt;" not in cell.body and cell.is_cut
