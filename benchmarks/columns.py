"""Four columns of 2,000 tokens at once: how soon a click on the page is answered while they stream."""

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from benchmarks.browser import chromium, new_page
from benchmarks.commands import Studio, new_workspace
from benchmarks.report import Row, percentile

RUNS = 1
REACH_S = 0.2
TOKENS = 2000
TOKENS_PER_S = 50
PARAGRAPH = (
    "The keeper of the **lighthouse** found a `letter` on the beach, and read it twice. "
    "信上说:“今晚有船来。” \n\n"
    "- first the lamp\n- then the stairs 🙂\n\n"
    "```python\ndef shine(hours):\n    return [lamp.on() for _ in range(hours)]\n```\n\n"
)
# What a person's click takes until the browser shows what came of it, as the browser itself measures it; under 16 ms it
# tells nothing.
WATCH = """() => {
  window.clicks = [];
  new PerformanceObserver((list) => {
    for (const one of list.getEntries()) if (one.name === "click") window.clicks.push(one.duration);
  })
    .observe({ type: "event", durationThreshold: 16 });
}"""


class _Teller(BaseHTTPRequestHandler):
    """Answers everything as an OpenAI-compatible server does: one model, a long text of Markdown, an even pace."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = json.dumps(
            {"object": "list", "data": [{"id": f"teller-{one}", "object": "model"} for one in "abcd"]}
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.path.endswith("/chat/completions"):
            return self.send_error(404)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        began = time.perf_counter()
        with contextlib.suppress(OSError):  # whoever asked has left
            for number in range(asked["max_tokens"]):
                piece = PARAGRAPH[number * 4 % len(PARAGRAPH) :][:4]
                self._say({"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]})
                time.sleep(max(0, began + (number + 1) / TOKENS_PER_S - time.perf_counter()))
            self._say({"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]})
            self.wfile.write(b"data: [DONE]\n\n")

    def _say(self, chunk: dict) -> None:
        whole = {"id": "x", "object": "chat.completion.chunk", "created": 0, "model": "x"} | chunk
        self.wfile.write(f"data: {json.dumps(whole)}\n\n".encode())

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def _teller() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Teller)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()


def measure(runs: int, quick: bool) -> list[Row]:
    """Click on while four columns stream; return the rows of the clicks and of the studio's own answers meanwhile."""
    clicks, answers, tokens = [], [], 200 if quick else TOKENS
    with new_workspace() as workspace, _teller() as url, chromium() as browser, Studio(workspace) as studio:
        added = studio.ready().call("chat_server_add", {"url": url})
        columns = [f"served:{added['name']}/{model}" for model in added["models"]]
        for _ in range(runs):
            made = studio.call("chat_new", columns, {"max_tokens": tokens, "temperature": 0}, "")["conversation"]
            with new_page(browser) as page:
                page.goto(studio.url)
                page.locator("#room-chat-button").click()
                page.locator(f'[data-pick="chat:{made}"]').click()
                page.locator("#chat-3 header").wait_for()
                page.evaluate(WATCH)
                count = 0
                studio.call("chat_say", made, "Tell me of the lighthouse.", [])
                page.wait_for_selector("#chat-3 .reply .speed")
                while page.locator("#chat-stop").is_enabled():
                    page.locator("#chat-side-switch").click()
                    count += 1
                    answers.append(
                        page.evaluate(
                            "async () => { const t = performance.now(); await window.studio.call('chat_conversations',"
                            " ''); return performance.now() - t; }"
                        )
                        / 1000
                    )
                    page.wait_for_timeout(700)
                shown = page.evaluate("window.clicks.map((one) => one / 1000)")
            clicks += shown + [0.016] * (count - len(shown))  # those that the browser tells nothing of took less
            said = [studio.call("chat_open", made)["messages"][column][-1]["answer"]["tokens"] for column in columns]
            if said != [tokens] * 4:
                raise RuntimeError(f"columns of {said} tokens, not of {tokens}")
            print(
                f"  {count} clicks, slowest {max(clicks):.3f} s; slowest answer of the studio {max(answers):.3f} s",
                flush=True,
            )
    what = f"while four columns of {tokens:,} tokens stream at {TOKENS_PER_S} tokens a second each"
    return [
        _row(f"from a click to what it shows, {what}", clicks, REACH_S),
        _row(f"an answer of the studio to the page, {what}", answers, None),
    ]


def _row(what: str, taken: list[float], reach: float | None) -> Row:
    told = f"{max(taken):.3f} s at most of {len(taken)} (95 % within {percentile(taken, 0.95):.3f})"
    return Row(
        "columns", what, told, "", "", f"under {reach:g} s" if reach else "", max(taken) < reach if reach else None
    )
