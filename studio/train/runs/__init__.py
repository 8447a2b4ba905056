"""Runs on disk: a folder each, `saves/<model>/<method>/<run>/`, and what can be read from it at any time, by
anybody.
"""

import shutil
import socket
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil

from studio.core.i18n import Problem
from studio.core.storage import files, folders, jsonl
from studio.core.workspace import Workspace
from studio.train.execution import queue
from studio.train.runs import events, llamaboard_runs
from studio.train.runs.stop_request import ABORT, StopWish
from studio.train.runs.stored import listing, origin, reconstructed, run_info, stored_recipe

# Thinning costs time in proportion to the points, so it is done rarely and thoroughly.
THIN_AT = 8 * events.POINTS_KEPT
ACTIVE = ("queued", "preparing", "running", "stopping")
SILENCE_S = 900.0  # a run on another machine that writes nothing for so long counts as gone
WEIGHTS = (
    "adapter_model.safetensors",
    "adapter_model.bin",
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
)

WEIGHT_PATTERNS = ("*.safetensors", "*.safetensors.index.json", "*.bin", "*.bin.index.json")


@dataclass(frozen=True)
class Run:
    """One run by its name, `<model>/<method>/<run>`, and the files of its folder.

    `order` is the id of the order in the queue by which whoever has this object trains the run; states and faults that
    it tells carry it.
    """

    name: str
    folder: Path
    order: str = field(default="", compare=False)

    @property
    def recipe_file(self) -> Path:
        ours, theirs = self.folder / "recipe.yaml", self.folder / "training_args.yaml"
        return ours if files.is_file(ours) or not files.is_file(theirs) else theirs

    @property
    def is_foreign(self) -> bool:
        """Whether LlamaBoard or the command line made this run: it has what LLaMA-Factory leaves but no events."""
        return not files.is_file(self.events_file) and listing.is_of_another_tool(self.folder)

    @property
    def left_no_recipe(self) -> bool:
        """Whether the recipe of this run must be put together from its other files (see `reconstructed`)."""
        return not files.is_file(self.recipe_file) and self.is_foreign

    @property
    def info_file(self) -> Path:
        return self.folder / "run.json"

    @property
    def events_file(self) -> Path:
        return self.folder / "events.jsonl"

    @property
    def log_file(self) -> Path:
        theirs = self.folder / "running_log.txt"  # LlamaBoard's
        return theirs if files.is_file(theirs) and self.is_foreign else self.folder / "run.log"

    def recipe(self) -> dict:
        """Return the recipe as it was started; of a run that left none what its files say of it, less `unknown`.

        Raises Problem where the file is missing or not a recipe.
        """
        if self.left_no_recipe and (found := reconstructed.read(self.folder).recipe):
            base = found.get("model_name_or_path")
            return found | ({"model_name_or_path": origin.model(self.folder.parents[3], str(base))} if base else {})
        return stored_recipe.read(self.recipe_file)

    def unknown(self) -> list[str]:
        """Return the settings that the recipe must have and that nothing in the folder says, of a run that left no
        recipe.
        """
        return reconstructed.read(self.folder).unknown if self.left_no_recipe else []

    def recipe_if_any(self) -> dict:
        """Return the recipe as it was started, {} where there is none or it cannot be read; `faults` then says why."""
        try:
            return self.recipe() if files.exists(self.recipe_file) or self.is_foreign else {}
        except Problem:
            return {}

    def setting(self, name: str) -> str:
        """Return a setting of the recipe that is text. Raises Problem where the recipe cannot be read or does not say
        it.
        """
        found = self.recipe()
        if value := found.get(name):
            return str(value)
        if name == "template" and "model_name_or_path" in found and self.left_no_recipe:
            return origin.template(Path(str(found["model_name_or_path"])))
        raise Problem("train.recipe_unreadable", path=self.recipe_file, reason=f"{name} is missing")

    def info(self) -> dict:
        """Return what the studio wrote beside the recipe: title, note, executor, process; without what is wrong there
        (see `faults`).
        """
        return run_info.read(self.info_file)[0]

    def faults(self, status: "Status") -> list[Problem]:
        """Return what is wrong with the files of the run's folder, as far as the studio reads them; `status` is that of
        the run.
        """
        found = [fault] if (fault := run_info.read(self.info_file)[1]) else []
        found += reconstructed.read(self.folder).faults if self.left_no_recipe else []
        try:
            if files.exists(self.recipe_file):
                self.recipe()
        except Problem as unreadable:
            if files.exists(self.recipe_file):  # else the run has just been deleted
                found.append(unreadable)
        if count := status.unreadable:
            found.append(
                Problem(
                    "train.lines_unreadable",
                    count=count,
                    file=llamaboard_runs.source(self.folder).name if self.is_foreign else self.events_file.name,
                )
            )
        return found

    def say(self, event: str, /, **facts: object) -> None:
        """Append one event (see `events.append`); a state and a fault say which order they belong to."""
        if self.order and event in ("state", "error"):
            facts = {"order": self.order, **facts}
        events.append(self.events_file, event, **facts)

    def own(self, pid: int | None = None) -> None:
        """Write down that a process, this one where none is named, now works on the run, so that its death can be
        noticed.

        Raises:
            Problem: the folder cannot be written.
            psutil.NoSuchProcess: the process has ended already.
        """
        process = psutil.Process(pid)
        order = {"order": self.order} if self.order else {}
        self.note(pid=process.pid, pid_started=process.create_time(), host=socket.gethostname(), **order)

    def note(self, **facts: object) -> None:
        """Put facts into what the studio keeps beside the recipe. Raises Problem where the folder cannot be written."""
        run_info.update(self.info_file, facts)

    def step(self) -> int:
        """Return the step that the run has reached."""
        return written(self).step

    def resumable_step(self) -> int | None:
        """Return the step of the newest complete checkpoint, None where there is none."""
        whole = self.checkpoints()
        return _step(whole[-1]) if whole else None

    def checkpoints(self) -> list[str]:
        """Return the names of the complete checkpoints, oldest first.

        The trainer writes `trainer_state.json` after everything else, so a checkpoint without it, or with a torn one,
        is half-written and not offered.
        """
        found = [path for path in listing.checkpoint_folders(self.folder) if _is_closed(path / "trainer_state.json")]
        return [path.name for path in sorted(found, key=lambda path: _step(path.name)) if has_weights(path)]


