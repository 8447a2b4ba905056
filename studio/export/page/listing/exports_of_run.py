"""The way from a run, and from each of its checkpoints, to an export; and the models that were made of it."""

from dataclasses import dataclass

from studio.core.i18n import Problem
from studio.export import record
from studio.export.page.context import ExportContext
from studio.export.page.listing.export_list import ExportRow, export_row
from studio.train import runs

TEMPLATE = "export/page/listing/exports_of_run.html"


@dataclass(frozen=True)
class ExportsOfRun:
    """What can be exported of a run, and what was."""

    run: str
    can_export: bool
    rows: tuple[ExportRow, ...]


def exports_of_run(context: ExportContext, name: str) -> ExportsOfRun | None:
    """Return the exports of a run, None where no run is named. Raises Problem where there is no such run."""
    if not name:
        return None
    run = runs.find(context.workspace, name)
    rows = [
        export_row(context.workspace, model, found)
        for model, found in record.exported(context.workspace)
        if not isinstance(found, Problem) and any(str(one).partition("@")[0] == run.name for one in found.targets)
    ]
    return ExportsOfRun(run.name, runs.has_weights(run.folder) or bool(run.checkpoints()), tuple(rows))
