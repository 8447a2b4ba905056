"""What a form is made of: a model on this disk in 16 bit, or the merge of runs, which is made first where it is not
there yet.
"""

from pathlib import Path

from studio.core import trust
from studio.core.device_lease import DeviceLease
from studio.core.i18n import Problem
from studio.core.job import Job
from studio.core.storage import folders
from studio.core.storage.records import Record, Text
from studio.core.workspace import Workspace
from studio.export import record
from studio.export.merge import merge_job, merge_plan
from studio.inference import target_names
from studio.inference.local.model_target import weight_files
from studio.models.library import library, model_config
from studio.models.weights import tensor_headers
from studio.train import runs
from studio.train.recipe import recipes
from studio.train.runs.lineage import names_in

_BYTES = {"F32": 4, "float32": 4}


class Source(Record):
    """A model to be written in other forms.

    name: in the folder of models. merge: what has to be merged to have it, None where it is there. template: with which
    it was trained, "" where nothing says. targets, data: the runs that are in it, and their datasets.
    """

    name: Text
    merge: merge_plan.Plan | None = None
    template: Text = ""
    targets: list[Text] = []
    data: list[Text] = []

    def folder(self, workspace: Workspace) -> Path:
        """Return where it is. Raises Problem where it is not there."""
        return library.find(workspace, str(self.name)).path

    def reads(self, workspace: Workspace) -> list[Path]:
        """Return the folders that have to stay until it is written in another form. Raises Problem where it is gone."""
        return self.merge.reads if self.merge else [self.folder(workspace)]


def of(workspace: Workspace, targets: list[str]) -> Source:
    """Return the model that targets stand for: one model, or runs and checkpoints of one base in their order.

    Raises:
        Problem: nothing is chosen, one is gone, the model is quantised already, or what was chosen cannot be merged.
    """
    chosen = list(dict.fromkeys(targets))
    if not chosen:
        raise Problem("merge.nothing_chosen")
    if len(chosen) == 1 and not target_names.is_run(chosen[0]):
        return _of_model(workspace, chosen[0])
    plan = merge_plan.plan(workspace, chosen)
    data: list[str] = []
    for run in {name.partition("@")[0]: None for name in chosen if target_names.is_run(name)}:
        data += [one for one in names_in(runs.find(workspace, run).recipe().get("dataset")) if one not in data]
    found = Source(name=plan.name, merge=plan, template=plan.template, targets=chosen, data=data)
    made = _merged_before(workspace, plan)
    return found.model_copy(update={"name": made, "merge": None}) if made else found


def merged(job: Job, workspace: Workspace, device: DeviceLease, source: Source) -> Source:
    """Return a source that is there: merged now, where no other job has merged it since it was chosen.

    Raises:
        Problem: it cannot be merged.
        Stopped: the person stopped the job.
    """
    if source.merge is None:
        return source
    with merge_job.turn(job, source.merge.name):
        made = _merged_before(workspace, source.merge)
        if made is None:
            made = merge_job.merge(job, workspace, device, source.merge)["name"]
    return source.model_copy(update={"name": made, "merge": None})


def _of_model(workspace: Workspace, name: str) -> Source:
    model = library.find(workspace, name)
    if model.faults:
        raise model.faults[0]
    if tensor_headers.quantization(model_config.read(model.path)[0]) is not None:
        raise Problem("forms.quantized_source", model=name)
    if trust.asks(model.path):
        trust.require(model.path)
    if found := record.of_model(model.path):
        return Source(name=name, template=found.template, targets=found.targets, data=found.data)
    return Source(name=name)


def template_of(workspace: Workspace, source: Source) -> str:
    """Return the template by which rows are encoded for a model. Raises Problem where nothing says which."""
    return str(source.template) or recipes.template_for(library.find(workspace, str(source.name)))


def bytes_in_16_bit(workspace: Workspace, source: Source) -> int:
    """Return about how many bytes the weights take in 16 bit."""
    model = source.merge.model if source.merge else source.folder(workspace)
    stored = sum(folders.size_of(file) for file in weight_files(model))
    return (
        stored * 2 // next((size for kind, size in _BYTES.items() if library.scan(model, "").dtype.startswith(kind)), 2)
    )


def _merged_before(workspace: Workspace, plan: merge_plan.Plan) -> str | None:
    """Return the name of a model that is this merge, made after the adapters were written."""
    written = max((folders.modified(folder / "adapter_config.json") for folder in plan.adapters), default=0.0)
    for model, found in record.exported(workspace):
        if isinstance(found, record.ExportRecord) and not model.faults:
            if found.targets == plan.targets and found.created > written and found.verified:
                return model.name
    return None
