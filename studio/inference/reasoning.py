"""A model's reasoning within its text: which part is thought and which is said.

What is folded away on the page and what is never sent back are one and the same, because both are read here. What is
scored, or shown to a judge, goes further: there a mark that may be either is taken for a thought's.
"""

import re
from functools import lru_cache
from itertools import islice

OPEN, CLOSE = "<think>", "</think>"
# How models mark a thought, where no server took it out; those of LLaMA-Factory's templates are among them.
THOUGHT_TAGS = (
    (OPEN, CLOSE),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|channel>thought", "<channel|>"),
    ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
)
_CLOSINGS = re.compile("|".join(re.escape(close) for _, close in THOUGHT_TAGS), re.IGNORECASE)
_CODE = (
    r"(?P<skip>^ {0,3}(?P<fence>```++|~~~++)[^\n]*\n.*?(?:^ {0,3}(?P=fence)|\Z)|(?<!`)(?P<ticks>`++)[^`\n]+(?P=ticks))"
)
_CODE_OR_OPENING = re.compile(
    _CODE + "|" + "|".join(f"(?P<mark{at}>{re.escape(opening)})" for at, (opening, _) in enumerate(THOUGHT_TAGS)),
    re.DOTALL | re.MULTILINE | re.IGNORECASE,
)
_CODE_OR_CLOSING = re.compile(_CODE + f"|{_CLOSINGS.pattern}", re.DOTALL | re.MULTILINE | re.IGNORECASE)
_FENCE = re.compile(r"^ {0,3}(?:```|~~~)", re.MULTILINE)
_QUOTES = "`'\"“”‘’「」『』«»"
_MOST_TRIED = 50
_ENDS = ".!?…。！？\n"


def split_reasoning(text: str) -> tuple[str, str]:
    """Return a model's reasoning, finished or not, and what it said beside it; ("", text) where it did not reason."""
    begun = text.lstrip()
    start = begun[:40].lower()
    for opening, close in THOUGHT_TAGS:
        if start.startswith(opening.lower()):
            return _begun_with(begun[len(opening) :], close)
        if 1 < len(begun) < len(opening) and opening.lower().startswith(start):
            return "", ""
    if not _CLOSINGS.search(text):
        return "", text
    thoughts, visible = _take_out(text, always=False)
    if thoughts:
        return "\n\n".join(thoughts), visible
    for closing in islice(_CLOSINGS.finditer(text), _MOST_TRIED):
        if _ends_a_thought(text, *closing.span()):
            return text[: closing.start()], text[closing.end() :].lstrip(" \t\n")
    return "", text


def without_reasoning(text: str) -> str:
    """Return what a model said, without its reasoning: what is sent back to it."""
    thought, visible = split_reasoning(text)
    return visible.strip() if thought or visible != text else text


@lru_cache(maxsize=16)  # each score of a row asks it of the same two texts
def answer_in(text: str) -> str:
    """Return what is scored of a model's text: what stands beside its thought, "" where it was cut within that.

    Unlike on the page a thought may stand in the middle of a line: "Hm <think>12?</think> 42", and "12? </think> 42"
    where the prompt opened it. Marks in code and in quotes are none.
    """
    visible = without_reasoning(text)
    thoughts, answer = _take_out(visible, always=True, is_over=True)
    if not thoughts and visible == text:
        answer = text[_end_of_thought(text) :]
    return answer.strip() if answer != text else text


def with_reasoning(thought: str, visible: str, is_over: bool = True) -> str:
    """Return reasoning and what was said as one text, for `split_reasoning`; `is_over`: the thought has ended."""
    if not thought.strip():
        return visible
    return OPEN + thought.replace(CLOSE, "&lt;/think>") + (CLOSE + visible if is_over or visible else "")


def _begun_with(rest: str, close: str) -> tuple[str, str]:
    """Return the parts of a text that begins with a thought, given behind its opening mark."""
    end = re.search(re.escape(close), rest, re.IGNORECASE)
    if not end:
        return _without_beginning(rest, close), ""
    thoughts, visible = _take_out(rest[end.end() :], always=True)
    return "\n\n".join([rest[: end.start()], *thoughts]), visible.lstrip("\n")


def _take_out(text: str, always: bool, is_over: bool = False) -> tuple[list[str], str]:
    """Return the thoughts that stand in pairs of marks, outside of code, and the text without them.

    Args:
        always: also a pair in the middle of a sentence is one; else it must not look like part of the sentence.
        is_over: no more will come: what is opened outside of a sentence and never closed is a thought too.
    """
    thoughts: list[str] = []
    visible, start, at, never_closed = "", 0, 0, set()
    while found := _CODE_OR_OPENING.search(text, at):
        at = found.end()
        before = text[found.start() - 1 : found.start()] or "\n"
        in_sentence = before in " \t"
        if found["skip"] or found.lastgroup in never_closed or before in _QUOTES or in_sentence and not always:
            continue
        close = THOUGHT_TAGS[int(found.lastgroup.removeprefix("mark"))][1]
        end = re.compile(re.escape(close), re.IGNORECASE).search(text, at)
        if not end and is_over and not in_sentence:
            return [*thoughts, text[at:]], visible + text[start : found.start()]
        if not end:
            never_closed.add(found.lastgroup)
            continue
        thoughts.append(text[at : end.start()])
        visible += text[start : found.start()]
        start = at = end.end()
    return thoughts, visible + text[start:]


def _end_of_thought(text: str) -> int:
    """Return where the first closing mark ends that stands neither in code nor in quotes, 0 where there is none."""
    for found in _CODE_OR_CLOSING.finditer(text):
        around = text[max(0, found.start() - 1) : found.start()], text[found.end() : found.end() + 1]
        if not found["skip"] and not any(one and one in _QUOTES for one in around):
            return found.end()
    return 0


def _ends_a_thought(text: str, start: int, end: int) -> bool:
    """Tell whether a closing mark without an opening one ends a thought.

    A server may put the opening one into the prompt. In a sentence about the mark it stands in quotes or code, or the
    sentence goes on after a blank.
    """
    before, after = text[start - 1 : start] or "\n", text[end : end + 1] or "\n"
    if before in _QUOTES or after in _QUOTES or len(_FENCE.findall(text, 0, start)) % 2:
        return False
    line_ends = not text[end:].split("\n", 1)[0].strip()
    line_begins = not text[:start].rsplit("\n", 1)[-1].strip()
    return line_ends or line_begins or before in _ENDS or after.isalnum() or after in "*#"


def _without_beginning(text: str, tag: str) -> str:
    """Return `text` without a mark at its end of which only the beginning has come."""
    parts = (tag[:length] for length in range(len(tag) - 1, 0, -1))
    return text.removesuffix(next((part for part in parts if text.endswith(part)), ""))
