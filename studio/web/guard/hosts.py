"""The names this server goes by, and the pages that may speak to it.

A browser lets any page send requests to any address, also to one that only this machine can reach. Two headers that a
page cannot forge tell friend from foe: `Host`, the name the browser thinks it speaks to (a foreign name that was made
to point here is still a foreign name), and `Origin`, the page that sends.
"""

import contextlib
import ipaddress
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass

from studio.core.i18n import Problem

LOOPBACK = ("127.0.0.1", "localhost", "::1")
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104  what a person may ask for, with a password
_AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?\.?)(?::(\d{1,5}))?", re.ASCII)
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Authority:
    """A host with its port, None where none is named, as `Host` and the middle of an address have it."""

    host: str
    port: int | None = None

    @classmethod
    def of(cls, text: str) -> "Authority | None":
        """Return what `text` names, None where it is no host: user names, paths, spaces and the like are refused."""
        found = _AUTHORITY.fullmatch(text.lower())
        if not found or int(found[2] or 1) not in range(1, 65536):
            return None
        host = found[1].strip("[]").rstrip(".")
        if found[1].startswith("["):
            if not (address := _address(host)):
                return None
            host = str(address)
        return cls(host, int(found[2]) if found[2] else None)

    def at(self, scheme: str) -> tuple[str, int]:
        """Return host and port, that of `scheme` where none is named."""
        return self.host, self.port or _PORTS[scheme]


@dataclass(frozen=True)
class Allowed:
    """A host that the person allows: `gpu.example.com`, `*.example.com`, `gpu.example.com:8443` or
    `https://gpu.example.com`.
    """

    authority: Authority
    scheme: str | None = None
    below: bool = False

    @classmethod
    def of(cls, text: str) -> "Allowed":
        """Return what the flag says. Raises Problem for what names no host."""
        scheme, separator, rest = text.strip().rpartition("://")
        rest = rest.rstrip("/") if separator else rest
        below = rest.startswith("*.")
        with contextlib.suppress(UnicodeError):
            rest = rest.removeprefix("*.").encode("idna").decode() if not rest.isascii() else rest.removeprefix("*.")
        if address := _address(rest):
            rest = f"[{address}]" if address.version == 6 else rest
        authority = Authority.of(rest)
        if (
            not authority
            or (scheme.lower() not in ("http", "https") if separator else False)
            or (below and "." not in authority.host)
        ):
            raise Problem("guard.bad_host", name=text)
        return cls(authority, scheme.lower() or None, below)

    def names(self, host: str) -> bool:
        """Tell whether it names `host`."""
        return host.endswith(f".{self.authority.host}") if self.below else host == self.authority.host


class KnownHosts:
    """Every name under which this server may be asked, and every origin that may ask."""

    def __init__(self, listen: str = "127.0.0.1", allowed: Iterable[str] = ()):
        """Know the loopback, the address listened on, the machine's own names where others reach it, and what is
        `allowed`.

        Raises:
            Problem: one of `allowed` names no host.
        """
        self.allowed = [Allowed.of(one) for one in allowed]
        self.listen = listen.lower().strip("[]")
        self.is_open = not _is_loopback(self.listen)
        self.names = {self.listen, *(_own_names() if self.is_open else ())}

    def knows(self, host: str) -> bool:
        """Tell whether a `Host` is a name of this server, whatever the port: a forwarded port is another one.

        Where others reach the server it asks for a password, and a bare address is taken: it may be that of a router
        before this machine, and no foreign *name* can be made to point here by it.
        """
        authority = Authority.of(host)
        if not authority:
            return False
        name = authority.host
        if _is_loopback(name) or name in self.names or any(one.names(name) for one in self.allowed):
            return True
        return self.is_open and _address(name) is not None

    def is_own(self, origin: str, hosts_asked: Iterable[str], scheme: str = "http") -> bool:
        """Tell whether a page of `origin` is a page of this server that was asked as one of `hosts_asked`: same host
        and port.

        A proxy that passes another `Host` on is known by the flag, with its scheme and port. `null` (a file, a
        sandboxed frame) is nobody's.
        """
        theirs, separator, rest = origin.partition("://")
        authority = Authority.of(rest)
        if not separator or theirs not in _PORTS or not authority or (scheme == "https" and theirs != "https"):
            return False
        hosts = [known for one in hosts_asked if (known := Authority.of(one))]
        if any(one.at(theirs) == authority.at(theirs) for one in hosts):
            return True
        return any(
            not one.below and one.scheme in (None, theirs) and one.authority.at(theirs) == authority.at(theirs)
            for one in self.allowed
        )


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def _own_names() -> set[str]:
    name = socket.gethostname().lower()
    with contextlib.suppress(OSError):
        full = socket.getfqdn().lower()
        return {name, name.partition(".")[0], f"{name.partition('.')[0]}.local", full} - {""}
    return {name}