def has_weights(folder: Path) -> bool:
    """Tell whether a folder holds weights that can be loaded: an adapter or a whole model."""
    return any(files.is_file(folder / name) for name in WEIGHTS)


def _is_closed(state_file: Path) -> bool:
    """Tell whether the last file of a checkpoint is there to its end, which a full disk may have cut off."""
    try:
        with files.open_file(state_file) as file:
            file.seek(-min(64, file.seek(0, 2)), 2)
            return file.read().rstrip().endswith(b"}")
    except OSError:
        return False


def _step(name: str) -> int | None:
    match = listing.CHECKPOINT.fullmatch(name)
    return int(match[1]) if match else None


def find(workspace: Workspace, name: str) -> Run:
    """Return the run called `<model>/<method>/<run>`. Raises Problem where there is none, or the name is not safe."""
    folder = workspace.inside(workspace.saves, name, parts=3)
    run = Run(name, folder)
    if not files.is_file(run.events_file) and not run.is_foreign:
        raise Problem("train.no_run", run=name)
    return run


def all_runs(workspace: Workspace) -> list[Run]:
    """Return every run in `saves/`, newest first, also those that LlamaBoard or the command line made there."""
    return usable_and_odd(workspace)[0]


def usable_and_odd(workspace: Workspace) -> tuple[list[Run], dict[str, Problem]]:
    """Return every run in `saves/`, newest first, and what looks like one and cannot be used: {its name, as it can be
    shown: why}.
    """
    found = listing.scan(workspace.saves)
    return sorted((Run(name, folder) for name, folder in found.runs.items()), key=_started, reverse=True), found.odd


