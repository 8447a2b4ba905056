"""The switch between what is on disk, the catalogue, getting a model, and this machine."""

from dataclasses import dataclass

from studio.models.models_context import ModelsContext

TEMPLATE = "models/page/views.html"


@dataclass(frozen=True)
class ViewsContext:
    """`active` counts the downloads and imports that are on their way."""

    active: int
    views: tuple[str, ...] = ("disk", "catalogue", "get", "machine")


def views(context: ModelsContext) -> ViewsContext:
    """Return the views of the tab."""
    return ViewsContext(sum(job.active for kind in ("download", "import_gguf") for job in context.jobs.all(kind)))
