"""Who may speak: the names of models and of runs with their checkpoints, and what each name stands for."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from studio.chat import served
from studio.chat.answer import Answer, Sampling, failed
from studio.chat.rollcall import RollCall
from studio.chat.room import LOOK_S, Chat, side_by_side
from studio.chat.speaker import Speaker
from studio.core import trust
from studio.core.device_lease import DeviceLease
from studio.core.i18n import Problem
from studio.core.storage import files
from studio.core.workspace import Workspace
from studio.models.library import library
from studio.train import runs
from studio.train.recipe import completion as recipes
from studio.train.runs import lineage

MOST = 4
SERVED = "served:"  # begins the name of a column that a server answers


def names(workspace: Workspace) -> list[str]:
    """Return every name on this machine that can speak: models, then runs, newest first, each followed by its
    checkpoints.

    A checkpoint is called `<run>@<checkpoint>`. A model that cannot be loaded is none of them: Models says what it
    lacks.
    """
    found = [model.name for model in library.usable(workspace)]
    for run in runs.all_runs(workspace):
        checkpoints = run.checkpoints()
        if runs.has_weights(run.folder) or checkpoints:
            found += [run.name, *(f"{run.name}@{checkpoint}" for checkpoint in reversed(checkpoints))]
    return found


def title(name: str) -> str:
    """Return how a name is shown: of a served model first the model, then the server."""
    if not name.startswith(SERVED):
        return name
    server, _, model = name.removeprefix(SERVED).partition("/")
    return f"{model} · {server}"


def short(name: str) -> str:
    """Return the last part of a title: of a run its own name, with the checkpoint."""
    return title(name).split("/")[-1]


def with_base(workspace: Workspace, name: str) -> list[str]:
    """Return the names of a run's base and the run itself, of a model only its own. Raises Problem where the run or its
    base is gone.
    """
    if "/" not in name:
        return [library.find(workspace, name).name]
    run = runs.find(workspace, name.partition("@")[0])
    return [library.find(workspace, run.setting("model_name_or_path")).name, name]


def speakers(workspace: Workspace, chosen: list[str], bits: int | None = None) -> list[Speaker]:
    """Return what the names stand for, each once. A base model speaks with the template of the first chosen run on it,
    like with like.

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
    is_adapter = files.is_file(folder / "adapter_config.json")
    return Speaker(
        name=name,
        model=Path(run.setting("model_name_or_path")) if is_adapter else folder,
        adapter=folder if is_adapter else None,
        template=run.setting("template"),
        bits=bits,
        default_system=recipe.get("default_system"),
        thinking=recipe.get("enable_thinking", True),
        below=lineage.merged_below(recipe) if is_adapter else (),
        vocabulary=lineage.vocabulary(recipe) if is_adapter else (),
        own_code=bool(recipe.get("trust_remote_code"))
        and trust.allows(Path(run.setting("model_name_or_path")) if is_adapter else folder),
    )


def _newest(run: runs.Run) -> Path:
    checkpoints = run.checkpoints()
    return run.folder if runs.has_weights(run.folder) or not checkpoints else run.folder / checkpoints[-1]


def _base(workspace: Workspace, name: str, bits: int | None, tuned) -> Speaker:
    model = library.find(workspace, name)
    for speaker in tuned:
        if speaker.adapter and speaker.model == model.path:
            return replace(speaker, name=name, adapter=None, below=(), vocabulary=())
    allowed = trust.allows(model.path)
    return Speaker(
        name=name, model=model.path, adapter=None, template=recipes.template_for(model), bits=bits, own_code=allowed
    )


@dataclass(frozen=True)
class Loading:
    """How far a loading is: the key of its sentence and a share from 0 to 1."""

    key: str
    share: float


