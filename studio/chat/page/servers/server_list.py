"""The servers that a person added, with their models, each of which can become a column."""

from dataclasses import dataclass

from studio.core.i18n import Problem
from studio.inference.inference_service import InferenceService

TEMPLATE = "chat/page/servers/server_list.html"
FORM = "chat/page/servers/server_form.html"


@dataclass(frozen=True)
class ServerRow:
    """A server. models: None while it is asked for the first time, or where `fault` says why it does not tell them."""

    name: str
    url: str
    has_key: bool
    models: list[str] | None
    fault: Problem | None

    @property
    def state(self) -> str:
        """Return the state of its dot: finished, failed or waiting."""
        return "failed" if self.fault else "waiting" if self.models is None else "finished"


@dataclass(frozen=True)
class ServerListContext:
    """faults: what cannot be used in the files of servers and of keys."""

    servers: list[ServerRow]
    faults: list[Problem]


def server_list(service: InferenceService) -> ServerListContext:
    """Return the servers in the order in which they were added."""
    answers = service.model_lists.models()
    rows = []
    for one in service.servers.list():
        answer = answers.get(one.name)
        models, fault = (None, answer) if isinstance(answer, Problem) else (answer, None)
        rows.append(ServerRow(one.name, one.url, one.has_key, models, fault))
    return ServerListContext(rows, service.servers.faults())
