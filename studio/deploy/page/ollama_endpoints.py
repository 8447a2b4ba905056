"""What a script can do with the models in an Ollama that the studio started."""

from collections.abc import Callable

from studio.deploy.deploy_service import DeployService
from studio.deploy.page.schemas import OllamaModelResult, OllamaShownResult, PreparationResult


def ollama_endpoints(service: DeployService) -> list[Callable]:
    """Return the endpoints; `name` is the deployment."""

    def deploy_ollama_list(name: str) -> list[OllamaModelResult]:
        """Return the models in the store of an Ollama."""
        return [
            OllamaModelResult(name=one.name, bytes=one.size, changed=one.modified_at)
            for one in service.ollama(name).models()
        ]

    def deploy_ollama_show(name: str, model: str) -> OllamaShownResult:
        """Return what an Ollama tells of a model: its Modelfile, template and parameters."""
        shown = service.ollama(name).show(model)
        return OllamaShownResult(modelfile=shown.modelfile, template=shown.template, parameters=shown.parameters)

    def deploy_ollama_copy(name: str, model: str, to: str) -> OllamaShownResult:
        """Give a model of an Ollama a second name."""
        service.ollama(name).copy(model, to)
        return deploy_ollama_show(name, to)

    def deploy_ollama_delete(name: str, model: str) -> list[OllamaModelResult]:
        """Delete a model from the store of an Ollama for good, and return those that are left."""
        service.ollama(name).delete(model)
        return deploy_ollama_list(name)

    def deploy_ollama_pull(name: str, model: str) -> PreparationResult:
        """Let an Ollama fetch a model from its registry, in the background."""
        return PreparationResult(job=service.pulls.start(name, model).id)

    return [deploy_ollama_list, deploy_ollama_show, deploy_ollama_copy, deploy_ollama_delete, deploy_ollama_pull]
