"""Whatever a fact, a result or an argument holds can be shown, written and sent."""

import json
import math
from pathlib import Path

import pytest

from studio.core import plain
from studio.core.i18n import LANGUAGES, Problem, Words

ITSELF: list = []
ITSELF.append(ITSELF)
DEEP: object = "x"
for _ in range(5000):
    DEEP = {"a": [DEEP]}


class Odd:
    def __str__(self):
        raise RuntimeError("no text")


ANYTHING = [
    "\ud83d",
    "caf\udce9",
    "a\0b",
    "x" * 10**6,
    "a\nb\u2028c",
    10**5000,
    -(10**5000),
    math.nan,
    math.inf,
    None,
    True,
    [1, (2, {3})],
    {("a", 1): "\ud800"},
    Path("/tmp/\udcff"),
    ITSELF,
    DEEP,
    b"\xff",
    ValueError("\ud800"),
    1e300,
    {1: {None: "\0"}},
]


@pytest.mark.parametrize("value", ANYTHING, ids=lambda value: type(value).__name__)
def test_every_fact_can_be_shown(value):
    problem = Problem("jobs.missing", job=value)
    for language in LANGUAGES:
        told = Words(language).tell(problem)
        told.encode()
        assert "\n" not in told and "\0" not in told and len(told) < 1500
    str(problem).encode()


@pytest.mark.parametrize("value", [*ANYTHING, Odd()], ids=lambda value: type(value).__name__)
def test_everything_becomes_json_that_can_be_sent(value):
    kept = json.dumps(plain.plain(value), ensure_ascii=False).encode("utf-8", "backslashreplace")
    sent = json.dumps(plain.sendable({"a": [value]}), ensure_ascii=False).encode()
    assert kept and list(json.loads(sent)) == ["a"] and len(json.loads(sent)["a"]) == 1


def test_what_is_plain_stays_as_it_is():
    value = {"a": [1, 2.5, "text 中文 😀", None, True], "b": {"c": -1}}
    assert plain.plain("caf\udce9.jsonl") == "caf\udce9.jsonl"  # the work of a job needs the name itself
    assert plain.plain(value) == value and plain.sendable(value) is value
    assert (
        plain.shown("中文 😀") == "中文 😀" and plain.shown("caf\udce9") == "caf�" and plain.shown("\ud83d!\0") == "�!�"
    )
    assert plain.fact(12) == 12 and plain.fact("two words") == "two words" and plain.fact("a\n  b") == "a b"
    assert (plain.odd("\ud800"), plain.odd({"a": ["\0"]}), plain.odd(DEEP), plain.odd([value, "😀"])) == (
        "characters",
        "characters",
        "depth",
        None,
    )
