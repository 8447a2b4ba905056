"""The form that sends an exported model to a hub, and what was sent there."""

from dataclasses import dataclass

from studio.core.i18n import Problem
from studio.export.page.context import ExportContext, model_in_hand
from studio.export.page.listing.export_head import JobState, job_state
from studio.export.push.push_service import KIND
from studio.models.hub.hubs import TITLES
from studio.models.library import library

TEMPLATE = "export/page/exported/push_view.html"
LISTED = 5


@dataclass(frozen=True)
class Push:
    """A push. where: hub and repository. url: where the model stands now, "" while it does not."""

    job: JobState
    where: str
    url: str


@dataclass(frozen=True)
class PushForm:
    """The form for one model. hubs: pairs of a name and its title."""

    name: str
    hubs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class PushView:
    """The newest pushes of one model."""

    pushes: tuple[Push, ...]


FORM_TEMPLATE = "export/page/exported/push_form.html"


def push_form(context: ExportContext, hand: str) -> PushForm | None:
    """Return the form for the model in hand, None where there is no such model, which the head tells."""
    name = model_in_hand(context, hand)
    if not name:
        return None
    try:
        return PushForm(library.find(context.workspace, name).name, tuple(TITLES.items()))
    except Problem:
        return None  # told by the head


def push_view(context: ExportContext, hand: str) -> PushView | None:
    """Return the pushes of the model in hand, newest first; None where none is in hand."""
    name = model_in_hand(context, hand)
    if not name:
        return None
    found = [job for job in context.jobs.all(KIND) if job.facts.get("name") == name][:LISTED]
    return PushView(tuple(_push(context, job) for job in found))


def _push(context: ExportContext, job) -> Push:
    url = job.result.get("url") if isinstance(job.result, dict) else None
    where = f"{job.facts.get('hub')} · {job.facts.get('repo')}"
    return Push(job_state(context, job), where, url if isinstance(url, str) else "")
