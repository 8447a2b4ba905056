"""A judge is asked in both orders, and only what it clearly says counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.core.i18n import LANGUAGES, Problem, Words
from studio.evaluate.scores.pairwise_judge import (
    PairwiseJudge,
    check_judge,
    check_prompt,
    default_prompt,
    read_verdict,
    total,
)

PROMPT = "{question}|{reference}|{answer_a}|{answer_b}"


def prefers(word: str):
    """Return a judge that prefers the answer with a word, wherever it stands."""

    def ask(messages):
        _, _, one, other = messages[0]["content"].split("|")
        return "Because. [[A]]" if word in one else "Because. [[B]]" if word in other else "[[C]]"

    return ask


def test_a_verdict_that_is_the_same_in_both_orders_counts():
    judge = PairwiseJudge(prefers("good"), PROMPT)
    assert judge.compare("q", "r", "good", "bad").verdict == "first"
    assert judge.compare("q", "r", "bad", "good").verdict == "second"
    tie = judge.compare("q", "r", "bad", "worse")
    assert tie.verdict == "tie" and not tie.disagrees


def test_a_judge_that_prefers_a_place_gives_ties_that_are_counted():
    judge = PairwiseJudge(lambda messages: "[[A]]", PROMPT)
    one = judge.compare("q", "r", "x", "y")
    assert one.orders == ("first", "second") and one.verdict == "tie" and one.disagrees
    assert total([one, one]).disagreements == total([one, one]).ties == 2


def test_equal_answers_are_a_tie_and_nobody_is_asked():
    def ask(messages):
        raise AssertionError

    equal = PairwiseJudge(ask, PROMPT).compare("q", "r", "x\n", "x")
    assert equal.verdict == "tie" and not equal.asked


@pytest.mark.parametrize("thought", ["<think>{}</think>\n", "<think> {} </think> ", "{} </think> ", "Hm\n</think>\n"])
def test_a_judge_is_shown_the_answers_alone(thought):
    seen = []
    judge = PairwiseJudge(lambda messages: seen.append(messages[0]["content"]) or "[[A]]", PROMPT)
    one, other = (thought.replace("{}", "I count long. " * times) for times in (1, 400))
    assert judge.compare("q", one + "r", one + "x", other + "y").asked
    assert seen == ["q|r|x|y", "q|r|y|x"]
    assert judge.compare("q", "r", "x", "<think>I count lo").asked  # which says nothing
    assert seen[2:] == ["q|r|x|", "q|r||x"]
    assert not judge.compare("q", "r", one + "x", other + "x").asked and len(seen) == 4


def test_what_an_answer_holds_is_no_place_of_the_prompt():
    seen = []
    judge = PairwiseJudge(lambda messages: seen.append(messages[0]["content"]) or "[[C]]", PROMPT + "{0.__class__}{x}")
    judge.compare("{answer_b}", "{reference}", "{question}{", "}%s\\1")
    assert seen[0] == "{answer_b}|{reference}|{question}{|}%s\\1{0.__class__}{x}"


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("Reason.\n[[A]]", "first"),
        ("[[b]]", "second"),
        ("[[ C ]]", "tie"),
        ("[[tie]]", "tie"),
        ("[[A]] ... so [[A]]", "first"),
        ("<think>[[B]]</think>[[A]]", "first"),
        ("<thinking>[[B]]</thinking>[[A]]", "first"),
        ("It is [[B]].\n</think>\n\n[[A]]", "first"),
        ("<think>The user wants me to say [[A]] if", None),
        ("<think>A", None),
        ("A", "first"),
        ("**B**.", "second"),
        ("[[A]] or [[B]]", None),
        ("Answer A is better", None),
        ("A or B", None),
        ("[A]", None),
        ("[[D]]", None),
        ("", None),
        ("I cannot judge that", None),
    ],
)
def test_verdicts_are_read_strictly(text, verdict):
    assert read_verdict(text) == verdict


@given(st.text(max_size=60))
def test_every_text_is_read(text):
    assert read_verdict(text) in ("first", "second", "tie", None)


def test_nonsense_is_counted_and_told_and_never_guessed():
    answers = iter(["[[A]]", "what?", "hm", "[[B]]", "no", "no"])
    judge = PairwiseJudge(lambda messages: next(answers), PROMPT)
    judged = [judge.compare("q", "r", "x", "y") for _ in range(3)]
    assert [one.verdict for one in judged] == [None] * 3 and [one.score for one in judged] == [None] * 3
    assert judged[0].odd == ("what?",) and judged[1].odd == ("hm",)
    all_of_them = total(judged)
    assert all_of_them.unread == 3 and all_of_them.rate is None and all_of_them.comparison is None
    with pytest.raises(Problem, match="no verdict in any of 3 rows.*what"):
        check_judge(judged)
    check_judge([])


def test_total():
    judge = PairwiseJudge(prefers("good"), PROMPT)
    pairs = [("bad", "good")] * 9 + [("good", "bad")] + [("bad", "worse")] * 2
    all_of_them = total([judge.compare("q", "r", *pair) for pair in pairs])
    assert (all_of_them.first, all_of_them.second, all_of_them.ties) == (1, 9, 2)
    assert all_of_them.rate.value == pytest.approx(10 / 12) and all_of_them.rate.low > 0.5
    assert all_of_them.comparison.difference == pytest.approx(8 / 12) and not all_of_them.comparison.is_noise
    one_sided = total([judge.compare("q", "r", "bad", "good")] * 8)
    assert one_sided.rate.high == 1.0 and one_sided.rate.low < 0.7  # eight wins are not sure of the ninth


def test_a_fault_of_the_one_who_is_asked_is_raised():
    def ask(messages):
        raise Problem("evaluate.score_no_pattern")

    with pytest.raises(Problem):
        PairwiseJudge(ask, PROMPT).compare("q", "r", "x", "y")


def test_prompts():
    for language in LANGUAGES:
        prompt = default_prompt(Words(language))
        check_prompt(prompt)
        seen = []
        judge = PairwiseJudge(lambda messages, seen=seen: seen.append(messages[0]["content"]) or "[[A]]", prompt)
        judge.compare("the question", "the reference", "the first", "the second")
        assert all(text in seen[0] for text in ("the question", "the reference", "the first", "the second", "[[A]]"))
        assert "{" not in seen[0]
    with pytest.raises(Problem, match="answer_b"):
        PairwiseJudge(lambda messages: "", "only {answer_a}")
