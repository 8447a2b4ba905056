"""Which letter an answer in words names."""

import re
from collections.abc import Sequence

from studio.evaluate.benchmarks.sets.answer_letters import LETTERS
from studio.inference.reasoning import answer_in

_ROUND = r"""[\s*_#>"'“‘(（\[【$]*"""
_AFTER = r"""(?=[\s.．。,，、:：;；)）\]】*_"'”’$]|$)"""
# "A dog" begins with an article, and "I think" with a person, and neither names a choice.
_NO_WORD = r"(?!(?<=[AI])[ ](?!(?:or|and|nor|is|because|since|but)\b)[a-z])"
_SAYS = (
    r"(?i:answer|choice|option|choose|correct)\b(?i:\s+(?:is|would\s+be|should\s+be|option|choice|letter))*\s*[:：=]?"
)
_SAYS_ZH = r"(?:答案|选项|选择|应选|故选|选)(?:应该|应当|应)?(?:是|为)?\s*[:：]?"


def letter_in(text: str, choices: Sequence[str], whole: bool = True) -> str | None:
    """Return the letter that an answer names, None where it names none, or more than one.

    Args:
        text: what the model said; what it thought before is passed over.
        choices: of the question.
        whole: whether the answer is at its end; one that still grows may only begin with its letter.
    """
    said, letters = answer_in(text).strip(), f"([A-{LETTERS[len(choices) - 1]}])"
    if begun := re.match(_ROUND + letters + _AFTER + _NO_WORD, said):
        return begun[1] if whole or begun.end() < len(said) else None
    if not whole:
        return None
    for says in (_SAYS, _SAYS_ZH):
        if named := re.findall(says + _ROUND + letters + r"(?![A-Za-z])" + _NO_WORD, said):
            return named[-1]
    alone = set(re.findall(r"(?<![A-Za-z])" + letters + r"(?![A-Za-z])" + _NO_WORD, said))
    if len(alone) == 1:
        return alone.pop()
    return _by_words(said, choices) if not alone else None


def _by_words(said: str, choices: Sequence[str]) -> str | None:
    wanted = said.strip(" .。*\"'").casefold()
    places = [place for place, choice in enumerate(choices) if choice.strip(" .。").casefold() == wanted]
    return LETTERS[places[0]] if len(places) == 1 else None
