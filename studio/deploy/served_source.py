"""What is served: a run, a checkpoint, a model on disk or a GGUF file, and whose prompt it was trained with."""

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path

from studio.core.i18n import Problem
from studio.core.storage import files
from studio.core.storage.folders import size_of
from studio.core.workspace import Workspace
from studio.deploy.deploy_settings import DeploySettings
from studio.export import model_forms, record
from studio.inference import target_names
from studio.inference.local.model_target import ModelTarget, weight_files
from studio.models.gguf import gguf_parts
from studio.models.library import library

GGUF = ".gguf"


@dataclass(frozen=True)
class Source:
    """What is served.

    name: as Chat names it, or the GGUF file as it is listed. target: its weights and prompt; of a GGUF file only the
    prompt counts, and it is None where nobody says whose prompt it has. gguf: the file, of a split one its first part.
    """

    name: str
    target: ModelTarget | None
    gguf: Path | None = None

    @property
    def bytes(self) -> int:
        """How large its weights are on disk."""
        if self.gguf:
            return sum(map(size_of, gguf_parts.named_parts(self.gguf)))
        found = [*weight_files(self.target.model), *(weight_files(self.target.adapter) if self.target.adapter else ())]
        return sum(map(size_of, found))


def find(workspace: Workspace, name: str, prompt_of: str = "", bits: int = 0) -> Source:
    """Return what a name stands for.

    Args:
        name: as Chat names it; or a GGUF file, as `gguf_files` lists it or by its whole path.
        prompt_of: the run or model whose prompt a GGUF file was trained with; "" for the model beside it.

    Raises:
        Problem: it stands for nothing, or for a split GGUF of which a part is missing.
    """
    if not name.strip():
        raise Problem("deploy.nothing_chosen")
    if name.startswith(target_names.SERVED):
        raise Problem("deploy.served_already", name=target_names.served_title(name))
    if not name.lower().endswith(GGUF):
        return Source(name, _as_exported(target_names.resolve(workspace, [name], bits or None)[0]))
    listed = gguf_files(workspace)
    file = listed.get(name) or (files.expanded(name) if Path(name).is_absolute() else None)
    if file is None or not files.is_file(file):
        raise Problem("gguf.no_file", file=name)
    if gguf_parts.numbered(file):  # llama.cpp finds the others beside the first one, by their names
        file = gguf_parts.parts(file)[0]
    owner = prompt_of or _made_of(workspace, file)
    return Source(name, _as_exported(target_names.resolve(workspace, [owner])[0]) if owner else None, file)


def places(workspace: Workspace, name: str, settings: DeploySettings) -> list[Path]:
    """Return what an engine that serves a name reads, also when it is started once more: the folders of models and
    runs, and files; what is gone is left out.
    """
    found = target_names.folders(workspace, settings.adapters.values())
    with contextlib.suppress(Problem):
        source = find(workspace, name, settings.prompt_of, settings.bits)
        found += gguf_parts.named_parts(source.gguf) if source.gguf else []
        found += [source.target.model, source.target.adapter] if source.target else []
    return [path for path in found if path]


def gguf_files(workspace: Workspace) -> dict[str, Path]:
    """Return the GGUF files below the models' folder, the first of those that are split, by how they are listed."""
    found = {}
    for pattern in ("*.gguf", "*/*.gguf", "*/*/*.gguf"):
        for file in sorted(workspace.models.glob(pattern)):
            name = file.relative_to(workspace.models).as_posix()
            part = gguf_parts.numbered(file)
            is_unfinished = any(part.startswith(".") for part in name.split("/"))  # what is being written lies there
            if not (part and part.number > 1) and not is_unfinished and files.is_file(file):
                found[name] = file
    return found


def _made_of(workspace: Workspace, file: Path) -> str:
    """Return the name of the model that a GGUF file was made of, or in whose folder it lies; "" where there is none."""
    folders = {folder.resolve() for folder in (file.parent, file.parent.parent)}
    usable = library.usable(workspace)
    for folder in folders:
        forms = model_forms.of_folder(folder)
        owner = library.current_name(workspace, str(forms.source)) if forms else ""
        if any(model.name == owner for model in usable):
            return owner
    return next((model.name for model in usable if model.path.resolve() in folders), "")


def _as_exported(target: ModelTarget) -> ModelTarget:
    """Return a target with the prompt that its export remembers, where it is the export of a run. Raises Problem where
    that record cannot be read.
    """
    made = record.of_model(target.model) if not target_names.is_run(target.name) else None
    if made is None:
        return target
    settings = made.settings
    return replace(
        target,
        template=str(made.template),
        default_system=settings.get("default_system", target.default_system),
        thinking=settings.get("enable_thinking", target.thinking),
    )
