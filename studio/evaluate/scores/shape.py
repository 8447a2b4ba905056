"""The shape of an answer: how long it is beside its reference, and how much it repeats itself."""

from studio.evaluate.scores.matching import tokens
from studio.inference.reasoning import answer_in

GRAM = 4  # words


def length_ratio(text: str, reference: str, answered: int | None = None, expected: int | None = None) -> float | None:
    """Return how many times as long as its reference an answer is; None where the reference is empty.

    Args:
        answered, expected: tokens of answer and reference; characters without a thought and the white space at the
            ends are counted where either is not known.
    """
    if answered is None or expected is None:
        answered, expected = len(answer_in(text).strip()), len(answer_in(reference).strip())
    return answered / expected if expected else None


def repetition(text: str) -> float | None:
    """Return the share of an answer's runs of four words that stood there before, 0 to 1; None below four words.

    It is `seq-rep-4` of Welleck et al., Neural text generation with unlikelihood training (ICLR 2020), over words, and
    over characters in Chinese and Japanese, instead of a model's tokens: 1 - distinct runs / runs.
    """
    words = tokens(text)
    runs = [tuple(words[at : at + GRAM]) for at in range(len(words) - GRAM + 1)]
    return 1 - len(set(runs)) / len(runs) if runs else None
