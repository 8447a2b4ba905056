"""A conversation as Markdown and as JSON."""

import json

from studio.chat.render.markdown import render
from studio.chat.render.transcript import as_json, as_markdown
from studio.core.i18n import Words

QUESTION = {"role": "user", "content": "你好 👋\n\n- list", "turn": 1, "images": ["cat.png"]}
TALK = {
    "id": "20260101-000000-abcdef",
    "title": "A *title*\n# two",
    "created": 1767225600.0,
    "columns": ["base", "runs/lora/r@checkpoint-2"],
    "system": "Be brief.\nAlways.",
    "tools": '[{"name": "weather"}]',
    "settings": {"temperature": 0.7, "top_p": 0.9, "max_tokens": 256, "seed": 1},
    "messages": {
        "base": [
            QUESTION,
            {
                "role": "assistant",
                "content": "<think>Hm.</think>\n\n**Hi**",
                "turn": 1,
                "answer": {"tokens": 7, "first_token_s": 0.214, "tokens_per_s": 31.25, "finished": "stop"},
            },
            {"role": "user", "content": "And the weather?", "turn": 2},
            {
                "role": "assistant",
                "content": "",
                "turn": 2,
                "calls": [{"name": "weather", "arguments": {"city": "Paris"}}],
                "answer": {"tokens": 9, "finished": "stop"},
            },
            {"role": "tool", "content": "```\nrain\n```", "turn": 2},
            {"role": "assistant", "content": "Rain.", "turn": 2, "answer": {"tokens": 2, "finished": "length"}},
        ],
        "runs/lora/r@checkpoint-2": [
            QUESTION,
            {
                "role": "assistant",
                "content": "",
                "turn": 1,
                "answer": {"tokens": 0, "finished": "failed", "fault": {"key": "chat.no_memory", "facts": {}}},
            },
            {"role": "user", "content": "And the rain?", "turn": 2},
        ],
    },
}


def test_json_is_the_conversation_whole():
    assert json.loads(as_json(TALK)) == TALK and "你好" in as_json(TALK)


def test_markdown_says_each_question_once_and_every_answer():
    text = as_markdown(TALK, Words("en"))
    assert text.count("你好 👋") == 1 and text.count("> And the weather?") == 1 and text.count("> And the rain?") == 1
    for part in (
        "temperature 0.7, top_p 0.9",
        "> Be brief.\n> Always.",
        "**Hi**",
        "> Hm.",
        '"city": "Paris"',
        "````\n```\nrain\n```\n````",
        "[cat.png]",
        "7 tokens · first after 0.21 s · 31.2 tokens/s",
        "2 tokens · not finished",
        "The memory is not enough",
        "## Turn 2",
    ):
        assert part in text, part
    assert text.index("## Turn 1") < text.index("**Hi**") < text.index("## Turn 2") < text.index("Rain.")
    assert "<think>" not in text and "\n\n\n" not in text


def test_markdown_keeps_its_headings_whatever_was_said():
    html = render(Words("zh"), as_markdown(TALK, Words("zh")))
    assert html.count("<h1>") == 1 and html.count("<h2>") == 4 and html.count("<h3>") == 4
    assert "A *title* # two" in html and "第 1 轮" in html


def test_an_empty_conversation_has_a_title():
    empty = {
        "id": "x",
        "title": "",
        "created": 0,
        "columns": ["base"],
        "system": "",
        "tools": "",
        "settings": {},
        "messages": {},
    }
    assert as_markdown(empty, Words("en")).startswith("# Conversation\n") and json.loads(as_json(empty)) == empty
