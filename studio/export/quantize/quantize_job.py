"""A quantisation from the first look to its place: made beside it, loaded and asked, and only then moved."""

import os
import time
from pathlib import Path

from studio.core import trust
from studio.core.device_lease import DeviceLease
from studio.core.job import Job
from studio.core.storage import folders
from studio.core.storage.atomic import scratch
from studio.core.workspace import Workspace
from studio.datasets.registry.collection import Collection
from studio.export import child_run, form_card, model_forms, source_model, token_rows
from studio.export.gguf import gguf_prompts
from studio.export.model_forms import Form, Forms
from studio.export.quantize import gptq_libraries, methods
from studio.export.quantize import quantize_plan as plans
from studio.export.quantize.load_child import Loading
from studio.export.quantize.quantize_plan import QuantizePlan
from studio.export.quantize.weights_child import Quantizing
from studio.inference.local.model_target import weight_files
from studio.models.library import model_names

CALIBRATION_TOKENS, CALIBRATION_CUTOFF = 8192, 512
THREADS = max(1, os.cpu_count() or 1)


def quantize(job: Job, workspace: Workspace, device: DeviceLease, collection: Collection, plan: QuantizePlan) -> dict:
    """Quantise, load the result anew, and put it in its place; returns {name, folder, verified}.

    Nothing is left where it fails, is stopped, or is killed; but a merge that was made first is a whole export, and
    stays.

    Raises:
        Problem: there is no room, a step fails, or the result cannot be loaded or answers nothing that is a number.
        Stopped: the person stopped the job.
    """
    target, method = model_names.require_free(workspace, str(plan.name)), methods.find(plan.method)
    plans.require_room(workspace, plan)
    if method.own_libraries:
        gptq_libraries.ensure(job.report, job.check)
    plan = plan.model_copy(update={"source": source_model.merged(job, workspace, device, plan.source)})
    model = plan.source.folder(workspace)
    device.acquire(f"{child_run.HOLDER}{plan.name}", 2 * source_model.bytes_in_16_bit(workspace, plan.source))
    try:
        with scratch(target) as made:
            form = _made(job, workspace, collection, plan, model, made)
            forms = Forms(source=plan.source.name, template=plan.source.template, forms=[form])
            model_forms.write(made / str(plan.name), forms)
            origin = form_card.origin(workspace, str(plan.source.name))
            form_card.write_form_cards(made / str(plan.name), str(plan.name), forms, origin)
            job.check()
            model_names.put(made / str(plan.name), model_names.require_free(workspace, str(plan.name)))
    finally:
        device.release(f"{child_run.HOLDER}{plan.name}")
    return {"name": plan.name, "folder": str(target), "verified": form.model_dump(mode="json")}


def _made(job: Job, workspace: Workspace, collection: Collection, plan: QuantizePlan, model: Path, made: Path) -> Form:
    """Quantise into a folder of `made`, load it anew, and return what was seen."""
    method, folder, trusted = methods.find(plan.method), made / str(plan.name), trust.allows(model)
    library, _, _ = plan.method.partition("-")
    path = [gptq_libraries.folder()] if method.own_libraries else []
    spec = Quantizing(
        method=library,
        bits=method.bits,
        model=model,
        target=folder,
        rows=_rows(workspace, collection, plan, model) if method.calibrates else [],
        trust_remote_code=trusted,
    )
    total = source_model.bytes_in_16_bit(workspace, plan.source) * method.bits // 16

    def look() -> None:
        written = folders.size_below(folder)
        job.report(min(0.7, 0.1 + 0.6 * written / max(1, total)), "quantize.working", method=plan.method)

    child_run.run(job, "studio.export.quantize.weights_child", spec, made, look, path)
    asked = gguf_prompts.question(model, str(plan.source.template))
    loading = Loading(
        model=folder, prompt=asked, by_gptq=method.own_libraries, threads=THREADS, trust_remote_code=trusted
    )
    job.report(0.8, "quantize.loading")
    said = child_run.run(job, "studio.export.quantize.load_child", loading, made, libraries=path)
    return Form(
        type=plan.method,
        size=sum(folders.size_of(file) for file in weight_files(folder)),
        answer=said["text"],
        calibration=plan.calibration,
        created=time.time(),
    )


def _rows(workspace: Workspace, collection: Collection, plan: QuantizePlan, model: Path) -> list[list[int]]:
    job_rows = token_rows.rows(
        collection,
        model,
        source_model.template_of(workspace, plan.source),
        str(plan.calibration),
        [str(one) for one in plan.source.targets],
        token_rows.Amount(CALIBRATION_CUTOFF, CALIBRATION_TOKENS),
    )
    return [row.ids for row in job_rows]
