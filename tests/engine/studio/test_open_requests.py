"""A server that ends while pages are open ends soon, and says nothing of a fault."""

import asyncio
import http.client
import logging
import socket
import threading
import time

import pytest
import uvicorn

from studio import shutdown


class Ending:
    """What `serve` asks whether it may end."""

    may_end = False

    def install(self) -> None:
        """Take no signals: this is a thread."""


async def application(scope, receive, send):
    """A stream without an end, a file without one, one that takes a moment, and an answer that never comes."""
    if scope["type"] != "http":
        return
    if scope["path"] == "/silent":
        await asyncio.sleep(600)
    kind = b"text/event-stream; charset=utf-8" if scope["path"] == "/events" else b"application/octet-stream"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
    if scope["path"] == "/soon":
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        await asyncio.sleep(0.6)
        await send({"type": "http.response.body", "body": b" last"})
        return
    await send({"type": "http.response.body", "body": b"data: ALIVE\n\n", "more_body": True})
    try:
        await asyncio.sleep(600)
    finally:
        if scope["query_string"] == b"last":
            await send({"type": "http.response.body", "body": b"data: last\n"})


@pytest.fixture
def served():
    """The port of a server of it, and a function that lets it end and returns how long that took."""
    listening = socket.create_server(("127.0.0.1", 0))
    ending, port = Ending(), listening.getsockname()[1]
    config = uvicorn.Config(application, log_config=None, timeout_graceful_shutdown=2, lifespan="off")
    thread = threading.Thread(target=shutdown.serve, args=(config, listening, ending))
    thread.start()

    def end() -> float:
        began = time.monotonic()
        ending.may_end = True
        thread.join(240)
        assert not thread.is_alive()
        return time.monotonic() - began

    yield port, end
    end()


def asked(port: int, path: str) -> http.client.HTTPConnection:
    """Ask for a path and leave the answer open."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=240)
    connection.request("GET", path)
    return connection


def test_the_streams_of_open_pages_end_at_once(served, caplog):
    port, end = served
    answers = [asked(port, "/events").getresponse() for _ in range(3)]
    assert [answer.readline() for answer in answers] == [b"data: ALIVE\n"] * 3
    with caplog.at_level(logging.DEBUG):
        assert end() < 5
    assert [answer.read() for answer in answers] == [b"\n"] * 3
    assert not [one for one in caplog.records if one.levelno >= logging.WARNING]


def test_a_stream_may_say_a_last_word(served, caplog):
    port, end = served
    answer = asked(port, "/events?last").getresponse()
    assert answer.readline() == b"data: ALIVE\n"
    with caplog.at_level(logging.DEBUG):
        assert end() < 5
    assert answer.read() == b"\ndata: last\n" and not [one for one in caplog.records if one.levelno >= logging.WARNING]


def test_what_has_an_end_of_its_own_comes_to_it(served, caplog):
    port, end = served
    answer = asked(port, "/soon").getresponse()
    assert answer.read(5) == b"first"
    with caplog.at_level(logging.DEBUG):
        end()
    assert answer.read() == b" last" and not [one for one in caplog.records if one.exc_info]


def test_what_does_not_come_to_an_end_is_cut_without_a_trace(served, caplog):
    port, end = served
    silent, endless = asked(port, "/silent"), asked(port, "/file").getresponse()
    assert endless.readline() == b"data: ALIVE\n"
    with caplog.at_level(logging.DEBUG):
        assert end() < 10
    assert silent.getresponse().status == 503
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        endless.read()  # cut, and not as if it were whole
    assert not [one for one in caplog.records if one.exc_info]
