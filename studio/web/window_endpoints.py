"""What a script, and the page, can ask of the window: its live regions, and its jobs."""

from collections.abc import Callable

from pydantic import Field

from studio.core.i18n import Words
from studio.core.jobs import Jobs
from studio.web.live import Live, RegionOptions, RegionResult
from studio.web.schema import Result
from studio.web.shared_results import StateResult


class JobStatusResult(Result):
    """How far a job is."""

    state: str = Field(description="queued, preparing, running, stopping, finished, stopped, failed or interrupted")
    progress: float | None = Field(description="0 to 1, null where it is not known")
    message: str | None = Field(description="what it is doing")
    result: object = Field(description="what the work gave, as the endpoint that started it tells; null until then")
    error: str | None = Field(description="why it failed")


def endpoints(live_regions: Live, jobs: Jobs, words: Words) -> list[Callable]:
    """Return the endpoints of the window; what its regions and jobs say is told in `words`."""

    def live(regions: list[RegionOptions]) -> list[RegionResult | None]:
        """Return {html, mark} for each region ({name, arg, mark}), null where the page has it already."""
        return live_regions.answer(words, regions)

    def job_status(job: str) -> JobStatusResult:
        """Return {state, progress, message, result, error} of a job."""
        return JobStatusResult(**vars(jobs.status(job, words)))

    def job_cancel(job: str) -> StateResult:
        """Stop a job, at once where it waits, at its next look where it runs, and return {state}."""
        return StateResult(state=jobs.cancel(job).state)

    def job_resume(job: str) -> StateResult:
        """Queue a job again that stopped, failed or was interrupted, and return {state}."""
        return StateResult(state=jobs.resume(job).state)

    return [live, job_status, job_cancel, job_resume]
