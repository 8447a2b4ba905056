"""All jobs at work, whichever tab began them, for the sidebar: downloads, imports, checks, exports and the like."""

from dataclasses import dataclass

from studio.core.i18n import Words
from studio.core.jobs import Job, Jobs, sentence_text

TEMPLATE = "web/templates/activity.html"
LISTED = 12


@dataclass(frozen=True)
class JobRow:
    """A job: what it is, what it does just now, and how far it is, 0 to 1, None where that is not known."""

    id: str
    title: str
    message: str
    state: str
    progress: float | None


@dataclass(frozen=True)
class Activity:
    """The jobs at work, those that began first on top, LISTED of them at most, and how many more there are."""

    rows: tuple[JobRow, ...]
    more: int


def activity(words: Words, jobs: Jobs) -> Activity:
    """Return the jobs at work."""
    active = sorted((job for job in jobs.all() if job.active), key=lambda job: job.created)
    return Activity(tuple(_row(words, job) for job in active[:LISTED]), max(0, len(active) - LISTED))


def _row(words: Words, job: Job) -> JobRow:
    title = sentence_text({"key": job.title, "facts": job.facts}, words) or ""
    return JobRow(job.id, title, sentence_text(job.message, words) or "", job.state, job.progress)
