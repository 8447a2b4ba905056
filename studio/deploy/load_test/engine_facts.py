"""What an engine says of itself beside its answers, and what it takes of this machine."""

import ipaddress
import re
from urllib.parse import urlsplit

import httpx
import psutil

from studio.inference.remote import openai_client

WAIT_S = 3.0
LARGEST_BYTES = 4 * 2**20
# The counters of tokens that were written: llama.cpp's, vLLM's and LMDeploy's.
_WRITTEN = re.compile(
    r"^(?:llamacpp:tokens_predicted_total|vllm:generation_tokens_total|lmdeploy:generation_tokens_total)(?:\{[^}\n]*\})?"
    r"[ \t]+([0-9.eE+]{1,30})\b",
    re.MULTILINE,
)


def tokens_written(url: str) -> float | None:
    """Return how many tokens the engine at `url` (with /v1) has written since it started; None where it does not say.

    It is asked at `/metrics`, beside `/v1`, as llama.cpp (with --metrics), vLLM and LMDeploy have it.
    """
    key = openai_client.key_of(url)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    address, near = url.rsplit("/v1", 1)[0] + "/metrics", openai_client.is_near(urlsplit(url).hostname or "")
    try:
        with httpx.stream("GET", address, headers=headers, timeout=WAIT_S, trust_env=not near) as answer:
            if answer.status_code != 200:
                return None
            text = b""
            for part in answer.iter_bytes():
                text += part
                if len(text) > LARGEST_BYTES:
                    return None
        found = _WRITTEN.findall(text.decode("utf-8", "replace"))
        return sum(map(float, found)) if found else None
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        return None


def memory_of(url: str) -> int | None:
    """Return the bytes of memory of the process that listens at `url` and of those that it started; None for another
    machine's, or another user's.
    """
    parts = urlsplit(url)
    if not _is_here(parts.hostname or "") or not parts.port:
        return None
    try:
        listening = (
            one.pid
            for one in psutil.net_connections("tcp")
            if one.status == psutil.CONN_LISTEN and one.laddr.port == parts.port and one.pid
        )
        process = psutil.Process(next(listening))
        return sum(one.memory_info().rss for one in [process, *process.children(recursive=True)])
    except (psutil.Error, StopIteration):
        return None


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
