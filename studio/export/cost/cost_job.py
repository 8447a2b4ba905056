"""All forms of a model compared with its 16 bits: each in a process of its own, the figures kept in their records."""

import math
import os
import time
from collections.abc import Callable
from pathlib import Path

from studio.core import trust
from studio.core.device_lease import DeviceLease
from studio.core.i18n import Problem
from studio.core.job import Job
from studio.core.sentences import Sentence
from studio.core.storage import files, folders
from studio.core.storage.atomic import scratch
from studio.core.workspace import Workspace
from studio.datasets.registry.collection import Collection
from studio.evaluate import part_names
from studio.export import child_run, form_card, model_forms, source_model, token_rows
from studio.export.cost.cost_child import Costing, Row
from studio.export.cost.cost_plan import CostPlan, comparable
from studio.export.model_forms import Cost, Form
from studio.export.quantize import gptq_libraries
from studio.inference.llama_cpp.toolkit import Toolkit
from studio.inference.local.model_target import weight_files

POSITIONS = 512  # tokens that are compared: 100 MB of logarithms for a vocabulary of 50,000
CUTOFF = 512  # tokens of a row
THREADS = max(1, (os.cpu_count() or 2) - 1)  # with all cores busy llama.cpp crawls


def measure(
    job: Job, workspace: Workspace, device: DeviceLease, collection: Collection, toolkit: Toolkit, plan: CostPlan
) -> dict:
    """Compare the forms, write the figures into their records, and return {source, forms, rows_from}.

    Raises:
        Problem: the rows cannot be read, or the 16-bit model cannot be loaded. A form that cannot is told in its row.
        Stopped: the person stopped the job.
    """
    model = plan.source.folder(workspace)
    job.report(0.0, "cost.rows", dataset=part_names.in_workspace(workspace, str(plan.rows_from)))
    rows = _rows(workspace, collection, plan, model)
    device.acquire(f"{child_run.HOLDER}{plan.name}", 2 * source_model.bytes_in_16_bit(workspace, plan.source))
    try:
        with scratch(workspace.models) as made:
            work = _Comparison(job, toolkit, plan, rows, made)
            return work.all(workspace, model)
    finally:
        device.release(f"{child_run.HOLDER}{plan.name}")


def _rows(workspace: Workspace, collection: Collection, plan: CostPlan, model: Path) -> list[Row]:
    found = token_rows.rows(
        collection,
        model,
        source_model.template_of(workspace, plan.source),
        str(plan.rows_from),
        [str(one) for one in plan.source.targets],
        token_rows.Amount(CUTOFF, counted=POSITIONS),
    )
    left, rows = POSITIONS, []
    for row in found:
        kept = row.trained[:left]
        left -= len(kept)
        if kept:
            rows.append(Row(ids=row.ids[: kept[-1] + 1], trained=kept))
    if not rows:
        raise Problem("cost.nothing_trained", dataset=part_names.in_workspace(workspace, str(plan.rows_from)))
    return rows


