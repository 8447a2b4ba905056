"""A small server of OpenAI's API whose models each do one thing wrong, or one thing that some real server does."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from conftest import ROOT

KEY = "sk-the-key-of-this-test"
CASES = ROOT / "tests" / "cases" / "served-answers"
PIECES = ["Ein ", "狐狸 ", "is ", "🦊", "."]


class OddServer:
    """The server, on loopback; `asked` are the bodies of its requests and `keys` what stood in their header, `left` is
    set when a client goes.
    """

    def __init__(self):
        self.asked: list[dict] = []
        self.keys: list[str] = []
        self.paths: list[str] = []
        self.left = threading.Event()
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"odd": self}))
        self.http.daemon_threads = True
        self.place = f"127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()


class _Handler(BaseHTTPRequestHandler):
    odd: OddServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_) -> None:
        pass

    def do_GET(self) -> None:
        self.note()
        if self.path == "/moved/v1/models":
            return self.answer(302, {}, Location="http://localhost:1/v1/models")
        if self.path not in ("/v1/models", "/locked/v1/models"):
            return self.answer(404, {"detail": "Not Found"})
        if self.path.startswith("/locked/") and self.headers["Authorization"] != f"Bearer {KEY}":
            return self.answer(401, {"error": {"message": f"Incorrect API key: {self.headers['Authorization']}"}})
        self.answer(200, {"object": "list", "data": [{"id": name, "object": "model"} for name in BEHAVIOURS]})

    def do_POST(self) -> None:
        self.note()
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.odd.asked.append(body)
        if self.path.endswith("/v1/chat/completions"):
            try:
                BEHAVIOURS[body["model"]](self, body)
            except OSError:
                self.close_connection = True
                self.odd.left.set()
        elif self.path == "/tokenize" and "messages" in body:  # vLLM's
            self.answer(200, {"count": 3, "max_model_len": 2048, "tokens": [1, 2, 3], "token_strs": None})
        elif self.path == "/detokenize" and body["tokens"] == [1, 2, 3]:
            self.answer(200, {"prompt": "<|im_start|>"})
        else:
            self.answer(404, {"detail": "Not Found"})

    def note(self) -> None:
        self.odd.paths.append(self.path)
        self.odd.keys.append(self.headers["Authorization"])

    def answer(self, status: int, body: dict | str, **headers: str) -> None:
        data = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        kind = "text/html" if isinstance(body, str) else "application/json"
        for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def begin(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def bytes(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def event(self, data: object) -> None:
        self.bytes(
            b"data: " + (data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)).encode() + b"\n\n"
        )

    def delta(self, finish: str | None = None, **delta) -> None:
        self.event(
            {
                "id": "1",
                "object": "chat.completion.chunk",
                "created": 0,
                "model": "m",
                "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
            }
        )

    def end(self, usage: dict | None = None) -> None:
        if usage:
            self.event({"id": "1", "object": "chat.completion.chunk", "choices": [], "usage": usage})
        self.event("[DONE]")
        self.bytes(b"")

    def gone(self) -> None:
        """Say nothing until the client is gone."""
        self.connection.recv(1)
        raise OSError

    def drop(self) -> None:
        self.connection.shutdown(2)
        self.close_connection = True


def _pieces(handler: _Handler) -> None:
    handler.begin()
    handler.delta(role="assistant", content="")
    for piece in PIECES:
        handler.delta(content=piece)


def good(handler: _Handler, body: dict) -> None:
    _pieces(handler)
    handler.delta("stop")
    handler.end({"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18})


def torn(handler: _Handler, body: dict) -> None:
    """Packets of the network end in the middle of a character."""
    handler.begin()
    for byte in b'data: {"choices":[{"index":0,"delta":{"content":"\xe7\x8b\x90\xf0\x9f\xa6\x8a"}}]}\n\n':
        handler.bytes(bytes([byte]))
    handler.delta("stop")
    handler.end()


def thinks(field: str) -> Callable:
    def behave(handler: _Handler, body: dict) -> None:
        handler.begin()
        for piece in ("Let me ", "see."):
            handler.delta(**{field: piece})
        for piece in PIECES:
            handler.delta(content=piece)
        handler.delta("length")
        handler.end()

    return behave


def calls(handler: _Handler, body: dict) -> None:
    _pieces(handler)
    for index, (name, arguments) in enumerate([("weather", '{"city": "北京"}'), ("time", "{}")]):
        handler.delta(
            tool_calls=[
                {"index": index, "id": f"c{index}", "type": "function", "function": {"name": name, "arguments": ""}}
            ]
        )
        for half in (arguments[:5], arguments[5:]):
            handler.delta(tool_calls=[{"index": index, "function": {"arguments": half}}])
    handler.delta("tool_calls")
    handler.end()


def calls_zero(handler: _Handler, body: dict) -> None:
    handler.begin()
    for number, city in enumerate(("a", "b")):
        call = {
            "index": 0,
            "id": f"c{number}",
            "function": {"name": "weather", "arguments": json.dumps({"city": city})},
        }
        handler.delta(tool_calls=[call])
    handler.delta("tool_calls")
    handler.end()


def whole_with_tools(handler: _Handler, body: dict) -> None:
    if body.get("stream"):
        handler.begin()
        return handler.drop()
    call = {"id": "c", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    usage = {"prompt_tokens": 5, "completion_tokens": 4, "total_tokens": 9}
    handler.answer(200, {"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}], "usage": usage})


def cut(handler: _Handler, body: dict) -> None:
    _pieces(handler)
    handler.drop()


def unfinished(handler: _Handler, body: dict) -> None:
    _pieces(handler)
    handler.bytes(b"")


def garbage(data: object) -> Callable:
    def behave(handler: _Handler, body: dict) -> None:
        _pieces(handler)
        handler.event(data)
        handler.end()

    return behave


def page(handler: _Handler, body: dict) -> None:
    handler.answer(200, "<html><body>Please log in</body></html>")


def silent(handler: _Handler, body: dict) -> None:
    handler.gone()


def falls_silent(handler: _Handler, body: dict) -> None:
    _pieces(handler)
    handler.gone()


def never_closes(handler: _Handler, body: dict) -> None:
    _pieces(handler)
    handler.delta("stop")
    handler.gone()


def endless(handler: _Handler, body: dict) -> None:
    handler.begin()
    while True:
        handler.delta(content="on ")


def long(handler: _Handler, body: dict) -> None:
    """As many pieces as are wanted, as fast as can be: hundreds in a packet."""
    handler.begin()
    piece = (
        b'data: {"id":"1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"on'
        b' "},"finish_reason":null}]}\n\n'
    )
    for _ in range(body["max_tokens"] // 500):
        handler.bytes(500 * piece)
    handler.delta("length")
    handler.end()


def case(name: str, kind: str = "text/event-stream", pause_s: float = 0.3) -> Callable:
    """Send a file of the cases as it stands on the wire, waiting where its comment says so."""

    def behave(handler: _Handler, body: dict) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", kind)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        first, *others = (CASES / name).read_bytes().split(b": pause")
        handler.bytes(first)
        for part in others:
            time.sleep(pause_s)
            handler.bytes(b": pause" + part)
        handler.bytes(b"")

    return behave


def raw(data: str, kind: str = "text/event-stream") -> Callable:
    """Send a body and end well."""

    def behave(handler: _Handler, body: dict) -> None:
        handler.answer(200, data, **{"Content-Type": kind})

    return behave


def breaks_after_reasons(handler: _Handler, body: dict) -> None:
    """Say "stop" in every piece, and break off."""
    handler.begin()
    for piece in PIECES:
        handler.delta("stop", content=piece)
    handler.drop()


def breaks_after_the_end(handler: _Handler, body: dict) -> None:
    _pieces(handler)
    handler.delta("stop")
    handler.drop()


def keeps_alive(handler: _Handler, body: dict) -> None:
    """Say for a second nothing but that it is there."""
    handler.begin()
    for _ in range(5):
        handler.bytes(b": keep-alive\n\n")
        time.sleep(0.2)
    for piece in PIECES:
        handler.delta(content=piece)
    handler.end()


def status(code: int, body: dict | str) -> Callable:
    return lambda handler, _: handler.answer(code, body)


def choosy(*refused: str) -> Callable:
    """Refuse settings by name, as servers do that check their requests."""

    def behave(handler: _Handler, body: dict) -> None:
        if told := next((name for name in refused if name in body), None):
            instead = "; use max_completion_tokens instead" if told == "max_tokens" else ""
            return handler.answer(
                422, {"detail": [{"type": "extra_forbidden", "loc": ["body", told], "msg": f"Not permitted{instead}"}]}
            )
        good(handler, body)

    return behave


def slow(handler: _Handler, body: dict) -> None:
    handler.begin()
    for piece in PIECES:
        handler.delta(content=piece)
        time.sleep(0.2)
    handler.delta("stop")
    handler.end()


def grows(handler: _Handler, body: dict) -> None:
    """Markdown whose last paragraph is longer each tenth of a second, until the client goes."""
    handler.begin()
    handler.delta(content="```python\nprint(1)\n```\n\nFoxes *run*")
    while True:
        handler.delta(content=" on and")
        time.sleep(0.1)


BEHAVIOURS: dict[str, Callable] = {
    "good": good,
    "torn": torn,
    "slow": slow,
    "grows": grows,
    "thinks/old": thinks("reasoning_content"),
    "thinks/new": thinks("reasoning"),
    "calls": calls,
    "calls-zero": calls_zero,
    "whole-with-tools": whole_with_tools,
    "cut": cut,
    "unfinished": unfinished,
    "silent": silent,
    "falls-silent": falls_silent,
    "never-closes": never_closes,
    **{
        f"case/{path.name}": case(path.name, "application/json" if path.suffix == ".json" else "text/event-stream")
        for path in CASES.iterdir()
    },
    "plain-json": case("whole_json.json", "text/plain"),
    "stream-json": case("whole_json.json"),
    "plain-stream": case("list_content.sse", "text/plain"),
    "breaks-after-reasons": breaks_after_reasons,
    "breaks-after-the-end": breaks_after_the_end,
    "keeps-alive": keeps_alive,
    "filtered": raw(
        'data: {"choices": [{"delta": {"content": "a"}, "finish_reason": "content_filter", '
        '"content_filter_results": {"violence": {"filtered": true}}}]}\n\ndata: [DONE]\n\n'
    ),
    "network-error": raw('data: {"choices": [{"delta": {"content": "a"}, "finish_reason": "network_error"}]}\n\n'),
    "plain-error": raw("upstream connect error: " + KEY, "text/plain"),
    "json-error": raw('{"detail": "out of memory"}', "application/json"),
    "bare-status": status(503, ""),
    "sse-status": status(400, 'data: {"error": {"message": "too many images"}}\n\n'),
    "empty": raw(""),
    "only-done": raw("data: [DONE]\n\n"),
    "endless": endless,
    "long": long,
    "page": page,
    "garbage": garbage("{not json"),
    "a-list": garbage("[1, 2]"),
    "odd-choices": garbage('{"choices": 5}'),
    "odd-delta": garbage('{"choices": [7]}'),
    "error": garbage({"error": {"message": "CUDA out of memory", "code": 500}}),
    "bad-key": status(401, {"error": {"message": f"Incorrect API key provided: {KEY}."}}),
    "vanished": status(404, {"object": "error", "message": "The model `vanished` does not exist.", "code": 404}),
    "busy": status(429, {"error": {"message": "Rate limit reached"}}),
    "fails": status(500, {"detail": "Internal Server Error"}),
    "gateway": status(
        502, "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
    ),
    "too-long": status(400, {"error": {"message": "This model's maximum context length is 2048 tokens"}}),
    "choosy": choosy("stream_options", "seed", "max_tokens"),
    "no-temperature": choosy("temperature"),
}


def running() -> Iterator[OddServer]:
    """Yield a server, for a fixture."""
    server = OddServer()
    yield server
    server.close()
