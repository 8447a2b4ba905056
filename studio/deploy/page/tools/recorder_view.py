"""The prompt recorder on the page: servers and their recorders, the requests, and the one in hand."""

from dataclasses import dataclass

from studio.core.i18n import Problem
from studio.core.plain import shown
from studio.deploy.page.tools.tools_context import ToolsContext
from studio.deploy.prompt_recorder.recorded_prompt import PromptSide, RecordedPrompt
from studio.deploy.prompt_recorder.recorded_requests import MOST, RecordedRequest
from studio.deploy.prompt_recorder.recorder_service import RecorderStatus
from studio.deploy.prompt_recorder.request_kinds import text_of
from studio.inference import target_names

SERVERS = "deploy/page/tools/recorder_servers.html"
LIST = "deploy/page/tools/recorded_list.html"
VIEW = "deploy/page/tools/recorded_view.html"
LISTED = 100
LONGEST = 20_000  # characters of a message that are shown
AROUND = 12  # tokens that are shown before and after the first difference


@dataclass(frozen=True)
class RecorderRow:
    """A server and its recorder, None where it was never recorded."""

    server: str
    recorder: RecorderStatus | None


@dataclass(frozen=True)
class RecorderServers:
    """The servers, and the runs and models whose prompts can be compared. problem: why the recorders cannot be read."""

    rows: tuple[RecorderRow, ...]
    trained: tuple[str, ...]
    problem: Problem | None = None


@dataclass(frozen=True)
class RecordedRow:
    """A request in the list. problem: why its file cannot be used."""

    id: str
    request: RecordedRequest | None = None
    problem: Problem | None = None


@dataclass(frozen=True)
class RecordedList:
    """The newest requests, and how many there are. most: that are kept."""

    rows: tuple[RecordedRow, ...]
    total: int
    most: int = MOST


@dataclass(frozen=True)
class SentMessage:
    """A message as it was sent."""

    role: str
    text: str
    calls: int


@dataclass(frozen=True)
class PromptPart:
    """The tokens of a prompt around the first difference, those before it and those from it on."""

    before: tuple[str, ...]
    after: tuple[str, ...]
    count: int


@dataclass(frozen=True)
class RecordedView:
    """A request in hand. prompt: of the engine and of training, None where they were not compared yet."""

    request: RecordedRequest
    messages: tuple[SentMessage, ...]
    parameters: tuple[tuple[str, str], ...]
    prompt: RecordedPrompt | None
    engine: PromptPart | None
    trained: PromptPart | None


def recorder_servers(context: ToolsContext) -> RecorderServers:
    """Return the servers with their recorders."""
    problem, known = None, {}
    try:
        known = {one.server: one for one in context.recorders.list()}
    except Problem as fault:
        problem = fault
    names = dict.fromkeys([*(one.name for one in context.inference.servers.list()), *known])
    rows = tuple(RecorderRow(name, known.get(name)) for name in names)
    return RecorderServers(rows, tuple(target_names.names(context.recorders.workspace)), problem)


def recorded_list(context: ToolsContext) -> RecordedList:
    """Return the newest requests."""
    ids = context.recorders.requests.ids()
    return RecordedList(tuple(_row(context, id) for id in ids[:LISTED]), len(ids))


def _row(context: ToolsContext, id: str) -> RecordedRow:
    try:
        return RecordedRow(id, context.recorders.requests.find(id))
    except Problem as problem:
        return RecordedRow(id, problem=problem)


def recorded_view(context: ToolsContext, id: str) -> RecordedView | None:
    """Return a request, None where none is named. Raises Problem where it is gone or cannot be used."""
    if not id:
        return None
    request, prompt = context.recorders.requests.find(id), context.prompts.get(id)
    messages = tuple(
        SentMessage(
            shown(str(one.get("role"))),
            shown(text_of(one.get("content")))[:LONGEST],
            len(_listed(one.get("tool_calls"))),
        )
        for one in request.messages
    )
    parameters = tuple((shown(str(name)), shown(str(value))[:300]) for name, value in request.parameters.items())
    at = prompt.first_difference if prompt else None
    engine, trained = (_part(prompt.engine, at), _part(prompt.trained, at)) if prompt else (None, None)
    return RecordedView(request, messages, parameters, prompt, engine, trained)


def _listed(value: object) -> list:
    return value if isinstance(value, list) else []


def _part(side: PromptSide, at: int | None) -> PromptPart | None:
    """Return what is shown of a prompt: all of it where nothing differs."""
    if side.fault:
        return None
    if at is None:
        return PromptPart(side.texts, (), len(side.ids))
    return PromptPart(side.texts[max(0, at - AROUND) : at], side.texts[at : at + AROUND], len(side.ids))