def _started(run: Run) -> float:
    return (
        run.info().get("created")
        or files.stamp(llamaboard_runs.source(run.folder) if run.is_foreign else run.events_file)[1] / 1e9
    )


def make(workspace: Workspace, model: str, method: str, wish: str) -> Run:
    """Make the folder of a new run, `<wish>-<n>` with the first n that is free, and return the run. Raises Problem."""
    for number in range(1, 100_000):
        name = f"{model}/{method}/{wish}-{number}"
        folder = workspace.inside(workspace.saves, name, parts=3)
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise Problem("workspace.unwritable", path=folder, reason=error.strerror) from error
        return Run(name, folder)
    raise Problem("workspace.bad_name", name=wish)


def learned(run: Run) -> list[Path]:
    """Return what a run has learned so far: its checkpoint folders, whole or not, and the weights beside them."""
    found = (path for pattern in WEIGHT_PATTERNS for path in folders.matching(run.folder, pattern))
    weights = [path for path in found if path.name != "training_args.bin"]
    return [*listing.checkpoint_folders(run.folder), *weights]


def remove_half_written(run: Run) -> list[str]:
    """Remove checkpoints that were never finished (a full disk, a kill) and return their names. For a run that is not
    at work.
    """
    whole = set(run.checkpoints())
    torn = [path for path in listing.checkpoint_folders(run.folder) if path.name not in whole]
    for path in torn:
        shutil.rmtree(path, ignore_errors=True)
    return [path.name for path in torn if not path.exists()]


