"""Downloads of models from ModelScope and Hugging Face, each a job with a child process of its own.

A child can be killed at any moment and leaves the studio's own environment, token and proxies alone; the bytes on disk
are the progress. What arrives gathers in `models/.incoming/<source>--<owner>--<name>/` and is renamed into `models/`
when it is whole and checked.
"""

import contextlib
import json
import os
import re
import shutil
import sys
import threading
import time
from collections import deque
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from pydantic import model_validator

from studio.core import formatting, reasons
from studio.core.i18n import Problem
from studio.core.jobs import Job, Jobs, Places, Stopped
from studio.core.network import web_address
from studio.core.processes.child import Child
from studio.core.storage import folders
from studio.core.storage.records import Record
from studio.core.workspace import Workspace, safe_name
from studio.models.hub import addresses
from studio.models.hub.fetch import EVENT_PREFIX
from studio.models.hub.hubs import TITLES
from studio.models.library import model_names

SOURCES = tuple(TITLES)
KIND = "download"
AT_A_TIME = 3
POLL_S = 0.4
SPEED_OVER_S = 10.0
# Bars would fill the log; the person pressed Download, so a setting that keeps other libraries off the network does not
# count.
SETTINGS = {
    "TQDM_DISABLE": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_OFFLINE": "0",
    "TRANSFORMERS_OFFLINE": "0",
    "PYTHONUNBUFFERED": "1",
    "PYTHONIOENCODING": "utf-8",
}
_REPO = re.compile(r"[A-Za-z0-9_][\w.-]*/[A-Za-z0-9_][\w.-]*")


@dataclass(frozen=True)
class Request:
    """What to download.

    `source` is one of SOURCES, `repo` the address there (owner/name), `revision` a branch, tag or commit (None: the
    hub's default). `name` is the folder under `models/` (None: the last part of `repo`), `endpoint` a mirror's address
    as https://host. Patterns are shell-like (`*.safetensors`, `original/`); with none of either, further copies of the
    same weights (pickles beside safetensors, ONNX, GGUF, `original/`) are left out.
    """

    source: str
    repo: str
    revision: str | None = None
    name: str | None = None
    endpoint: str | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def checked(self) -> "Request":
        """Return it tidied, with its name filled in. Raises Problem where an address or the name is none, or the
        address of a page names something else than the other fields.
        """
        if self.source not in SOURCES:
            raise Problem("downloads.bad_source", source=self.source)
        # People paste the address of the model's page.
        page, revision = addresses.page(self.repo), (self.revision or "").strip() or None
        if page:
            _agree(page, self.source, revision)
            revision = revision or page.revision
        repo = page.repo if page else self.repo.strip().strip("/")
        if not _REPO.fullmatch(repo) or ".." in repo:
            raise Problem("downloads.bad_address", repo=self.repo)
        endpoint = web_address.ordinary(self.endpoint or "").rstrip("/") or (page.endpoint if page else None)
        if endpoint and (web_address.split(endpoint) is None or "@" in endpoint):
            raise Problem("downloads.bad_endpoint", endpoint=re.sub(r"//[^/]*@", "//", endpoint))
        name = safe_name((self.name or "").strip() or repo.split("/")[1])
        return Request(self.source, repo, revision, name, endpoint, tuple(self.include), tuple(self.exclude))

    @property
    def key(self) -> str:
        """The folder in which it gathers: the same for the same model of the same hub."""
        return f"{self.source}--{self.repo.replace('/', '--')}".lower()


def _agree(page: addresses.Page, source: str, revision: str | None) -> None:
    """Raise Problem where a page names another hub, another revision or no model. The hub is not changed in silence: a
    token that was typed is for the one that was chosen.
    """
    if page.is_dataset:
        raise Problem("downloads.is_dataset", repo=page.repo)
    if page.source not in (source, None):
        raise Problem("downloads.other_hub", repo=page.repo, hub=TITLES[page.source], chosen=TITLES[source])
    if revision and page.revision not in (revision, None):
        raise Problem("downloads.other_revision", repo=page.repo, revision=revision, other=page.revision)


class RequestFacts(Record):
    """The facts of a download's job: the fields of its request, and the title of the hub."""

    source: Literal[SOURCES]
    repo: str
    revision: str | None = None
    name: str
    endpoint: str | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    hub: str

    @model_validator(mode="after")
    def _is_sound(self) -> "RequestFacts":
        """Refuse an address or a name that `Downloads.start` would refuse: folders are made and removed by them."""
        Request(self.source, self.repo, self.revision, self.name, self.endpoint).checked()
        return self


