"""Other forms of a model as they are started and looked at: GGUF files, quantised weights, what each costs."""

from studio.core.device_lease import DeviceLease
from studio.core.job import Job
from studio.core.jobs import Jobs
from studio.core.workspace import Workspace
from studio.datasets.registry.collection import Collection
from studio.export.cost import cost_job, cost_plan
from studio.export.cost.cost_plan import CostPlan
from studio.export.gguf import gguf_job, gguf_plan
from studio.export.gguf.gguf_plan import GgufPlan
from studio.export.quantize import quantize_job, quantize_plan
from studio.export.quantize.quantize_plan import QuantizePlan
from studio.inference.llama_cpp.toolkit import Toolkit

GGUF, QUANTIZE, COST = "export_gguf", "export_quantize", "export_cost"


class FormService:
    """All forms of the models of a workspace; one of these for the life of the process."""

    def __init__(self, workspace: Workspace, device: DeviceLease, jobs: Jobs, collection: Collection, toolkit: Toolkit):
        self.workspace, self.jobs, self.collection, self.toolkit = workspace, jobs, collection, toolkit
        self._device = device
        jobs.offer(GGUF, self._gguf, facts=GgufPlan, makes="files")
        jobs.offer(QUANTIZE, self._quantize, facts=QuantizePlan, makes="model")
        jobs.offer(COST, self._cost, facts=CostPlan)

    def gguf(
        self, targets: list[str], types: list[str], importance: bool = False, calibration: str = "", name: str = ""
    ) -> Job:
        """Make GGUF files in a job (see `gguf_plan.plan`).

        Raises:
            Problem: what was chosen cannot be made, or the disk has no room for it.
        """
        plan = gguf_plan.plan(self.workspace, targets, types, importance, calibration, name)
        gguf_plan.require_room(self.workspace, plan)
        return self.jobs.start(GGUF, "gguf_files.job", plan.model_dump(mode="json"))

    def quantize(self, targets: list[str], method: str, calibration: str = "", name: str = "") -> Job:
        """Quantise in a job (see `quantize_plan.plan`).

        Raises:
            Problem: what was chosen cannot be quantised so, or the disk has no room for it.
        """
        plan = quantize_plan.plan(self.workspace, targets, method, calibration, name)
        quantize_plan.require_room(self.workspace, plan)
        return self.jobs.start(QUANTIZE, "quantize.job", plan.model_dump(mode="json"))

    def cost(self, targets: list[str], dataset: str = "") -> Job:
        """Compare all forms of a model with its 16 bits in a job (see `cost_plan.plan`).

        Raises:
            Problem: it has no form yet, or no rows to compare them on.
        """
        plan = cost_plan.plan(self.workspace, targets, dataset)
        return self.jobs.start(COST, "cost.job", plan.model_dump(mode="json"))

    def _gguf(self, job: Job) -> dict:
        plan = GgufPlan.model_validate(job.facts)
        return gguf_job.make(job, self.workspace, self._device, self.collection, self.toolkit, plan)

    def _quantize(self, job: Job) -> dict:
        plan = QuantizePlan.model_validate(job.facts)
        return quantize_job.quantize(job, self.workspace, self._device, self.collection, plan)

    def _cost(self, job: Job) -> dict:
        plan = CostPlan.model_validate(job.facts)
        return cost_job.measure(job, self.workspace, self._device, self.collection, self.toolkit, plan)
