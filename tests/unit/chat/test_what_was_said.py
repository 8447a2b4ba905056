"""What is part of a conversation: a turn that nobody answered goes whole, for a model that is asked on and in what is
trained on.
"""

import pytest

from studio.chat.evaluation import preferences
from studio.chat.history.conversations import model_messages
from studio.chat.history.votes import Vote

CALLS = [{"name": "weather", "arguments": {"city": "Rome"}}, {"name": "weather", "arguments": {"city": "Oslo"}}]
FAULT = {"finished": "failed", "fault": {"key": "chat.no_memory", "facts": {}}}
ASKED = {"role": "user", "content": "Is it cold?", "turn": 2}
CALLED = {"role": "assistant", "content": "I look it up.", "turn": 2, "calls": CALLS}
RESULTS = [{"role": "tool", "content": text, "turn": 2} for text in ("warm", "cold")]
SAID = [{"role": "user", "content": "Hi.", "turn": 1}, {"role": "assistant", "content": "Hello.", "turn": 1}]
NEXT = {"role": "user", "content": "Who are you?", "turn": 3}
UNANSWERED = {
    "no answer": [ASKED],
    "an empty answer": [ASKED, {"role": "assistant", "content": "", "turn": 2, "answer": FAULT}],
    "a thought alone": [ASKED, {"role": "assistant", "content": "<think>cut in the", "turn": 2}],
    "a picture alone": [{**ASKED, "images": ["files/0123456789abcdef01234567.png"]}],
    "calls without results": [ASKED, CALLED],
    "results without an answer": [ASKED, CALLED, *RESULTS],
    "results with an empty answer": [ASKED, CALLED, *RESULTS, {"role": "assistant", "content": "", "turn": 2}],
}


def texts(messages: list[dict]) -> list[tuple[str, str]]:
    return [(message["role"], message["content"]) for message in messages]


@pytest.mark.parametrize("before", [[], SAID], ids=["first turn", "later turn"])
@pytest.mark.parametrize("turn", UNANSWERED.values(), ids=UNANSWERED)
def test_a_turn_that_nobody_answered_is_neither_sent_nor_trained_on(turn, before, tmp_path):
    talk = [*before, *turn, NEXT]
    assert texts(model_messages(talk, tmp_path)) == texts([*before, NEXT])
    vote = Vote("c", 3, ["x", "y"], {"x": "A fox.", "y": "A wolf."}, {"x": talk, "y": talk}, "x")
    (row,) = preferences._rows(vote, preferences.Counter())
    assert texts(row["messages"]) == texts([*before, NEXT])


def test_two_turns_that_nobody_answered_go_both(tmp_path):
    talk = [*SAID, ASKED, CALLED, *RESULTS, {**ASKED, "turn": 3}, {**NEXT, "turn": 4}]
    assert texts(model_messages(talk, tmp_path)) == texts([*SAID, NEXT])


def test_an_answered_turn_with_tools_stays_and_the_last_one_waits_for_its_answer(tmp_path):
    answered = [*SAID, ASKED, CALLED, *RESULTS, {"role": "assistant", "content": "In Oslo.", "turn": 2}]
    for talk in ([*answered, NEXT], [*SAID, ASKED, CALLED, *RESULTS], [*SAID, ASKED, CALLED], answered):
        assert texts(model_messages(talk, tmp_path)) == texts(talk)