@dataclass
class Status:
    """What the events of a run add up to. Times in seconds since 1970."""

    state: str = "queued"
    step: int = 0
    total_steps: int = 0
    epoch: float = 0.0
    loss: float | None = None
    started: float | None = None
    ended: float | None = None
    error: dict | None = None
    facts: dict = field(default_factory=dict)
    warnings: list[dict] = field(default_factory=list)
    probes: list[dict] = field(default_factory=list)
    series: dict[str, list[tuple]] = field(default_factory=dict)
    steps_began: tuple[float, int] | None = None
    last_time: float = 0.0
    size: int = 0
    order: str = ""
    order_states: dict[str, str] = field(default_factory=dict)
    unreadable: int = 0  # lines that are no events, or whose values cannot be
    heard: float = 0.0  # when this process last saw the file grow, by a clock that nobody sets (time.monotonic)
    age: float = 0.0  # how old the file was by the calendar when this process first saw it; 0 once it has grown since

    def take(self, event: dict) -> None:
        """Add one event, as `events.read` gives it."""
        self.last_time = event.get("time", self.last_time)
        kind = event["event"]
        if kind in ("state", "error") and not self._is_of_the_last_order(event):
            return
        if kind == "state":
            self._take_state(event)
        elif kind == "facts":
            self.facts = {key: value for key, value in event.items() if key not in ("event", "time")}
            self.total_steps = event.get("total_steps", 0)
            self.step = event.get("step", 0)
            self.steps_began = (event["time"], self.step)
            self._forget_after(self.step)
        elif kind == "step":
            self.step = event["step"]
        elif kind == "metrics":
            self._take_metrics(event)
        elif kind == "warning":
            self.warnings = [*self.warnings, event][-20:]
        elif kind == "probe":
            self.probes = [*self.probes, event][-200:]
        elif kind == "unreadable":
            self.unreadable += 1
        elif kind == "error" and not self.error:
            # Where several processes train together, the first fault is the cause and the others follow from it.
            self.error = {key: value for key, value in event.items() if key not in ("event", "time")}

    def _is_of_the_last_order(self, event: dict) -> bool:
        """Note an order's last state, and tell whether it is the order that counts: a run that was queued again has
        left the old one.
        """
        order = event.get("order", "")
        if event["event"] == "state":
            if (
                event["state"] != "stopping" or self.order_states.get(order, "queued") in ACTIVE
            ):  # else asked just as it came to its end
                self.order_states = {**self.order_states, order: event["state"]}
            if event["state"] == "queued":
                self.order = order
        return not order or not self.order or order == self.order

    def _take_state(self, event: dict) -> None:
        if event["state"] == "stopping" and self.state not in ACTIVE:
            return  # asked just as the run came to its end by itself
        self.state = event["state"]
        if self.state == "preparing":
            self.started, self.ended, self.error = self.started or event["time"], None, None
        elif self.state not in ACTIVE:
            self.ended = event["time"]

    def _take_metrics(self, event: dict) -> None:
        self.step, self.epoch = event["step"], event.get("epoch") or self.epoch
        step, series = event["step"], self.series
        seconds = round(event["time"] - (self.started or event["time"]), 3)
        for name, value in event["values"].items():
            points = series.get(name)
            if points is None:
                points = series[name] = []
            points.append(
                (step, value, seconds)
            )  # a tuple: the garbage collector need not look into it again and again
            if len(points) > THIN_AT:
                points[:] = events.thinned(points)
        loss = event["values"].get("loss")
        if isinstance(loss, (int, float)):
            self.loss = loss

    def _forget_after(self, step: int) -> None:
        # A resumed run trains again what came after its checkpoint; the newer points take the place of the older ones.
        for points in self.series.values():
            points[:] = [point for point in points if point[0] <= step]
        self.warnings = [warning for warning in self.warnings if warning["step"] <= step]
        self.probes = [answer for answer in self.probes if answer["step"] <= step]

    def quiet(self) -> float:
        """Return for how many seconds this process has seen nothing new. A calendar that is set anew, or a machine that
        slept, adds none.
        """
        return time.monotonic() - self.heard

    def hear(self, path: Path, size: int) -> None:
        """Take down that the file has this size now."""
        if not self.heard:
            self.age = max(0.0, time.time() - files.stamp(path)[1] / 1e9)
        elif size != self.size:
            self.age = 0.0
        if not self.heard or size != self.size:
            self.heard = time.monotonic()
        self.size = size

    def eta(self) -> float | None:
        """Return the seconds that the steps left will take at the mean pace so far, or None while nothing is known."""
        pace = self.pace()
        return (
            pace * max(0, self.total_steps - self.step)
            if pace is not None and self.state in ("running", "stopping")
            else None
        )

    def pace(self) -> float | None:
        """Return the mean seconds of a step so far, or None while nothing is known."""
        if not self.steps_began or self.step <= self.steps_began[1] or self.last_time < self.steps_began[0]:
            return None  # the clock was set back meanwhile
        return (self.last_time - self.steps_began[0]) / (self.step - self.steps_began[1])


_statuses: dict[Path, tuple[Status, int]] = {}
_reading = threading.Lock()


def forget() -> None:
    """Forget what was read of all runs, as a studio does that has just been started."""
    with _reading:
        _statuses.clear()


def status(run: Run) -> Status:
    """Return what the run's events add up to now. Only the part of the file that is new since the last asking is read.

    A run that was at work when its process died is "interrupted", or "stopped" where that had been asked.
    """
    known = written(run)
    if known.state not in ACTIVE or run.is_foreign or _goes_on(run, known):
        return known
    return replace(
        known, state="stopped" if StopWish(run.folder).asked() == ABORT else "interrupted", ended=known.last_time
    )


