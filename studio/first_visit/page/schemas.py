"""What the endpoints of the first visit answer."""

from pydantic import Field

from studio.web.schema import Result


class VisitResult(Result):
    is_over: bool
    run: str | None = Field(description="the starter run, null before it was started")
