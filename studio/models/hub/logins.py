"""The logins of the hubs' own clients, kept from every other address: a library that asks a hub, and says no token,
sends the login to whatever HF_ENDPOINT or MODELSCOPE_ENDPOINT names. LLaMA-Factory does in a run that fetches its data
or its model.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator

from studio.models.hub import addresses

_NO_LOGIN = "HF_HUB_DISABLE_IMPLICIT_TOKEN"


def keep_huggingface() -> None:
    """Let Hugging Face's client send the login neither from this process nor from its children, where the environment
    names another host than the hub's own. Who has said by the client's own variable what is to be sent is heeded.
    """
    from huggingface_hub import constants

    if not addresses.gets_login("huggingface", constants.ENDPOINT):
        os.environ.setdefault(_NO_LOGIN, "1")
        # The client may have read the variable already.
        constants.HF_HUB_DISABLE_IMPLICIT_TOKEN = os.environ[_NO_LOGIN].upper() in constants.ENV_VARS_TRUE_VALUES


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Let no client of a hub send a login to another host that the environment names, from this process and from what
    it starts meanwhile. ModelScope's has no variable for that: it finds a home without a login.
    """
    keep_huggingface()
    named = os.environ.get("MODELSCOPE_ENDPOINT") or os.environ.get("MODELSCOPE_DOMAIN") or ""
    endpoint = named if "://" in named or not named else f"https://{named}"
    if not endpoint or addresses.gets_login("modelscope", endpoint):
        yield
        return
    with tempfile.TemporaryDirectory(prefix="studio-no-login-") as home:
        hidden = {"MODELSCOPE_API_TOKEN": "", "MODELSCOPE_HOME": home, "MODELSCOPE_CREDENTIALS_PATH": home}
        before = {name: os.environ.get(name) for name in hidden}
        os.environ |= hidden
        try:
            yield
        finally:
            for name, value in before.items():
                os.environ.pop(name)
                if value is not None:
                    os.environ[name] = value