class _Comparison:
    """The forms of one model on the same rows, in a folder of its own."""

    def __init__(self, job: Job, toolkit: Toolkit, plan: CostPlan, rows: list[Row], made: Path):
        self._job, self._toolkit, self._plan, self._rows, self._made = job, toolkit, plan, rows, made
        self._done, self._steps, self._ready = 0, 1, {}

    def all(self, workspace: Workspace, model: Path) -> dict:
        """Measure the model and every form of it, and return what is stored. Raises Problem, Stopped."""
        there = model_forms.of_source(workspace, str(self._plan.source.name))
        compared = [(folder, form) for folder, forms in there for form in comparable(forms)]
        self._steps = 1 + len(compared)
        spec = self._spec("transformers", model, writes=True, dtype="float32")
        spec.trust_remote_code = trust.allows(model)
        reference = self._cost(spec, str(self._plan.source.name))
        size = sum(folders.size_of(file) for file in weight_files(model))
        measured = [(folder, self._measured(folder, form)) for folder, form in compared]
        origin = form_card.origin(workspace, str(self._plan.source.name))
        # Written when all are measured: figures of two sets of rows in one table cannot be compared.
        for folder, _ in there:
            _keep(folder, [form for place, form in measured if place == folder], reference, size, origin)
        table = [{"type": "16-bit", "size": size, "cost": reference.model_dump(mode="json")}]
        table += [form.model_dump(mode="json", include={"type", "size", "cost", "fault"}) for _, form in measured]
        return {
            "name": there[0][0].name,
            "source": self._plan.source.name,
            "rows_from": self._plan.rows_from,
            "forms": table,
        }

    def _measured(self, folder: Path, form: Form) -> Form:
        """Return a form with what it costs, or with why that cannot be told: the others are compared all the same."""
        try:
            return form.model_copy(update={"cost": self._of_form(folder, form), "fault": None})
        except Problem as problem:
            self._done += 1
            fault = Sentence(key=problem.key, facts={key: str(value) for key, value in problem.facts.items()})
            return form.model_copy(update={"cost": None, "fault": fault})

    def _of_form(self, folder: Path, form: Form) -> Cost:
        if form.file:
            self._require("gguf", self._toolkit.ensure)
            return self._cost(self._spec("gguf", folder / str(form.file)), str(form.type))
        kind = "gptq" if str(form.type).startswith("gptq") else "transformers"
        if kind == "gptq":
            self._require(kind, gptq_libraries.ensure)
        return self._cost(self._spec(kind, folder), str(form.type))

    def _require(self, kind: str, ensure: Callable) -> None:
        """Fetch what loads a kind of form, once. Raises Problem where it cannot be had, each time the same."""
        if kind not in self._ready:
            try:
                ensure(self._job.report, self._job.check)
                self._ready[kind] = None
            except Problem as problem:
                self._ready[kind] = problem
        if problem := self._ready[kind]:
            raise problem

    def _spec(self, kind: str, path: Path, writes: bool = False, dtype: str = "bfloat16") -> Costing:
        return Costing(
            kind=kind,
            path=path,
            library=self._toolkit.library() if kind == "gguf" else None,
            rows=self._rows,
            reference=self._made / "reference.npy",
            writes=writes,
            dtype=dtype,
            threads=THREADS,
            progress=self._made / f"progress-{self._done}",
        )

    def _cost(self, spec: Costing, name: str) -> Cost:
        def look() -> None:
            share = files.read_text(spec.progress) if files.is_file(spec.progress) else ""
            self._job.report((self._done + float(share or 0)) / self._steps, "cost.measuring", form=name)

        path = [gptq_libraries.folder()] if spec.kind == "gptq" else []
        found = child_run.run(self._job, "studio.export.cost.cost_child", spec, self._made, look, path)
        if not all(math.isfinite(found[key]) for key in ("perplexity", "kl")):
            raise Problem("cost.no_numbers", form=name)
        self._done += 1
        return Cost(
            **found, threads=THREADS, rows=len(self._rows), rows_from=self._plan.rows_from, measured=time.time()
        )


def _keep(folder: Path, measured: list[Form], reference: Cost, size: int, origin: form_card.Origin) -> None:
    """Write figures into the record of a folder as it is now: minutes have passed, in which forms were made or deleted.

    Args:
        measured: its forms with their figures. reference, size: of the 16-bit model.

    Raises:
        Problem: the record cannot be read any more, or the disk refuses.
    """
    figures = {(form.type, form.created): {"cost": form.cost, "fault": form.fault} for form in measured}
    before = model_forms.of_folder(folder)
    if before is None or not any((form.type, form.created) in figures for form in before.forms):
        return
    forms = [form.model_copy(update=figures.get((form.type, form.created), {})) for form in before.forms]
    after = before.model_copy(update={"forms": forms, "reference": reference, "reference_size": size})
    model_forms.write(folder, after)
    form_card.write_form_cards(folder, folder.name, after, origin, before=before)
