"""GGUF files from the first look to their place: made beside it, each loaded and asked, and only then moved."""

import os
import time
from dataclasses import dataclass, field
from pathlib import Path

from studio.core import trust
from studio.core.device_lease import DeviceLease
from studio.core.i18n import Problem
from studio.core.job import Job
from studio.core.storage import files, folders, records
from studio.core.storage.atomic import move, scratch, write_json
from studio.core.workspace import Workspace
from studio.datasets.registry.collection import Collection
from studio.export import child_run, form_card, model_forms, source_model, token_rows
from studio.export.gguf import gguf_plan as plans
from studio.export.gguf import gguf_prompts
from studio.export.gguf.answer_child import Question
from studio.export.gguf.convert_child import Conversion
from studio.export.gguf.gguf_plan import GgufPlan
from studio.export.gguf.gguf_prompts import Prompts
from studio.export.gguf.importance_child import Importance
from studio.export.gguf.quants_child import Quantization
from studio.export.gguf.types import LORA, TYPES
from studio.export.model_forms import Form, Forms, Parity
from studio.inference.llama_cpp import server
from studio.inference.llama_cpp.toolkit import Toolkit
from studio.models.library import model_names

CALIBRATION_TOKENS, CALIBRATION_CUTOFF = 4096, 256
THREADS = max(1, os.cpu_count() or 1)


def make(
    job: Job, workspace: Workspace, device: DeviceLease, collection: Collection, toolkit: Toolkit, plan: GgufPlan
) -> dict:
    """Make the files, and return {name, folder, files, verified}.

    Nothing is left where it fails, is stopped, or is killed; but a merge that was made first is a whole export, and
    stays.

    Raises:
        Problem: there is no room, a step fails, or llama.cpp cannot load what was made or makes another prompt of it.
        Stopped: the person stopped the job.
    """
    target = plans.require_place(workspace, plan)
    plans.require_room(workspace, plan)
    toolkit.ensure(job.report, job.check)
    if plan.of_model:
        plan = plan.model_copy(update={"source": source_model.merged(job, workspace, device, plan.source)})
    device.acquire(f"{child_run.HOLDER}{plan.name}", 2 * source_model.bytes_in_16_bit(workspace, plan.source))
    try:
        with scratch(target) as made:
            work = _Work(job, workspace, collection, toolkit, plan, made)
            return _place(workspace, plan, target, work.folder, work.all())
    finally:
        device.release(f"{child_run.HOLDER}{plan.name}")


