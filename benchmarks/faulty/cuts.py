"""Clients that go away: in the middle of a request, an upload, a stream or a long answer. The studio answers the next
one.
"""

import contextlib
import json
import random
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from benchmarks.faulty.kills import end_all
from benchmarks.faulty.victim import Refused, Tally, Victim

SOON_S = 10
MORE_FILES = 30  # open files and connections more than before that count as kept for good


def cut_again_and_again(start, workspace: Path, tally: Tally, times: int, seed: int) -> None:
    """Cut a connection so many times, and ask the studio something after each."""
    chance = random.Random(seed)
    large = [{"instruction": "x" * 200_000, "input": "", "output": "y"} for _ in range(40)]
    (workspace / "data" / "large.json").write_text(json.dumps(large))
    victim = start()
    if not victim.started():
        return
    victim.call("datasets_register", "large.json", "large", None, None, None)
    victim.draw()
    opened = _open_files(victim)
    for number in range(times):
        kind = KINDS[number % len(KINDS)]
        with contextlib.suppress(OSError):  # the studio may be the first to end it
            kind(victim.port, chance)
        tally.tried["cut connection"] = tally.tried.get("cut connection", 0) + 1
        try:
            victim.call("datasets_list", patience=SOON_S)
        except (OSError, Refused) as fault:
            tally.silent += 1
            tally.note(f"after {kind.__name__} the studio did not answer: {fault!r}")
    victim.draw()
    end = time.monotonic() + 30
    while _open_files(victim) > opened + MORE_FILES and time.monotonic() < end:
        time.sleep(1)
    if (now := _open_files(victim)) > opened + MORE_FILES:
        tally.silent += 1
        tally.note(f"{now - opened} files or connections stay open after {times} cut connections")
    end_all(victim)


def _open_files(victim: Victim) -> int:
    return psutil.Process(victim.process.pid).num_fds()


def half_a_request(port: int, chance: random.Random) -> None:
    """Send a part of the head of a request."""
    head = f"POST /gradio_api/run/datasets_list HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 20\r\n\r\n"
    _send(port, chance, head.encode()[: chance.randrange(1, len(head))])


def half_a_body(port: int, chance: random.Random) -> None:
    """Send less than was said."""
    body = json.dumps({"data": ["kept", 1, {"instruction": "cut", "input": "", "output": "cut"}]}).encode()
    _send(port, chance, _head(port, "run/datasets_edit_row", len(body)) + body[: chance.randrange(len(body))])


def half_an_upload(port: int, chance: random.Random) -> None:
    """Send a part of a file."""
    head = (
        b'--cut\r\nContent-Disposition: form-data; name="files"; filename="rows.json"\r\nContent-Type:'
        b" application/json\r\n\r\n"
    )
    said = _head(port, "upload", 50_000_000, "multipart/form-data; boundary=cut")
    _send(port, chance, said + head + b"[" * chance.randrange(1, 2_000_000))


def a_long_answer(port: int, chance: random.Random) -> None:
    """Read a little of an answer of megabytes."""
    body = json.dumps({"data": ["large", 0, 40]}).encode()
    _send(port, chance, _head(port, "run/datasets_preview", len(body)) + body, chance.randrange(1, 100_000))


def a_stream(port: int, chance: random.Random) -> None:
    """Listen to the events of a page for a moment."""
    name = f"cut{chance.randrange(10**9)}"
    _send(
        port,
        chance,
        f"GET /gradio_api/queue/data?session_hash={name} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode(),
        1,
    )


def an_answer_that_nobody_waits_for(port: int, chance: random.Random) -> None:
    """Ask for the whole page, and go before it comes."""
    _send(port, chance, f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())


def nonsense(port: int, chance: random.Random) -> None:
    """Send bytes that are no HTTP."""
    _send(port, chance, chance.randbytes(chance.randrange(1, 5000)))


KINDS: tuple[Callable[[int, random.Random], None], ...] = (
    half_a_request,
    half_a_body,
    half_an_upload,
    a_long_answer,
    a_stream,
    an_answer_that_nobody_waits_for,
    nonsense,
)


def _head(port: int, endpoint: str, length: int, kind: str = "application/json") -> bytes:
    return (
        f"POST /gradio_api/{endpoint} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: {kind}\r\nContent-Length:"
        f" {length}\r\n\r\n".encode()
    )


def _send(port: int, chance: random.Random, content: bytes, read: int = 0) -> None:
    """Send something, read some bytes of the answer, and go: in good form, or as a machine that loses its power."""
    with socket.create_connection(("127.0.0.1", port), timeout=3) as line:
        if chance.random() < 0.5:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        line.sendall(content)
        time.sleep(chance.uniform(0, 0.3))
        while read > 0 and (got := line.recv(min(read, 65_536))):
            read -= len(got)
