"""How a model is served: the settings of a deployment, as they stand on disk. The key is none of them."""

import ipaddress
from typing import Annotated, Literal

from pydantic import Field

from studio.core.i18n import Problem
from studio.core.storage.records import Record

LOCAL = "127.0.0.1"
Host = Annotated[str, Field(pattern=r"^[A-Za-z0-9.:_-]+$", max_length=253)]
Precision = Literal["", "float32", "bfloat16", "float16"]


class DeploySettings(Record):
    """The settings of a deployment; each engine takes those that it has, and the form shows no others."""

    name: str = Field(
        "", max_length=80, description="of the deployment, and of the model that is served; made if empty"
    )
    host: Host = Field(LOCAL, description="the address that is listened at; any but 127.0.0.1 asks for a key")
    port: int = Field(0, ge=0, le=65535, description="0 takes a free one")
    context: int = Field(0, ge=0, le=10_000_000, description="tokens of prompt and answer; 0 leaves it to the model")
    parallel: int = Field(0, ge=0, le=4096, description="requests at once; 0 leaves it to the engine")
    memory_share: float = Field(
        0.9, gt=0, le=1, description="of the GPU's memory, for engines that take it all at once"
    )
    precision: Precision = Field("", description="in which it computes; empty for the best that the device has")
    bits: Literal[0, 4, 8] = Field(0, description="to load the weights quantised; 0 for as they are")
    devices: list[Annotated[int, Field(ge=0, le=1023)]] = Field([], description="numbers of the GPUs; empty for all")
    tensor_parallel: int = Field(1, ge=1, le=1024, description="GPUs that share each layer")
    pipeline_parallel: int = Field(1, ge=1, le=1024, description="groups of GPUs that have some of the layers each")
    data_parallel: int = Field(1, ge=1, le=1024, description="copies of the model that share the requests")
    nodes: int = Field(1, ge=1, le=1024, description="machines; with more than one, a command for each is shown")
    gpu_layers: int = Field(-1, ge=-1, le=10_000, description="layers on the GPU, for llama.cpp; -1 for all that fit")
    adapters: dict[str, str] = Field({}, description="LoRA adapters to serve beside it: name to run or checkpoint")
    adapters_on: list[str] | None = Field(
        None,
        description="those that are on at the start; null for llama.cpp's first, which adds them up, and vLLM's all",
    )
    prompt_of: str = Field("", description="the run or model whose prompt a GGUF file was trained with")
    eager: bool = Field(False, description="vLLM: start sooner and answer more slowly")
    restarts: int = Field(2, ge=0, le=20, description="how often it is started again when it died, in ten minutes")


def is_local(host: str) -> bool:
    """Tell whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def require_key(host: str, key: str) -> None:
    """Raise Problem where others could reach the address and no key is asked for."""
    if not is_local(host) and not key:
        raise Problem("deploy.key_needed", host=host)
