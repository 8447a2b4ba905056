"""How far the search for the largest batch is, or what it found."""

from dataclasses import dataclass

from studio.core.jobs import Jobs
from studio.core.sentences import Sentence
from studio.core.storage import records
from studio.train.execution import batch_search

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


def batch_result(jobs: Jobs) -> BatchResult | None:
    """Return the newest search, None where there is none or it was stopped. Raises Problem where its record cannot be
    read.
    """
    job = next(iter(jobs.all("batch")), None)
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
