"""The turn in which an assistant calls tools, as LLaMA-Factory's `FunctionFormatter` reads it: JSON, and around it what
is said or thought before the call."""

import json
import re

from studio.core.storage.records import parse

# The marks of a call and of a thought in all templates of LLaMA-Factory but a few; where a call stands in its marks,
# the
# text around them is trained as it is, in every template that has these marks.
OPENED, CLOSED = "<tool_call>", "</tool_call>"
_CALLS = re.compile(rf"{OPENED}(.*?){CLOSED}", re.DOTALL)
_THOUGHT = re.compile(r"<think>\n?(.*?)\n?</think>\n*", re.DOTALL)


def holds_call_tags(text: str) -> bool:
    """Tell whether a text has a mark of a call in it, and so cannot stand beside a call."""
    return OPENED in text or CLOSED in text


def thought(text: str) -> str:
    """Return a thought in its marks, to stand before what is said or called."""
    return f"<think>\n{text.strip()}\n</think>\n\n"


def write(calls: list, before: str = "") -> str:
    """Return the text of a turn that calls tools.

    Args:
        calls: [{name, arguments}].
        before: what is said before them, without marks of a call in it; a thought in it stands in its own marks.
    """
    listed = json.dumps(calls, ensure_ascii=False)
    if not before.strip():
        return listed
    gap = "" if before.endswith("\n") else "\n"
    return f"{before}{gap}{OPENED}{listed}{CLOSED}"


def read(text: str) -> tuple[str, list]:
    """Return what is said before the calls of a turn, and the calls.

    Raises:
        ValueError: the calls are no JSON, or stand in marks more than once.
    """
    if tagged := _CALLS.search(text):
        before, inside = text.replace(tagged.group(), ""), tagged.group(1)
    else:
        thinking = _THOUGHT.search(text)
        before = thinking.group() if thinking else ""
        inside = text.replace(before, "") if before else text
    if holds_call_tags(before):
        raise ValueError(f"More than one {OPENED}")
    calls = parse(inside)
    return before, calls if isinstance(calls, list) else [calls]


def together(first: str, second: str) -> str:
    """Return two turns that call tools as one. Raises ValueError where the calls of one are no JSON."""
    (text, calls), (more, others) = read(first), read(second)
    gap = "\n" if text.strip() and more.strip() and not text.endswith("\n") else ""
    return write([*calls, *others], f"{text}{gap}{more}")
