"""Environments of their own for stages that the studio's libraries cannot train: PPO wants a trl that they have left
behind.

Each is made on demand, `engines/<name>` from `requirements-<name>.lock`, and runs the studio's worker. It is installed
as the studio itself is by launch.py, in a process of its own (`python -m studio.train.execution.environments NAME
FOLDER`), so that it can be stopped at any moment.
"""

import json
import sys
from importlib.metadata import Distribution
from pathlib import Path

from studio.core import installing, locations, reasons
from studio.core.i18n import Problem
from studio.core.jobs import Job, Jobs
from studio.core.processes.child import Child
from studio.core.sentences import Sentence
from studio.core.storage import records

KIND = "environment"
GIGABYTES = {"ppo": 7}  # on disk, once installed
DOWNLOADED = 0.6  # the share of the whole time in which packages arrive; the rest is putting them in place
_POLL_S = 0.3
_PATIENCE_S = 10.0  # in which pip removes what it has half written


class Environments:
    """The environments in `folder`, or in `locations.environments()`; one of these for the life of the process."""

    def __init__(self, jobs: Jobs, folder: Path | None = None):
        self._jobs, self._folder = jobs, folder or locations.environments()
        jobs.offer(KIND, lambda job: _make(job, job.facts["name"], self._folder / job.facts["name"]))

    def python(self, name: str) -> Path:
        """Return the Python of an environment. Raises Problem where it is not made, or not whole."""
        _known(name)
        if not installing.is_installed(self._folder / name, locations.lock(name)):
            raise Problem("environments.missing", name=name.upper(), gigabytes=GIGABYTES[name])
        return self.place(name)

    def place(self, name: str) -> Path:
        """Return where the Python of an environment is or will be. Raises Problem where none has that name."""
        _known(name)
        return installing.venv_python(self._folder / name)

    def is_ready(self, name: str) -> bool:
        """Tell whether an environment is whole. Raises Problem where none has that name."""
        _known(name)
        return installing.is_installed(self._folder / name, locations.lock(name))

    def job(self, name: str) -> Job | None:
        """Return the newest job that makes or made the environment, None where there was none."""
        return next((job for job in self._jobs.all(KIND) if job.facts.get("name") == name), None)

    def make(self, name: str) -> Job:
        """Begin to make an environment, or go on where it was cut off, and return the job. Raises Problem where none
        has that name.
        """
        _known(name)
        job = self.job(name)
        if job and job.active:
            return job
        if job and self._jobs.can_resume(job.id):
            return self._jobs.resume(job.id)
        return self._jobs.start(KIND, "environments.title", {"name": name})


def versions(names: tuple[str, ...], python: Path | None = None) -> dict[str, str]:
    """Return {library: version} of this process, or of the environment that a Python belongs to; what is not installed
    is left out.
    """
    path = [str(installing.site_packages(python.parent.parent))] if python else sys.path
    found = {name: next(iter(Distribution.discover(name=name, path=path)), None) for name in names}
    return {name: one.version for name, one in found.items() if one}


def _known(name: str) -> None:
    if name not in GIGABYTES:
        raise Problem("environments.unknown", name=name, known=", ".join(GIGABYTES))


def _make(job: Job, name: str, folder: Path) -> dict[str, object]:
    """Let a child process install the environment, and pass on what it tells."""
    _known(name)  # the job may have been read from a file of the workspace
    sentences: list[InstallerSentence] = []
    command = [sys.executable, "-m", "studio.train.execution.environments", name, str(folder)]
    with Child(command, patience_s=_PATIENCE_S) as child:
        while (line := child.next_line(_POLL_S)) is not None:
            job.check()
            if line:
                _take(line.decode("utf-8", "replace"), job, sentences)
        code = child.wait()
    if code:
        fault = next((one for one in reversed(sentences) if one.fault), None)
        raise fault.problem() if fault else Problem("environments.ended", code=code)
    return {"name": name}


class InstallerSentence(Sentence):
    """A line that the child prints."""

    fault: bool = False


def _take(line: str, job: Job, sentences: list[InstallerSentence]) -> None:
    """Pass on a line that the installer printed."""
    try:
        sentence = InstallerSentence.model_validate(records.parse(line))
    except ValueError:  # pydantic's own fault is one too
        job.log(line)  # what no one expected: a traceback
        return
    sentences.append(sentence)
    if not sentence.fault:
        job.report(_progress(job.progress, sentence.key, sentence.facts), sentence.key, **sentence.facts)


def _progress(before: float | None, key: str, facts: dict[str, object]) -> float | None:
    """Return the share that is done; it never goes back, and stays where a sentence counts nothing."""
    number, total = facts.get("number"), facts.get("total")
    share = number / total if isinstance(number, int) and isinstance(total, int) and total > 0 else None
    if share is None:
        return before
    now = DOWNLOADED + (1 - DOWNLOADED) * share if key == "launch.placed" else DOWNLOADED * share
    return min(0.99, max(before or 0.0, now))


class _Voice:
    """Tells the process that waits what launch.py would tell a person."""

    def say(self, name: str, **facts: object) -> None:
        """Print a sentence of launch.json as a line of JSON."""
        _print(f"launch.{name}", facts, fault=False)


def _print(key: str, facts: dict[str, object], fault: bool) -> None:
    print(json.dumps({"key": key, "facts": facts, "fault": fault}, default=str), flush=True)


def main(name: str, folder: Path) -> int:
    """Install an environment into a folder; return 1 with a last line that says why where that fails."""
    voice = _Voice()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        installing.install(folder, locations.lock(name), voice, installing.hold_alone(voice))
    except installing.Fault as fault:
        own = "environments" if fault.name in ("pip_failed", "check_failed") else "launch"
        _print(f"{own}.{fault.name}", {**fault.facts, "path": fault.facts.get("path", folder)}, fault=True)
        return 1
    except OSError as error:
        _print("launch.disk_refuses", {"path": error.filename or folder, "reason": reasons.of(error)}, fault=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
