"""What endpoints of more than one tab answer with."""

from pydantic import Field

from studio.web.schema import Result


class JobResult(Result):
    """A job that was started."""

    job: str = Field(description="for job_status, job_cancel and job_resume")


class StateResult(Result):
    """How a run or a job is now."""

    state: str = Field(description="queued, preparing, running, stopping, finished, stopped, failed or interrupted")


class NameResult(Result):
    """The name under which something is kept."""

    name: str


class FileResult(Result):
    """A file to save."""

    name: str
    text: str
