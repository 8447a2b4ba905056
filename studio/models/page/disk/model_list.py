"""The list of the models on disk, and of the folders they were looked for in."""

from dataclasses import dataclass

from studio.core import formatting
from studio.core.i18n import Problem
from studio.core.storage import folders
from studio.models.chat_template_match import template_match
from studio.models.library import library, model_folders
from studio.models.library.library import Model
from studio.models.models_context import ModelsContext
from studio.models.weights import completeness

TEMPLATE = "models/page/disk/model_list.html"


@dataclass(frozen=True)
class ModelRow:
    """`state` is the colour of its dot; `facts` are its size, its types and its template, in one line."""

    name: str
    state: str
    facts: str
    size_bytes: int


@dataclass(frozen=True)
class FolderRow:
    """A folder that the person added; one on a disk that is not plugged in is missing."""

    path: str
    is_missing: bool


@dataclass(frozen=True)
class ModelListContext:
    """`models` are those that were searched for; `has_models` tells whether there are any at all."""

    models: list[ModelRow]
    has_models: bool
    folders: list[FolderRow]


def model_list(context: ModelsContext, query: str) -> ModelListContext:
    """Return the models whose name, architecture or template has every word of `query`."""
    models = completeness.checked(library.models(context.workspace), wait=0)
    keys = [(model.path, model.name, model.model_type) for model in models]
    rows = zip(models, template_match.of_all(keys), template_match.faults(keys), strict=True)
    terms = query.lower().split()
    return ModelListContext(
        [
            model_row(model, template, fault)
            for model, template, fault in rows
            if all(term in f"{model.name} {model.architecture} {template}".lower() for term in terms)
        ],
        bool(models),
        [FolderRow(str(folder), not folders.is_folder(folder)) for folder in model_folders.folders(context.workspace)],
    )


def model_row(model: Model, template: str | None, fault: Problem | None = None) -> ModelRow:
    """Return the row of a model; `fault` is what is wrong with its own chat template."""
    state = "failed" if model.faults or fault else "stopped" if model.warnings else "finished"
    stored_as = str(model.quantization) if model.quantization else model.dtype
    facts = " · ".join(filter(None, (formatting.params(model.params), stored_as, template)))
    return ModelRow(model.name, state, facts, model.size_bytes)
