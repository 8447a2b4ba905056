"""What is to be merged: a run or checkpoints of runs, one after another, into their base; looked at before anything is
loaded."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from studio.core import reasons, trust
from studio.core.i18n import Problem
from studio.core.storage import folders
from studio.core.storage.records import Record, Text
from studio.core.workspace import Workspace
from studio.export.merge import adapter_fit
from studio.inference import target_names
from studio.inference.local.model_target import ModelTarget, weight_files
from studio.models.chat_template_match import template_match
from studio.models.library import library, model_config, model_names
from studio.models.weights import completeness, tensor_headers
from studio.train import runs
from studio.train.runs.lineage import with_below

SPARE_BYTES = 512 * 2**20  # beside the weights: tokenizer, records, and room for whatever else writes
LARGEST_SHARD_GB = 1000
_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
Precision = Literal["", "float32", "bfloat16", "float16"]


class Plan(Record):
    """A merge, as it is stored beside its job and read by the process that does it.

    name: of the model that comes out. model, adapters: folders; the adapters are merged in their order. targets: what
    was chosen, as Chat names it. settings: LLaMA-Factory's, by which tokenizer and template are as in training.
    precision: of the stored weights; "" is the base's own. shard_gb: of a file of weights, at the most.
    """

    name: Text
    targets: list[Text]
    model: Path
    adapters: list[Path] = []
    template: Text
    settings: dict[str, object] = {}
    precision: Precision = ""
    shard_gb: int = Field(5, ge=1, le=LARGEST_SHARD_GB)
    device: Literal["cpu", "auto"] = "cpu"
    from_quantized: bool = False

    @property
    def reads(self) -> list[Path]:
        """The folders that have to stay where they are until it is done."""
        return [self.model, *self.adapters]


@dataclass(frozen=True)
class Size:
    """What a merge needs on the disk, and what is free there, in bytes."""

    needed: int
    free: int


def plan(
    workspace: Workspace,
    targets: list[str],
    name: str = "",
    precision: Precision = "",
    shard_gb: int = 5,
    device: Literal["cpu", "auto"] = "cpu",
) -> Plan:
    """Return the merge of what was chosen.

    Args:
        targets: runs or checkpoints as Chat names them, adapters of one base in the order in which they are merged; or
            one model, or one checkpoint that is a whole model, which is written anew.
        name: of the model that comes out; "" makes one.

    Raises:
        Problem: nothing is chosen, one of them is gone or of another base, the base is not here, broken, quantised or
            not that of the training any more, nobody knows the template, the name is none or taken.
    """
    unique = list(dict.fromkeys(targets))
    if not unique:
        raise Problem("merge.nothing_chosen")
    found = [target_names.resolve(workspace, [one])[0] for one in unique]
    bases = {target.model.resolve() for target in found}
    if len(bases) > 1:
        raise Problem("merge.other_base", names=", ".join(sorted(path.name for path in bases)))
    if len(found) > 1 and any(target.adapter is None for target in found):
        raise Problem("merge.whole_model", name=next(one.name for one in found if one.adapter is None))
    last = found[-1]
    _require_parts(last.name, last.model, last.template)
    adapters = _fitting_adapters(workspace, found)
    if tensor_headers.quantization(model_config.read(last.model)[0]) is not None:
        raise Problem("merge.quantized_base", model=last.model.name)
    recipe = runs.find(workspace, last.name.partition("@")[0]).recipe() if target_names.is_run(last.name) else {}
    settings = {key: recipe[key] for key in ("default_system", "enable_thinking", "tool_format") if key in recipe}
    settings |= dict(last.vocabulary) | {"trust_remote_code": trust.allows(last.model)}
    made = Plan(
        name=name.strip() or _free_name(workspace, last.name, last.model),
        targets=unique,
        model=last.model,
        adapters=adapters,
        template=last.template,
        settings=settings,
        precision=precision,
        shard_gb=shard_gb,
        device=device,
        from_quantized=bool(recipe.get("quantization_bit")),
    )
    model_names.require_free(workspace, made.name)
    return made


def _fitting_adapters(workspace: Workspace, targets: list[ModelTarget]) -> list[Path]:
    """Return the folders of the adapters of targets, those below each before it. Raises Problem where one was not made
    for its base.
    """
    found: list[Path] = []
    for target in targets:
        if not target.adapter:
            continue
        adapter_fit.require_same_base(runs.find(workspace, target.name.partition("@")[0]), target.model)
        for folder in with_below(target.adapter):
            if folder not in found:
                adapter_fit.require_fit(folder, target.name, target.model)
                found.append(folder)
    return found


def _require_parts(name: str, model: Path, template: str) -> None:
    if not folders.is_folder(model) or not weight_files(model):
        raise Problem("merge.no_base", name=name, model=model.name)
    if fault := completeness.fault_of(library.scan(model, library.title(model))):
        raise fault if isinstance(fault, Problem) else Problem("merge.no_base", name=name, model=model.name)
    # A page must not wait for LLaMA-Factory's import; where it is not there yet, the merge itself tells it.
    if template_match.loaded() and template not in template_match.shipped():
        raise Problem("chat.no_template", template=template)


def free_room(workspace: Workspace) -> int:
    """Return the bytes that are free where models lie. Raises Problem where that cannot be looked at."""
    try:
        return shutil.disk_usage(workspace.models).free
    except OSError as error:
        raise Problem("workspace.unwritable", path=workspace.models, reason=reasons.of(error)) from error


def require_bytes(workspace: Workspace, needed: int) -> None:
    """Raise Problem where so many bytes are not free where models lie."""
    if needed > (free := free_room(workspace)):
        raise Problem("merge.no_room", needed=needed / 2**30, free=free / 2**30, path=workspace.models)


def size(workspace: Workspace, made: Plan) -> Size:
    """Return what a merge needs on the disk. Raises Problem where the folder of models cannot be looked at."""
    stored = sum(folders.size_of(file) for file in weight_files(made.model))
    widened = _BYTES[made.precision] / _stored_bytes(made.model) if made.precision else 1.0
    return Size(int(stored * widened) + SPARE_BYTES, free_room(workspace))


def require_room(workspace: Workspace, made: Plan) -> None:
    """Raise Problem where the disk has no room for what comes out."""
    require_bytes(workspace, size(workspace, made).needed)


def _stored_bytes(model: Path) -> int:
    """Return the bytes of a number in a model's files."""
    return 4 if library.scan(model, model.name).dtype.startswith(("F32", "float32")) else 2


def _free_name(workspace: Workspace, target: str, model: Path) -> str:
    short = target_names.short(target).replace("@checkpoint-", "-step-").replace("@", "-")
    stem = f"{model.name}-{short}" if target_names.is_run(target) else f"{model.name}-copy"
    for number in range(1, 1000):
        name = stem[:100] if number == 1 else f"{stem[:100]}-{number}"
        if not model_names.is_taken(workspace.models / name):
            return name
    raise Problem("models.name_taken", name=stem)
