"""What goes into the endpoints of load tests, recorder and clients, and what comes out of them."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from studio.deploy.load_test.load_settings import Concurrency, LoadSettings
from studio.web.schema import Options, Result


def _listed(value: object) -> object:
    """Return the parts of a text between commas or blanks, as a form sends a list; anything else as it is."""
    return value.replace(",", " ").split() if isinstance(value, str) else value


def _none_of_nothing(value: object) -> object:
    return None if value == "" else value


Limit = Annotated[Annotated[float, Field(gt=0)] | None, BeforeValidator(_none_of_nothing)]


class LoadTestOptions(LoadSettings, Options):
    """Which servers are measured, and how."""

    targets: list[str] = Field([], description="`served:<server>/<model>`, at most four")
    concurrency: Annotated[list[Concurrency], BeforeValidator(_listed)] = Field(
        [1, 2, 4, 8], min_length=1, max_length=12, description="requests at a time, a step for each number"
    )
    ttft_ms: Limit = Field(None, description="a good answer begins within; null: no limit")
    tpot_ms: Limit = Field(None, description="a good answer takes at most so long a token; null: no limit")


class LoadTestResult(Result):
    """A load test by its id."""

    load_test: str


class ToolStateResult(Result):
    """The state of a load test, as that of a job, or of Open WebUI."""

    state: str
    url: str = Field("", description="of its page")


class TrashedToolResult(Result):
    """What is in the trash now."""

    item: str = Field(description="as `trash_restore` takes it")


class LoadTestStateResult(Result):
    """A load test with what it came to so far."""

    load_test: str
    title: str
    state: str
    message: str | None
    error: str | None
    steps: list[dict[str, str | int | float | None]] = Field(
        description="a flat object each, as in the JSON report; times in ms"
    )


class ReportFileResult(Result):
    """A file: its name and its text."""

    name: str
    text: str


class RecorderResult(Result):
    """A recorder. url: what a client is given in place of the server's."""

    server: str
    url: str
    port: int
    is_running: bool
    trained: str = Field(description="the run or model whose prompts are compared, empty for none")
    problem: str | None


class RecordedRequestResult(Result):
    """A request that passed a recorder."""

    id: str
    server: str
    time: float
    kind: str = Field(description='"chat", or what a client asks by itself: "title", "tags", "follow_up", ...')
    path: str
    client: str
    model: str
    status: int | None
    ttft_s: float | None
    seconds: float
    body: dict[str, object] | None
    answer: str
    prompt_tokens: int | None
    tokens: int | None
    problem: str


class RecordedPromptResult(Result):
    """The prompt that the engine made of a request, and that of training, token by token."""

    parity: str = Field(description='"same", "differs", "ends_before" or "untold"')
    first_difference: int | None = Field(description="the index of a token")
    engine: list[int]
    trained: list[int]
    problem: str | None = Field(description="why one of them cannot be told")


class SnippetResult(Result):
    """A program that asks a served model."""

    name: str
    streams: bool
    needs: str = Field(description="what is installed first")
    code: str


class RagflowResult(Result):
    """What is entered in RAGFlow."""

    provider: str
    model: str
    url: str
    wants_key: bool
    context: int | None
    override: str = Field(description="docker-compose.studio.yml")
    command: str
    has_docker: bool
    warning: str | None


class RagflowCheckResult(Result):
    """The server was reached at the address that containers have for this machine."""

    url: str
    models: int
    told: str


class JobOfToolResult(Result):
    """The job that installs Open WebUI."""

    job: str
