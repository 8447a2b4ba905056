"""The template that belongs to a model, and where the model's own chat template says something else."""

from dataclasses import dataclass
from difflib import SequenceMatcher

from studio.models.chat_template_match import template_match
from studio.models.library import tokenizer_files
from studio.models.library.library import Model

WAIT_S = 0.05  # for what a model's own template says; the page is drawn again in a second
LIKE = 0.7  # of two texts, from which on their differences are marked


@dataclass(frozen=True)
class Piece:
    """A stretch of a prompt. `is_marked` where the other prompt does not have it."""

    text: str
    is_marked: bool


@dataclass(frozen=True)
class DifferenceRow:
    """Where the prompts of a conversation differ: what stands before in both, then each from there on."""

    conversation: str
    before: str
    studio: list[Piece]
    own: list[Piece]


@dataclass(frozen=True)
class TemplateMatch:
    """`is_known` tells that the template is settled; `is_equal` that the model's own chat template says the same.

    `waits` tells that LLaMA-Factory's templates are not loaded yet, so that nothing could be compared.
    """

    choice: template_match.Choice
    is_known: bool
    waits: bool
    is_equal: bool
    differences: list[DifferenceRow]
    conversations: int = len(template_match.CONVERSATIONS)


def match_template(model: Model) -> TemplateMatch:
    """Return the template of a model, as far as it is known at once."""
    loaded = template_match.loaded()
    choice = template_match.of(model.path, model.name, model.model_type, compare=loaded, wait=WAIT_S)
    is_equal = choice.compared and not choice.differences and choice.chat
    return TemplateMatch(
        choice,
        choice.compared or choice.reason in ("exact", "resembles"),
        not choice.compared and not loaded,
        bool(is_equal and tokenizer_files.chat_template(model.path)),
        [
            DifferenceRow(one.conversation, one.before, pieces(one.studio, one.own), pieces(one.own, one.studio))
            for one in choice.differences
        ],
    )


def pieces(text: str, other: str) -> list[Piece]:
    """Return text in pieces, those marked that `other` does not have.

    Both texts are cut off at their end, so the last stretch tells nothing. Of texts that have little in common nothing
    is marked: single letters that happen to agree would only confuse.
    """
    matcher = SequenceMatcher(None, text, other, autojunk=False)
    if matcher.ratio() < LIKE:
        return [Piece(text, False)]
    blocks = matcher.get_opcodes()
    last = blocks[-1] if len(blocks) > 1 else None
    return [
        Piece(text[start:end], kind != "equal" and (kind, start, end, *rest) != last)
        for kind, start, end, *rest in blocks
        if end > start
    ]
