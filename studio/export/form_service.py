"""Other forms of a model as they are started and looked at: GGUF files, quantised weights, what each costs."""

from collections.abc import Callable
from pathlib import Path

from studio.core.device_lease import DeviceLease
from studio.core.job import Job
from studio.core.jobs import Jobs, Places
from studio.core.workspace import Workspace
from studio.datasets.registry.collection import Collection
from studio.evaluate.predict import row_sources
from studio.export import model_forms
from studio.export.cost import cost_job, cost_plan
from studio.export.cost.cost_plan import CostPlan
from studio.export.export_service import KIND as MERGE
from studio.export.gguf import gguf_job, gguf_plan
from studio.export.gguf.gguf_plan import GgufPlan
from studio.export.quantize import quantize_job, quantize_plan
from studio.export.quantize.quantize_plan import QuantizePlan
from studio.export.source_model import Source
from studio.inference.llama_cpp.toolkit import Toolkit
from studio.models.library import model_names

GGUF, QUANTIZE, COST = "export_gguf", "export_quantize", "export_cost"


class FormService:
    """All forms of the models of a workspace; one of these for the life of the process."""

    def __init__(self, workspace: Workspace, device: DeviceLease, jobs: Jobs, collection: Collection, toolkit: Toolkit):
        self.workspace, self.jobs, self.collection, self.toolkit = workspace, jobs, collection, toolkit
        self._device = device
        jobs.offer(GGUF, self._gguf, facts=GgufPlan)
        jobs.offer(QUANTIZE, self._quantize, facts=QuantizePlan)
        jobs.offer(COST, self._cost, facts=CostPlan)
        jobs.places(GGUF, Places(self._files, self._read_for(GgufPlan), self._require_place))
        jobs.places(
            QUANTIZE,
            Places(
                lambda facts: {workspace.models / facts["name"]: ()} | self._merged(facts),
                self._read_for(QuantizePlan),
                lambda facts: model_names.require_free(workspace, facts["name"]),
            ),
        )
        jobs.places(COST, Places(reads=self._read_for(CostPlan)))

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

    def _files(self, facts: dict) -> dict[Path, tuple[str, ...]]:
        return {self.workspace.models / facts["name"]: (GGUF,)} | self._merged(facts)

    def _require_place(self, facts: dict) -> None:
        gguf_plan.require_place(self.workspace, GgufPlan.model_validate(facts))

    def _merged(self, facts: dict) -> dict[Path, tuple[str, ...]]:
        """Return the place of the merge that a job makes first: others may be at it, and then it takes theirs."""
        merge = Source.model_validate(facts["source"]).merge
        return {self.workspace.models / merge.name: (MERGE, GGUF, QUANTIZE)} if merge else {}

    def _read_for(self, plan_of: type[GgufPlan | QuantizePlan | CostPlan]) -> Callable[[dict], list[Path]]:
        """Return what tells of the facts of a job, which are a plan, what it reads: models, runs and datasets."""

        def reads(facts: dict) -> list[Path]:
            """Return the places of one job. Raises Problem where what it reads is gone."""
            plan = plan_of.model_validate(facts)
            data = plan.rows_from if isinstance(plan, CostPlan) else plan.calibration
            found = [
                *plan.source.reads(self.workspace),
                *row_sources.places(self.collection, [str(data)] if data else []),
            ]
            if isinstance(plan, CostPlan):
                found += [folder for folder, _ in model_forms.of_source(self.workspace, str(plan.name))]
            if isinstance(plan, GgufPlan) and plan.adapter:
                found.append(plan.adapter)
            return found

        return reads

    def _gguf(self, job: Job) -> dict:
        plan = GgufPlan.model_validate(job.facts)
        return gguf_job.make(job, self.workspace, self._device, self.collection, self.toolkit, plan)

    def _quantize(self, job: Job) -> dict:
        plan = QuantizePlan.model_validate(job.facts)
        return quantize_job.quantize(job, self.workspace, self._device, self.collection, plan)

    def _cost(self, job: Job) -> dict:
        plan = CostPlan.model_validate(job.facts)
        return cost_job.measure(job, self.workspace, self._device, self.collection, self.toolkit, plan)
