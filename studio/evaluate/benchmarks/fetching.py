"""The known benchmarks, fetched from either hub by the studio's own downloader: each a job with a child process."""

import shutil
from functools import partial
from pathlib import Path
from typing import Literal

from studio.core import reasons
from studio.core.i18n import Problem
from studio.core.jobs import Job, Jobs, Places
from studio.core.storage import folders
from studio.core.storage.records import Record
from studio.core.workspace import Workspace
from studio.evaluate.benchmarks.sets import incoming
from studio.evaluate.benchmarks.sets.known import KNOWN, Known
from studio.evaluate.benchmarks.sets.question_files import ENDINGS
from studio.models.hub.download import SOURCES, fetch
from studio.models.hub.hubs import TITLES

KIND = "benchmark"
_INCLUDE = tuple(f"*{ending}" for ending in (*ENDINGS, ".zip"))
_EXCLUDE = ("all/", "auxiliary_train/", "*dataset_infos.json", "*dataset_info.json")


class FetchFacts(Record):
    """The facts of the job that fetches a benchmark. title: the benchmark's; hub: the title of the hub."""

    name: Literal[tuple(KNOWN)]
    source: Literal[SOURCES]
    endpoint: str | None = None
    title: str = ""
    hub: str = ""


class BenchmarkDownloads:
    """Fetches benchmarks into `data/benchmarks/`. The progress of a job is told as that of a model's download."""

    def __init__(self, workspace: Workspace, jobs: Jobs, tries: int = 6, first_wait_s: float = 1.0):
        self.workspace, self.jobs = workspace, jobs
        self._patience = {"tries": tries, "first_wait_s": first_wait_s}
        jobs.offer(KIND, self._work, facts=FetchFacts)
        jobs.places(KIND, Places(lambda facts: {incoming.folder_of(workspace) / facts["name"]: ()}))

    def start(self, name: str, source: str, endpoint: str | None = None, token: str | None = None) -> Job:
        """Begin to fetch a known benchmark, or go on where an earlier try ended. The token stays in memory.

        Raises:
            Problem: it is not known, there already, or on its way; there is no such hub.
        """
        if name not in KNOWN:
            raise Problem("benchmarks.unknown", name=name, known=", ".join(KNOWN))
        if source not in SOURCES:
            raise Problem("downloads.bad_source", source=source)
        if folders.exists(incoming.folder_of(self.workspace) / name):
            raise Problem("benchmarks.exists", name=name)
        for job in self.jobs.all(KIND):
            if job.facts.get("name") == name and job.active:
                raise Problem("benchmarks.on_its_way", name=KNOWN[name].title)
            if job.facts.get("name") == name and job.state != "finished":
                self.jobs.forget(job.id)
        facts = {"name": name, "source": source, "endpoint": endpoint}
        facts |= {"title": KNOWN[name].title, "hub": TITLES[source]}
        return self.jobs.start(KIND, "benchmarks.fetching", facts, partial(self._work, token=token))

    def _work(self, job: Job, token: str | None = None) -> dict:
        facts = FetchFacts.model_validate(job.facts)
        known = KNOWN[facts.name]
        folder = self.workspace.data / ".incoming" / f"{facts.source}--{facts.name}"
        job.report(None, "downloads.listing", hub=TITLES[facts.source])
        try:
            (folder / "files").mkdir(parents=True, exist_ok=True)
            done = fetch(self._order(known, facts, folder, token), job)
            found = incoming.bring_in(self.workspace, folder / "files", known.name)
        except OSError as error:
            raise Problem("workspace.unwritable", path=error.filename or folder, reason=reasons.of(error)) from error
        shutil.rmtree(folder, ignore_errors=True)
        return {"name": found.name, "folder": str(found.folder), **done}

    def _order(self, known: Known, facts: FetchFacts, folder: Path, token: str | None) -> dict:
        repo = known.huggingface if facts.source == "huggingface" else known.modelscope
        address = {
            "source": facts.source,
            "repo": repo,
            "revision": None,
            "endpoint": facts.endpoint,
            "kind": "dataset",
        }
        patterns = {"include": _INCLUDE, "exclude": _EXCLUDE}
        return {**address, **patterns, "folder": str(folder), "token": token, **self._patience}
