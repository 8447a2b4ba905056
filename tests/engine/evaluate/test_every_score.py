"""Every score, LLaMA-Factory's too, takes every text and the want of a reference."""

from conftest import SLOW, costs_at_most, examples
from hypothesis import example, given
from hypothesis import strategies as st

from studio.evaluate.scores.metric import METRICS, AnsweredRow, ScoreSettings, score_row

LENGTH = 16 if SLOW else 1  # of long texts
EASY = [key for key, metric in METRICS.items() if metric.function]
SETTINGS = ScoreSettings(labels=("yes", "no", "是"), pattern=r"(\d+)")


@given(st.text(max_size=80), st.text(max_size=80))
@example("\ud83d", "\udce9")
@example("", "")
@example("\0", "\u2028")
@example("", "\U00011bf0")  # a digit that Python does not know yet
@example("word " * (12_000 * LENGTH), "one word")
@example("x" * (6_000 * LENGTH), "x" * (6_000 * LENGTH))
@example("猫" * (6_000 * LENGTH), "狗")
@example("{" * (2_500 * LENGTH), "[" * (2_500 * LENGTH))
@example("1" * 5000, "1" * 5000)  # more digits than Python reads
@example("```\n" * (600 * LENGTH), "`" * (1_800 * LENGTH))
@example("1," * (4_000 * LENGTH), "1/" * (4_000 * LENGTH))
@example("\\boxed{" * (1_200 * LENGTH), "\\boxed{" + "{" * (2_500 * LENGTH))
@examples(60)
def test_every_score_takes_every_text(text, reference):
    faults = []
    with costs_at_most(60):
        scores = score_row(EASY, AnsweredRow(text, reference), SETTINGS, lambda *fault: faults.append(fault))
    assert not faults and scores.keys() == set(EASY)
    for key, score in scores.items():
        most = METRICS[key].most
        assert score is None or score >= 0 and (most is None or score <= most * (1 + 1e-9)), (key, score)


def test_a_row_without_a_reference_has_no_score_that_needs_one():
    scores = score_row(EASY, AnsweredRow("some words of an answer", " \n"), SETTINGS)
    needing = {key for key in EASY if METRICS[key].needs_reference}
    assert needing and all(scores[key] is None for key in needing)
    assert scores["repetition"] == 0.0
