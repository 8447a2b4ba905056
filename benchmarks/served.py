"""A served column against the raw engine: time to the first token, and tokens a second, both on llama.cpp's server."""

import http.client
import json
import tempfile
import threading
import time
from pathlib import Path

from benchmarks import engines
from benchmarks.report import Row, streamed
from studio.inference.remote import chat_completion, servers
from studio.inference.sampling import Sampling

RUNS = 9
REACH_FIRST_S = 0.05
REACH_PACE = 0.95
TOKENS = 128


def measure(runs: int, quick: bool) -> list[Row]:
    """Ask the same question through a column and by a bare HTTP request in turn; return the rows of the first token and
    of the pace.
    """
    sampling = Sampling(temperature=0, max_tokens=16 if quick else TOKENS)
    first, pace = ([], []), ([], [])
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        folder = Path(name)
        with engines.llama_cpp(engines.starter_gguf(folder), folder / "engine.log") as engine:
            for number in range(runs + 1):
                sides = [_through_a_column, _bare] if number % 2 else [_bare, _through_a_column]
                # Questions of one length that begin differently, so that neither side finds its prompt in the engine's
                # cache.
                questions = [
                    f"{100 + 2 * number + place}. Write a long story about a lighthouse." for place in range(2)
                ]
                measured = {
                    ask: ask(engine, question, sampling) for ask, question in zip(sides, questions, strict=True)
                }
                if number:  # the first of each also loads what it needs
                    for side, ask in enumerate((_through_a_column, _bare)):
                        first[side].append(measured[ask][0])
                        pace[side].append(measured[ask][1])
                    print(
                        f"  first token: column {first[0][-1]:.3f} s, bare {first[1][-1]:.3f} s; "
                        f"tokens a second: {pace[0][-1]:.1f}, {pace[1][-1]:.1f}",
                        flush=True,
                    )
    return streamed(
        "served",
        "from the question to its first token on the page",
        f"tokens a second of {sampling.max_tokens} tokens (higher is better)",
        first,
        pace,
        (REACH_FIRST_S, REACH_PACE),
    )


def _through_a_column(engine: engines.Engine, question: str, sampling: Sampling) -> tuple[float, float]:
    """Return the seconds until a column shows text, and its tokens a second from the first shown to the last."""
    shown_at: list[float] = []

    def see(answer) -> None:
        if answer.text and not shown_at:
            shown_at.extend((time.perf_counter(), answer.tokens))

    target = servers.ServedTarget("engine", engine.url, "any")
    asked = time.perf_counter()
    answer = chat_completion.ask(
        target, [{"role": "user", "content": question}], "", sampling, threading.Event(), on_update=see
    )
    ended = time.perf_counter()
    _check(answer.tokens, sampling)
    return shown_at[0] - asked, (answer.tokens - shown_at[1]) / (ended - shown_at[0])


def _bare(engine: engines.Engine, question: str, sampling: Sampling) -> tuple[float, float]:
    return bare(engine.port, question, sampling)


def bare(port: int, question: str, sampling: Sampling) -> tuple[float, float]:
    """Return the seconds until the first token and the tokens a second of a bare HTTP request, whose lines are only
    looked at for whether they hold text.
    """
    body = {
        "messages": [{"role": "user", "content": question}],
        "stream": True,
        "temperature": 0,
        "max_tokens": sampling.max_tokens,
    }
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=engines.PATIENCE_S)
    asked = time.perf_counter()
    line.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
    came = [time.perf_counter() for event in line.getresponse() if b'"content":"' in event]
    ended = time.perf_counter()
    line.close()
    _check(len(came), sampling)
    return came[0] - asked, (len(came) - 1) / (ended - came[0])


def _check(tokens: int, sampling: Sampling) -> None:
    if tokens != sampling.max_tokens:
        raise RuntimeError(f"an answer of {tokens} tokens, not {sampling.max_tokens}, cannot be compared")
