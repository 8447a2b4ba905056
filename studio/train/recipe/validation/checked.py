"""What the last check of a dataset says of a run on it: the check asked LLaMA-Factory's own reader, and the preview
does not ask again.
"""

from pathlib import Path

from studio.core.i18n import Problem
from studio.datasets.encoding.loading import stops
from studio.datasets.quality import stored_reports
from studio.datasets.registry.dataset_info import Dataset
from studio.datasets.schema.rules import Fault

# The stages of a dataset whose rows are read in this stage as the check read them.
AS_CHECKED = {"sft": "sft", "pt": "pt", "dpo": "dpo", "rm": "dpo", "kto": "kto"}


def stop(saves: Path, recipe: dict[str, object], dataset: Dataset) -> Problem | None:
    """Return what a check found that ends a run of a complete recipe; None where there was no check since the data
    changed, or it holds no more.

    Args:
        saves: the folder of all runs, in which the reports are kept.
    """
    if recipe.get("streaming") or recipe.get("tokenized_path"):  # the file is then read in another way, or not at all
        return None
    report = stored_reports.last_of(saves / stored_reports.FOLDER, dataset)
    found = report and report.stop
    if not found or found.row and not _is_reached(found.row, recipe, dataset):
        return None
    if found.kind in stops.IN_A_ROW and AS_CHECKED.get(str(recipe.get("stage"))) != dataset.stage:
        return None
    if found.kind in stops.OF_A_TEMPLATE and (report.template != recipe.get("template") or recipe.get("tool_format")):
        return None
    return stops.problem_of(dataset.name, dataset.file, found.row, Fault(found.kind, found.field, found.facts))


def _is_reached(row: int, recipe: dict[str, object], dataset: Dataset) -> bool:
    """Tell whether a run surely reads a row: settings may let it take the first rows only, or some by chance."""
    limit = recipe.get("max_samples")
    return not dataset.entry.get("num_samples") and (not limit or isinstance(limit, int) and row <= limit)
