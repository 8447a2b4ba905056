"""The scores of overlap are LLaMA-Factory's to the last digit, whatever the texts are."""

import random

import jieba
import pytest
from conftest import costs_at_most, examples
from hypothesis import example, given
from hypothesis import strategies as st

from studio.core.i18n import Problem
from studio.evaluate.scores import overlap
from studio.evaluate.scores.metric import AnsweredRow, score_row

KEYS = ["lf_bleu4", "lf_rouge1", "lf_rouge2", "lf_rougel"]
# Pieces from which the libraries make their special cases, joined by chance.
PIECES = [
    "the ",
    "cat",
    "。",
    "？",
    "”",
    "......",
    "……",
    "?",
    " ",
    "\n",
    "\u3000",
    "猫",
    "坐在垫子上",
    "🙂",
    "\x1c",
    "3.14",
    ".",
]
TEXTS = st.text(max_size=60) | st.lists(st.sampled_from(PIECES), max_size=30).map("".join)


def theirs(text: str, reference: str) -> dict[str, float]:
    """Return the scores by the lines of LLaMA-Factory's `ComputeSimilarity`."""
    # Here, for they take a second that each process of the tests would spend on reading this file.
    from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
    from rouge_chinese import Rouge

    answer, expected = list(jieba.cut(text)), list(jieba.cut(reference))
    if len(" ".join(answer).split()) == 0 or len(" ".join(expected).split()) == 0:
        result = {"rouge-1": {"f": 0.0}, "rouge-2": {"f": 0.0}, "rouge-l": {"f": 0.0}}
    else:
        result = Rouge().get_scores(" ".join(answer), " ".join(expected))[0]
    scores = {f"lf_{name.replace('-', '')}": round(one["f"] * 100, 4) for name, one in result.items()}
    bleu = sentence_bleu([list(reference)], list(text), smoothing_function=SmoothingFunction().method3)
    return scores | {"lf_bleu4": round(bleu * 100, 4)}


@given(TEXTS, TEXTS)
@example("The cat sat on the mat.", "The cat sat on the mat.\n")
@example("the the the the", "the cat")
@example("你好？”他说。…………是", "你好？” 他问。")
@example("", "")
@example("\ud83d", "a\udce9\ud83d")
@examples(400)
def test_scores_are_those_of_llamafactory(text, reference):
    assert score_row(KEYS, AnsweredRow(text, reference)) == theirs(text, reference)


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
