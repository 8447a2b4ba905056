"""The scores of overlap, and their mean, are what LLaMA-Factory's own class gives for the same tokens."""

import numpy
import pytest
from conftest import ROOT

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
