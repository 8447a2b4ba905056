"""Whose forms are to be compared, on which rows; looked at before anything is loaded."""

from studio.core.i18n import Problem
from studio.core.storage.records import Record, Text
from studio.core.workspace import Workspace
from studio.evaluate.predict.row_sources import HELD_OUT
from studio.export import model_forms, source_model
from studio.export.gguf.types import LORA
from studio.export.source_model import Source
from studio.inference import target_names


class CostPlan(Record):
    """A comparison, as it is stored beside its job. name: of the model. rows_from: a dataset, or "held-out:<run>"."""

    name: Text
    source: Source
    rows_from: Text


def plan(workspace: Workspace, targets: list[str], dataset: str = "") -> CostPlan:
    """Return the comparison of all forms of a model.

    Args:
        targets: one model, or the runs that it was merged of.
        dataset: on whose rows; "" takes what the run held out, if it is still there, else the first dataset on which
            it was trained.

    Raises:
        Problem: no form of it is there, it is not merged yet, or no dataset is named and the model names none.
    """
    source = source_model.of(workspace, targets)
    if source.merge or not any(comparable(forms) for _, forms in model_forms.of_source(workspace, str(source.name))):
        raise Problem("cost.no_forms", name=source.name)
    chosen = dataset or _usual(workspace, source)
    if not chosen:
        raise Problem("cost.no_rows", name=source.name)
    return CostPlan(name=source.name, source=source, rows_from=chosen)


def comparable(forms: model_forms.Forms) -> list[model_forms.Form]:
    """Return the forms that are a whole model, so that they can be compared with one."""
    return [form for form in forms.forms if form.type != LORA]


def _usual(workspace: Workspace, source: Source) -> str:
    for run in target_names.runs_left(workspace, map(str, source.targets[-1:])):
        if float(run.recipe().get("val_size") or 0) > 0:
            return f"{HELD_OUT}{run.name}"
    return str(source.data[0]) if source.data else ""