class Table:
    """The chat with the accelerator under it: what the page and the API ask."""

    def __init__(self, workspace: Workspace, accelerator: DeviceLease):
        self.workspace, self.accelerator, self.chat = workspace, accelerator, Chat()
        self.endpoints = served.Endpoints(workspace)
        self.rollcall = RollCall(self.endpoints)
        self.loading: Loading | None = None
        self.evict = False  # whether somebody else took the memory, and the chat's models had to go
        self._seating = threading.Lock()

    def seat(self, chosen: list[str], bits: int | None = None) -> list[Speaker]:
        """Load those chosen and no others, asking for the accelerator first. Raises Problem, and then says what is in
        the way.
        """
        with self._seating:
            wanted = speakers(self.workspace, chosen, bits)
            self._load(wanted)  # costs almost nothing where all are there, and notices weights that were written anew
            return wanted

    def _load(self, wanted: list[Speaker]) -> None:
        needed = max(0, self.chat.bytes_needed(wanted) - self.chat.memory_bytes())
        self.accelerator.acquire("chat", needed, evict=self._make_room)
        try:
            self.chat.load(wanted, self._report)
            self.evict = False
        except Problem:
            if not self.chat.speakers():
                self.accelerator.release("chat")
            raise
        finally:
            self.loading = None

    def _report(self, key: str, share: float) -> None:
        self.loading = Loading(key, share)

    def _make_room(self) -> None:
        self.chat.unload()
        self.evict = True

    def clear(self) -> dict[str, int]:
        """Unload everything, and return the bytes in use before and after: {before, after}."""
        with self._seating:
            freed = self.chat.unload()
            self.accelerator.release("chat")
        gpu = freed.gpu_before is not None and freed.gpu_before > 0
        return (
            {"before": freed.gpu_before, "after": freed.gpu_after}
            if gpu
            else {"before": freed.memory_before, "after": freed.memory_after}
        )

    def ask(
        self,
        talks: dict[str, list[dict]],
        system: str,
        sampling: Sampling,
        stop: threading.Event,
        tools: str = "",
        bits: int | None = None,
    ) -> Iterator[list[Answer]]:
        """Ask one or several, and yield all their answers as they grow, in the order of `talks`, the finished ones
        last.

        Models on this machine are loaded where need be and answer together (see `Chat.compare`); each served one
        answers at its own pace. Who cannot answer says so in its own `Answer.fault` and holds up nobody. Who stops
        reading, stops the answers.

        Args:
            talks: by the name of each who is asked, the conversation up to and with the question.
            stop: set it to end the answers.
            tools: JSON of the tools that may be called, "" for none.
            bits: 4 or 8 to load the models of this machine quantised.

        Raises:
            Problem: nobody is chosen, or too many.
        """
        if not 1 <= len(talks) <= MOST:
            raise Problem("chat.choose_some", most=MOST)
        sampling.draw()
        latest = {name: Answer(name, "", 0, None, None, "") for name in talks}
        news, leave = threading.Event(), threading.Event()
        question = (system, sampling, leave, tools)

        def see(answer: Answer) -> None:
            before = latest[answer.speaker]
            # a failure told from outside knows nothing of what had come by then
            latest[answer.speaker] = (
                replace(before, finished="failed", fault=answer.fault) if answer.fault and not answer.text else answer
            )
            news.set()

        local = {name: talk for name, talk in talks.items() if not name.startswith(SERVED)}
        work = [
            partial(self._ask_served, name, talk, question, see) for name, talk in talks.items() if name not in local
        ]
        work += [partial(self._ask_local, local, bits, question, see)] if local else []
        with side_by_side(work, leave) as over:
            while not over.wait(LOOK_S):
                if news.is_set():
                    news.clear()
                    yield list(latest.values())
                if stop.is_set():
                    leave.set()
        yield list(latest.values())

    def _ask_local(
        self, talks: dict[str, list[dict]], bits: int | None, question: tuple, see: Callable[[Answer], None]
    ) -> None:
        system, sampling, stop, tools = question
        there = {name: speaker for name in talks if (speaker := self._known(name, bits, see))}
        while there:
            try:
                for answers in self.chat.compare(
                    self.seat(list(there), bits), [talks[name] for name in there], system or None, sampling, stop, tools
                ):
                    for answer in answers:
                        see(answer)
                return
            except Problem as fault:  # of one's files: the others can still answer
                path = fault.facts.get("path")
                guilty = [
                    name for name, one in there.items() if path in (one.adapter, one.model, one.model.resolve())
                ] or list(there)
                for name in guilty:
                    see(failed(name, fault))
                    del there[name]

    def _known(self, name: str, bits: int | None, see: Callable[[Answer], None]) -> Speaker | None:
        """Return what a name stands for; where it stands for nothing, that is its answer, and the others are asked."""
        try:
            return speakers(self.workspace, [name], bits)[0]
        except Problem as fault:
            see(failed(name, fault))
            return None

    def _ask_served(self, name: str, talk: list[dict], question: tuple, see: Callable[[Answer], None]) -> None:
        try:
            see(served.ask(self.endpoints.speaker(name), talk, *question, see))
        except Problem as fault:
            see(failed(name, fault))
