"""What goes into the endpoints of training and comes out of them.

A recipe stays an object of LLaMA-Factory's own arguments, whatever these are, and so does a grid of their values.
"""

from pydantic import Field, field_validator

from studio.web.schema import Options, Result, SparseResult


class StartOptions(Options):
    """What is said of a run beside its recipe."""

    run_name: str = Field("", description="the run's own name, refused where there is one of it")
    title: str = Field("", description="a name that gets a number, where it has none of its own; left out: its data's")
    note: str = Field("", description="kept with the run")
    name: str | None = Field(
        None,
        description="of the assistant, where the data asks for one; empty, as the author: the rows stay as they are",
    )
    author: str | None = Field(None, description="of the assistant, where the data asks for one")
    probes: list[str] | None = Field(None, description="questions, answered at each checkpoint")
    devices: list[int] | None = Field(None, description="numbers of the GPUs to train on")
    processes: int | None = Field(None, description="how many train together where there is no GPU")


class EnvironmentResult(Result):
    """The job that makes an environment."""

    job: str | None = Field(description="null where the environment is whole")


class RunResult(Result):
    """A run by its name."""

    run: str


class RunsResult(Result):
    """Runs by their names."""

    runs: list[str]


class PreviewResult(Result):
    """A recipe as it would be trained."""

    yaml: str
    command: str = Field(description="that trains it without the studio, empty where it cannot be trained")
    problems: list[str]
    memory: int | float | None = Field(description="in bytes, at the peak")
    disk: int | float | None = Field(description="in bytes, of what is kept")
    steps: int | None = Field(description="in all, null where they are not known before")
    seconds: float | None = Field(description="by the newest run like it on this machine, null where there is none")
    advice: list[str]


class ListedRun(Result):
    """A run as lists show it."""

    run: str
    state: str = Field(description='"unreadable" for a folder that cannot be used as a run')
    step: int
    total_steps: int
    loss: float | None
    started: float | None = Field(description="in seconds since 1970")
    model: str | None
    dataset: str | list[str] | None = Field(description="as its recipe says it")
    problem: str | None = Field(description="what is wrong with its files, null where nothing is")

    @field_validator("dataset", mode="before")
    @classmethod
    def _as_text(cls, value: object) -> object:
        """A recipe is a file, and may name anything as its dataset."""
        if isinstance(value, list):
            return [str(one) for one in value]
        return value if value is None else str(value)


class StatusResult(Result):
    """How far a run is."""

    state: str
    step: int
    total_steps: int
    loss: float | None
    eta_s: float | None = Field(description="seconds that are left, null while nothing is known of it")
    error: str | None
    resumable: int | None = Field(description="the step of its newest checkpoint")


class MetricsResult(Result):
    """The points of a run's series."""

    series: dict[str, list[list[int | float | None]]] = Field(
        description="of each name its points, [step, value, seconds of work until then]"
    )
    next: int = Field(description="what to give as `since` the next time")
    state: str
    epochs_per_step: float | None = Field(description="null where the run does not say it")
    device: str | None = Field(description="on which it trains, as torch calls it; null where the run does not say it")
    reset: bool = Field(description="whether the history has changed, and is to be asked for from 0 again")
    label: str = Field(description="what the run is called on the page")


class QueuedRun(Result):
    """A run that waits or is at work."""

    run: str
    position: int | None = Field(description="0 is the next to start; null for one that is at work")
    executor: str | None
    devices: list[int]


class NodesResult(Result):
    """A run for several machines."""

    run: str
    commands: list[str] = Field(description="one to paste on each machine")


class LabelResult(Result):
    label: str = Field(description="what the run is called on the page now")


class StarResult(Result):
    """Whether a run has a star."""

    star: bool


class FreedResult(Result):
    """What comes free."""

    freed: int = Field(description="in bytes")


class MissingSetting(Result):
    """A setting whose value this studio does not have."""

    field: str
    value: str
    advice: str = Field(description='"download", "add", "choose", "dataset", "run" or "file"')
    do: str = Field(description="the advice as a sentence")


class LeftOutText(Result):
    """A part of a text that is not in the recipe."""

    text: str
    why: str


class DeviceOptions(SparseResult):
    """Options of a start that a text may hold."""

    devices: list[int] = Field([], description="numbers of the GPUs to train on")


class ReadRecipeResult(Result):
    """A recipe that a text stands for."""

    recipe: dict[str, object]
    taken: list[str] = Field(description="the settings that came along")
    not_here: list[MissingSetting]
    left_out: list[LeftOutText]
    options: DeviceOptions = Field(description="of the start, where the text says them")
    kind: str


class SavedRecipeResult(Result):
    """A recipe that is kept under a name."""

    name: str
    recipe: dict[str, object]


class Notice(Result):
    """What happened to a run, as a person is told."""

    id: str
    run: str
    label: str = Field(description="what the run is called on the page")
    text: str


class NoticesResult(Result):
    """What happened to runs after a moment."""

    now: float = Field(description="in seconds since 1970: what to give as `since` the next time")
    notices: list[Notice]


class HostResult(Result):
    """The host that notices are sent to, empty for none."""

    host: str
