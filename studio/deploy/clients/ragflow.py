"""RAGFlow, which runs in containers: what is entered where, a file by which it reaches this machine, and a check."""

import ipaddress
import re
import shutil
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
import psutil
import yaml

from studio.core.i18n import Problem
from studio.core.sentences import Sentence
from studio.core.storage.records import parse_or
from studio.inference.remote import openai_client
from studio.inference.remote.servers import ServedTarget

GATEWAY = "host.docker.internal"  # this machine, as a container calls it
SERVICES = ("ragflow-cpu", "ragflow-gpu")  # of RAGFlow's docker/docker-compose.yml
WAIT_S = 5.0


@dataclass(frozen=True)
class RagflowEntry:
    """What is entered in RAGFlow under Model providers, and the file that is put beside its docker-compose.yml.

    context: tokens that the server takes, None where it does not say. warning: why containers cannot reach it, None
    where nothing speaks against it. has_docker: whether Docker is on this machine.
    """

    provider: str
    model: str
    url: str
    wants_key: bool
    context: int | None
    override: str
    command: str
    has_docker: bool
    warning: Sentence | None


def entry(target: ServedTarget, has_key: bool) -> RagflowEntry:
    """Return what RAGFlow is told of a served model."""
    return RagflowEntry(
        provider="VLLM",
        model=target.model,
        url=address_in_containers(target.url),
        wants_key=has_key,
        context=context_length(target),
        override=override(),
        command="docker compose -f docker-compose.yml -f docker-compose.studio.yml up -d",
        has_docker=shutil.which("docker") is not None,
        warning=_warning(target.url),
    )


def address_in_containers(url: str) -> str:
    """Return an address as a container calls it: there 127.0.0.1 is the container itself."""
    parts = urlsplit(url)
    if not _is_this_machine(parts.hostname or ""):
        return url
    return f"{parts.scheme}://{GATEWAY}{f':{parts.port}' if parts.port else ''}{parts.path}"


def override() -> str:
    """Return `docker-compose.studio.yml`, which gives RAGFlow's containers a name for this machine on Linux too."""
    more = {"extra_hosts": [f"{GATEWAY}:host-gateway"]}
    return yaml.safe_dump({"services": {name: dict(more) for name in SERVICES}}, sort_keys=False)


def context_length(target: ServedTarget) -> int | None:
    """Return how many tokens the server says that it takes (vLLM, llama.cpp); None where it does not say."""
    listed = _get(target.url + "/models", target.url)
    models = listed.get("data") if isinstance(listed, dict) else None
    for model in models if isinstance(models, list) else []:
        if isinstance(model, dict) and model.get("id") == target.model:
            meta = model.get("meta") if isinstance(model.get("meta"), dict) else {}
            for length in (model.get("max_model_len"), meta.get("n_ctx")):
                if isinstance(length, int) and 0 < length < 2**31:
                    return length
    props = _get(target.url.rsplit("/v1", 1)[0] + "/props", target.url)
    settings = props.get("default_generation_settings") if isinstance(props, dict) else None
    length = settings.get("n_ctx") if isinstance(settings, dict) else None
    return length if isinstance(length, int) and 0 < length < 2**31 else None


@dataclass(frozen=True)
class RagflowCheck:
    """Whether the server was reached at the address that containers have for this machine. url: what was asked."""

    url: str
    models: int


def check(target: ServedTarget) -> RagflowCheck:
    """Ask the server as RAGFlow will: at this machine's address in Docker's network, or in the local one without
    Docker.

    Raises:
        Problem: it listens on 127.0.0.1 only, or does not answer there.
    """
    parts = urlsplit(target.url)
    host = parts.hostname or ""
    if _is_this_machine(host):
        host = outer_address()
    url = f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{f':{parts.port}' if parts.port else ''}{parts.path}"
    listed = _get(url + "/models", target.url)
    models = listed.get("data") if isinstance(listed, dict) else None
    if not isinstance(models, list):
        raise Problem("ragflow.no_way", url=url, port=parts.port or 80)
    return RagflowCheck(url, len(models))


def outer_address() -> str:
    """Return this machine's address in Docker's network, else in the local one. Raises Problem where it has none."""
    addresses = {
        name: [one.address for one in found if one.family == socket.AF_INET]
        for name, found in psutil.net_if_addrs().items()
    }
    names = sorted(addresses, key=lambda name: (not re.match(r"docker0|br-", name), name))
    for name in names:
        for address in addresses[name]:
            if not ipaddress.ip_address(address).is_loopback:
                return address
    raise Problem("ragflow.no_address")


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback or ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return host == "localhost"


def _warning(url: str) -> Sentence | None:
    """Say that a server listens on 127.0.0.1 only, as far as that can be seen."""
    parts = urlsplit(url)
    if not _is_this_machine(parts.hostname or "") or not parts.port:
        return None
    try:
        found = [one.laddr.ip for one in psutil.net_connections("tcp") if one.status == psutil.CONN_LISTEN
                 and one.laddr.port == parts.port]  # fmt: skip
    except psutil.Error:
        return None
    if found and all(ipaddress.ip_address(one).is_loopback for one in found):
        return Sentence(key="ragflow.only_here", facts={"port": parts.port})
    return None


def _get(url: str, keyed: str) -> object:
    """Return the JSON at an address, None where there is none; the key of the server `keyed` is sent along."""
    key = openai_client.key_of(keyed)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    near = openai_client.is_near(urlsplit(url).hostname or "")
    try:
        answer = httpx.get(url, headers=headers, timeout=WAIT_S, trust_env=not near)
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError):
        return None
    return parse_or(None, answer.content[: 2**22]) if answer.status_code == 200 else None
