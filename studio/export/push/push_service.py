"""Models sent to ModelScope or Hugging Face, one job each. A token is kept in memory for its job, and nowhere else."""

import json
import os
import sys
from functools import partial
from typing import Literal

from studio.core.i18n import Problem
from studio.core.job import Job
from studio.core.jobs import Jobs, Places
from studio.core.processes.child import Child
from studio.core.storage.records import Record, Text, parse
from studio.core.workspace import Workspace
from studio.models.hub.addresses import DEFAULT_BRANCHES
from studio.models.hub.download import POLL_S, SETTINGS, SOURCES, Request
from studio.models.hub.fetch import EVENT_PREFIX
from studio.models.hub.hubs import TITLES
from studio.models.library import library

KIND = "export_push"

# By plain LFS, which mirrors speak too and which tells what it has: what was sent before a stop is not sent again.
ENVIRONMENT = SETTINGS | {"HF_HUB_DISABLE_XET": "1"}


class PushRequest(Record):
    """What is sent where. name: of the model. repo: owner/name on the hub. endpoint: of a mirror, "" for the hub's own.
    private: who may see it, where the hub has no such model yet.
    """

    name: Text
    source: Literal[SOURCES]
    repo: str
    endpoint: str = ""
    private: bool = True
    hub: str


class PushService:
    """All pushes of a workspace, one after the other."""

    def __init__(self, workspace: Workspace, jobs: Jobs):
        self.workspace, self.jobs = workspace, jobs
        jobs.offer(KIND, self._work, facts=PushRequest)
        jobs.places(KIND, Places(reads=lambda facts: [library.find(workspace, facts["name"]).path]))

    def start(self, name: str, source: str, repo: str, token: str, endpoint: str = "", private: bool = True) -> Job:
        """Send a model to a hub, in a job. What arrived there in an earlier try is not sent again.

        Raises:
            Problem: there is no such model, an address is none or the page of a branch, there is no token, or this
                model is on its way there.
        """
        model = library.find(self.workspace, name)
        address = Request(source, repo, endpoint=endpoint or None).checked()
        if address.revision not in (None, *DEFAULT_BRANCHES):
            raise Problem("push.no_revision", repo=address.repo, revision=address.revision)
        token = token.strip()
        if not token:
            raise Problem("push.no_token", hub=TITLES[address.source])
        facts = PushRequest(
            name=model.name,
            source=address.source,
            repo=address.repo,
            endpoint=address.endpoint or "",
            private=private,
            hub=TITLES[address.source],
        ).model_dump()
        for job in self.jobs.all(KIND):
            if job.active and (job.facts["source"], job.facts["repo"]) == (address.source, address.repo):
                raise Problem("push.running", repo=address.repo)
        return self.jobs.start(KIND, "push.job", facts, partial(self._work, token=token))

    def _work(self, job: Job, token: str = "") -> dict:
        """Run the child and tell its progress; returns {name, url, bytes, files}. Raises Problem, Stopped."""
        request = PushRequest.model_validate(job.facts)
        if not token:  # an earlier process had it
            raise Problem("push.token_gone", hub=request.hub)
        model = library.find(self.workspace, str(request.name))
        order = request.model_dump() | {"folder": str(model.path), "token": token}
        job.report(None, "push.opening", hub=request.hub)
        with Child(
            [sys.executable, "-m", "studio.export.push.push_child"], environment=os.environ | ENVIRONMENT
        ) as child:
            child.send(json.dumps(order).encode())
            done = _follow(child, job, request, token)
        return {"name": model.name, **done}


def _follow(child: Child, job: Job, request: PushRequest, token: str) -> dict:
    while True:
        line = child.next_line(POLL_S)
        job.check()
        if line is None:
            raise Problem("push.ended", hub=request.hub, code=child.wait())
        text = line.decode("utf-8", "replace").replace(token, "…")
        if not text.startswith(EVENT_PREFIX):
            if text.strip():
                job.log(text)
            continue
        event = parse(text[len(EVENT_PREFIX) :])
        if "problem" in event:
            raise Problem(event["problem"]["key"], **event["problem"]["facts"])
        if "done" in event:
            return event["done"]
        at = event["sending"]
        share = at["sent"] / max(1, at["total"])
        facts = {"sent": at["sent"] / 2**20, "total": at["total"] / 2**20}
        job.report(share, "push.sending", file=at["file"], number=at["number"], files=at["files"], **facts)
