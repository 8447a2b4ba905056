"""Whose an address is: which hub's, and whether the login for that hub has any business there."""

import re
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote

from studio.core.network import web_address

# Where the logins of the hubs' clients belong. Every other address is a mirror, which is somebody else's.
OWN_HOSTS = {
    "huggingface": ("huggingface.co",),
    "modelscope": ("modelscope.cn", "www.modelscope.cn", "modelscope.ai", "www.modelscope.ai"),
}

# Whose pages stand on which host.
_HUBS = {
    **{host: hub for hub, hosts in OWN_HOSTS.items() for host in hosts},
    **dict.fromkeys(("www.huggingface.co", "hf.co", "hf-mirror.com"), "huggingface"),
}
# The international ModelScope has models that the other has not, and its client asks the other unless told.
_ENDPOINTS = dict.fromkeys(("modelscope.ai", "www.modelscope.ai"), "https://www.modelscope.ai")
_REVISION = re.compile(r"(?:tree|resolve|blob|raw|commits?|file/view)/(refs/[^/]+/[^/]+|[^/]+)")
DEFAULT_BRANCHES = ("main", "master")


@dataclass(frozen=True)
class Page:
    """What the address of a page of a hub names. source: the hub, None where the host is not known. repo: owner/name.
    revision: a branch, tag or commit, None where the page is of none. endpoint: where the hub's client has to ask, None
    where it does so by itself.
    """

    source: str | None
    repo: str
    is_dataset: bool
    revision: str | None
    endpoint: str | None


def page(typed: str) -> Page | None:
    """Return what a pasted address of a hub's page names, with or without https:// before it; None where it is none."""
    text = typed.strip()
    if text.partition("/")[0].lower() in _HUBS:
        text = "https://" + text
    parts = web_address.split(text)
    names = [name for name in parts.path.split("/") if name] if parts else []
    kind = names.pop(0) if names and names[0] in ("models", "datasets") else "models"
    if len(names) < 2:
        return None
    query = {name.lower(): values[-1] for name, values in parse_qs(parts.query).items()}
    found = _REVISION.match("/".join(names[2:]))
    return Page(
        _HUBS.get(parts.hostname),
        "/".join(names[:2]),
        kind == "datasets",
        unquote(found[1]) if found else query.get("version") or query.get("revision"),
        _ENDPOINTS.get(parts.hostname),
    )


def gets_login(source: str, endpoint: str) -> bool:
    """Tell whether the login on this machine for the hub `source` may be sent to `endpoint`: to the hub's own host
    only, and encrypted.
    """
    parts = web_address.split(endpoint)
    return (
        parts is not None
        and parts.scheme == "https"
        and parts.hostname in OWN_HOSTS[source]
        and parts.port in (None, 443)
    )