@dataclass
class _Work:
    """The making of the files of a plan, in a folder of its own.

    model: the folder of the 16-bit model. converted: the one that the converter reads, the same but for what its
    tokenizer says of BOS.
    """

    job: Job
    workspace: Workspace
    collection: Collection
    toolkit: Toolkit
    plan: GgufPlan
    scratch: Path
    done: int = 0
    found: list[Form] = field(default_factory=list)

    def __post_init__(self):
        self.folder = self.scratch / "files"
        self.folder.mkdir()
        merge = self.plan.source.merge
        # Of an adapter alone the base is not changed, so nothing was merged.
        self.model = merge.model if merge else self.plan.source.folder(self.workspace)
        self.converted = self.model
        self.steps = len(self.plan.types) * 2 + 2

    def all(self) -> list[Form]:
        """Return the forms that were made, each as llama.cpp answered with it."""
        self._report("gguf_files.prompts")
        asked = gguf_prompts.prompts(self.model, str(self.plan.source.template))
        self.converted = self._shadow(asked)
        base = self._base()
        matrix = self._importance(base) if self.plan.measures else None
        for type_ in self.plan.of_model:
            self._one(type_, base, matrix)
        if LORA in self.plan.types:
            self._lora()
        parity = self._parity(asked)
        return [self._asked(form, asked, parity, base) for form in self.found]

    def _report(self, key: str, share: float = 0.0, **facts: object) -> None:
        self.job.check()
        self.job.report(min(0.99, (self.done + share) / self.steps), key, **facts)

    def _run(self, module: str, spec: child_run.Spec, key: str, progress: Path | None = None, **facts: object) -> dict:
        def look() -> None:
            text = files.read_text(progress) if progress and files.is_file(progress) else ""
            self._report(key, float(text) if text else 0.0, **facts)

        result = child_run.run(self.job, f"studio.export.gguf.{module}", spec, self.scratch, look)
        self.done += 1
        return result

    def _shadow(self, asked: Prompts) -> Path:
        """Return a folder with the model's files in which the tokenizer says of BOS what training does."""
        begins = asked.begin_with_bos
        config = records.parse_or({}, files.read_text(self.model / "tokenizer_config.json") or "{}")
        if begins is None or not isinstance(config, dict) or config.get("add_bos_token") == begins:
            return self.model
        folder = self.scratch / str(self.model.name)
        folder.mkdir()
        for file in folders.entries(self.model):
            if file.name != "tokenizer_config.json":
                (folder / file.name).symlink_to(file.resolve())
        write_json(folder / "tokenizer_config.json", config | {"add_bos_token": begins})
        return folder

    def _base(self) -> Path:
        """Return the model as GGUF in 16 bit: the file of a chosen type, else one that goes afterwards."""
        chosen = next((one for one in self.plan.of_model if TYPES[one].plain), None)
        if chosen is None:
            return self._convert("f16", self.scratch / "base.gguf")
        return self._convert(chosen, self.folder / plans.file_name(self.plan, chosen))

    def _convert(self, type_: str, target: Path, adapter: Path | None = None) -> Path:
        converter = self.toolkit.converter()
        spec = Conversion(converter=converter, model=self.converted, adapter=adapter, type=type_, target=target)
        self._run("convert_child", spec, "gguf_files.converting", type=type_)
        return target

    def _importance(self, base: Path) -> Path:
        self._report("gguf_files.calibrating", dataset=self.plan.calibration)
        source, target, progress = self.plan.source, self.scratch / "importance.npz", self.scratch / "progress"
        rows = token_rows.rows(
            self.collection,
            self.model,
            source_model.template_of(self.workspace, source),
            str(self.plan.calibration),
            [str(one) for one in source.targets],
            token_rows.Amount(CALIBRATION_CUTOFF, CALIBRATION_TOKENS),
        )
        spec = Importance(
            converter=self.toolkit.converter(),
            model=self.model,
            gguf=base,
            rows=[row.ids for row in rows],
            target=target,
            trust_remote_code=trust.allows(self.model),
            progress=progress,
        )
        self._run("importance_child", spec, "gguf_files.calibrating", progress, dataset=self.plan.calibration)
        progress.unlink(missing_ok=True)
        return target

    def _one(self, type_: str, base: Path, matrix: Path | None) -> None:
        """Make a file of a type, and note it."""
        kind, target = TYPES[type_], self.folder / plans.file_name(self.plan, type_)
        fallbacks, used = 0, None
        if kind.plain and target != base:
            self._convert(type_, target)
        elif not kind.plain:
            used = matrix if kind.needs_importance or self.plan.importance else None
            progress = self.scratch / f"{type_}.progress"
            spec = Quantization(
                library=self.toolkit.library(),
                source=base,
                target=target,
                number=kind.number,
                threads=THREADS,
                importance=used,
                progress=progress,
            )
            result = self._run("quants_child", spec, "gguf_files.quantizing", progress, type=type_)
            fallbacks = result["fallbacks"]
        self._note(type_, target, bool(used), fallbacks)

    def _lora(self) -> None:
        target = self.folder / plans.file_name(self.plan, LORA)
        self._convert("f16", target, self.plan.adapter)
        self._note(LORA, target, False, 0)

    def _note(self, type_: str, target: Path, importance: bool, fallbacks: int) -> None:
        self.found.append(
            Form(
                type=type_,
                file=target.name,
                size=files.status(target).st_size,
                answer="",
                importance=importance,
                calibration=str(self.plan.calibration) if importance else "",
                fallbacks=fallbacks,
                created=time.time(),
            )
        )

    def _parity(self, asked: Prompts) -> Parity | None:
        """Return whether llama.cpp makes training's prompts, None where there is no server or no template to ask.

        Raises:
            Problem: it makes another prompt of a plain question.
        """
        whole = [form for form in self.found if form.type != LORA]
        if not whole or not asked.prompts or not self.toolkit.has_server():
            return None
        self._report("gguf_files.comparing")
        smallest = self.folder / str(min(whole, key=lambda form: form.size).file)
        with server.running(self.toolkit.server(), smallest, self.scratch / "server.log", self.job.check) as url:
            found = gguf_prompts.parity(asked, url)
        if asked.prompts[0].name in found.differs:
            raise Problem("gguf_files.other_prompt")
        return found

    def _asked(self, form: Form, asked: Prompts, parity: Parity | None, base: Path) -> Form:
        """Return a form with what it answered. Raises Problem where it does not, or would not end an answer."""
        file = self.folder / str(form.file)
        question = Question(
            library=self.toolkit.library(),
            model=base if form.type == LORA else file,
            adapter=file if form.type == LORA else None,
            prompt=asked.question,
            stops=asked.stops if asked.kind == "training" and form.type != LORA else [],
            threads=THREADS,
        )
        said = self._run("answer_child", question, "gguf_files.asking", type=form.type)
        if said["runs_past"]:
            raise Problem("gguf_files.runs_past", type=form.type)
        return form.model_copy(update={"answer": said["text"], "parity": None if form.type == LORA else parity})


def _place(workspace: Workspace, plan: GgufPlan, target: Path, made: Path, found: list[Form]) -> dict:
    """Put the files in their place, beside those that were made before, and return the job's result.

    What is listed is whole at each moment: a type that is made again is off the list before its file is replaced.
    """
    there = model_forms.of_folder(target) if target.is_dir() else None
    new = {form.type for form in found}
    kept = [form for form in there.forms if form.type not in new] if there else []
    written = Forms(
        source=plan.source.name,
        template=plan.source.template,
        forms=[*kept, *found],
        reference=there.reference if there else None,
        reference_size=there.reference_size if there else 0,
    )
    model_forms.write(made, written)
    origin = form_card.origin(workspace, str(plan.source.name))
    if there is None:
        form_card.write_form_cards(made, target.name, written, origin)
    if there and len(kept) < len(there.forms):
        model_forms.write(target, there.model_copy(update={"forms": kept}))
    if there is None:
        model_names.put(made, target)
    else:
        for form in found:
            move(made / str(form.file), target / str(form.file))
        move(made / model_forms.FILE, target / model_forms.FILE)
        form_card.write_form_cards(target, target.name, written, origin, before=there)
    return {
        "name": plan.name,
        "folder": str(target),
        "files": [form.file for form in found],
        "verified": [form.model_dump(mode="json") for form in found],
    }
