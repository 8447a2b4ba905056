"""One engine from its start to its end, in a thread of its own: what it is doing, whether it answers, why it died."""

import os
import secrets
import shutil
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from studio.core import reasons
from studio.core.i18n import Problem
from studio.core.job import Stopped
from studio.core.processes import process_group
from studio.core.processes.child import Child, Output
from studio.core.processes.process_group import MARK
from studio.core.sentences import Sentence
from studio.core.workspace import write_whole
from studio.deploy.deploy_settings import DeploySettings
from studio.deploy.engines.engine import Engine, Launch, Order, Told, fault_in, phase_in
from studio.deploy.supervision import ports
from studio.deploy.supervision.deployment import ACTIVE, Deployment, EngineState, Parity
from studio.deploy.supervision.engine_load import LoadWatch
from studio.train.execution.executors.subprocesses import NOT_INHERITED

PROBE_S, WATCH_S, LOOK_S = 0.1, 0.5, 5.0  # while it starts; when it is ready; at its members and its health
LOAD_S = 1.0  # between two looks at what it is at
RESTART_WINDOW_S = 600.0
BROKEN_LOOKS = 2  # in a row, after which an engine that says it is broken is ended
LATE_LOG_S = 0.3  # for the last lines of a process that is gone


@dataclass(frozen=True)
class Hooks:
    """What is to be done beside following.

    order: returns what the engine is to serve, each time it is started. ready: it answers. judge: compares its prompt
    with that of training. ended: it is gone; calls what it is given, which tells so, once its name is free.
    """

    order: Callable[[Deployment], Order]
    ready: Callable[[Deployment, EngineState], None]
    judge: Callable[[Deployment, EngineState], Parity]
    ended: Callable[[Deployment, Callable[[], None]], None]


