"""The environment in which a stage trains: what it takes, how far its making is, or that it is ready."""

from dataclasses import dataclass

from studio.core.sentences import Sentence
from studio.core.storage import records
from studio.train.execution.environments import GIGABYTES, Environments

TEMPLATE = "train/page/form/environment_state.html"


@dataclass(frozen=True)
class EnvironmentState:
    """An environment by its name. `job` is the newest that makes it, "" where none did; `share` is how far that is, of
    0 to 1, None where it is not known; `gigabytes` on the disk once it is made.
    """

    name: str
    is_ready: bool
    job: str
    goes_on: bool
    share: float | None
    now: Sentence | None
    error: Sentence | None
    gigabytes: int


def environment_state(environments: Environments, name: str) -> EnvironmentState:
    """Return how an environment is. Raises Problem where there is none of that name."""
    is_ready, job = environments.is_ready(name), environments.job(name)
    file = f"{job.id}.json" if job else ""
    return EnvironmentState(
        name=name,
        is_ready=is_ready,
        job=job.id if job else "",
        goes_on=bool(job and job.active),
        share=job.progress if job else None,
        now=records.typed(job.message, Sentence, file) if job and job.message else None,
        error=records.typed(job.error, Sentence, file) if job and job.error else None,
        gigabytes=GIGABYTES[name],
    )
