"""The models in the store of an Ollama in hand."""

from dataclasses import dataclass

from studio.core.formatting import finite
from studio.core.i18n import Problem
from studio.core.sentences import Sentence
from studio.deploy.deploy_service import DeployService
from studio.deploy.ollama.ollama_client import OllamaModel
from studio.deploy.page.engine_states import told

TEMPLATE = "deploy/page/ollama_models.html"


@dataclass(frozen=True)
class OllamaModels:
    """The models; problem: why they are not told. job: what is fetched now, with its progress and message, and its
    error where that failed.
    """

    name: str
    models: tuple[OllamaModel, ...] = ()
    problem: Problem | None = None
    job: str = ""
    progress: float | None = None
    message: Sentence | None = None
    error: Sentence | None = None


def ollama_models(service: DeployService, name: str) -> OllamaModels | None:
    """Return the models of an Ollama, None where the deployment in hand is none that is ready."""
    if not name:
        return None
    try:
        client = service.ollama(name)
    except Problem:  # another engine, or one that is not ready: its head says so
        return None
    job = service.pulls.of(name)
    at_work = job is not None and job.active
    facts = {
        "job": job.id if at_work else "",
        "progress": finite(job.progress) if at_work else None,
        "message": told(job.message) if at_work else None,
        "error": told(job.error) if job and not at_work else None,
    }
    try:
        return OllamaModels(name, tuple(client.models()), **facts)
    except Problem as problem:
        return OllamaModels(name, problem=problem, **facts)
