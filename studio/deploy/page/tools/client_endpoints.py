"""What a script can do with the tools that people put in front of an engine."""

from collections.abc import Callable

from studio.core.i18n import Words
from studio.deploy.clients import ragflow, snippets
from studio.deploy.page.tools.tool_schemas import (
    JobOfToolResult,
    RagflowCheckResult,
    RagflowResult,
    SnippetResult,
    ToolStateResult,
)
from studio.deploy.page.tools.tools_context import ToolsContext
from studio.inference.remote import openai_client


def endpoints(context: ToolsContext, words: Words) -> list[Callable]:
    """Return the endpoints of snippets, Open WebUI and RAGFlow."""
    return [*_of_programs(context, words), *_of_open_webui(context)]


def _of_programs(context: ToolsContext, words: Words) -> list[Callable]:
    servers = context.inference.servers

    def deploy_snippets(target: str) -> list[SnippetResult]:
        """Return programs that ask a served model (`served:<server>/<model>`), to be pasted as they are."""
        served = servers.target(target)
        found = snippets.snippets(served, bool(openai_client.key_of(served.url)), snippets.is_ollama(served.url))
        return [SnippetResult(name=one.name, streams=one.streams, needs=one.needs, code=one.code) for one in found]

    def deploy_ragflow(target: str) -> RagflowResult:
        """Return what is entered in RAGFlow for a served model, and the file by which its containers reach it."""
        served = servers.target(target)
        made = ragflow.entry(served, bool(openai_client.key_of(served.url)))
        return RagflowResult(
            provider=made.provider,
            model=made.model,
            url=made.url,
            wants_key=made.wants_key,
            context=made.context,
            override=made.override,
            command=made.command,
            has_docker=made.has_docker,
            warning=made.warning.tell(words) if made.warning else None,
        )

    def deploy_ragflow_check(target: str) -> RagflowCheckResult:
        """Ask a served model's server as RAGFlow's containers will."""
        found = ragflow.check(servers.target(target))
        told = words("ragflow.reached", url=found.url, models=found.models)
        return RagflowCheckResult(url=found.url, models=found.models, told=told)

    return [deploy_snippets, deploy_ragflow, deploy_ragflow_check]


def _of_open_webui(context: ToolsContext) -> list[Callable]:
    webui = context.open_webui

    def deploy_open_webui_install() -> JobOfToolResult:
        """Install Open WebUI into an environment of its own."""
        return JobOfToolResult(job=webui.environment.make().id)

    def deploy_open_webui_start(target: str, extras: bool = False, recorded: bool = False) -> ToolStateResult:
        """Start Open WebUI on this machine, without a login, connected to a served model (`served:<server>/<model>`).

        `extras` lets it ask for titles, tags and more, and send its tools; `recorded` puts the prompt recorder between.
        """
        context.inference.servers.target(target)
        server = target.removeprefix("served:").partition("/")[0]
        through = context.recorders.start(server).url if recorded else ""
        status = webui.start(target, extras, through)
        return ToolStateResult(state=status.state, url=status.url)

    def deploy_open_webui_stop() -> ToolStateResult:
        """Stop Open WebUI; its data stay."""
        return ToolStateResult(state=webui.stop().state)

    def deploy_open_webui_status() -> ToolStateResult:
        """Return how Open WebUI is: "missing", "installing", "stopped", "starting", "ready" or "failed"."""
        status = webui.status()
        return ToolStateResult(state=status.state, url=status.url)

    return [deploy_open_webui_install, deploy_open_webui_start, deploy_open_webui_stop, deploy_open_webui_status]
