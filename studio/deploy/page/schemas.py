"""What goes into the endpoints of serving and comes out of them."""

from pydantic import Field

from studio.deploy.deploy_settings import DeploySettings
from studio.web.schema import Options, Result


class DeployOptions(DeploySettings, Options):
    """How a model is served."""

    key: str = Field("", description="that clients must know; kept in a file that only this user can read")


class EngineResult(Result):
    """An engine."""

    name: str
    title: str
    ready: bool = Field(description="whether it can be started on this machine")
    why: str | None = Field(description="why it cannot")
    fields: list[str] = Field(description="the settings that it has beside name, host, port, key and restarts")


class DeploymentNameResult(Result):
    """A deployment by its name."""

    name: str


class PreparationResult(Result):
    """The job that brings an engine."""

    job: str


class OllamaModelResult(Result):
    """A model in the store of an Ollama."""

    name: str
    bytes: int
    changed: str = Field(description="when, as Ollama writes it")


class OllamaShownResult(Result):
    """What Ollama tells of a model."""

    modelfile: str
    template: str
    parameters: str


class EngineStateResult(Result):
    """The state of an engine."""

    state: str


class LogTextResult(Result):
    """The end of what an engine printed, from its start on."""

    text: str


class DeletedDeploymentResult(Result):
    """What is in the trash now."""

    item: str = Field(description="as `trash_restore` takes it")


class DeployPreviewResult(Result):
    """What would be started."""

    command: str = Field(description="as it can be pasted; the key is not in it")
    cluster: list[str] = Field(description="for several machines: before it, on the first, and on each other")
    files: dict[str, str] = Field(description="the texts that the command names, by their paths in the workspace")
    address: str
    problem: str | None = Field(description="why it would be refused")


class TargetResult(Result):
    """Something that can be served."""

    target: str
    kind: str = Field(description='"model", "run" or "gguf"')


class ParityResult(Result):
    """Whether the engine makes the prompt of training."""

    verdict: str = Field(
        description='"same" (token for token), "same_text", "other_tokens", "same_length", "differs" or "untold"'
    )
    asked: int = Field(description="with so many conversations")
    same: int = Field(description="of which so many are the same, token for token")
    case: str = Field(description="the first that differs")
    token: int | None = Field(description="its first such token, from 0")


class LoadResult(Result):
    """What a busy engine is at; null where it does not count."""

    running: int | None = Field(description="requests that it answers")
    waiting: int | None = Field(description="requests that wait")


class AdaptersResult(Result):
    """The LoRA adapters that are on."""

    on: list[str]


class DeploymentResult(Result):
    """A deployment as lists show it."""

    name: str
    engine: str
    target: str
    state: str = Field(description='"starting", "ready", "stopping", "stopped" or "failed"')
    address: str = Field(description="of its API, with /v1")
    model: str = Field(description="as the engine calls it")
    column: str | None = Field(description="as Chat and Evaluate ask for it, null while it is not ready")
    doing: str | None = Field(description="what it is doing while it starts")
    error: str | None
    parity: ParityResult | None = Field(description="null while it was not looked at")
    since: float | None = Field(description="when the state began, in seconds since 1970")
    busy: LoadResult | None = Field(description="what it is at, null while it waits for requests")
    adapters: dict[str, bool] = Field(description="LoRA adapters that can be switched, and whether each is on")
    ready_s: float | None = Field(description="seconds from its start until it was ready")
    memory_bytes: int | None = Field(description="that its processes have in memory")
