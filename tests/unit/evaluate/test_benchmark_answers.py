"""Which letter an answer names, and which probabilities of a server are believed."""

import math

import pytest

from studio.evaluate.benchmarks.answer_text import letter_in
from studio.evaluate.benchmarks.served_choices import ChatReply, letter_shares

CHOICES = ("a stone", "a river", "a lamp", "a bridge")


@pytest.mark.parametrize(
    "text, letter",
    [
        ("B", "B"),
        (" b", None),
        ("B.", "B"),
        ("(C) a lamp", "C"),
        ("**D**", "D"),
        ("**B. a river**", "B"),
        ("B\n\nBecause it flows.", "B"),
        ("A: a stone", "A"),
        ("A lamp is what lies there, so the answer is C.", "C"),
        ("I think it is D", "D"),
        ("The answer is B", "B"),
        ("The correct answer is: (D)", "D"),
        ("Answer: C", "C"),
        ("The correct option is **A**.", "A"),
        ("The answer is not A. The answer is B.", "B"),
        ("答案：D", "D"),
        ("答案是B。", "B"),
        ("正确答案应该是 C", "C"),
        ("因此选A", "A"),
        ("故选：D", "D"),
        ("a river", "B"),
        ("A river.", "B"),
        ("Neither A nor B", None),
        ("A is the right one.", "A"),
        ("E", None),
        ("", None),
        ("Apple", None),
        ("I do not know.", None),
        ("<think>It might be A or B.</think>\n\nC", "C"),
        ("<think>It might be A", None),
        ("<think> It might be A or B. </think> C", "C"),
        ("It might be A or B </think> C", "C"),
        ("It lies beside D, I believe", "D"),
    ],
)
def test_the_letter_of_an_answer(text, letter):
    assert letter_in(text, CHOICES) == letter


@pytest.mark.parametrize(
    "text, letter",
    [
        ("B", None),
        ("B.", "B"),
        ("B\n", None),
        ("A", None),
        ("A lamp", None),
        ("The answer is B", None),
        ("<think>B.", None),
    ],
)
def test_an_answer_that_grows_is_read_only_where_nothing_can_change_it(text, letter):
    assert letter_in(text, CHOICES, whole=False) == letter


def reply(said: str, told: dict[str, float], **message) -> ChatReply:
    top = [{"token": token, "logprob": logprob} for token, logprob in told.items()]
    content = [{"token": said, "logprob": told.get(said, 0.0), "top_logprobs": top}]
    return ChatReply.model_validate({"choices": [{"logprobs": {"content": content}, "message": message}]})


def logs(**shares: float) -> dict[str, float]:
    return {token: math.log(share) for token, share in shares.items()}


def test_true_probabilities_are_taken():
    found = letter_shares(reply("B", logs(B=0.6, A=0.2, The=0.1, E=0.05)), 4)
    assert found == pytest.approx({"A": 0.2, "B": 0.6})  # E is no choice of four


def test_letters_are_known_with_what_tokenizers_put_before_them():
    assert letter_shares(reply("▁C", logs(**{"▁C": 0.5, " B": 0.3, "ĠA": 0.1})), 3).keys() == {"A", "B", "C"}


LIES = {
    "only the token that was said": reply("A", {"A": 0.0}),
    "all alike": reply("A", dict.fromkeys("ABCD", math.log(0.25))),
    "all are sure": reply("A", {"A": 0.0, "B": 0.0, "C": 0.0}),
    "placeholders": reply("A", {"A": 0.0, "B": -9999.0, "C": -9999.0}),
    "not what was said": reply("D", logs(A=0.6, D=0.1)),
    "more than one": reply("A", logs(A=0.9, B=0.8)),
    "no numbers": reply("A", {"A": float("nan"), "B": -1.0}),
    "nothing": ChatReply(choices=[]),
    "no probabilities": ChatReply.model_validate({"choices": [{"message": {}}]}),
    "it thinks first": reply("<think>", logs(**{"<think>": 0.9, "A": 0.01, "B": 0.005})),
    "it thinks in a field of its own": reply("A", logs(A=0.6, B=0.3), reasoning_content="Hm"),
    "no letter among them": reply("The", logs(The=0.6, It=0.3)),
}


@pytest.mark.parametrize("kind", LIES)
def test_what_cannot_be_believed_is_no_probability(kind):
    assert letter_shares(LIES[kind], 4) is None
