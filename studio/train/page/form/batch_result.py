"""How far the search for the largest batch is, or what it found."""

import json
from dataclasses import dataclass

from studio.core.jobs import Jobs
from studio.core.sentences import Sentence
from studio.core.storage import records
from studio.train.execution import batch_search
from studio.web.live import region

TEMPLATE = "train/page/form/batch_result.html"


@dataclass(frozen=True)
class BatchResult:
    """A search by its job: what it does `now` while it goes on, what `error` ended it, or what it found; `best` is None
    where no size fits.
    """

    job: str
    goes_on: bool
    now: Sentence | None
    error: Sentence | None
    best: batch_search.TriedBatch | None


def region_of(recipe: dict[str, object]) -> str:
    """Return the region that tells of the search that was made with a recipe."""
    return region("batch", as_text(batch_search.subject(recipe)))


def as_text(subject: dict[str, object]) -> str:
    """Return what a search is of as the argument of its region."""
    return json.dumps(subject, ensure_ascii=False, sort_keys=True)


def batch_result(jobs: Jobs, subject: str) -> BatchResult | None:
    """Return the search that goes on, whatever it is of; else the newest that was of `subject` (see `as_text`), None
    where there is none or it was stopped. Raises Problem where its record cannot be read.
    """
    found = jobs.all(batch_search.KIND)
    of_subject = [job for job in found if job.facts and as_text(job.facts) == subject]
    job = next((job for job in found if job.active), None) or next(iter(of_subject), None)
    if job is None or not (job.active or job.error or job.state == "finished"):
        return None
    file = f"{job.id}.json"
    best = None
    if not job.active and not job.error:
        tried = records.typed(job.result, batch_search.LargestBatch, file).tried
        best = tried[-1] if tried else None
    return BatchResult(
        job=job.id,
        goes_on=job.active,
        now=records.typed(job.message, Sentence, file) if job.message else None,
        error=records.typed(job.error, Sentence, file) if job.error else None,
        best=best,
    )
