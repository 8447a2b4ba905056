"""The model card of an exported model, in both languages, as it stands in its folder."""

from dataclasses import dataclass

from studio.core.i18n import Problem
from studio.core.storage import files
from studio.export.model_card import FILES
from studio.export.page.context import ExportContext, model_in_hand
from studio.models.library import library

TEMPLATE = "export/page/exported/card_view.html"
MOST_BYTES = 2**20


@dataclass(frozen=True)
class Card:
    """A card: its language, its file, and its text; problem: why that cannot be read."""

    language: str
    file: str
    text: str
    problem: Problem | None = None


@dataclass(frozen=True)
class CardView:
    """The cards of a model."""

    name: str
    cards: tuple[Card, ...]


def card_view(context: ExportContext, hand: str) -> CardView | None:
    """Return the cards of the model in hand, None where there is no such model, which the head tells."""
    name = model_in_hand(context, hand)
    if not name:
        return None
    try:
        model = library.find(context.workspace, name)
    except Problem:
        return None  # told by the head
    there = [language for language, file in FILES.items() if files.exists(model.path / file)]
    return CardView(name, tuple(card_of(model, language) for language in there))


def card_of(model: library.Model, language: str) -> Card:
    """Return the card of a model in one language."""
    file = model.path / FILES[language]
    try:
        return Card(language, file.name, files.read_text(file, MOST_BYTES))
    except OSError as error:
        return Card(language, file.name, "", files.unreadable(file, error))
