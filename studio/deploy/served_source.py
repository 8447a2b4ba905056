"""What is served: a run, a checkpoint, a model on disk or a GGUF file, and whose prompt it was trained with."""

from dataclasses import dataclass
from pathlib import Path

from studio.core.i18n import Problem
from studio.core.storage import files
from studio.core.storage.folders import size_of
from studio.core.workspace import Workspace
from studio.export import model_forms
from studio.inference import target_names
from studio.inference.local.model_target import ModelTarget, weight_files
from studio.models.library import library

GGUF = ".gguf"


@dataclass(frozen=True)
class Source:
    """What is served.

    name: as Chat names it, or the GGUF file as it is listed. target: its weights and prompt; of a GGUF file only the
    prompt counts, and it is None where nobody says whose prompt it has. gguf: the file.
    """

    name: str
    target: ModelTarget | None
    gguf: Path | None = None

    @property
    def bytes(self) -> int:
        """How large its weights are on disk."""
        if self.gguf:
            return size_of(self.gguf)
        found = [*weight_files(self.target.model), *(weight_files(self.target.adapter) if self.target.adapter else ())]
        return sum(map(size_of, found))


def find(workspace: Workspace, name: str, prompt_of: str = "", bits: int = 0) -> Source:
    """Return what a name stands for.

    Args:
        name: as Chat names it; or a GGUF file, as `gguf_files` lists it or by its whole path.
        prompt_of: the run or model whose prompt a GGUF file was trained with; "" for the model beside it.

    Raises:
        Problem: it stands for nothing.
    """
    if not name.strip():
        raise Problem("deploy.nothing_chosen")
    if name.startswith(target_names.SERVED):
        raise Problem("deploy.served_already", name=target_names.title(name))
    if not name.lower().endswith(GGUF):
        return Source(name, target_names.resolve(workspace, [name], bits or None)[0])
    listed = gguf_files(workspace)
    file = listed.get(name) or (files.expanded(name) if Path(name).is_absolute() else None)
    if file is None or not files.is_file(file):
        raise Problem("gguf.no_file", file=name)
    owner = prompt_of or _model_beside(workspace, file)
    return Source(name, target_names.resolve(workspace, [owner])[0] if owner else None, file)


def gguf_files(workspace: Workspace) -> dict[str, Path]:
    """Return the GGUF files below the models' folder, the first of those that are split, by how they are listed."""
    found = {}
    for pattern in ("*.gguf", "*/*.gguf", "*/*/*.gguf"):
        for file in sorted(workspace.models.glob(pattern)):
            name = file.relative_to(workspace.models).as_posix()
            is_later_part = "-of-" in file.stem and "-00001-of-" not in file.stem
            if not is_later_part and files.is_file(file):
                found[name] = file
    return found


def _model_beside(workspace: Workspace, file: Path) -> str:
    """Return the name of the model that a GGUF file was made of, as its record says, else of the one in whose folder it
    lies; "" where there is none.
    """
    forms = model_forms.of_folder(file.parent)
    if forms and any(model.name == forms.source for model in library.usable(workspace)):
        return str(forms.source)
    for folder in (file.parent, file.parent.parent):
        for model in library.usable(workspace):
            if model.path.resolve() == folder.resolve():
                return model.name
    return ""
