"""A port at which this process answers."""

import socket


def listen(host: str, port: int, backlog: int = 100) -> socket.socket:
    """Return a socket that listens; `backlog` is how many connections may wait. Raises OSError.

    It says that it is TCP. Of one that does not, as Python makes them, asyncio takes no notice, and the kernel holds a
    small piece of an answer back until the asker has confirmed the one before: 40 ms for nearly each.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.create_server((host, port), family=family, backlog=backlog)
    return socket.socket(made.family, made.type, socket.IPPROTO_TCP, fileno=made.detach())
