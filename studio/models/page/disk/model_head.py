"""The head of a model: where it is, what can be done, what is wrong, its facts and its template."""

from dataclasses import dataclass

from studio.core.storage import trash
from studio.models.library.library import Model
from studio.models.models_context import ModelsContext
from studio.models.page.disk.own_code import OwnCode, own_code
from studio.models.page.disk.template_comparison import TemplateMatch, match_template
from studio.models.weights import completeness

TEMPLATE = "models/page/disk/model_head.html"


@dataclass(frozen=True)
class ModelHeadContext:
    """`model` is None while none is chosen, and all else is empty then.

    `deleted_bytes` come free when it is deleted, `runs` were tuned on it; `recipe` begins the form of a new run.
    """

    model: Model | None
    deleted_bytes: int = 0
    runs: int = 0
    recipe: dict[str, str] | None = None
    code: OwnCode | None = None
    match: TemplateMatch | None = None


def model_head(context: ModelsContext, name: str) -> ModelHeadContext:
    """Return what is shown of a model. Raises Problem where there is none of this name."""
    if not name:
        return ModelHeadContext(None)
    chosen = completeness.find(context.workspace, name, wait=0)
    match = match_template(chosen)
    recipe = {"model_name_or_path": chosen.name}
    if match.choice.compared:
        recipe["template"] = match.choice.template
    return ModelHeadContext(chosen, trash.size(chosen.path), context.runs_on(chosen), recipe, own_code(chosen), match)
