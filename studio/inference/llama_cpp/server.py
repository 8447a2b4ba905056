"""A `llama-server` for a short look: started on a free port of this machine, and ended after it."""

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx

from studio.core import reasons
from studio.core.i18n import Problem
from studio.core.processes.child import Child, Output
from studio.core.storage import files
from studio.inference.llama_cpp.toolkit import Program

LOOK_S, START_S, LOG_END = 0.1, 600.0, 4096


@contextlib.contextmanager
def running(
    program: Program, gguf: Path, log: Path, check: Callable[[], None], template: Path | None = None
) -> Iterator[str]:
    """Give the address of a server with a model, on the CPU, once it answers; it is ended with the block.

    Args:
        check: is called while it starts, and may raise to stop.
        template: in Jinja, in place of the model's own.

    Raises:
        Problem: it ends by itself, at its start or while it is asked, or does not become ready.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [*program.command, "-m", str(gguf), "--host", "127.0.0.1", "--port", str(port), "--jinja", "--offline"]
    command += ["--no-webui", "--device", "none", "-c", "2048", "-t", str(max(1, (os.cpu_count() or 2) - 1))]
    command += ["--chat-template-file", str(template)] if template else []
    with Child(command, output=Output(log=log), environment=os.environ | program.environment) as child:
        url, end = f"http://127.0.0.1:{port}", time.monotonic() + START_S
        while not _answers(url):
            check()
            if child.code is not None or time.monotonic() > end:
                raise _ended(gguf, log, child.code)
            time.sleep(LOOK_S)
        try:
            yield url
        except Problem as problem:
            time.sleep(LOOK_S)  # its connections break before it is gone
            if child.code is None:
                raise
            raise _ended(gguf, log, child.code) from problem


def _ended(gguf: Path, log: Path, code: int | None) -> Problem:
    """Return why it is gone, or not ready in time where it has no code."""
    lines = files.end_of(log, LOG_END).decode("utf-8", "replace").strip().splitlines()
    told = [line for line in lines if "error" in line.lower() or "failed" in line.lower()]
    return Problem("llama_cpp.server_ended", file=gguf.name, reason=reasons.of_end(code, (told or lines or [""])[-1]))


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False