def written(run: Run) -> Status:
    """Return what the run's events add up to as they were written, also where its process has died since."""
    if run.is_foreign:
        return _foreign_status(run)
    with _reading:
        known, offset = _statuses.get(run.events_file, (Status(), 0))
        if offset > folders.size_of(run.events_file):
            known, offset = Status(), 0
        lines, offset = jsonl.read(run.events_file, offset)
        for event in events.of_lines(lines):
            known.take(event)
        known.hear(run.events_file, offset)
        _statuses[run.events_file] = (known, offset)
        return replace(known)  # who asked keeps what was so then


def _foreign_status(run: Run) -> Status:
    log = llamaboard_runs.source(run.folder)
    with _reading:
        known, size = _statuses.get(log, (Status(), -1))
        if size != folders.size_of(log):
            fresh = Status(heard=known.heard, age=known.age, size=known.size)
            for event in llamaboard_runs.events(run.folder):
                fresh.take(event)
                fresh.total_steps = event.get("total_steps", fresh.total_steps)
            known = fresh
            known.hear(log, folders.size_of(log))
            _statuses[log] = (known, known.size)
        state = llamaboard_runs.state(run.folder, known.step, known.total_steps, known.quiet() + known.age)
        if not known.started and state == "running":
            state = "preparing"
        return replace(known, state=state, ended=None if state in ACTIVE else known.last_time or None)


def summary(run: Run) -> dict:
    """Return {run, state, step, total_steps, loss, started, model, dataset, problem} of a run, as lists of runs show
    it.

    `problem` is the first of what is wrong with its files, a Problem, None where nothing is.
    """
    now = status(run)
    faults = run.faults(now)
    return {
        "run": run.name,
        "state": now.state,
        "step": now.step,
        "total_steps": now.total_steps,
        "loss": now.loss,
        "started": now.started,
        "model": run.name.split("/")[0],
        "dataset": run.recipe_if_any().get("dataset"),
        "problem": faults[0] if faults else None,
    }


def _goes_on(run: Run, known: Status) -> bool:
    info = run.info()
    if known.state == "queued" and (
        queue.holds(run.folder.parents[2], run.name) or info.get("executor") == "nodes" and "pid" not in info
    ):
        return True
    if known.order and info.get("order", known.order) != known.order:
        return False  # the process that is noted was that of an earlier order
    if info.get("host", socket.gethostname()) != socket.gethostname():
        return known.quiet() + known.age < SILENCE_S
    return alive(info)


def alive(info: dict) -> bool:
    """Tell whether the process that a run's info names is at work on this machine; one that only waits to be buried is
    not.
    """
    try:
        process = psutil.Process(info["pid"])
        return process.status() != psutil.STATUS_ZOMBIE and abs(process.create_time() - info["pid_started"]) < 1
    except (KeyError, TypeError, psutil.Error):
        return False


def metrics(run: Run, since: int = 0) -> dict:
    """Return the points of every series after byte `since` of the events, and the byte to ask from next.

    From 0, the whole history in a bounded number of points; later, only what is new: {series, next, state, reset}.
    `reset` says that the history changed under the reader (a resumed run trains steps again), who then starts over from
    0.
    """
    now = status(run)
    if since == 0:
        with _reading:
            series = {name: [list(point) for point in events.thinned(points)] for name, points in now.series.items()}
        return {"series": series, "next": now.size, "state": now.state, "reset": False}
    if run.is_foreign:
        return {"series": {}, "next": now.size, "state": now.state, "reset": since != now.size}
    fresh, following = events.read(run.events_file, since)
    if since > now.size or any(event["event"] == "facts" for event in fresh):
        return {"series": {}, "next": 0, "state": now.state, "reset": True}
    series: dict[str, list[list]] = {}
    for event in fresh:
        if event["event"] == "metrics":
            for name, value in event["values"].items():
                series.setdefault(name, []).append(
                    [event["step"], value, round(event["time"] - (now.started or event["time"]), 3)]
                )
    return {"series": series, "next": following, "state": now.state, "reset": False}
