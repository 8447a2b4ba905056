"""What the endpoints of the trash answer."""

from pydantic import Field

from studio.web.schema import Result


class TrashedResult(Result):
    """Something that was deleted."""

    id: str
    kind: str
    title: str
    stood: list[str] = Field(description="the paths at which it stood")
    when: float = Field(description="in seconds since 1970")
    bytes: int
    problem: str | None = Field(description="what keeps it from coming back")


class RestoredResult(Result):
    restored: list[str] = Field(description="the paths at which it stands again")


class EmptiedResult(Result):
    freed: int = Field(description="in bytes")
