"""The password and the certificate that the flags and the environment give, looked at before anything listens."""

import os
import secrets
import ssl
import stat
from pathlib import Path

from studio.core import reasons
from studio.core.i18n import Problem
from studio.web.guard.hosts import KnownHosts

VARIABLE = "STUDIO_AUTH"
LARGEST_FILE = 4096
SHORT = 12


def credentials(host: str, flag: str | None, file: Path | None = None) -> tuple[tuple[str, str] | None, list[Problem]]:
    """Return the name and the password to ask for, None for nobody to ask, and what the person should be told of them.

    They come from `--auth`, `--auth-file` or the variable STUDIO_AUTH, which is taken out of the environment so that no
    process started later inherits it. Without any, a password is made where others can reach `host`.

    Raises:
        Problem: it is given twice, not of the form user:password, or the file cannot be read.
    """
    variable, problems = os.environ.pop(VARIABLE, None), []
    if sum(one is not None for one in (flag, file, variable)) > 1:
        raise Problem("guard.auth_twice")
    if flag is not None:
        problems.append(Problem("guard.auth_seen"))
        text, source = flag, "--auth"
    elif file is not None:
        text, source = _read(file, problems), str(file)
    elif variable is not None:
        text, source = variable, VARIABLE
    elif KnownHosts(host).is_open:
        made = ("studio", secrets.token_urlsafe(12))
        return made, [Problem("guard.auth_made", host=host, user=made[0], password=made[1])]
    else:
        return None, []
    user, colon, password = text.partition(":")
    if not (user.strip() and colon and password):
        raise Problem("guard.bad_auth", source=source)
    if len(password) < SHORT and KnownHosts(host).is_open:
        problems.append(Problem("guard.password_short", host=host))
    return (user.strip(), password), problems


def _read(file: Path, problems: list[Problem]) -> str:
    """Return the first line of a password file."""
    try:
        with file.expanduser().open("rb") as opened:
            mode, text = os.fstat(opened.fileno()).st_mode, opened.read(LARGEST_FILE).decode("utf-8-sig")
    except (OSError, ValueError) as fault:  # ValueError: it is not UTF-8
        raise Problem("guard.auth_file_unreadable", file=file, reason=reasons.of(fault)) from fault
    if os.name == "posix" and mode & (stat.S_IRGRP | stat.S_IROTH):
        problems.append(Problem("guard.auth_file_open", file=file))
    return text.partition("\n")[0].rstrip("\r")


def certificate(cert: Path | None, key: Path | None) -> dict[str, str]:
    """Return what uvicorn takes for HTTPS, nothing where neither file is given.

    Raises:
        Problem: one of them is missing, cannot be read, or the two are no pair.
    """
    if not cert and not key:
        return {}
    if not cert or not key:
        raise Problem("guard.ssl_pair")
    for flag, file in (("--ssl-certfile", cert), ("--ssl-keyfile", key)):
        try:
            file.expanduser().read_bytes()
        except OSError as fault:
            raise Problem("guard.ssl_missing", flag=flag, file=file, reason=reasons.of(fault)) from fault
    locked = []

    def passphrase() -> str:  # asked only where the key has one; without this, OpenSSL would ask at the terminal
        locked.append(True)
        return ""

    pair = {"ssl_certfile": str(cert.expanduser()), "ssl_keyfile": str(key.expanduser())}
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(pair["ssl_certfile"], pair["ssl_keyfile"], passphrase)
    except (ssl.SSLError, OSError, ValueError) as fault:
        if locked:
            raise Problem("guard.ssl_locked", keyfile=key) from fault
        raise Problem("guard.ssl_bad", certificate=cert, keyfile=key, reason=reasons.of(fault)) from fault
    return pair
