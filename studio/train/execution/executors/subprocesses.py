"""Training in processes of their own: they survive a restart of the studio, and are found again by number and start
time.
"""

import os
from collections.abc import Callable
from pathlib import Path

import psutil

from studio.core import locations, reasons
from studio.core.i18n import Problem
from studio.core.processes.child import Child, Output
from studio.train import runs
from studio.train.runs import Run
from studio.train.runs.stored.run_info import RunInfo

TERMINATE_S = 5.0
# What would make LLaMA-Factory launch processes by itself, or take the run for one of a group that it is not part of.
NOT_INHERITED = (
    "LLAMABOARD_ENABLED",
    "FORCE_TORCHRUN",
    "USE_RAY",
    "RANK",
    "LOCAL_RANK",
    "WORLD_SIZE",
    "MASTER_ADDR",
    "MASTER_PORT",
)


def worker(run: Run, resume: str | None) -> list[str]:
    """Return the arguments for Python that train a run in one process."""
    return ["-m", "studio.train.execution.executors.worker", str(run.folder), *_flags(run, resume)]


def with_torchrun(run: Run, resume: str | None) -> list[str]:
    """Return the arguments for Python that train a run in a process for each device; `--standalone` finds a free port
    by itself.
    """
    processes = run.info().processes
    return [
        "-m",
        "studio.train.execution.executors.torchrun",
        "--standalone",
        "--local-addr",
        "127.0.0.1",
        "--nproc-per-node",
        str(processes),
        *worker(run, resume),
    ]


def on_ray(run: Run, resume: str | None) -> list[str]:
    """Return the arguments for Python that train a run on a Ray cluster."""
    return ["-m", "studio.train.execution.executors.ray_cluster", str(run.folder), *_flags(run, resume)]


def _flags(run: Run, resume: str | None) -> list[str]:
    return [*(["--resume", resume] if resume else []), *(["--order", run.order] if run.order else [])]


class Launched:
    """Starts a command in a session of its own; what it prints goes to the run's log, a file, so that nobody need read
    it.
    """

    by_force = True

    def __init__(self, command: Callable[[Run, str | None], list[str]], interpreter: Callable[[Run], Path]):
        self._command, self._interpreter = command, interpreter
        self._children: dict[str, Child] = {}

    def start(self, run: Run, resume: str | None) -> None:
        """Begin to train; see `Executor`. The run's info names `devices`, but never the program: its folder may be
        somebody else's.

        Raises:
            Problem: the program cannot be started, or the folder cannot be written.
        """
        info, python = run.info(), self._interpreter(run)
        try:
            child = Child(
                [str(python), *self._command(run, resume)],
                output=Output(run.log_file),
                environment=_environment(info),
                folder=Path.cwd(),
            )
        except OSError as error:
            raise Problem("executors.cannot_start", program=python, reason=reasons.of(error)) from error
        self._children[run.name] = child
        run.own(child.pid)

    def at_work(self, run: Run) -> bool:
        """Tell whether the process lives, also one that an earlier studio started."""
        child = self._children.get(run.name)
        if child:
            return child.code is None
        info = run.info()
        return (info.order or run.order) == run.order and runs.alive(info)

    def exit_code(self, run: Run) -> int | None:
        """Return what the process ended with, None where an earlier studio started it."""
        child = self._children.get(run.name)
        return child.code if child else None

    def interrupt(self) -> bool:
        """Tell that there is nothing to wait for: these processes outlive the studio."""
        return False

    def kill(self, run: Run) -> None:
        """End the run's process and all that it started: asked first, by force after some seconds. One that is gone is
        no fault.
        """
        info = run.info()
        if not runs.alive(info):
            return
        top = psutil.Process(info.pid)
        family = [top, *top.children(recursive=True)]
        for process in family:
            _send(process.terminate)
        _, living = psutil.wait_procs(family, timeout=TERMINATE_S)
        for process in living:
            _send(process.kill)
        psutil.wait_procs(living, timeout=TERMINATE_S)


def _send(signal: Callable[[], None]) -> None:
    try:
        signal()
    except psutil.NoSuchProcess:
        return  # gone by itself, which is what was wanted


def _environment(info: RunInfo) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
    path = os.pathsep.join([str(locations.import_path()), *filter(None, [os.environ.get("PYTHONPATH")])])
    devices = {"CUDA_VISIBLE_DEVICES": ",".join(map(str, info.devices))} if info.devices else {}
    if info.processes > 1:
        # torchrun would give each process one thread, which leaves most cores of a machine without a GPU idle.
        inherited.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // info.processes)))
    return {**inherited, **devices, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
