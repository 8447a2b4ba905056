"""What a script can do with the servers that answer columns."""

from collections.abc import Callable

from studio.chat.page.schemas import RemovedResult, ServerAddedResult, ServerOptions, ServerResult
from studio.core.i18n import Problem, Words
from studio.inference.inference_service import InferenceService
from studio.inference.remote.servers import ServerEntry


def endpoints(service: InferenceService, words: Words) -> list[Callable]:
    """Return the endpoints."""

    def chat_servers() -> list[ServerResult]:
        """Return [{name, url, has_key, models, error}] of the servers that were added; models is null while a server is
        asked.
        """
        models = service.model_lists.models()
        return [_result(one, models.get(one.name), words) for one in service.servers.list()]

    def chat_server_add(server: ServerOptions) -> ServerAddedResult:
        """Add a server ({url, key, keep_key, name}) and return {name, url, models}; a model is the column
        `served:<name>/<model>`.
        """
        added = service.servers.add(server.url, server.key or "", server.keep_key, server.name or "")
        service.model_lists.set(added.name, added.models)
        return ServerAddedResult(**vars(added))

    def chat_server_remove(name: str) -> RemovedResult:
        """Forget a server and its key, and return {removed}."""
        service.servers.remove(name)
        return RemovedResult(removed=name)

    return [chat_servers, chat_server_add, chat_server_remove]


def _result(server: ServerEntry, models: list[str] | Problem | None, words: Words) -> ServerResult:
    return ServerResult(
        **vars(server),
        models=models if isinstance(models, list) else None,
        error=words.tell(models) if isinstance(models, Problem) else None,
    )
