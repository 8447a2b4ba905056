"""Whose an address is: which hub's, and whether the login for that hub has any business there."""

from studio.core.network import web_address

# Where the logins of the hubs' clients belong. Every other address is a mirror, which is somebody else's.
OWN_HOSTS = {
    "huggingface": ("huggingface.co",),
    "modelscope": ("modelscope.cn", "www.modelscope.cn", "modelscope.ai", "www.modelscope.ai"),
}


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
