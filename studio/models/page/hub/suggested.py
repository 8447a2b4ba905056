"""The caches of the hubs' clients on this machine, each to be added with one click."""

from dataclasses import dataclass

from studio.models import places
from studio.models.shelf import Shelf

TEMPLATE = "models/page/hub/suggested.html"


@dataclass(frozen=True)
class SuggestedContext:
    """The paths of folders with models in them that are not looked at yet."""

    folders: list[str]


def suggested(shelf: Shelf) -> SuggestedContext | None:
    """Return the folders that can be added, None where there is none."""
    folders = [str(path) for path in places.suggested(shelf.workspace)]
    return SuggestedContext(folders) if folders else None
