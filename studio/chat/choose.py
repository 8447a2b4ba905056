"""Who may speak: the names of models and of runs with their checkpoints, and what each name stands for."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from studio.accelerator import Accelerator
from studio.chat.answer import Answer, Sampling
from studio.chat.room import Chat
from studio.chat.speaker import Speaker
from studio.interface.language import Problem
from studio.models import library
from studio.train import recipe as recipes
from studio.train import runs
from studio.workspace import Workspace

MOST = 4


def names(workspace: Workspace) -> list[str]:
    """Return every name that can speak: models, then runs, newest first, each followed by its checkpoints `<run>@<checkpoint>`."""
    found = [model.name for model in library.models(workspace)]
    for run in runs.all_runs(workspace):
        checkpoints = run.checkpoints()
        if runs.has_weights(run.folder) or checkpoints:
            found += [run.name, *(f"{run.name}@{checkpoint}" for checkpoint in reversed(checkpoints))]
    return found


def with_base(workspace: Workspace, name: str) -> list[str]:
    """Return the names of a run's base and the run itself, of a model only its own. Raises Problem where the run or its base is gone."""
    if "/" not in name:
        return [library.find(workspace, name).name]
    run = runs.find(workspace, name.partition("@")[0])
    return [library.find(workspace, run.recipe()["model_name_or_path"]).name, name]


def speakers(workspace: Workspace, chosen: list[str], bits: int | None = None) -> list[Speaker]:
    """Return what the names stand for, each once. A base model speaks with the template of the first chosen run on it, like with like.

    Raises:
        Problem: nobody, or too many, or a name that stands for nothing.
    """
    wanted = list(dict.fromkeys(chosen))
    if not 1 <= len(wanted) <= MOST:
        raise Problem("chat.choose_some", most=MOST)
    tuned = {name: _tuned(workspace, name, bits) for name in wanted if "/" in name}
    return [tuned[name] if name in tuned else _base(workspace, name, bits, tuned.values()) for name in wanted]


def _tuned(workspace: Workspace, name: str, bits: int | None) -> Speaker:
    run_name, _, checkpoint = name.partition("@")
    run = runs.find(workspace, run_name)
    folder = workspace.inside(run.folder, checkpoint) if checkpoint else _newest(run)
    if not runs.has_weights(folder):
        raise Problem("chat.no_checkpoint", name=name)
    recipe = run.recipe()
    is_adapter = (folder / "adapter_config.json").is_file()
    return Speaker(
        name=name,
        model=Path(recipe["model_name_or_path"]) if is_adapter else folder,
        adapter=folder if is_adapter else None,
        template=recipe["template"],
        bits=bits,
        default_system=recipe.get("default_system"),
        thinking=recipe.get("enable_thinking", True),
    )


def _newest(run: runs.Run) -> Path:
    checkpoints = run.checkpoints()
    return run.folder if runs.has_weights(run.folder) or not checkpoints else run.folder / checkpoints[-1]


def _base(workspace: Workspace, name: str, bits: int | None, tuned) -> Speaker:
    model = library.find(workspace, name)
    for speaker in tuned:
        if speaker.adapter and speaker.model == model.path:
            return replace(speaker, name=name, adapter=None)
    return Speaker(name=name, model=model.path, adapter=None, template=recipes.template_for(model), bits=bits)


@dataclass(frozen=True)
class Loading:
    """How far a loading is: the key of its sentence and a share from 0 to 1."""

    key: str
    share: float


class Table:
    """The chat with the accelerator under it: what the page and the API ask."""

    def __init__(self, workspace: Workspace, accelerator: Accelerator):
        self.workspace, self.accelerator, self.chat = workspace, accelerator, Chat()
        self.loading: Loading | None = None
        self._seating = threading.Lock()

    def seat(self, chosen: list[str], bits: int | None = None) -> list[Speaker]:
        """Load those chosen and no others, asking for the accelerator first. Raises Problem, and then says what is in the way."""
        with self._seating:
            wanted = speakers(self.workspace, chosen, bits)
            self._load(wanted)  # costs almost nothing where all are there, and notices weights that were written anew
            return wanted

    def _load(self, wanted: list[Speaker]) -> None:
        needed = max(0, self.chat.bytes_needed(wanted) - self.chat.memory_bytes())
        self.accelerator.hold("chat", needed, put_away=self.chat.unload)
        try:
            self.chat.load(wanted, self._report)
        except Problem:
            if not self.chat.speakers():
                self.accelerator.release("chat")
            raise
        finally:
            self.loading = None

    def _report(self, key: str, share: float) -> None:
        self.loading = Loading(key, share)

    def clear(self) -> dict[str, int]:
        """Unload everything, and return the bytes in use before and after: {before, after}."""
        with self._seating:
            freed = self.chat.unload()
            self.accelerator.release("chat")
        gpu = freed.gpu_before is not None and freed.gpu_before > 0
        return {"before": freed.gpu_before, "after": freed.gpu_after} if gpu else {"before": freed.memory_before, "after": freed.memory_after}

    def ask(self, chosen: list[str], talks: list[list[dict]], system: str, sampling: Sampling, stop: threading.Event) -> Iterator[list[Answer]]:
        """Load those chosen where need be, and yield their answers as they grow (see `Chat.compare`)."""
        seated = self.seat(chosen)
        yield from self.chat.compare(seated, talks, system or None, sampling, stop)


