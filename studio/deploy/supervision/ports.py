"""Ports: a free one, one that is taken before minutes of loading, and what answers there."""

import contextlib
import errno
import http.client
import socket
import tempfile
from collections.abc import Iterable
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from studio.core import reasons
from studio.core.i18n import Problem

ENGINES = range(8100, 9000)  # where a free one is looked for: what is chosen once is kept
TIMEOUT_S = 5.0
_RESERVED: dict[int, FileLock] = {}


def free_port(host: str, ports: range = ENGINES, taken: Iterable[int] = ()) -> int | None:
    """Return a port that nothing listens at and that no other studio of this machine has chosen, None where all are
    taken. What loads for minutes before it listens finds it as it was: it is kept until this process ends.

    Args:
        host: where it is to listen.
        ports: those that are tried, in their order.
        taken: those that are somebody's who does not listen now.

    Raises:
        Problem: the address is none of this machine.
    """
    if problem := fault(host, 0):
        raise problem
    others = set(taken)
    return next(
        (port for port in ports if port not in others and fault(host, port) is None and _is_reserved(port)), None
    )


def _is_reserved(port: int) -> bool:
    """Keep other studios from a port, and tell whether none of them has it."""
    if port in _RESERVED:
        return True
    try:
        lock = FileLock(Path(tempfile.gettempdir()) / f"finetune-studio-port-{port}.lock", timeout=0, mode=0o666)
        lock.acquire()
    except (Timeout, PermissionError):
        return False
    except OSError:  # a machine that keeps no files has no other studio to ask
        return True
    _RESERVED[port] = lock
    return True


def fault(host: str, port: int) -> Problem | None:
    """Return why nothing can listen there, None where it can."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as tried:
            if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
                tried.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
            else:  # a port that an engine just left may be taken again
                tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(place)
            tried.listen(1)
    except (socket.gaierror, UnicodeError):  # a name with an empty or too long part is not even looked up
        return Problem("deploy.bad_host", host=host)
    except OSError as error:
        if not port or error.errno == errno.EADDRNOTAVAIL:
            return Problem("deploy.bad_host", host=host)
        return Problem("deploy.port_taken", port=port, host=host, reason=reasons.of(error))
    return None


def near(host: str) -> str:
    """Return the address at which this machine itself reaches what listens at `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104


def place(host: str, port: int) -> str:
    """Return an address and a port as they stand in a URL: an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def status(host: str, port: int, path: str, key: str = "") -> int | None:
    """Return the status with which a server answers a GET, None where nothing answers in time."""
    answered = _get(host, port, path, key, 0)
    return answered[0] if answered else None


def text(host: str, port: int, path: str, key: str, most: int) -> str | None:
    """Return the beginning of what a server answers to a GET, `most` bytes of it; None where nothing answers in time,
    or not with 200.
    """
    answered = _get(host, port, path, key, most)
    return answered[1].decode("utf-8", "replace") if answered and answered[0] == 200 else None


def _get(host: str, port: int, path: str, key: str, most: int) -> tuple[int, bytes] | None:
    connection = http.client.HTTPConnection(near(host), port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {key}"} if key else {})
        answer = connection.getresponse()
        return answer.status, answer.read(most) if most else b""
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def listens(processes: Iterable[psutil.Process], port: int) -> bool | None:
    """Tell whether one of the processes listens at a port; None where the system does not tell."""
    told = None
    for process in processes:
        with contextlib.suppress(psutil.Error):
            told = bool(told)
            for one in process.net_connections("tcp"):
                if one.status == psutil.CONN_LISTEN and one.laddr.port == port:
                    return True
    return told
