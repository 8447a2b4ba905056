"""BLEU and chrF++ are sacrebleu's: of a row, and of whatever sum of rows."""

import numpy
import pytest
from conftest import examples
from hypothesis import example, given
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU, CHRF

from studio.evaluate.scores import sacre
from studio.evaluate.scores.metric import AnsweredRow, ScoreSettings, row_statistics, score_row

PIECES = ["the ", "cat ", "sat, ", "3.14 ", "&amp;", "猫", "坐在", "。", "🙂", "-\n", " "]
TEXTS = st.text(max_size=30) | st.lists(st.sampled_from(PIECES), max_size=14).map("".join)
ROWS = st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=4)
TOKENIZERS = {"en": "13a", "zh": "zh"}


@given(ROWS, st.sampled_from(["en", "zh"]))
@example([("", "")], "en")
@example([("the", "the cat sat on the mat"), ("", "the")], "en")
@example([("\ud83d", "\ud83d a")], "zh")
@examples(300)
def test_sums_of_statistics_are_the_scores_of_a_corpus(rows, language):
    answers, references = [text for text, _ in rows], [[reference for _, reference in rows]]
    given_language = ScoreSettings(language=language)
    statistics = [
        {"bleu": sacre.bleu_statistics(text, reference, language), "chrf": sacre.chrf_statistics(text, reference)}
        for text, reference in rows
    ]
    sums = {key: numpy.sum([one[key] for one in statistics], axis=0) for key in ("bleu", "chrf")}
    theirs = BLEU(tokenize=TOKENIZERS[language]).corpus_score(answers, references).score
    assert sacre.bleu_of(sums["bleu"]) == pytest.approx(theirs, abs=1e-9)
    theirs = CHRF(word_order=2).corpus_score(answers, references).score
    assert sacre.chrf_of(sums["chrf"]) == pytest.approx(theirs, abs=1e-9)
    # The same by the registry, which leaves out rows without a reference.
    for (text, reference), one in zip(rows, statistics, strict=True):
        seen = row_statistics(["bleu", "chrf"], AnsweredRow(text, reference), given_language)
        assert seen == ({key: list(value) for key, value in one.items()} if reference.strip() else {})


@given(TEXTS, TEXTS.filter(str.strip), st.sampled_from(["en", "zh"]))
@examples(200)
def test_a_row_is_the_score_of_a_sentence(text, reference, language):
    seen = score_row(["bleu", "chrf"], AnsweredRow(text, reference), ScoreSettings(language=language))
    bleu = BLEU(tokenize=TOKENIZERS[language], effective_order=True).sentence_score(text, [reference]).score
    assert seen["bleu"] == bleu
    assert seen["chrf"] == pytest.approx(CHRF(word_order=2).sentence_score(text, [reference]).score, abs=1e-9)


def test_many_sums_at_once_are_each_alone():
    sums = numpy.random.default_rng(0).integers(0, 9, (50, 10))
    assert sacre.bleu_of(sums).tolist() == [float(sacre.bleu_of(one)) for one in sums]


def test_a_perfect_answer_is_perfect_whatever_the_template_puts_behind_the_reference():
    for text in ("The cat sat on the mat.", "小猫坐在垫子上。"):
        seen = score_row(["bleu", "chrf"], AnsweredRow(text, text + "\n"))
        assert seen == pytest.approx({"bleu": 100.0, "chrf": 100.0})


def test_the_language_is_that_of_the_reference():
    assert sacre.language_of(["小猫坐在垫子上。"]) == "zh"
    assert sacre.language_of(["The character 猫 means cat."]) == "en"
    assert sacre.language_of(["用 Python 写一个函数，返回两数之和"]) == "zh"
    assert sacre.language_of(["123", ""]) == "en"
    chinese = AnsweredRow("小猫正坐在垫子上", "小猫坐在垫子上")
    assert (
        score_row(["bleu"], chinese)["bleu"] > 40 > score_row(["bleu"], chinese, ScoreSettings(language="en"))["bleu"]
    )


def test_signatures():
    assert sacre.bleu_signature("en").startswith("nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.")
    assert "|tok:zh|" in sacre.bleu_signature("zh")
    assert "|nc:6|nw:2|" in sacre.chrf_signature()


def test_texts_are_not_kept():
    sacre.bleu_statistics("a " * 1000, "b", "en")
    metric = sacre._bleu("en", False)
    for tokenizer in (metric.tokenizer, metric.tokenizer._post_tokenizer):
        assert type(tokenizer).__call__.cache_info().currsize == 0
