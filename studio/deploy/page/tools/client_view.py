"""Snippets, Open WebUI and RAGFlow on the page."""

import threading
import time
from dataclasses import dataclass, field

from studio.core.i18n import Problem
from studio.core.sentences import Sentence
from studio.core.storage import records
from studio.deploy.clients import ragflow, snippets
from studio.deploy.clients.open_webui import OpenWebuiStatus
from studio.deploy.clients.open_webui_environment import GIGABYTES
from studio.deploy.clients.ragflow import RagflowEntry
from studio.deploy.clients.snippets import Snippet
from studio.deploy.page.tools.load_test_view import Choice
from studio.deploy.page.tools.tools_context import ToolsContext
from studio.inference import target_names
from studio.inference.remote import openai_client
from studio.inference.remote.servers import ServedTarget

WEBUI = "deploy/page/tools/open_webui.html"
CHOOSE = "deploy/page/tools/client_choice.html"
PROGRAMS = "deploy/page/tools/programs.html"
FRESH_S = 10.0


@dataclass(frozen=True)
class OpenWebuiView:
    """Open WebUI. progress: of its installation, 0 to 1. title: of the model that it shows."""

    status: OpenWebuiStatus
    targets: tuple[Choice, ...]
    progress: float | None
    message: Sentence | None
    error: Sentence | None
    title: str
    can_go_on: bool
    log: str
    gigabytes: float = GIGABYTES


@dataclass(frozen=True)
class ClientChoice:
    """The served models to choose from."""

    targets: tuple[Choice, ...]


@dataclass(frozen=True)
class Programs:
    """What is pasted for a served model; `known` is False until its server was asked about itself."""

    target: str
    title: str
    key_variable: str
    programs: tuple[Snippet, ...]
    ragflow: RagflowEntry | None
    known: bool


@dataclass
class ProgramCache:
    """What servers told of themselves, asked in the background: a page does not wait for one that is down."""

    _found: dict[str, tuple[float, bool, RagflowEntry]] = field(default_factory=dict)
    _pending: set[str] = field(default_factory=set)

    def get(self, served: ServedTarget) -> tuple[bool, RagflowEntry] | None:
        """Return whether it is an Ollama, and its entry in RAGFlow; None until that is known."""
        at, *found = self._found.get(served.name, (-FRESH_S, None))
        if served.name not in self._pending and time.monotonic() - at > FRESH_S:
            self._pending.add(served.name)
            threading.Thread(target=self._ask, args=(served,), name="programs", daemon=True).start()
        return (found[0], found[1]) if len(found) == 2 else None

    def _ask(self, served: ServedTarget) -> None:
        try:
            entry = ragflow.entry(served, bool(openai_client.key_of(served.url)))
            self._found[served.name] = (time.monotonic(), snippets.is_ollama(served.url), entry)
        finally:
            self._pending.discard(served.name)


def choices(context: ToolsContext) -> ClientChoice:
    """Return the served models."""
    return ClientChoice(tuple(Choice(one, target_names.served_title(one)) for one in context.targets()))


def open_webui_view(context: ToolsContext) -> OpenWebuiView:
    """Return Open WebUI as it is."""
    status = context.open_webui.status()
    job = status.job
    return OpenWebuiView(
        status=status,
        targets=choices(context).targets,
        progress=job.progress if job else None,
        message=records.typed(job.message, Sentence, "job") if job and job.message else None,
        error=records.typed(job.error, Sentence, "job") if job and job.error and status.state == "missing" else None,
        title=target_names.served_title(status.target) if status.target else "",
        can_go_on=bool(job and status.state == "missing"),
        log=context.open_webui.log() if status.state in ("starting", "failed") else "",
    )


def programs(context: ToolsContext, cache: ProgramCache, target: str) -> Programs | None:
    """Return what is pasted for a served model; the first there is where none is named, None where there is none."""
    target = target or next(iter(context.targets()), "")
    if not target:
        return None
    try:
        served = context.inference.servers.target(target)
    except Problem:  # removed meanwhile: the list of models has no such one any more
        return None
    found, has_key = cache.get(served), bool(openai_client.key_of(served.url))
    made = snippets.snippets(served, has_key, bool(found and found[0]))
    key = snippets.KEY_VARIABLE if has_key else ""
    return Programs(
        target, target_names.served_title(target), key, tuple(made), found[1] if found else None, found is not None
    )
