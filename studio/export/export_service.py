"""Exports as they are started and looked at: one job each."""

from typing import Literal

from studio.core.device_lease import DeviceLease
from studio.core.jobs import Job, Jobs
from studio.core.workspace import Workspace
from studio.export.merge import merge_job
from studio.export.merge import merge_plan as plans
from studio.export.merge.merge_plan import Plan, Precision
from studio.models.library import model_jobs

KIND = "export"
KINDS = (
    KIND,
    "export_gguf",
    "export_quantize",
    "export_cost",
)  # of the jobs that make a model, a file or a copy elsewhere: what the list of exports shows


class ExportService:
    """All exports of a workspace, one after the other."""

    def __init__(self, workspace: Workspace, device: DeviceLease, jobs: Jobs):
        self.workspace, self.jobs, self._device = workspace, jobs, device
        jobs.offer(KIND, self._work, facts=Plan)
        jobs.places(KIND, model_jobs.places(workspace, lambda facts: Plan.model_validate(facts).reads))

    def merge(
        self,
        targets: list[str],
        name: str = "",
        precision: Precision = "",
        shard_gb: int = 5,
        device: Literal["cpu", "auto"] = "cpu",
    ) -> Job:
        """Merge adapters into their base, or write a whole model anew (see `plan.plan`), in a job.

        Raises:
            Problem: what was chosen cannot be merged, or the disk has no room for it.
        """
        plan = plans.plan(self.workspace, targets, name, precision, shard_gb, device)
        plans.require_room(self.workspace, plan)
        return self.jobs.start(KIND, "merge.job", plan.model_dump(mode="json"))

    def _work(self, job: Job) -> dict:
        plan = Plan.model_validate(job.facts)
        with merge_job.turn(job, plan.name):
            return merge_job.merge(job, self.workspace, self._device, plan)
