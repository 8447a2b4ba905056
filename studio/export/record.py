"""`export.json` in a model's folder: what it was made of, and what its verification found."""

import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from studio.core.i18n import Problem
from studio.core.storage import files, records
from studio.core.storage.records import Moment, Record, Text
from studio.core.workspace import Workspace
from studio.export.merge.merge_plan import Plan
from studio.inference import target_names
from studio.models.library import library
from studio.train import runs
from studio.train.runs.lineage import names_in

FILE = "export.json"
SHAPING = ("stage", "finetuning_type", "lora_rank", "learning_rate", "num_train_epochs", "max_steps", "cutoff_len")
PACKAGES = ("llamafactory", "transformers", "peft", "torch")


class Verified(Record):
    """What a verification found (see `verify_child.Verdict`)."""

    kl: float
    top1: float
    largest: float
    stored_kl: float = 0.0
    stored_top1: float = 1.0
    prompts: int
    positions: int
    precision: str


class ExportRecord(Record):
    """Where an exported model comes from.

    base: the name of the model below. targets: the runs or checkpoints that were merged. data: the datasets of their
    runs. settings: those by which template and tokenizer are as in training (see `Plan`). recipe: the settings of the
    last of them that shaped the training.
    """

    name: Text
    base: Text
    licence: Text = ""
    targets: list[Text]
    data: list[Text] = []
    template: Text
    settings: dict[str, object] = {}
    recipe: dict[str, object] = {}
    created: Moment
    versions: dict[str, str] = {}
    verified: Verified | None = None

    @classmethod
    def of(cls, workspace: Workspace, plan: Plan, verified: Verified) -> "ExportRecord":
        """Return the record of a merge that was just made."""
        data: list[str] = []
        recipe: dict = {}
        for name in filter(target_names.is_run, plan.targets):
            recipe = runs.find(workspace, name.partition("@")[0]).recipe()
            data += [one for one in names_in(recipe.get("dataset")) if one not in data]
        base = library.scan(plan.model, library.title(plan.model))
        return cls(
            name=plan.name,
            base=base.name,
            licence=base.licence or "",
            targets=plan.targets,
            data=data,
            template=plan.template,
            settings=plan.settings,
            recipe={key: recipe[key] for key in SHAPING if key in recipe},
            created=time.time(),
            versions={name: found for name in PACKAGES if (found := _version(name))},
            verified=verified,
        )


def of_model(folder: Path) -> ExportRecord | None:
    """Return the record of an exported model, None for any other. Raises Problem where the record is none."""
    return records.load(folder / FILE, ExportRecord) if files.is_file(folder / FILE) else None


def exported(workspace: Workspace) -> list[tuple[library.Model, ExportRecord | Problem]]:
    """Return the exported models of the workspace, newest first; one whose record cannot be read with the fault."""
    found = []
    for model in library.models(workspace):
        try:
            record = of_model(model.path)
        except Problem as problem:
            record = problem
        if record is not None:
            found.append((model, record))
    return sorted(found, key=lambda one: getattr(one[1], "created", 0.0), reverse=True)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
