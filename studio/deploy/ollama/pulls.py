"""Models that an Ollama fetches from its registry, each in a job."""

from collections.abc import Callable

from studio.core.job import Job
from studio.core.jobs import Jobs
from studio.core.storage.records import Record
from studio.deploy.ollama.ollama_client import OllamaClient, Step

KIND = "ollama_pull"


class PullFacts(Record):
    """The facts of a job that fetches a model: the deployment, and the model's name in the registry."""

    name: str
    model: str


class OllamaPulls:
    """All that is fetched; `client` gives the API of a deployment by its name, and raises Problem where it has none."""

    def __init__(self, jobs: Jobs, client: Callable[[str], OllamaClient]):
        self._jobs, self._client = jobs, client
        jobs.offer(KIND, self._work, facts=PullFacts)

    def start(self, name: str, model: str) -> Job:
        """Begin to fetch a model, and return the job. Raises Problem where that Ollama is not ready."""
        self._client(name)
        return self._jobs.start(KIND, "deploy.pull_job", {"name": name, "model": model})

    def of(self, name: str) -> Job | None:
        """Return the newest job of a deployment, None where there was none."""
        return next((job for job in self._jobs.all(KIND) if job.facts.get("name") == name), None)

    def _work(self, job: Job) -> dict[str, object]:
        facts = PullFacts.model_validate(job.facts)

        def follow(step: Step) -> None:
            job.check()
            share = min(1.0, step.completed / step.total) if step.total > 0 else None
            job.report(share, "deploy.pulling", what=step.status[:100])

        self._client(facts.name).pull(facts.model, follow)
        return {"model": facts.model}
