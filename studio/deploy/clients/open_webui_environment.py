"""The environment of Open WebUI, `engines/open-webui`, made on demand from its lock; a cut-off install goes on."""

import hashlib
import os
import shutil
import sys
from pathlib import Path

from studio.core import installing, locations, reasons
from studio.core.i18n import Problem
from studio.core.job import Job
from studio.core.jobs import Jobs
from studio.core.processes.child import Child
from studio.core.storage import files

KIND = "open_webui"
NAME = "open-webui"
GIGABYTES = 1.1  # on disk, once installed
SPARE = 1.5e9  # bytes that are needed while it is installed
_POLL_S = 0.3
_PATIENCE_S = 10.0  # in which pip removes what it has half written


class OpenWebuiEnvironment:
    """The environment in `folder`, or in `locations.environments()`; one of these for the life of the process."""

    def __init__(self, jobs: Jobs, folder: Path | None = None):
        self._jobs, self._folder = jobs, (folder or locations.environments()) / NAME
        self._lock = locations.lock(NAME)
        jobs.offer(KIND, self._work)

    def program(self) -> Path:
        """Return Open WebUI's own program. Raises Problem where it is not installed, or not whole."""
        if not self.is_ready():
            raise Problem("open_webui.not_installed", gigabytes=f"{GIGABYTES:g}")
        python = installing.venv_python(self._folder)
        return python.with_name("open-webui.exe" if os.name == "nt" else "open-webui")

    def is_ready(self) -> bool:
        """Tell whether all that the lock pins was installed."""
        stamp = installing.stamp_of(self._folder, self._lock)
        return files.is_file(stamp) and files.read_text(stamp) == self._digest()

    def job(self) -> Job | None:
        """Return the newest job that installs or installed it, None where there was none."""
        return next(iter(self._jobs.all(KIND)), None)

    def make(self) -> Job:
        """Begin to install it, or go on where that was cut off, and return the job."""
        job = self.job()
        if job and job.active:
            return job
        if job and self._jobs.can_resume(job.id):
            return self._jobs.resume(job.id)
        return self._jobs.start(KIND, "open_webui.job", {"gigabytes": GIGABYTES})

    def _digest(self) -> str:
        return hashlib.sha256(self._lock.read_bytes()).hexdigest()

    def _work(self, job: Job) -> dict[str, object]:
        folder = self._folder
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(folder.parent).free
            if free < SPARE:
                raise Problem("open_webui.no_room", needed=f"{SPARE / 1e9:g}", free=f"{free / 1e9:.1f}", path=folder)
            if not installing.venv_python(folder).exists():
                job.report(0.01, "open_webui.making_venv")
                self._run(job, [sys.executable, "-m", "venv", "--clear", str(folder)])
            installing.clear_torn(folder)
            self._install(job)
            installing.stamp_of(folder, self._lock).write_text(self._digest(), encoding="utf-8")
        except OSError as error:
            raise Problem("workspace.unwritable", path=error.filename or folder, reason=reasons.of(error)) from error
        return {"name": NAME}

    def _install(self, job: Job) -> None:
        """Install what the lock pins, each package by its hash; what it leaves out of what a package asks for stays
        out.
        """
        python = str(installing.venv_python(self._folder))
        options = ["--require-hashes", "--no-deps", "--no-input", "--disable-pip-version-check"]
        self._run(job, [python, "-m", "pip", "install", *options, "-r", str(self._lock)])

    def _run(self, job: Job, command: list[str]) -> None:
        """Run a step, and tell which package it is at. Raises Problem where it fails."""
        total = max(1, self._lock.read_text(encoding="utf-8").count("=="))
        count, last = 0, ""
        with Child(command, patience_s=_PATIENCE_S, environment={**os.environ, "PYTHONUNBUFFERED": "1"}) as child:
            while (line := child.next_line(_POLL_S)) is not None:
                job.check()
                if not (text := line.decode("utf-8", "replace").strip()):
                    continue
                job.log(text)
                last = text if text.startswith("ERROR") or not last.startswith("ERROR") else last
                if text.startswith(("Collecting ", "Requirement already satisfied: ")):
                    count += 1
                    share, package = 0.02 + 0.78 * min(1.0, count / total), text.split(" ")[1][:60]
                    job.report(share, "open_webui.package", number=count, total=total, package=package)
                elif text.startswith("Installing collected packages"):
                    job.report(0.82, "open_webui.placing")
            code = child.wait()
        if code:
            raise Problem("open_webui.install_failed", reason=reasons.original(last[:300]))
