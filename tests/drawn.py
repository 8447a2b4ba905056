"""What a view of a page draws."""

from types import ModuleType

from studio.core.i18n import Words
from studio.web.html import render


def drawn(view: ModuleType, context: object, language: str = "en") -> str:
    """Return the HTML of a view: its template, filled with a context that it made."""
    return render(view.TEMPLATE, Words(language), context)
