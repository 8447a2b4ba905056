"""A port at which a studio answers holds no part of an answer back."""

import asyncio
import socket

import pytest

from studio.core.network.listening import listen


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_what_is_written_is_sent_at_once(host):
    """With Nagle's way of sending each second piece of an answer waits for 40 ms."""

    async def ask() -> int:
        is_set = asyncio.Future()

        def answer(_, writer):
            is_set.set_result(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        server = await asyncio.start_server(answer, sock=listen(host, 0))
        async with server:
            _, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
            writer.write(b"?")
            told = await asyncio.wait_for(is_set, 240)
            writer.close()
        return told

    if host == "::1" and not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    assert asyncio.run(ask())