class EngineFollower:
    """Starts an engine, or finds one that an earlier studio started, and looks after it until it ends."""

    def __init__(self, deployment: Deployment, engine: Engine, settings: DeploySettings, hooks: Hooks):
        self.deployment, self._engine, self._settings, self._hooks = deployment, engine, settings, hooks
        self._state, self._child = deployment.state(), None
        self._is_on_disk = True
        self._fault_at_end: Told | None = None
        self._stop, self._lock = threading.Event(), threading.Lock()
        self._thread = threading.Thread(target=self._run, name=f"engine-{deployment.name}", daemon=True)

    def begin(self) -> "EngineFollower":
        """Follow from now on: start the engine where it has no process yet."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Ask for its end, and return at once."""
        self._tell(state="stopping", since=time.time(), doing=None)
        self._stop.set()

    def join(self, seconds: float) -> bool:
        """Wait for its end, and tell whether it has come."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            if not self._state.members:
                self._start()
            elif not self._lives():  # it died while no studio looked after it: a person says whether it comes back
                self._fail(self._fault() or _by_code(None))
                return
            elif self._state.state == "ready":
                if fault := self._offer():
                    self._tell(error=fault)
                self._compare()
            while not self._follow():
                self._start()
        except Stopped:
            self._end()
        except Problem as problem:
            self._fail(Told(Sentence(key=problem.key, facts=problem.facts)))
        except Exception as error:  # a thread that dies in silence would leave an engine that nobody looks after
            traceback.print_exc()
            self._fail(Told(Sentence(key="deploy.fault_studio", facts={"reason": f"{type(error).__name__}: {error}"})))
        finally:
            self._hooks.ended(self.deployment, self._tell_end)

    def _start(self) -> None:
        """Make the engine's files and start it. Raises Problem where that cannot be done, and Stopped."""
        size = self.deployment.log_file.stat().st_size if self.deployment.log_file.exists() else 0
        began = self._state.began if not self._state.died else time.time()
        self._tell(doing=Sentence(key="deploy.doing_prompt"), members=[], parity=None, log_start=size, began=began)
        order = self._hooks.order(self.deployment)
        launch = self._engine.launch(order)
        self._check()
        _put(launch)
        if launch.work:
            launch.work(lambda sentence: self._tell(doing=sentence), self._check)
            self._check()
        mark = secrets.token_hex(12)
        try:
            self._child = Child(
                launch.command, output=Output(self.deployment.log_file), environment=environment(launch, mark)
            )
        except OSError as error:
            raise Problem(
                "executors.cannot_start", program=Path(launch.command[0]).name, reason=reasons.of(error)
            ) from error
        leader = process_group.identity(self._child.pid)
        self._tell(mark=mark, members=[leader] if leader else [], doing=Sentence(key="deploy.doing_started"))

    def _check(self) -> None:
        if self._stop.is_set():
            raise Stopped

    def _follow(self) -> bool:
        """Look after the engine until it is gone; return whether that is the end, and not a reason to start it
        again.
        """
        looked, broken, weighed, load = 0.0, 0, 0.0, LoadWatch()
        while not self._stop.wait(PROBE_S if self._state.state == "starting" else WATCH_S):
            if not self._lives():
                return self._died(None)
            self._tell()
            now = time.monotonic()
            if self._state.state == "starting":
                self._look_for_ready(now - looked > WATCH_S)
                looked = now if now - looked > WATCH_S else looked
                continue
            if now - weighed > LOAD_S:
                weighed = now
                self._tell(
                    load=load.look(self._processes(), self._settings.host, self._state.port, self.deployment.key())
                )
            if now - looked > LOOK_S:
                looked = now
                self._see_members()
                broken = broken + 1 if self._engine.tells_broken and self._status() == 503 else 0
                if broken >= BROKEN_LOOKS:
                    return self._died(Told(Sentence(key="deploy.fault_broken")))
        self._tell(state="stopping")
        self._end()
        return True

    def _look_for_ready(self, at_log: bool) -> None:
        if at_log and (doing := phase_in(self.deployment.log(self._state.log_start), self._engine.phases)):
            self._tell(doing=doing)
        if self._status() != 200:
            return
        self._see_members()
        if ports.listens(self._processes(), self._state.port) is False:
            return  # somebody else answers there, and the engine is about to say so
        order = self._hooks.order(self.deployment)
        self._engine.arrange(order, lambda sentence: self._tell(doing=sentence), self._check)
        now = time.time()
        fault = self._offer()  # before it is told to be ready: whoever reads that asks at once
        self._tell(state="ready", since=now, ready_s=now - self._state.began, doing=None, error=fault, remedy={})
        self._compare()

    def _offer(self) -> Sentence | None:
        """Let others use it; return why they cannot."""
        try:
            self._hooks.ready(self.deployment, self._state)
        except Problem as problem:
            return Sentence(key=problem.key, facts=problem.facts)
        return None

    def _compare(self) -> None:
        """Compare its prompt with that of training, in a thread."""
        threading.Thread(target=self._judge, name="engine-parity", daemon=True).start()

    def _judge(self) -> None:
        """Compare the prompts, where that was not done before."""
        if self._state.parity is None:
            parity = self._hooks.judge(self.deployment, self._state)
            if self._state.state == "ready":
                self._tell(parity=parity)

    def _status(self) -> int | None:
        return ports.status(self._settings.host, self._state.port, self._engine.alive, self.deployment.key())

    def _processes(self) -> list[psutil.Process]:
        return [one for known in self._state.members if (one := known.process())]

    def _lives(self) -> bool:
        if self._child:
            return self._child.code is None
        return bool(self._state.members) and self._state.members[0].process() is not None

    def _see_members(self) -> None:
        if not self._state.members:
            return
        found = process_group.members(self._state.members[0], self._state.mark, self._state.members)
        ids = [one for process in found if (one := process_group.identity(process.pid))]
        if ids and [one.pid for one in ids] != [one.pid for one in self._state.members]:
            self._tell(members=[self._state.members[0], *(one for one in ids if one != self._state.members[0])])

    def _died(self, told: Told | None) -> bool:
        """Say why it is gone; return False where it is to be started again."""
        time.sleep(LATE_LOG_S)
        code = self._child.code if self._child else None
        told = told or self._fault() or _by_code(code)
        was_ready = self._state.state == "ready"
        self._end()
        now = time.time()
        recent = [one for one in self._state.died if now - one < RESTART_WINDOW_S]
        if was_ready and len(recent) < self._settings.restarts and not self._stop.is_set():
            self._tell(state="starting", since=now, died=[*recent, now], error=told.sentence, members=[])
            return False
        self._fail(told)
        return True

    def _fault(self) -> Told | None:
        return fault_in(self.deployment.log(self._state.log_start), self._engine.faults)

    def _fail(self, told: Told) -> None:
        self._fault_at_end = told
        self._end()

    def _tell_end(self) -> None:
        """Say how it ended, which is the last that is told of it."""
        told = None if self._stop.is_set() else self._fault_at_end
        fault = {"error": told.sentence, "remedy": told.remedy} if told else {}
        self._tell(state="failed" if told else "stopped", since=time.time(), doing=None, members=[], **fault)

    def _end(self) -> None:
        """End all that is left of it."""
        child, self._child = self._child, None
        if self._state.members:
            members = self._state.members
            process_group.end(members[0], self._state.mark, members, self._engine.patience_s, child)
        elif child:
            child.end()

    def _tell(self, **changes: object) -> None:
        """Keep how far it is with these changes; what the disk refused is written as soon as it takes it."""
        with self._lock:
            if self._state.state not in ACTIVE:
                return  # its name may be that of a new start already
            if self._stop.is_set() and changes.get("state") in ("starting", "ready"):
                changes.pop("state")
            changed = self._state.model_copy(update=changes)
            if changed.state != "ready":
                changed = changed.model_copy(update={"load": None})
            if changed != self._state or not self._is_on_disk:
                self._state = changed
                self._is_on_disk = self.deployment.keep_state(changed)


def _put(launch: Launch) -> None:
    """Put an engine's files in their places. Raises Problem where the disk refuses."""
    try:
        for path, source in launch.copies.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, path)
    except OSError as error:
        raise Problem("workspace.unwritable", path=error.filename, reason=reasons.of(error)) from error
    for path, text in launch.files.items():
        write_whole(path, text)


def environment(launch: Launch, mark: str) -> dict[str, str]:
    """Return all variables of an engine's process."""
    inherited = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
    secret = {name: value for name, value in launch.secrets.items() if value}
    # No module may come from the folder in which it happens to run.
    return {**inherited, "PYTHONSAFEPATH": "1", **launch.environment, **secret, MARK: mark}


def _by_code(code: int | None) -> Told:
    """Return what the end of a process says of itself where its log says nothing."""
    if code in (-9, 137):
        return Told(Sentence(key="deploy.fault_killed"))
    if code is None:
        return Told(Sentence(key="deploy.fault_gone"))
    if reason := reasons.of_signal(code):
        return Told(Sentence(key="deploy.fault_signal", facts={"reason": reason}))
    return Told(Sentence(key="deploy.fault_ended", facts={"code": code}))
