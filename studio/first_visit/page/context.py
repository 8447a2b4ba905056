"""The first visit as the Train tab shows it: four steps, each of which ends where the next begins."""

from dataclasses import dataclass

from studio.core.i18n import Problem
from studio.first_visit.visit import FirstVisit
from studio.models import starter
from studio.models.models_context import ModelsContext
from studio.models.page.machine_sizes import MachineSizesContext, machine_sizes
from studio.train import runs
from studio.train.page.runs.run_progress import Progress, progress

TEMPLATE = "first_visit/page/first_visit.html"


@dataclass(frozen=True)
class FirstVisitContext:
    """What this machine is (cores; the names of its cards, and why there is none), what fits it, and how far the
    starter run is: its name, "" before it was started, and its progress. `has_starter`: the model for it is here.
    """

    cores: int | None
    cards: tuple[str, ...]
    no_gpu: Problem | None
    sizes: MachineSizesContext
    starter: str
    has_starter: bool
    run: str
    progress: Progress | None


def first_visit(visit: FirstVisit, models: ModelsContext) -> FirstVisitContext | None:
    """Return what the first visit shows, None where it is over."""
    if visit.record() is None:
        return None
    run, latest = visit.run(), models.monitor.latest()
    return FirstVisitContext(
        latest.host.cores,
        tuple(gpu.name or "GPU" for gpu in latest.gpus),
        latest.no_gpu,
        machine_sizes(models),
        starter.NAME,
        starter.is_complete(models.workspace.models / starter.NAME),
        run.name if run else "",
        progress(run, runs.status(run)) if run else None,
    )
