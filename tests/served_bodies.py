"""Bodies of answers as servers send them, and what is read of them."""

import json

from studio.inference.remote.error_text import ServerFault
from studio.inference.remote.stream import StreamAccumulator
from studio.inference.remote.wire import WireReader

NORTH, SOUTH = {"room": "north"}, {"room": "south"}
N, S = json.dumps(NORTH), json.dumps(SOUTH)
BOTH = [("heat", NORTH), ("heat", SOUTH)]


def heard(body: bytes | str, tools=(), size: int = 0, most: int = 2000) -> tuple[StreamAccumulator, str]:
    """Return what has come of a body, `size` bytes at a time (0: at once), and the server's words of an error."""
    data = body if isinstance(body, bytes) else body.encode()
    accumulator, reader = StreamAccumulator("c", most, tools), WireReader()
    parts = [data[at : at + size] for at in range(0, len(data), size)] if size else [data]
    try:
        for part in parts:
            for event in reader.feed(part):
                accumulator.feed(event)
        for event in reader.finish():
            accumulator.feed(event)
    except ServerFault as fault:
        return accumulator, fault.words
    accumulator.is_done = accumulator.is_done or reader.done and accumulator.is_known
    if accumulator.is_done or accumulator.reason:
        accumulator.end(accumulator.reason or "stop")
    return accumulator, ""


def answer(body: bytes | str, **more):
    accumulator, words = heard(body, **more)
    assert not words
    return accumulator.answer()


def chunk(delta: dict | None = None, finish=None, **more) -> dict:
    return {
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": delta or {}, "finish_reason": finish}],
        **more,
    }


def sse(*events, end: str = "data: [DONE]\n\n", line: str = "\n") -> str:
    text = "".join(f"data: {one if isinstance(one, str) else json.dumps(one)}\n\n" for one in events) + end
    return text.replace("\n", line)


def calls_of(*pieces, tools=(), end: str | None = "tool_calls") -> list[tuple]:
    body = sse(
        *(chunk({"tool_calls": piece if isinstance(piece, list) else [piece]}) for piece in pieces), chunk({}, end)
    )
    return [(call["name"], as_object(call["arguments"])) for call in answer(body, tools=tools).calls]


def as_object(arguments):
    return json.loads(arguments) if isinstance(arguments, str) else arguments


def call(name=None, arguments=None, **more) -> dict:
    return {
        "function": {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None},
        **more,
    }
