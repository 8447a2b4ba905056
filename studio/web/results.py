"""Results of endpoints as gradio's client takes them.

`gradio_client` takes any object with a key `path` for a file, asks the server for it, and fails. So no result has such
a key: the studio's own are called `folder` or `file`, and where the data of a person has it (a column `path` of a
dataset, an argument of a tool) it is told as `/path`, `/path` as `//path`, and so on. What an endpoint is given is read
in the same way, so a row goes back as it came.
"""

import re

from studio.core.plain import as_json

_LIKE_A_FILE = re.compile(r"/*path")


def shown(value: object) -> object:
    """Return `value` without a key `path` at any depth; what has none is returned as it is."""
    # Seldom is there one, and to look for it in the text takes a thirtieth of the way through thousands of points.
    if (text := as_json(value)) and b'path":' not in text:
        return value
    return _renamed(value, lambda key: f"/{key}" if _LIKE_A_FILE.fullmatch(key) else key)


def given(value: object) -> object:
    """Return what was given to an endpoint, with the keys that `shown` changed as they were."""
    return _renamed(value, lambda key: key[1:] if key.startswith("/") and _LIKE_A_FILE.fullmatch(key) else key)


def _renamed(value: object, rename) -> object:
    """Return `value` with its keys renamed. It goes down a list of its own, as data may be nested deeper than Python
    calls.
    """
    top = [value]
    waiting = [(top, 0, value)]
    while waiting:
        holder, place, one = waiting.pop()
        if isinstance(one, dict):
            one = {rename(key) if isinstance(key, str) else key: inner for key, inner in one.items()}
            waiting += [(one, key, inner) for key, inner in one.items() if isinstance(inner, dict | list | tuple)]
        elif isinstance(one, list | tuple):
            one = list(one)
            waiting += [(one, at, inner) for at, inner in enumerate(one) if isinstance(inner, dict | list | tuple)]
        holder[place] = one
    return top[0]
