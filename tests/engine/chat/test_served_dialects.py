"""Any answer, sent in any dialect of the field, is read back equal."""

import json
import re
from dataclasses import dataclass

from conftest import examples
from hypothesis import given
from hypothesis import strategies as st
from served_bodies import answer, as_object

MARK = re.compile(r"<\||\|>|[◁\[]|think|thought|reasoning", re.IGNORECASE)  # of a thought
LETTERS = st.characters(exclude_categories=("Cs", "Cc"))
WORDS = st.text(LETTERS, min_size=1, max_size=12).filter(lambda text: not MARK.search(text))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
)
NAMES = st.sampled_from(["heat", "time", "weather_now"])


@dataclass
class Said:
    """An answer, as it is meant."""

    thought: list[str]
    words: list[str]
    calls: list[tuple[str, dict]]
    reason: str

    @property
    def text(self) -> str:
        thought, said = "".join(self.thought), "".join(self.words)
        if not thought.strip():
            return said
        is_cut = self.reason == "length" and not said and not self.calls
        return f"<think>{thought}{'' if is_cut else '</think>'}{said}"

    @property
    def finished(self) -> str:
        return "length" if self.reason == "length" else "stop"


ANSWERS = st.builds(
    Said,
    st.lists(WORDS, max_size=4),
    st.lists(WORDS, max_size=5),
    st.lists(st.tuples(NAMES, st.dictionaries(WORDS, VALUES, max_size=3)), max_size=3),
    st.sampled_from(["stop", "length", "eos"]),
)


@st.composite
def _call_pieces(draw, calls):
    """The pieces of calls, in one style of numbering, names and arguments."""
    style, base = draw(st.sampled_from(["index", "id", "both", "one index", "none"])), draw(st.integers(0, 1))
    is_cut, says_again, as_object_ = draw(st.booleans()), draw(st.booleans()), draw(st.booleans())
    pieces = []
    for number, (name, arguments) in enumerate(calls):
        numbers = {"index": number + base} if style in ("index", "both") else {}
        numbers |= {"index": 0} if style == "one index" else {"id": f"c{number}"} if style in ("id", "both") else {}
        text = json.dumps(arguments, ensure_ascii=False)
        functions = [{"name": name, "arguments": arguments if as_object_ else text}]
        if is_cut and not as_object_ and style != "none" and arguments:
            place = draw(st.integers(1, len(text) - 1))
            again = name if says_again else None
            functions = [{"name": name, "arguments": text[:place]}, {"name": again, "arguments": text[place:]}]
        pieces += [{"tool_calls": [{**numbers, "function": function}]} for function in functions]
    return pieces


@st.composite
def _pieces(draw, said: Said):
    """The pieces of an answer, in one style of thoughts and content."""
    style = draw(st.sampled_from(["text", "part", "parts"]))

    def content(word: str) -> dict:
        part = {"type": "text", "text": word}
        return {"content": word if style == "text" else part if style == "part" else [part]}

    field = draw(st.sampled_from(["reasoning_content", "reasoning", "thinking", "reasoning_details", "part"]))
    typed = {"part": ("content", "thinking"), "reasoning_details": ("reasoning_details", "text")}.get(field)
    kinds = {"part": "thinking", "reasoning_details": "reasoning.text"}
    thoughts = [{typed[0]: [{"type": kinds[field], typed[1]: one}]} if typed else {field: one} for one in said.thought]
    words = [content(word) for word in said.words]
    if thoughts and words and field != "part" and draw(st.booleans()):
        thoughts[-1] |= words.pop(0)  # the end of the thought and the first word in one piece
    first = {"role": "assistant", "content": draw(st.sampled_from(["", None]))}
    return [first, *thoughts, *words, *draw(_call_pieces(said.calls))]


@st.composite
def _events(draw, said: Said):
    """The messages of a stream: pieces, other choices beside them, the reason, the counts."""
    pieces, everywhere, crowd = draw(_pieces(said)), draw(st.booleans()), draw(st.booleans())
    other = {"index": 1, "delta": {"content": "x", "reasoning": "y"}, "finish_reason": "length"}
    place = draw(st.sampled_from([{}, {"index": 0}, {"index": 0, "logprobs": None}])) if not crowd else {"index": 0}
    events = []
    for delta in [*pieces, {}]:
        reason = said.reason if everywhere or not delta else draw(st.sampled_from([None, ""]))
        choices = [{**place, "delta": delta, "finish_reason": reason}]
        events.append({"choices": draw(st.permutations([*choices, other])) if crowd else choices})
    usage = {"usage": {"prompt_tokens": 5, "completion_tokens": 9}}
    events += draw(st.sampled_from([[], [{"choices": [], **usage}], [usage], [{"choices": None}]]))
    return [
        one | draw(st.sampled_from([{}, {"error": None}, {"usage": None}])) if "usage" not in one else one
        for one in events
    ]


@st.composite
def bodies(draw):
    """An answer, and its bytes in a dialect, with how many bytes of them come at a time."""
    said = draw(ANSWERS)
    events, ascii_only = draw(_events(said)), draw(st.booleans())
    lines = [json.dumps(one, ensure_ascii=ascii_only) for one in events]
    end, is_marked = draw(st.sampled_from(["\n", "\r\n", "\r"])), draw(st.booleans())
    if draw(st.integers(0, 3)) == 0:
        body = end.join(lines) + (end + "[DONE]" if is_marked else "")
    else:
        head = draw(st.sampled_from(["data:", "data: ", f"event: message{end}data: ", f"id: 1{end}data: "]))
        between = draw(st.sampled_from([2 * end, end, f"{2 * end}: ping{2 * end}", f"{2 * end}data:{2 * end}"]))
        body = "".join(head + one + between for one in lines) + (f"{head}[DONE]" if is_marked else "")
    return said, (draw(st.sampled_from(["", "\ufeff"])) + body).encode(), draw(st.integers(1, 60))


@examples(500)
@given(bodies())
def test_any_answer_in_any_dialect_is_read_back_equal(drawn):
    said, body, size = drawn
    read = answer(body, size=size)
    calls = [(call["name"], as_object(call["arguments"])) for call in read.calls]
    assert (read.text, calls, read.finished) == (said.text, said.calls, said.finished)


@examples(200)
@given(ANSWERS, st.booleans(), st.integers(1, 60))
def test_a_whole_document_is_read_back_equal(said, is_indented, size):
    calls = [{"id": "c", "type": "function", "function": {"name": name, "arguments": one}} for name, one in said.calls]
    message = {"reasoning": "".join(said.thought), "content": "".join(said.words) or None, "tool_calls": calls or None}
    value = {"choices": [{"index": 0, "message": message, "finish_reason": said.reason}]}
    read = answer(json.dumps(value, indent=2 if is_indented else None), size=size)
    assert (read.text, [tuple(call.values()) for call in read.calls]) == (said.text, said.calls)
    assert read.finished == said.finished
