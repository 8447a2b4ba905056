"""The scores of overlap, and their mean, are what LLaMA-Factory's own class gives for the same tokens."""

import jieba
import numpy
import pytest
from conftest import ROOT, examples
from hypothesis import example, given
from hypothesis import strategies as st

from studio.core import llamafactory
from studio.evaluate.scores.metric import AnsweredRow, score_row

KEYS = {"bleu-4": "lf_bleu4", "rouge-1": "lf_rouge1", "rouge-2": "lf_rouge2", "rouge-l": "lf_rougel"}
PAIRS = [
    ("The cat sat on the mat.", "The cat is on the mat.\n"),
    ("小猫坐在垫子上。", "小猫正坐在垫子上睡觉。\n"),
    ("the the the the", "the cat"),
    ("Blue.", "Blue.\n"),
    ("", "nothing was answered"),
    ("an answer to nothing", ""),
    ("1,234.5 元？是的……", "共 1,234.5 元。是的……好"),
    ("def f(x):\n    return x + 1\n", "def f(y):\n    return y + 1"),
    ("🙂🙂 fine", "fine 🙂"),
]


@pytest.fixture(scope="module")
def tokenizer():
    llamafactory.load()
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(next((ROOT / "models").iterdir()))


def test_scores_and_mean_are_those_of_compute_similarity(tokenizer):
    from llamafactory.extras.constants import IGNORE_INDEX
    from llamafactory.train.sft.metric import ComputeSimilarity
    from transformers import EvalPrediction

    theirs, ours = ComputeSimilarity(tokenizer), []
    for number, (text, reference) in enumerate(PAIRS):
        answer, label = (tokenizer.encode(one, add_special_tokens=False) for one in (text, reference))
        width = max(len(answer), len(label)) + 2
        arrays = [numpy.array([ids + [IGNORE_INDEX] * (width - len(ids))]) for ids in (answer, label)]
        mean = theirs(EvalPrediction(*arrays), compute_result=False)
        ours.append(score_row(KEYS.values(), AnsweredRow(text, reference)))
        seen = {KEYS[name]: scores[number] for name, scores in theirs.score_dict.items()}
        assert ours[-1] == seen, (text, reference)
    mean = {KEYS[name]: value for name, value in theirs._dump().items()}
    assert {key: float(numpy.mean([one[key] for one in ours])) for key in KEYS.values()} == mean


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
    assert score_row(KEYS.values(), AnsweredRow(text, reference)) == theirs(text, reference)
