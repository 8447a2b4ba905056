"""sacreBLEU and chrF++, as papers report them: of one row, and of a corpus by its signature.

The BLEU of a corpus is not the mean of its rows: counts of n-grams are summed first. So a row has `statistics`, and
`bleu_of` and `chrf_of` make the score of whatever sums of them: of all rows, of those that a bootstrap drew.

The words of BLEU are those of `13a`, or, for Chinese, of `zh`: each character one, and the rest as `13a`. Both come
with sacrebleu; its others ask the network for a model.

A thought is no part of an answer, nor of the reference.
"""

import re
from collections.abc import Iterable
from functools import cache, lru_cache
from typing import Literal

import numpy

from studio.inference.reasoning import answer_in

Language = Literal["en", "zh"]
BLEU_ORDER = 4
CHRF_ORDERS = 8  # 6 of characters and 2 of words
BLEU_NUMBERS, CHRF_NUMBERS = 2 + 2 * BLEU_ORDER, 3 * CHRF_ORDERS  # statistics of a row
CHRF_BETA = 2.0
_HAN = re.compile(r"[㐀-鿿豈-﫿]")
_LETTER = re.compile(r"[^\W\d_]")


def language_of(texts: Iterable[str]) -> Language:
    """Return "zh" where at least half of the letters of all texts are Chinese characters, else "en"."""
    han = letters = 0
    for text in map(answer_in, texts):
        han += len(_HAN.findall(text))
        letters += len(_LETTER.findall(text))
    return "zh" if han and 2 * han >= letters else "en"


def bleu(text: str, reference: str, language: Language) -> float:
    """Return the BLEU of one row, 0 to 100, of the orders that the answer is long enough for (effective order)."""
    return float(
        _bleu(language, True)._compute_score_from_stats(list(bleu_statistics(text, reference, language))).score
    )


def chrf(text: str, reference: str) -> float:
    """Return the chrF++ of one row, 0 to 100: F2 over n-grams of 1 to 6 characters and of 1 and 2 words."""
    return float(chrf_of(numpy.array(chrf_statistics(text, reference))))


@lru_cache(maxsize=8)
def bleu_statistics(text: str, reference: str, language: Language) -> tuple[int, ...]:
    """Return what BLEU sums over rows: words of answer and reference, n-grams found again, and n-grams."""
    metric = _bleu(language, False)
    statistics = metric._extract_corpus_statistics([answer_in(text)], [[answer_in(reference)]])[0]
    # It keeps the last 65,536 texts of either kind, however long they are.
    type(metric.tokenizer).__call__.cache_clear()
    type(metric.tokenizer._post_tokenizer).__call__.cache_clear()
    return tuple(map(int, statistics))


@lru_cache(maxsize=8)
def chrf_statistics(text: str, reference: str) -> tuple[int, ...]:
    """Return what chrF++ sums over rows: for each of its 8 orders the n-grams of answer, of reference, and of both."""
    return tuple(map(int, _chrf()._extract_corpus_statistics([answer_in(text)], [[answer_in(reference)]])[0]))


def bleu_of(sums: numpy.ndarray) -> numpy.ndarray:
    """Return the BLEU of sums of `bleu_statistics` along the last axis, 0 to 100, smoothed by sacreBLEU's `exp`."""
    sums = numpy.asarray(sums, float)
    answer, reference = sums[..., 0], sums[..., 1]
    found, total = sums[..., 2 : 2 + BLEU_ORDER], sums[..., 2 + BLEU_ORDER :]
    with numpy.errstate(divide="ignore", invalid="ignore", over="ignore"):
        # Each order of which nothing was found halves what the next such order is given.
        missed = 2.0 ** -numpy.cumsum(found == 0, axis=-1)
        precisions = numpy.where(found == 0, missed, found) / total
        logs = numpy.log(precisions).sum(axis=-1) / BLEU_ORDER
        brevity = numpy.where(answer < reference, numpy.exp(1 - reference / answer), 1.0)
        score = 100 * brevity * numpy.exp(logs)
    return numpy.where((found > 0).any(axis=-1) & (total > 0).all(axis=-1), score, 0.0)


def chrf_of(sums: numpy.ndarray) -> numpy.ndarray:
    """Return the chrF++ of sums of `chrf_statistics` along the last axis, 0 to 100."""
    sums = numpy.asarray(sums, float).reshape(*numpy.shape(sums)[:-1], CHRF_ORDERS, 3)
    answer, reference, both = sums[..., 0], sums[..., 1], sums[..., 2]
    there = (answer > 0) & (reference > 0)  # the orders that both are long enough for
    orders = numpy.maximum(there.sum(axis=-1), 1)
    precision = (numpy.where(there, both, 0) / numpy.where(there, answer, 1)).sum(axis=-1) / orders
    recall = (numpy.where(there, both, 0) / numpy.where(there, reference, 1)).sum(axis=-1) / orders
    factor = CHRF_BETA**2
    below = factor * precision + recall
    return 100 * (1 + factor) * precision * recall / numpy.where(below > 0, below, 1)


def bleu_signature(language: Language) -> str:
    """Return the signature under which the BLEU of a corpus is reported."""
    return _signature(_bleu(language, False))


def chrf_signature() -> str:
    """Return the signature under which the chrF++ of a corpus is reported."""
    return _signature(_chrf())


def _signature(metric) -> str:
    metric.corpus_score(["a"], [["a"]])  # it does not know the number of references before
    return str(metric.get_signature())


@cache
def _bleu(language: Language, effective_order: bool):
    from sacrebleu.metrics import BLEU

    return BLEU(tokenize="zh" if language == "zh" else "13a", effective_order=effective_order)


@cache
def _chrf():
    from sacrebleu.metrics import CHRF

    return CHRF(word_order=2)
