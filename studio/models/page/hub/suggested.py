"""The caches of the hubs' clients on this machine, each to be added with one click."""

from dataclasses import dataclass

from studio.models.library import model_folders
from studio.models.models_context import ModelsContext

TEMPLATE = "models/page/hub/suggested.html"


@dataclass(frozen=True)
class SuggestedContext:
    """The paths of folders with models in them that are not looked at yet."""

    folders: list[str]


def suggested(context: ModelsContext) -> SuggestedContext | None:
    """Return the folders that can be added, None where there is none."""
    folders = [str(path) for path in model_folders.suggested(context.workspace)]
    return SuggestedContext(folders) if folders else None
