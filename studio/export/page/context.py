"""What the Export tab works with."""

from dataclasses import dataclass

from studio.core.i18n import Problem
from studio.core.jobs import Job, Jobs
from studio.core.workspace import Workspace
from studio.export.export_service import ExportService
from studio.export.form_service import FormService
from studio.export.push.push_service import PushService
from studio.export.template_forms.template_service import TemplateService

JOB = "job:"  # begins what is in hand where it is a job and not yet a model


@dataclass(frozen=True)
class ExportContext:
    """What the tab works with. forms: GGUF files, quantised weights and what they cost."""

    service: ExportService
    templates: TemplateService
    forms: FormService
    pushes: PushService

    @property
    def workspace(self) -> Workspace:
        """Where models and runs lie."""
        return self.service.workspace

    @property
    def jobs(self) -> Jobs:
        """All long work of the studio."""
        return self.service.jobs


def job_in_hand(context: ExportContext, hand: str) -> Job | None:
    """Return the job that is in hand, None where it is a model. Raises Problem where there is no such job."""
    return context.jobs.find(hand.removeprefix(JOB)) if hand.startswith(JOB) else None


def model_in_hand(context: ExportContext, hand: str) -> str:
    """Return the name of the exported model in hand, that of a job once it has made it; "" where there is none."""
    try:
        job = job_in_hand(context, hand)
    except Problem:
        return ""  # the head says that there is no such job
    if job is None:
        return hand
    made = job.result.get("name") if isinstance(job.result, dict) else None
    return made if job.state == "finished" and isinstance(made, str) else ""
