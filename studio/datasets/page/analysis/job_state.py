"""A job on a dataset as it is drawn: how far it is, or why it failed."""

from dataclasses import dataclass

from studio.core.i18n import Words
from studio.core.jobs import Job, sentence_text


@dataclass(frozen=True)
class JobState:
    """A job at work: `share` of it is done (0 to 1, None where it is not known), `message` says what it does."""

    id: str
    state: str
    share: float | None
    message: str


def at_work(words: Words, job: Job | None) -> JobState | None:
    """Return how a job stands that waits or is at work, None for one that is over and for none."""
    if job is None or not job.active:
        return None
    return JobState(
        job.id, job.state, job.progress, sentence_text(job.message, words) or words("train.state_" + job.state)
    )


def fault_of(words: Words, job: Job | None) -> str:
    """Return why a job failed, "" for one that did not and for none."""
    return sentence_text(job.error, words) or "" if job else ""