class Downloads:
    """Downloads of one workspace; each is a job of kind "download" whose facts are the fields of its request.

    Its message's key is `downloads.listing`, `fetching`, `waiting` (for the network or a busy hub), `checking` or at
    the end `arrived`; but for listing its facts hold {done, total, speed, left (texts: "1.2 GB", "0:48"), done_bytes,
    total_bytes, bytes_per_s, left_s (None where not known), files}, and for waiting also {reason, wait, wait_s,
    attempt, tries}. Its result is {name, path, bytes, files, commit, skipped_files, skipped_bytes, warnings: [{key,
    facts}]}.
    """

    def __init__(self, workspace: Workspace, jobs: Jobs, tries: int = 6, first_wait_s: float = 1.0):
        self.workspace, self.jobs = workspace, jobs
        self._patience = {"tries": tries, "first_wait_s": first_wait_s}
        self._discarded: set[str] = set()
        self._lock, self._places = threading.Lock(), threading.Lock()
        jobs.offer(KIND, self._work, AT_A_TIME, RequestFacts)
        jobs.places(
            KIND,
            Places(
                makes=lambda facts: {workspace.models / facts["name"]: ()},
                require=lambda facts: self._require_free(facts["name"]),
            ),
        )

    def start(self, request: Request, token: str | None = None) -> Job:
        """Begin a download, or go on with what an earlier one of the same model left. The token stays in memory.

        Raises:
            Problem: an address that is none, a name that is not safe, a model of that name on disk, or the same model
                on its way already.
                Everything else (no such model, no access, no space, no network) becomes the job's error.
        """
        request = request.checked()
        with self._lock:
            self._require_free(request.name)
            for job in self.jobs.all(KIND):
                other = request_of(job)
                if job.active and (other.key == request.key or other.name.lower() == request.name.lower()):
                    raise Problem("downloads.running", name=other.name, repo=other.repo)
                if other.key == request.key and job.state != "finished":
                    self.jobs.forget(job.id)  # the new one goes on with its files
            return self.jobs.start(
                KIND,
                "downloads.title",
                {**asdict(request), "hub": TITLES[request.source]},
                partial(self._work, token=token),
            )

    def pause(self, job: str) -> Job:
        """Stop a download and keep what has arrived. Raises Problem where there is no such download."""
        return self.jobs.cancel(self._find(job).id)

    def resume(self, job: str, token: str | None = None) -> Job:
        """Go on with a stopped, failed or interrupted download under the same id; whole files and arrived bytes are not
        fetched again.

        `token` is needed again after a restart of the studio, which forgets it. Raises Problem where there is nothing
        to go on with.
        """
        self._find(job)
        with self._lock:
            self._discarded.discard(job)
            return self.jobs.resume(job, partial(self._work, token=token) if token else None)

    def cancel(self, job: str, keep_files: bool = False) -> Job:
        """Stop a download and, unless `keep_files`, remove what has arrived. A finished model stays. Raises Problem."""
        found = self._find(job)
        with self._lock:
            if not keep_files:
                self._discarded.add(job)
            self.jobs.cancel(job)
            if not keep_files and not found.active:
                self._discard(found)
        return found

    def arrived_bytes(self, job: str) -> int:
        """Return the bytes on disk of a download that is not finished, which `cancel` would remove. Raises Problem."""
        return bytes_in(self._folder(request_of(self._find(job))) / "files")

    def _find(self, job: str) -> Job:
        found = self.jobs.find(job)
        if found.kind != KIND:
            raise Problem("downloads.no_download", job=job)
        return found

    def _target(self, name: str) -> Path:
        return self.workspace.inside(self.workspace.models, name)

    def _require_free(self, name: str) -> None:
        if model_names.is_taken(self._target(name)):
            raise Problem("downloads.exists", name=name)

    def _folder(self, request: Request) -> Path:
        return self.workspace.models / ".incoming" / request.key

    def _discard(self, job: Job) -> None:
        """Remove what has arrived of a job's model, unless another job is at work on it."""
        request = request_of(job)
        if not any(
            other.active and request_of(other).key == request.key for other in self.jobs.all(KIND) if other is not job
        ):
            shutil.rmtree(self._folder(request), ignore_errors=True)
            with self._places:  # another download may be about to make its folder in there
                remove_if_empty(self._folder(request).parent)
        self._discarded.discard(job.id)

    def _work(self, job: Job, token: str | None = None) -> dict:
        """Run the child, tell its progress, and put the model in its place. Raises Problem, Stopped."""
        request = request_of(job)
        folder = self._folder(request)
        job.report(None, "downloads.listing", hub=TITLES[request.source])
        try:
            with self._places:
                (folder / "files").mkdir(parents=True, exist_ok=True)
            done = fetch({**asdict(request), "folder": str(folder), "token": token, **self._patience}, job)
            return {"name": request.name, "folder": str(self._put_in_place(request, folder)), **done}
        except OSError as error:
            raise Problem("workspace.unwritable", path=error.filename or folder, reason=reasons.of(error)) from error
        finally:
            if job.id in self._discarded or not bytes_in(folder / "files"):
                self._discard(job)

    def _put_in_place(self, request: Request, folder: Path) -> Path:
        target = self._target(request.name)
        with self._lock:
            self._require_free(request.name)
            model_names.put(folder / "files", target)
        return target


