"""llama.cpp's own programs, made on demand in `engines/llama.cpp`: the converter, the library, the server.

```
toolkit = Toolkit(jobs)
toolkit.is_ready()               # a look at a few files
job = toolkit.make()             # fetches them, with progress
toolkit.server()                 # the command and the variables of `llama-server`
```
"""

import hashlib
import shutil
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from studio.core import locations
from studio.core.i18n import Problem
from studio.core.job import Job
from studio.core.jobs import Jobs
from studio.core.storage import atomic, files
from studio.inference.llama_cpp import llama_server, packages

KIND = "llama_cpp"
NAME = "llama.cpp"
MEGABYTES = 80  # that are downloaded
SPARE_BYTES = 600 * 2**20  # while it is unpacked
STAMP = "made"
WANTED = ("convert_hf_to_gguf.py", "convert_lora_to_gguf.py", "conversion", "gguf-py", "LICENSE")
_making = threading.Lock()


@dataclass(frozen=True)
class Program:
    """A program and the variables that it needs beside those of this process."""

    command: tuple[str, ...]
    environment: dict[str, str]


class Toolkit:
    """The programs in `folder`, or in `locations.environments()`; one of these for the life of the process."""

    def __init__(self, jobs: Jobs, folder: Path | None = None):
        self._jobs, self._above = jobs, folder or locations.environments()
        jobs.offer(KIND, self._work)

    @property
    def folder(self) -> Path:
        return self._above / NAME

    def is_ready(self) -> bool:
        """Tell whether everything is there as this release of the studio wants it."""
        return _is_made(self.folder)

    def job(self) -> Job | None:
        """Return the newest job that makes or made it, None where there was none."""
        return next(iter(self._jobs.all(KIND)), None)

    def make(self) -> Job:
        """Begin to make it, and return the job; the one at work where it is being made."""
        job = self.job()
        if job and job.active:
            return job
        return self._jobs.start(KIND, "llama_cpp.title", {})

    def ensure(self, report: Callable[..., None], check: Callable[[], None]) -> None:
        """Make it where it is missing, inside of another job.

        Args:
            report: as `Job.report`. check: may raise to stop.

        Raises:
            Problem: there is no build for this machine, a registry cannot be reached, or the disk is full.
        """
        with _making:
            if not self.is_ready():
                _make(self.folder, report, check)

    def require(self) -> None:
        """Raise Problem unless it is ready."""
        if not self.is_ready():
            raise Problem("llama_cpp.missing", megabytes=MEGABYTES)

    def converter(self) -> Path:
        """Return the folder of the converter's scripts. Raises Problem where it is not made."""
        self.require()
        return self.folder / "converter"

    def library(self) -> Path:
        """Return the folder of the shared libraries. Raises Problem where it is not made."""
        self.require()
        return self.folder / "library"

    def has_server(self) -> bool:
        """Tell whether `server` gives one."""
        return self._is_packaged() or shutil.which("llama-server") is not None

    def server(self, own_first: bool = False) -> Program:
        """Return the command of `llama-server`: that of the packages, which computes on the processor, else the one on
        the person's PATH.

        Args:
            own_first: the other way round: the person's own may compute on a graphics card.

        Raises:
            Problem: there is neither, or the packages are not fetched yet.
        """
        own = shutil.which("llama-server")
        if own and (own_first or not self._is_packaged()):
            return Program((own,), {})
        if self._is_packaged():
            # No module that lies beside the script is one of the package's.
            command = (sys.executable, "-P", str(Path(llama_server.__file__)))
            return Program(command, {"PYTHONPATH": str(self.folder / "server")})
        if packages.server():
            self.require()
        raise Problem("llama_cpp.no_server", machine=" ".join(packages.machine()))

    def _is_packaged(self) -> bool:
        return self.is_ready() and packages.server() is not None

    def _work(self, job: Job) -> dict:
        self.ensure(job.report, job.check)
        return {"name": NAME}


def digest() -> str:
    """Return what stands for the packages that this release of the studio wants on this machine."""
    wanted = (packages.RELEASE, packages.SOURCE, packages.library(), packages.server(), WANTED)
    return hashlib.sha256(repr(wanted).encode()).hexdigest()


def _is_made(folder: Path) -> bool:
    stamp = folder / STAMP
    return files.is_file(stamp) and stamp.read_text("utf-8", "replace") == digest()


def _make(folder: Path, report: Callable[..., None], check: Callable[[], None]) -> None:
    library, server = packages.library(), packages.server()
    if not shutil.which("git"):
        raise Problem("llama_cpp.no_git")
    with packages.making(folder, SPARE_BYTES) as scratch:
        made = scratch / NAME
        made.mkdir()
        report(0.02, "llama_cpp.fetching", package=packages.SOURCE.name)
        _converter(packages.fetch_npm(packages.SOURCE, scratch / "source", check), made, check)
        report(0.35, "llama_cpp.fetching", package=library.name)
        _library(packages.fetch_npm(library, scratch / "library", check), made)
        if server:
            report(0.45, "llama_cpp.fetching", package=server.name)
            packages.install_wheel(server, made / "server", scratch, check)
        (made / STAMP).write_text(digest(), encoding="utf-8")
        check()
        if not _is_made(folder):  # by another studio meanwhile, which may be at work with it
            packages.put(made, folder, scratch)


def _converter(archive: Path, made: Path, check: Callable[[], None]) -> None:
    """Put llama.cpp's converter in its place: the package has its whole source as a bundle of git."""
    unpacked = packages.unpack(archive, archive.parent)
    bundle, clone = unpacked / "llama" / "gitRelease.bundle", archive.parent / "clone"
    log = archive.parent / "git.log"
    packages.run(["git", "clone", "--quiet", "--bare", str(bundle), str(clone)], log, "node-llama-cpp", check)
    tar = archive.parent / "package.tar"
    command = ["git", f"--git-dir={clone}", "archive", "--prefix=package/", f"--output={tar}", "HEAD", *WANTED]
    packages.run(command, log, packages.SOURCE.name, check)
    shutil.rmtree(unpacked)
    atomic.move(packages.unpack(tar, archive.parent), made / "converter")


def _library(archive: Path, made: Path) -> None:
    unpacked = packages.unpack(archive, archive.parent)
    places = list((unpacked / "bins").glob("*/libllama.*"))
    if not places:
        raise Problem("llama_cpp.broken", file=archive.name, reason="libllama")
    atomic.move(places[0].parent, made / "library")
