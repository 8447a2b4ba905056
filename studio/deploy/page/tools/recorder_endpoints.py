"""What a script can do with the prompt recorder."""

from collections.abc import Callable

from studio.core.i18n import Problem, Words
from studio.deploy.page.tools.tool_schemas import RecordedPromptResult, RecordedRequestResult, RecorderResult
from studio.deploy.page.tools.tools_context import ToolsContext
from studio.deploy.prompt_recorder.recorded_prompt import recorded_prompt
from studio.deploy.prompt_recorder.recorded_requests import RecordedRequest
from studio.deploy.prompt_recorder.recorder_service import RecorderStatus

LISTED = 100


def endpoints(context: ToolsContext, words: Words) -> list[Callable]:
    """Return the endpoints of the prompt recorder."""
    recorders = context.recorders

    def deploy_recorder_start(server: str, trained: str | None = None, port: int | None = None) -> RecorderResult:
        """Put a recorder between clients and a server; returns the address that a client is given in its place."""
        return _recorder(recorders.start(server, port, trained), words)

    def deploy_recorder_stop(server: str) -> RecorderResult:
        """Stop recording a server; what was recorded stays."""
        return _recorder(recorders.stop(server), words)

    def deploy_recorder_list() -> list[RecorderResult]:
        """Return every recorder."""
        return [_recorder(one, words) for one in recorders.list()]

    def deploy_recorder_requests(limit: int = LISTED) -> list[RecordedRequestResult]:
        """Return the newest recorded requests; one whose file cannot be used is left out."""
        found = []
        for id in recorders.requests.ids()[: max(0, limit)]:
            try:
                found.append(_request(recorders.requests.find(id)))
            except Problem:
                continue
        return found

    def deploy_recorder_request(id: str) -> RecordedRequestResult:
        """Return a recorded request."""
        return _request(recorders.requests.find(id))

    def deploy_recorder_prompt(id: str, trained: str | None = None) -> RecordedPromptResult:
        """Return the prompt that the engine makes of a recorded request, beside the one of training.

        `trained` is the run or model whose template is that of training; the recorder's own where it is left out.
        """
        request = recorders.requests.find(id)
        target = context.inference.servers.target(f"served:{request.server}/{request.model or '-'}")
        if trained is None:
            trained = recorders.status(str(request.server)).trained
        made = recorded_prompt(recorders.workspace, target, request, trained)
        context.remember(id, made)
        fault = made.engine.fault or made.trained.fault
        return RecordedPromptResult(
            parity=made.parity,
            first_difference=made.first_difference,
            engine=list(made.engine.ids),
            trained=list(made.trained.ids),
            problem=words.tell(fault) if fault else None,
        )

    def deploy_recorder_clear() -> list[RecordedRequestResult]:
        """Delete all recorded requests for good."""
        recorders.requests.drop(recorders.requests.ids())
        return []

    changing = [deploy_recorder_start, deploy_recorder_stop, deploy_recorder_prompt, deploy_recorder_clear]
    return [*changing, deploy_recorder_list, deploy_recorder_requests, deploy_recorder_request]


def _recorder(status: RecorderStatus, words: Words) -> RecorderResult:
    return RecorderResult(
        server=status.server,
        url=status.url,
        port=status.port,
        is_running=status.is_running,
        trained=status.trained,
        problem=status.fault.tell(words) if status.fault else None,
    )


def _request(one: RecordedRequest) -> RecordedRequestResult:
    return RecordedRequestResult(
        id=one.id,
        server=str(one.server),
        time=one.time,
        kind=one.kind,
        path=str(one.path),
        client=str(one.client),
        model=one.model,
        status=one.status,
        ttft_s=one.ttft_s,
        seconds=one.seconds,
        body=one.body,
        answer=str(one.answer),
        prompt_tokens=one.prompt_tokens,
        tokens=one.tokens,
        problem=str(one.fault),
    )
