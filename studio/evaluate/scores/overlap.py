"""LLaMA-Factory's own BLEU-4 and ROUGE-1, ROUGE-2 and ROUGE-L, to the last digit.

They are what `llamafactory.train.sft.metric.ComputeSimilarity` gives, 0 to 100 for each row and rounded to four places:

- BLEU-4 is nltk's `sentence_bleu` over the *characters* of answer and reference, in every language, with smoothing
  method 3. It is far above a BLEU over words, and no number to compare with a paper.
- ROUGE is rouge_chinese over the words that jieba cuts, with n-grams counted as sets. White space and full stops are
  words too.

The mean over the rows is numpy's, as LLaMA-Factory takes it. As there, a thought counts as part of an answer.
"""

import threading
from collections.abc import Sequence
from functools import cache, lru_cache

from studio.core import llamafactory

PLACES = 4
_loading = threading.Lock()


def bleu4(text: str, reference: str) -> float:
    """Return LLaMA-Factory's BLEU-4 of an answer, 0 to 100; 0 where nothing of it is in the reference."""
    from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

    score = sentence_bleu([list(reference)], list(text), smoothing_function=SmoothingFunction().method3)
    return round(float(score) * 100, PLACES)


def rouge(text: str, reference: str) -> dict[str, float]:
    """Return LLaMA-Factory's ROUGE scores of an answer as {"1": .., "2": .., "l": ..}, 0 to 100.

    All are 0 where the answer or the reference has no word.
    """
    answer_words, reference_words = words(text), words(reference)
    if not "".join(answer_words).strip() or not "".join(reference_words).strip():
        return {"1": 0.0, "2": 0.0, "l": 0.0}
    from rouge_chinese.rouge_score import rouge_n

    # What rouge_chinese does before it counts; its own table of the longest common subsequence takes n x m steps of
    # Python and hundreds of bytes for each, so that is the one part of it that is not called.
    answer, expected = _sentences(answer_words), _sentences(reference_words)
    flat_answer, flat_expected = _split(answer), _split(expected)
    common = longest_common_subsequence(flat_answer, flat_expected)
    precision, recall = common / len(flat_answer), common / len(flat_expected)
    scores = {
        "1": rouge_n(answer, expected, 1)["f"],
        "2": rouge_n(answer, expected, 2)["f"],
        "l": 2.0 * ((precision * recall) / (precision + recall + 1e-8)),
    }
    return {name: round(score * 100, PLACES) for name, score in scores.items()}


def longest_common_subsequence(one: Sequence[str], other: Sequence[str]) -> int:
    """Return the length of the longest common subsequence of two lists of words.

    A row of the table is the bits of one whole number. Source: H. Hyyrö, Bit-parallel LCS-length computation revisited,
    AWOCA 2004.
    """
    places: dict[str, int] = {}
    for at, word in enumerate(one):
        places[word] = places.get(word, 0) | 1 << at
    full = (1 << len(one)) - 1
    row = full
    for word in other:
        matches = row & places.get(word, 0)
        row = ((row + matches) | (row - matches)) & full
    return len(one) - row.bit_count()


@lru_cache(maxsize=8)
def words(text: str) -> tuple[str, ...]:
    """Return the words that jieba cuts a text into, spaces and punctuation among them."""
    return tuple(_segmenter().cut(text))


def _segmenter():
    with _loading:  # two threads would both read the dictionary
        return _load_segmenter()


@cache
def _load_segmenter():
    """Return a jieba of the studio's own: its usual dictionary, read from the package.

    jieba's own way is to keep the dictionary as a marshalled file in the temporary folder, which anybody on the machine
    may have written, and to report on the error stream that it did. Reading the text takes half a second, once.
    """
    llamafactory.ignore_warning_of_jieba()
    import jieba

    segmenter = jieba.Tokenizer()
    segmenter.FREQ, segmenter.total = segmenter.gen_pfdict(segmenter.get_dict_file())
    segmenter.initialized = True
    return segmenter


def _sentences(cut: Sequence[str]) -> list[str]:
    from rouge_chinese import Rouge

    return [" ".join(one.split()) for one in Rouge().cut_sent(" ".join(cut)) if one]


def _split(sentences: list[str]) -> list[str]:
    return [word for sentence in sentences for word in sentence.split(" ")]
