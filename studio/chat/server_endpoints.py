"""What a script can do with the servers that answer columns."""

from collections.abc import Callable

from studio.chat.choose import Table
from studio.core.i18n import Problem, Words


def endpoints(table: Table, words: Words) -> list[Callable]:
    """Return the endpoints."""

    def chat_servers() -> list:
        """Return [{name, url, has_key, models, error}] of the servers that were added; models is null while a server is
        asked.
        """
        told = table.rollcall.models()
        return [{**one, **_told(told.get(one["name"]), words)} for one in table.endpoints.list()]

    def chat_server_add(server: dict) -> dict:
        """Add a server ({url, key, keep_key, name}) and return {name, url, models}; a model is the column
        `served:<name>/<model>`.
        """
        said = {name: str(server.get(name) or "") for name in ("url", "key", "name")}
        added = table.endpoints.add(said["url"], said["key"], bool(server.get("keep_key")), said["name"])
        table.rollcall.know(added["name"], added["models"])
        return added

    def chat_server_remove(name: str) -> dict:
        """Forget a server and its key, and return {removed}."""
        table.endpoints.remove(name)
        return {"removed": name}

    return [chat_servers, chat_server_add, chat_server_remove]


def _told(models: list[str] | Problem | None, words: Words) -> dict:
    return {
        "models": models if isinstance(models, list) else None,
        "error": words.tell(models) if isinstance(models, Problem) else None,
    }
