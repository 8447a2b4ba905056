"""Intervals hold what they promise, and a difference is told from noise, on data whose truth is known."""

import itertools
import time

import numpy
import pytest
from conftest import SLOW, examples
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.evaluate.scores import intervals, sacre

VALUES = st.lists(st.floats(-1e6, 1e6) | st.none(), max_size=40)

CASES = 100 if SLOW else 50
MANY = 2500 if SLOW else 150  # rows of the largest set that is drawn


def test_the_interval_holds_the_truth_in_about_95_of_100_cases():
    for count in (40, 300, 5000) if SLOW else (40, 300):
        truth, held = 3.0, 0
        for case in range(CASES):
            values = numpy.random.default_rng(case).exponential(truth, count)
            one = intervals.interval(values.tolist(), seed=case)
            held += one.low <= truth <= one.high
        assert 0.86 * CASES <= held, (count, held)


def test_a_test_finds_nothing_where_there_is_nothing_in_about_95_of_100_cases():
    for count in (11, 60, MANY):
        found = 0
        for case in range(CASES):
            drawn = numpy.random.default_rng(case)
            first = drawn.normal(0, 1, count)
            found += not intervals.paired(first, first + drawn.normal(0, 1, count), seed=case).is_noise
        assert found <= 0.13 * CASES, (count, found)


def test_a_difference_is_found():
    drawn = numpy.random.default_rng(1)
    first = drawn.normal(50, 20, 200)
    one = intervals.paired(first, first + 2 + drawn.normal(0, 5, 200))
    assert not one.is_noise and not one.too_few and 0 < one.low < one.difference < one.high < 4


def test_few_rows_that_differ_are_told():
    one = intervals.paired([0, 0, 0, 0, 0, 1], [1, 1, 1, 1, 1, 1])
    assert one.differing == 5 and one.too_few and one.is_noise and one.p == 2 / 32


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=8), st.integers(0, 9))
@settings(deadline=None)
def test_few_rows_are_exchanged_in_every_way(differences, base):
    first = numpy.full(len(differences), float(base))
    one = intervals.paired(first, first + differences)
    sums = [abs(sum(signs)) for signs in itertools.product(*([value, -value] for value in differences))]
    assert one.p == pytest.approx(sum(other >= abs(sum(differences)) for other in sums) / len(sums))


@given(VALUES, st.integers(0, 99))
@examples(60)
def test_intervals_of_whatever_values(values, seed):
    known = [value for value in values if value is not None]
    one = intervals.interval(values, seed=seed)
    if not known:
        assert one is None
        return
    assert one.value == pytest.approx(numpy.mean(known), rel=1e-9, abs=1e-6) and one.count == len(known)
    if len(known) > 1:
        # A resample never leaves what there is; beside that only the last digits differ.
        assert min(known) - 1e-6 <= one.low <= one.high <= max(known) + 1e-6
    else:
        assert one.low is one.high is None
    assert intervals.interval(values, seed=seed) == one  # the seed decides
    same = intervals.paired(values, values, seed)
    assert same.difference == 0 and same.p == 1.0 and same.is_noise


def test_shares_at_the_end_of_the_scale_are_not_sure():
    one = intervals.interval([1.0] * 10, most=1)
    assert one.value == one.high == 1.0 and one.low == pytest.approx(0.7225, abs=1e-4)
    percent = intervals.interval([100.0] * 10, most=100)
    assert percent.low == pytest.approx(100 * one.low)
    assert intervals.interval([0.0], most=1).high == pytest.approx(0.7935, abs=1e-4)
    assert intervals.wilson(0.5, 0) == (0.0, 1.0)


def test_nothing_in_common():
    assert intervals.paired([None, 1.0], [1.0, None]) is None
    with pytest.raises(ValueError, match="zip"):
        intervals.paired([1.0], [1.0, 2.0])


def test_groups_give_the_interval_of_the_rows(monkeypatch):
    values = numpy.random.default_rng(3).exponential(1, 9000).tolist()
    grouped = intervals.interval(values)
    monkeypatch.setattr(intervals, "GROUPS", 10_000)
    plain = intervals.interval(values)
    assert grouped.value == pytest.approx(plain.value)
    assert grouped.high - grouped.low == pytest.approx(plain.high - plain.low, rel=0.12)


def test_holm():
    assert intervals.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert intervals.holm([0.5, 0.9]) == [1.0, 1.0]
    assert intervals.holm([]) == []


def test_bleu_of_a_corpus_has_an_interval_and_a_test():
    drawn, words = numpy.random.default_rng(0), [f"w{number}" for number in range(30)]
    references = [" ".join(drawn.choice(words, 12)) for _ in range(60)]

    def spoiled(share: float) -> list[str]:
        return [" ".join(word if drawn.random() > share else "odd" for word in one.split()) for one in references]

    good, bad = (
        numpy.array(
            [sacre.bleu_statistics(text, reference, "en") for text, reference in zip(answers, references, strict=True)]
        )
        for answers in (spoiled(0.1), spoiled(0.3))
    )
    one = intervals.corpus_interval(good, sacre.bleu_of)
    assert one.low < one.value == float(sacre.bleu_of(good.sum(axis=0))) < one.high and one.high - one.low < 30
    apart = intervals.corpus_paired(bad, good, sacre.bleu_of)
    assert not apart.is_noise and apart.low > 0
    assert intervals.corpus_paired(good, good, sacre.bleu_of).p == 1.0


def test_a_hundred_thousand_rows_take_no_time():
    drawn = numpy.random.default_rng(0)
    values, statistics = drawn.normal(50, 9, 100_000).tolist(), drawn.integers(1, 30, (100_000, 24))
    for work in (
        lambda: intervals.interval(values, most=100),
        lambda: intervals.paired(values, values[::-1]),
        lambda: intervals.corpus_interval(statistics, sacre.chrf_of),
        lambda: intervals.corpus_paired(statistics, statistics[::-1], sacre.chrf_of),
    ):
        began = time.process_time()
        work()
        assert time.process_time() - began < 1.5  # seen: 0.1 to 0.4 s
