"""What a model, a server or a dataset may write to do harm: nested without end, or to be read for ever. It is drawn or
refused in a moment.
"""

import time

import pytest

from studio.chat.render import markdown
from studio.core.i18n import Problem, Words
from studio.inference.local import tool_call_parsing
from studio.inference.remote import openai_client

N = 10_000
ANSWERS = {
    "quotes": ">" * N + " x",
    "lists": "- " * N + "x",
    "deeper lists": "\n".join("  " * depth + "- x" for depth in range(400)),
    "stars": "*" * N + "a" + "*" * N,
    "star words": "*a " * N,
    "brackets": "[" * N + "]" * N,
    "links": "[a](" * N,
    "images": "![" * N,
    "ticks": "`" * N + " a " + "`" * (N - 1),
    "tick series": " ".join("`" * length for length in range(1, 800)),
    "table": "|a" * N + "\n" + "|-" * N + "\n" + "|x" * N,
    "dollars": "$" * N,
    "dollar words": "$a " * N,
    "braces": "$$" + "{" * 2400 + "x" + "}" * 2400 + "$$",
    "fractions": "$$" + "\\frac{1}{" * 500 + "x" + "}" * 500 + "$$",
    "left": "$$" + "\\left(" * 400 + "\\right)" * 400 + "$$",
    "powers": "$$" + "x^{" * 1000 + "}" * 1000 + "$$",
    "parentheses": "\\(" * N,
    "html": "<a" * N,
    "ampersands": "&" * N,
    "struck": "~~a" * N,
    "code": "```python\n" + "(" * N + "\n```",
    "json": "```json\n" + "[" * N + "\n```",
    "perl": "```perl\n" + "s/" * N + "\n```",
    "thoughts": "<think>" * N,
    "entities": "&#x110000;" * N,
    "definitions": "[a]: b\n" * N,
    "escapes": "\\*" * N,
}
TOOLS = {
    "deep list": "[" * 100_000 + "]" * 100_000,
    "open": "[" * 100_000,
    "deep tool": '[{"name": "a", "parameters": ' + '{"a":' * 5000 + "1" + "}" * 5000 + "}]",
    "digits": "[" + "9" * 5000 + "]",
    "half": '[{"name": "\\ud83d"}]',
    "number": "5",
    "many": "[" + "1," * 100_000 + "1]",
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_an_answer_is_drawn_in_a_moment(kind):
    began = time.process_time()
    html = markdown.render(Words("en"), ANSWERS[kind])
    assert html.startswith('<div class="written">') and time.process_time() - began < 3


@pytest.mark.parametrize("kind", TOOLS)
def test_definitions_of_tools_are_refused_in_a_sentence(kind):
    for read in (tool_call_parsing.definitions, openai_client.as_tools):
        began = time.process_time()
        try:
            read(TOOLS[kind])
        except Problem as problem:
            assert "\n" not in str(problem)
            str(problem).encode()
        assert time.process_time() - began < 1
