"""The template of an exported model in the forms of the engines, as it stands beside the weights."""

from dataclasses import dataclass

from studio.core.i18n import Problem
from studio.core.storage import files
from studio.export.page.context import ExportContext, model_in_hand
from studio.export.templates.form_files import FILES
from studio.models.library import library

TEMPLATE = "export/page/exported/form_view.html"
MOST_BYTES = 2**20


@dataclass(frozen=True)
class FormFile:
    """A form of the template ("jinja", "ollama", "lmdeploy"), its file and its text; problem: why that cannot be
    read.
    """

    form: str
    file: str
    text: str
    problem: Problem | None = None


@dataclass(frozen=True)
class FormView:
    """The forms of a model's template."""

    name: str
    forms: tuple[FormFile, ...]


def form_view(context: ExportContext, hand: str) -> FormView | None:
    """Return the forms of the model in hand, None where there is no such model, which the head tells."""
    name = model_in_hand(context, hand)
    if not name:
        return None
    try:
        model = library.find(context.workspace, name)
    except Problem:
        return None  # told by the head
    return FormView(name, tuple(form_file(model, form) for form in FILES))


def form_file(model: library.Model, form: str) -> FormFile:
    """Return one form of a model's template."""
    file = model.path / FILES[form]
    try:
        return FormFile(form, file.name, files.read_text(file, MOST_BYTES))
    except OSError as error:
        return FormFile(form, file.name, "", files.unreadable(file, error))
