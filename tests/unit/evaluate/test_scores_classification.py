"""Labels: which there are, which an answer names, and how often that is right."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.core.i18n import Problem
from studio.evaluate.scores.classification import confusion, label_of, labels_in, right
from studio.evaluate.scores.metric import AnsweredRow, ScoreSettings, score_row


def test_labels_are_the_distinct_references():
    assert labels_in(["Positive", "negative\n", "positive.", "positive.", ""]) == ("positive.", "negative")


@pytest.mark.parametrize(
    "references",
    [[], ["", " "], ["a", "b", "c"], [str(number) for number in range(200)] * 2, ["a long sentence " * 9] * 2 + ["b"]],
)
def test_references_that_are_no_labels_are_told(references):
    with pytest.raises(Problem, match="label"):
        labels_in(references)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("positive", "positive"),
        ("**Positive**.", "positive"),
        ("The review is positive.", "positive"),
        ("not positive", "not positive"),
        ("It is not positive at all", "not positive"),
        ("positively", None),
        ("positive or negative", None),
        ("<think>negative?</think> positive", "positive"),
        ("", None),
        ("something else", None),
    ],
)
def test_label_of_an_answer(text, label):
    assert label_of(text, ("positive", "negative", "not positive")) == label


def test_label_of_a_chinese_answer():
    assert label_of("这条评论是正面的。", ("正面", "负面")) == "正面"
    assert label_of("正面还是负面不好说", ("正面", "负面")) is None
    assert right("情感：负面", "负面\n", ("正面", "负面")) == 1.0
    assert right("情感：负面", "中性", ("正面", "负面")) is None


def test_label_as_a_score():
    labels = ScoreSettings(labels=("A", "B"))
    assert score_row(["label"], AnsweredRow("The answer is B.", "B"), labels) == {"label": 1.0}
    assert score_row(["label"], AnsweredRow("A", "B")) == {"label": None}


def test_labels_that_are_nothing_are_never_named():
    assert label_of("", ("", " ", "x")) is None and label_of("any", ("", " ")) is None and label_of("x", ()) is None


LABELS = ("a", "b", "c")
PAIRS = st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from([*LABELS, None])), max_size=60)


@given(PAIRS)
def test_rates_are_counted_as_their_definitions_say(pairs):
    table = confusion(LABELS, pairs)
    right_ones = sum(expected == answered for expected, answered in pairs)
    assert table.rows == len(pairs) and table.accuracy == pytest.approx(right_ones / len(pairs) if pairs else 0)
    assert table.none == sum(answered is None for _, answered in pairs)
    f1s = []
    for label, rates in zip(LABELS, table.of_label, strict=True):
        true = sum(expected == answered == label for expected, answered in pairs)
        false = sum(answered == label != expected for expected, answered in pairs)
        missed = sum(expected == label != answered for expected, answered in pairs)
        assert rates.precision == pytest.approx(true / (true + false) if true + false else 0)
        assert rates.recall == pytest.approx(true / (true + missed) if true + missed else 0)
        assert rates.f1 == pytest.approx(2 * true / (2 * true + false + missed) if true + false + missed else 0)
        if true + false + missed:
            f1s.append(rates.f1)
    assert table.macro.f1 == pytest.approx(sum(f1s) / len(f1s) if f1s else 0)
    if not table.none and pairs:  # then all the micro rates are the accuracy
        assert table.micro.precision == table.micro.recall == pytest.approx(table.micro.f1) == table.accuracy


def test_the_table():
    table = confusion(("x", "y"), [("x", "x"), ("x", "y"), ("y", None), ("y", "y")])
    assert table.counts == ((1, 1, 0), (0, 1, 1))
    assert table.micro.precision == pytest.approx(2 / 3) and table.micro.recall == 0.5
