"""The engines by name, in the order in which they are offered."""

from studio.deploy.engines.engine import Engine
from studio.deploy.engines.engine_environments import EngineEnvironments
from studio.deploy.engines.llama_cpp import LlamaCpp
from studio.deploy.engines.llamafactory_api import LlamaFactoryApi
from studio.deploy.engines.lmdeploy_server import Lmdeploy
from studio.deploy.engines.ollama_server import Ollama
from studio.deploy.engines.vllm import Vllm
from studio.inference.llama_cpp.toolkit import Toolkit


def engines(toolkit: Toolkit, environments: EngineEnvironments) -> dict[str, Engine]:
    """Return every engine.

    Args:
        toolkit: that has llama.cpp's programs.
        environments: that have the others'.
    """
    python = environments.python
    return {one.name: one for one in (LlamaFactoryApi(), LlamaCpp(toolkit), Vllm(python), Lmdeploy(python), Ollama())}
