"""The scores of overlap are LLaMA-Factory's; `test_scores_of_llamafactory` compares them with its own class."""

import random

import pytest
from conftest import costs_at_most
from hypothesis import given
from hypothesis import strategies as st

from studio.core.i18n import Problem
from studio.evaluate.scores import overlap
from studio.evaluate.scores.metric import AnsweredRow, score_row

KEYS = ["lf_bleu4", "lf_rouge1", "lf_rouge2", "lf_rougel"]


def test_scores_seen_in_llamafactory():
    assert score_row(KEYS, AnsweredRow("The cat sat on the mat.", "The cat is on the mat.")) == {
        "lf_bleu4": 79.4484,
        "lf_rouge1": 85.7143,
        "lf_rouge2": 66.6667,
        "lf_rougel": 85.7143,
    }
    assert score_row(["lf_rouge1"], AnsweredRow("the the the the", "the cat")) == {"lf_rouge1": 66.6667}


def test_a_row_without_a_reference_counts_as_llamafactory_counts_it():
    assert score_row(KEYS, AnsweredRow("something", "")) == dict.fromkeys(KEYS, 0.0)


@given(st.lists(st.sampled_from("abc"), max_size=12), st.lists(st.sampled_from("abc"), max_size=12))
def test_common_subsequence(one, other):
    table = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
    for at, left in enumerate(one, 1):
        for to, right in enumerate(other, 1):
            same = table[at - 1][to - 1] + 1
            table[at][to] = same if left == right else max(table[at - 1][to], table[at][to - 1])
    assert overlap.longest_common_subsequence(one, other) == table[-1][-1]


def test_long_texts_cost_little():
    drawn = random.Random(1)
    one, other = ([drawn.choice("abcdefgh") * 3 for _ in range(20_000)] for _ in range(2))
    with costs_at_most(5):  # rouge_chinese would need 400 million entries of a dict
        assert 0 < overlap.longest_common_subsequence(one, other)


def test_a_key_that_is_no_score_is_refused_by_name():
    with pytest.raises(Problem, match="lf_bleu5"):
        score_row(["lf_bleu5"], AnsweredRow("a", "a"))
    assert score_row(["own:mine", "loss"], AnsweredRow("a", "a")) == {}