def fetch(order: dict, job: Job) -> dict:
    """Let a child process fetch what `order` says into the folder `files` of its `folder`, reporting its progress, and
    return what it says at the end. See `studio.models.hub.fetch`; `kind` is "model", or "dataset", of which no weights
    are expected.

    Raises:
        Problem: it cannot be fetched.
        Stopped: the person stopped the job; what has arrived stays.
        OSError: no process can be started.
    """
    command = [sys.executable, "-m", "studio.models.hub.fetch"]
    with Child(command, environment={**os.environ, **SETTINGS}) as child:
        # By its input and not by an argument or the environment, which other people of the machine can read.
        child.send(json.dumps(order).encode())
        return follow(child, job, Path(order["folder"]) / "files", order["token"])


def _next_event(child: Child, job: Job, token: str | None) -> dict:
    """Return what the child says next, {} where it is silent for a moment or says something for the log. Raises Problem
    where it ended without a last word.
    """
    line = child.next_line(POLL_S)
    if line is None:
        raise Problem("downloads.child_ended", code=child.wait())
    text = line.decode("utf-8", "replace")
    if text.startswith(EVENT_PREFIX):
        try:
            return json.loads(text[1:])
        except ValueError as error:  # two threads of a library may write into one line
            job.log(f"torn line: {error}")
    if text.strip():
        job.log(text.replace(token, "…") if token else text)
    return {}


def follow(child: Child, job: Job, files: Path, token: str | None = None) -> dict:
    """Report the child's progress until it is done, and return what it says then. Raises Problem, Stopped."""
    plan, waiting, meter = None, None, Meter()
    while True:
        event = _next_event(child, job, token)
        if job.cancelled.is_set():
            raise Stopped
        if "problem" in event:
            raise Problem(event["problem"]["key"], **event["problem"]["facts"])
        plan, waiting = event.get("plan", plan), event.get("waiting", waiting)
        if plan:
            meter.update(bytes_in(files), plan["total_bytes"])
        facts = {**meter.facts(), "files": plan["files"] if plan else None}
        if "done" in event:
            job.report(1.0, "downloads.arrived", **facts)
            return event["done"]
        if waiting:  # before the hub has listed its files nothing is known of their bytes
            job.report(meter.share, "downloads.waiting" if plan else "downloads.not_listed", **facts, **waiting)
        elif plan:
            job.report(
                meter.share, "downloads.checking" if meter.done >= meter.total else "downloads.fetching", **facts
            )


class Meter:
    """Bytes that arrived, the speed over the last seconds, and the time that is left."""

    def __init__(self) -> None:
        self.done, self.total = 0, 0
        self._samples: deque[tuple[float, int]] = deque()

    def update(self, done: int, total: int) -> None:
        """Take in how many bytes are on disk now."""
        self.done, self.total = min(done, total), total
        now = time.monotonic()
        self._samples.append((now, done))
        while now - self._samples[0][0] > SPEED_OVER_S:
            self._samples.popleft()

    @property
    def share(self) -> float | None:
        return self.done / self.total if self.total else None

    def facts(self) -> dict:
        """Return the facts of the progress sentences (see `Downloads`)."""
        seconds = self._samples[-1][0] - self._samples[0][0] if self._samples else 0
        speed = max(0.0, (self._samples[-1][1] - self._samples[0][1]) / seconds) if seconds > 0.2 else 0.0
        left = (self.total - self.done) / speed if speed else None
        return {
            "done": formatting.size(self.done),
            "total": formatting.size(self.total),
            "speed": formatting.size(speed),
            "left": "–" if left is None else formatting.duration(left),
            "done_bytes": self.done,
            "total_bytes": self.total,
            "bytes_per_s": round(speed),
            "left_s": left and round(left, 1),
        }


def request_of(job: Job) -> Request:
    """Return the request of a download job."""
    return Request(
        **{
            name: tuple(value) if isinstance(value, list) else value
            for name, value in job.facts.items()
            if name != "hub"
        }
    )


def bytes_in(folder: Path) -> int:
    """Return the bytes of the files in a folder and below; a file that is renamed meanwhile may be missed."""
    return folders.size_below(folder)


def remove_if_empty(folder: Path) -> None:
    """Remove a folder with nothing in it; one with something in it, or that is gone, is left."""
    with contextlib.suppress(OSError):
        folder.rmdir()
