"""Load tests as they are started, stopped, gone on with and looked at: one job each, one after the other."""

from pathlib import Path

from studio.core.i18n import Problem
from studio.core.jobs import Job, Jobs, Places
from studio.core.storage.records import Record
from studio.datasets.registry.collection import Collection
from studio.deploy.load_test import load_run
from studio.deploy.load_test.load_records import LoadTest, StepBegun, StepEnded
from studio.deploy.load_test.load_settings import MOST_TARGETS, LoadSettings
from studio.deploy.load_test.load_tests import LoadTests
from studio.evaluate.predict import row_sources
from studio.inference.remote.servers import ServerRegistry

KIND = "load_test"


class JobFacts(Record):
    """What the job of a load test works on."""

    load_test: str
    title: str = ""


class LoadTestService:
    """All load tests of a workspace, and the jobs that work on them."""

    def __init__(self, jobs: Jobs, collection: Collection, servers: ServerRegistry):
        self.tests, self.collection, self.servers = LoadTests(collection.workspace), collection, servers
        self._jobs = jobs
        jobs.offer(KIND, self._work, facts=JobFacts)
        jobs.places(KIND, Places(reads=self._reads))

    def start(self, targets: list[str], settings: LoadSettings) -> LoadTest:
        """Measure servers, one after the other. Returns at once.

        Args:
            targets: as Chat names them (`served:<server>/<model>`), at most MOST_TARGETS.

        Raises:
            Problem: none or too many are named, one of them is no server, or the dataset cannot be used.
        """
        unique = list(dict.fromkeys(targets))
        if not 1 <= len(unique) <= MOST_TARGETS:
            raise Problem("load_test.choose_some", most=MOST_TARGETS)
        for name in unique:
            self.servers.target(name)
        if settings.dataset:
            row_sources.find(self.collection, settings.dataset, [])
        settings = settings.model_copy(update={"concurrency": sorted(set(settings.concurrency))})
        test = self.tests.create(unique, settings)
        self._jobs.start(KIND, "load_test.job", {"load_test": test.id, "title": str(test.request().title)})
        return test

    def stop(self, id: str) -> str:
        """Stop a test, and return its state; what was measured stays. Raises Problem where there is none."""
        self.tests.find(id)
        job = self.job(id)
        return self._jobs.cancel(job.id).state if job else self.state(id)

    def resume(self, id: str) -> str:
        """Measure what is left of a test that was stopped, and return its state. Raises Problem where there is none, or
        nothing is left.
        """
        title = str(self.tests.find(id).request().title)
        if job := self.job(id):
            return self._jobs.resume(job.id).state
        if self.state(id) == "finished":
            raise Problem("load_test.is_finished", id=id)
        return self._jobs.start(KIND, "load_test.job", {"load_test": id, "title": title}).state

    def state(self, id: str) -> str:
        """Return the state of a test, as that of a job. Raises Problem where there is none."""
        test = self.tests.find(id)
        if job := self.job(id):
            return job.state
        request = test.request()
        ended = {one.step for one in test.read(StepEnded)}
        steps = {(one.target, one.concurrency) for one in test.read(StepBegun) if one.step in ended}
        is_whole = len(steps) >= len(request.targets) * len(request.settings.concurrency)
        return "finished" if is_whole else "interrupted"

    def delete(self, id: str) -> str:
        """Stop a test and move it into the trash; returns the item's id there. Raises Problem."""
        if (job := self.job(id)) and job.active:
            self._jobs.cancel(job.id)
            if self._jobs.wait(job.id, 60).active:
                raise Problem("load_test.still_at_work", id=id)
        item = self.tests.delete(id)
        if job:
            self._jobs.forget(job.id)
        return item

    def job(self, id: str) -> Job | None:
        """Return the job of a test, None where none is known any more."""
        return next((job for job in self._jobs.all(KIND) if job.facts.get("load_test") == id), None)

    def _reads(self, facts: dict) -> list[Path]:
        """Return the place of the dataset whose rows a test sends. Raises Problem where the test is gone."""
        dataset = self.tests.find(facts["load_test"]).request().settings.dataset
        return row_sources.places(self.collection, [dataset] if dataset else [])

    def _work(self, job: Job) -> dict:
        test = self.tests.find(JobFacts.model_validate(job.facts).load_test)
        load_run.run(test, self.servers, self.collection, job)
        return {"load_test": test.id}
