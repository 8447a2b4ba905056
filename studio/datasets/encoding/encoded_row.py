"""What an encoder makes of a row: tokens with their labels, or only how many there are."""

from dataclasses import dataclass

IGNORED = -100  # the label of a token that is not trained (llamafactory.extras.constants.IGNORE_INDEX)


@dataclass(frozen=True)
class Token:
    """One token of a sequence: its `id` in the tokenizer's vocabulary, and whether the loss counts it (`trained`).

    `text` may be empty: where a character takes several tokens, the last of them shows it. `label` is the id that
    training compares with, IGNORED where the token is not trained. It is `id` but in templates
    that end an answer with the end token only in training ("efficient_eos"): there the next question's first token
    stands for it.
    """

    text: str
    id: int
    trained: bool
    label: int


@dataclass(frozen=True)
class Sequence:
    """One sequence that is trained on, without padding; `name` is "text", "chosen" or "rejected"."""

    name: str
    tokens: list[Token]


@dataclass(frozen=True)
class Question:
    """What a model is asked for a row, and what it should answer, as LLaMA-Factory's `do_predict` has them.

    prompt, label: token ids, both shortened by the cutoff where `is_cut`. aligned: the row as LLaMA-Factory's converter
    gives it (`_prompt`, `_response`, `_system`, `_tools`, `_images`, `_videos`, `_audios`).
    """

    prompt: list[int]
    label: list[int]
    aligned: dict
    is_cut: bool


@dataclass(frozen=True)
class TokenCount:
    """How many tokens a row has: `whole` if nothing were cut (the longer of chosen and rejected), `kept` of them under
    the cutoff, `trained` of those in the loss.

    Those of chosen and rejected together count as `kept` and `trained`. A row that LLaMA-Factory drops has 0 of each.
    """

    whole: int
    kept: int
    trained: int
