"""Whether an answer is the reference, holds it, matches a pattern, or ends in its number."""

from fractions import Fraction

import pytest
from conftest import examples, rest_slow
from hypothesis import given
from hypothesis import strategies as st

from studio.core.i18n import Problem
from studio.evaluate.scores import matching, shape
from studio.evaluate.scores.metric import METRICS, AnsweredRow, ScoreSettings, row_statistics, score_row
from studio.evaluate.scores.row_scoring import LLAMAFACTORYS
from studio.inference.reasoning import THOUGHT_TAGS


@given(st.text(min_size=1, max_size=60).filter(str.strip))
@examples(200)
def test_the_reference_itself_is_right(text):
    seen = score_row(["exact", "f1", "contains"], AnsweredRow(text, text + "\n"))
    assert seen["exact"] == seen["f1"] == 1.0 and seen["contains"] in (1.0, None)


def test_exact_looks_past_white_space_and_thought_alone():
    assert matching.exact(" a  b\n", "a b") == 1.0
    assert matching.exact("<think>\nhm\n</think>\n\n42", "42\n") == 1.0
    assert matching.exact("caf\u00e9", "cafe\u0301") == 1.0
    assert matching.exact("A b", "a b") == matching.exact("a b.", "a b") == 0.0


OF_WHAT_IS_SAID = [
    key for key, metric in METRICS.items() if metric.function and key not in LLAMAFACTORYS
]  # those are its own, to the last digit
CALL = '{"name": "yes", "arguments": {"number": 12}}'


@pytest.mark.parametrize(("opening", "closing"), THOUGHT_TAGS)
@pytest.mark.parametrize("reference", ["12", "yes", CALL])
def test_a_thought_is_no_answer_however_it_is_marked(reference, opening, closing):
    """Cut within its thought, an answer says nothing; one whose template opened the thought has only its end."""
    settings = ScoreSettings(labels=("yes", "no"), pattern=r"(\d+|yes)")

    def scores(text: str) -> dict:
        row = AnsweredRow(text, reference, tools="[]")
        return score_row(OF_WHAT_IS_SAID, row, settings) | row_statistics(["bleu", "chrf"], row)

    assert scores(f"{opening}\nIt may be {reference}") == scores(f"{opening}{reference}") == scores("")
    for said in (reference, "Neither.", ""):
        assert scores(f"{opening}\nIt is {reference}\n{closing}\n\n{said}") == scores(said)
        assert scores(f"It is {reference}\n{closing}\n\n{said}") == scores(said)
        for maybe in (f" It may be {reference} ", f" {reference}? "):  # all in one line
            assert scores(f"{opening}{maybe}{closing} {said}") == scores(said)
            assert scores(f"{maybe}{closing} {said}") == scores(said)
            in_sentence = scores(f"Hm {opening}{maybe}{closing} {said}")
            assert in_sentence in (scores(said), scores(f"Hm  {said}"))  # the word before it may be part of it
            assert scores(f"{said}\n{opening}{maybe}") == scores(said)
    assert scores(f"{opening}\nno, 7\n{closing}\n\n{reference}")["exact"] == 1.0
    assert scores(f"no, 7 {closing} {reference}")["exact"] == 1.0


def test_f1_is_of_words_and_of_chinese_characters():
    assert matching.f1("The cat, sat!", "a CAT sat down") == pytest.approx(0.8)
    assert matching.f1("小猫在垫子上", "小猫坐垫子") == pytest.approx(8 / 11)
    assert matching.f1("the the", "the") == 1.0  # nothing but articles on both sides
    assert matching.f1("", "word") == 0.0
    assert matching.tokens("GPT-4 模型Ａ１") == ["gpt", "4", "模", "型", "a1"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1,234.5 in all", Fraction(2469, 2)),
        ("答案是 12", 12),
        ("共四分之三", Fraction(3, 4)),
        ("二十一分之十", Fraction(10, 21)),
        ("it is 3/4.", Fraction(3, 4)),
        ("\\frac{3}{4}", Fraction(3, 4)),
        ("½", Fraction(1, 2)),
        ("-5", -5),
        ("\u22128", -8),
        ("5-3", 3),
        ("10 - 7", 7),
        ("on 2023-05-12", 12),
        ("the answer is 4.", 4),
        ("so \\boxed{\\frac{3}{4}}, and not 5", Fraction(3, 4)),
        ("\\boxed{-12} is 3", -12),
        ("\\boxed{none} 3", 3),
        ("３．５％", Fraction(7, 2)),
        ("١٢٣", 123),
        ("1e3", 1000),
        ("-$3", -3),
        ("1,2,3", 3),
        ("<think>9</think> 7", 7),
        ("7 #### 72", 72),
        ("3/0", None),
        ("一个都没有", None),
        ("", None),
    ],
)
def test_the_last_number(text, value):
    assert matching.last_number(text) == value


def test_number():
    assert matching.number("It costs $1,200.00", "#### 1200") == 1.0
    assert matching.number("It costs 12", "#### 1200") == 0.0
    assert matching.number("no idea", "1200") == 0.0
    assert matching.number("12", "no number") is None


def test_a_pattern_with_a_group_is_compared():
    pattern = r"答案[是为：:]\s*(\S+)"
    assert matching.match("所以答案是 B", "答案：B", pattern) == 1.0
    assert matching.match("所以答案是 C", "B", pattern) == 0.0
    assert matching.match("没有", "B", pattern) == 0.0
    assert matching.match("答案是 B", "", pattern) is None
    assert matching.match("code: x = 1", "", r"x\s*=") == 1.0


@pytest.mark.parametrize("pattern", rest_slow(r"(?:a|aa)+$", r"(a+)+\d", r"(?:(?:a?){40}a{40})+\d"))
def test_a_pattern_that_never_ends_is_stopped_and_told(pattern, monkeypatch):
    monkeypatch.setattr(matching, "PATTERN_SECONDS", 0.1)
    row, told = AnsweredRow("a" * 4000 + "!", "b"), []
    scores = score_row(["regex", "exact"], row, ScoreSettings(pattern=pattern), lambda *fault: told.append(fault))
    assert scores == {"regex": None, "exact": 0.0}
    assert [(key, problem.key) for key, problem in told] == [("regex", "evaluate.score_slow_pattern")]


def test_without_anybody_to_tell_a_fault_is_raised():
    with pytest.raises(Problem, match="needs a regular expression"):
        score_row(["regex"], AnsweredRow("a"), ScoreSettings())


@pytest.mark.parametrize("pattern", ["", "(", "a{2,1}", "[z-a]", "(" * 5000 + ")" * 5000, r"\p{Nonsense}"])
def test_a_pattern_that_is_none_is_told_in_a_sentence(pattern):
    with pytest.raises(Problem) as raised:
        matching.check_pattern(pattern)
    assert "regular expression" in str(raised.value)


def test_shape():
    assert shape.length_ratio("ab ", "abcd\n") == 0.5
    assert shape.length_ratio("ab", "abcd", answered=3, expected=2) == 1.5
    assert shape.length_ratio("ab", " ") is None
    assert shape.repetition("one two three") is None
    assert shape.repetition("a b c d " * 10) > 0.8
    assert shape.repetition("没有重复的一句话") == 0.0
