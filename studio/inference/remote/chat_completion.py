"""Columns that OpenAI-compatible servers answer: the endpoints a person added, and one question to a model of one of
them.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from typing import TypeVar
from urllib.parse import urlsplit

from studio.core import reasons
from studio.core.i18n import Problem
from studio.inference.answer import Answer
from studio.inference.messages import Message
from studio.inference.remote import openai_client
from studio.inference.remote.error_text import ServerFault
from studio.inference.remote.servers import ServedTarget
from studio.inference.remote.stream import StreamAccumulator
from studio.inference.remote.wire import WireReader
from studio.inference.sampling import Sampling

SILENCE_S = 120.0
_TICK_S = 0.03
# A server that knows these not loses nothing by it: one asks it to count, and for the other it keeps its own random
# numbers.
_DISPENSABLE = ("stream_options", "seed")
Result = TypeVar("Result")


def ask(
    target: ServedTarget,
    messages: list[Message],
    system: str,
    sampling: Sampling,
    stop: threading.Event,
    tools: str = "",
    on_update: Callable[[Answer], None] = lambda answer: None,
) -> Answer:
    """Ask a served model and return its whole answer. What the server does wrong is the answer's `fault`; what had come
    by then stays.

    Temperature, top-p, max tokens and seed are sent; not every server heeds them: LLaMA-Factory's API takes no notice
    of the seed, tells no count of tokens, and says "stop" where max tokens were reached too. Tokens are counted in
    pieces until the server tells them.

    Args:
        messages: see `openai_client.as_messages`.
        system: the system prompt, "" for none.
        stop: set it to end the answer at once, also while the server says nothing.
        tools: JSON of the tools that may be called, "" for none.
        on_update: is told the answer as it grows, in the thread that asks.
    """
    client = openai_client.async_client(target.url)  # loads a library the first time, which is no fault of the engine's
    accumulator = StreamAccumulator(target.name, sampling.max_tokens)
    try:
        question = {
            "model": target.model,
            "messages": openai_client.as_messages(messages, system),
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_tokens,
            "seed": sampling.seed,
            "stream_options": {"include_usage": True},
        }
        if sampling.top_k:  # no part of the protocol, though engines for models of one's own know it
            question["extra_body"] = {"top_k": sampling.top_k}
        if offered := openai_client.as_tools(tools):
            question["tools"] = offered
            names = [name for tool in offered if isinstance(name := tool["function"]["name"], str)]
            accumulator = StreamAccumulator(target.name, sampling.max_tokens, names)
        in_a_loop(_listen(_read_and_close(client, accumulator, question), target, accumulator, stop, on_update))
    except Problem as problem:
        accumulator.end("failed", problem)
    return accumulator.answer()


def in_a_loop(work: Coroutine[object, object, Result]) -> Result:
    """Run `work` as `asyncio.run` does, but do not wait for the look-up of a host's name that hangs."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


async def _listen(
    read: Coroutine,
    target: ServedTarget,
    accumulator: StreamAccumulator,
    stop: threading.Event,
    on_update: Callable[[Answer], None],
) -> None:
    """Read the answer, and stop reading when the person wants it and when nothing comes any more."""
    reading, shown = asyncio.create_task(read), 0
    try:
        while not reading.done() and not accumulator.finished:
            await asyncio.wait({reading}, timeout=_TICK_S)
            if stop.is_set():
                accumulator.end("stopped")
            elif time.perf_counter() - accumulator.last_event_at > SILENCE_S and not reading.done():
                conclude(
                    target,
                    accumulator,
                    Problem("served.silent", place=urlsplit(target.url).netloc, seconds=round(SILENCE_S)),
                )
            elif accumulator.chunks > shown:
                shown = accumulator.chunks
                on_update(accumulator.answer())
    finally:
        reading.cancel()
        await asyncio.wait(
            {reading}, timeout=0.2
        )  # to close the connection, by which the engine learns that nobody listens
    error = reading.exception() if reading.done() and not reading.cancelled() else None
    if not accumulator.finished:
        conclude(target, accumulator, error)


def conclude(target: ServedTarget, accumulator: StreamAccumulator, error: BaseException | None) -> None:
    """End an answer that ended by itself or with an error.

    A connection that breaks off no longer matters once the server had said that it was done; what it says of an error
    does.
    """
    import openai

    facts = {"place": urlsplit(target.url).netloc, "model": target.model}
    if isinstance(error, ServerFault):
        accumulator.end("failed", openai_client.problem_in_answer(error.words, target.url, target.model))
    elif error is None and (accumulator.is_done or accumulator.reason) or accumulator.ends_with_reason:
        _end_by_reason(accumulator, target)
    elif error is None:
        accumulator.end("failed", Problem("served.cut", **facts))
    elif isinstance(error, Problem):
        accumulator.end("failed", error)
    elif isinstance(error, (openai.APIError, ValueError)):
        accumulator.end("failed", openai_client.problem(error, target.url, target.model))
    else:
        raise error


def _end_by_reason(accumulator: StreamAccumulator, target: ServedTarget) -> None:
    """End an answer as its server says; one that says nothing but that its stream is over was done."""
    reason, words = accumulator.reason or "stop", accumulator.reason_words
    if reason == "filtered":
        fault = Problem(
            "served.filtered",
            place=urlsplit(target.url).netloc,
            model=target.model,
            reason=reasons.original(openai_client.in_one_line(words)),
        )
        accumulator.end("failed", fault)
    elif reason == "failed":
        accumulator.end("failed", openai_client.problem_in_answer(words, target.url, target.model))
    else:
        accumulator.end(reason)


async def _read_and_close(client, accumulator: StreamAccumulator, question: dict) -> None:
    async with client:
        await read_answer(client, accumulator, question)


async def read_answer(client, accumulator: StreamAccumulator, question: dict) -> None:
    """Take in an answer, asking again without what the server refuses to know. `conclude` tells what came of it.

    Args:
        client: of `openai_client.async_client`.
        question: as OpenAI's API takes it, without "stream".

    Raises:
        openai.APIError: it cannot be reached, or refuses.
        ServerFault: the server tells of an error in its answer.
        ValueError: what it sends is no answer.
    """
    import openai

    while True:
        try:
            await _read_body(client, accumulator, question | {"stream": True})
            return
        except openai.APIStatusError as error:
            question = _without_the_refused(question, error)
        except openai.APIConnectionError:
            # LLaMA-Factory's API breaks off where it is to stream with tools, and answers in one piece.
            if accumulator.chunks or "tools" not in question:
                raise
            break
    await _read_body(client, accumulator, {name: value for name, value in question.items() if name != "stream_options"})


async def _read_body(client, accumulator: StreamAccumulator, question: dict) -> None:
    """Ask, and take in the body of the answer, in whatever form it is."""
    import openai

    reader = WireReader()
    async with client.chat.completions.with_streaming_response.create(**question) as response:
        parts, broken = aiter(response.iter_bytes()), None
        while not (reader.done or accumulator.finished or broken):
            try:
                part = await anext(parts, None)
            except Exception as error:  # whatever library carries the bytes: the connection broke
                part, broken = None, error
            accumulator.last_event_at = time.perf_counter()
            for event in reader.finish() if part is None else reader.feed(part):
                accumulator.feed(event)
            if part is None:
                break
        if broken:
            raise openai.APIConnectionError(request=response.http_request) from broken
    accumulator.is_done = accumulator.is_done or reader.done and accumulator.is_known
    if not accumulator.is_known and not reader.is_cut:
        if words := reader.words():
            raise ServerFault(words)
        raise ValueError("no answer of a chat completion")


def _without_the_refused(question: dict, error) -> dict:
    """Return the question as this server takes it; raise the error again where it is about something else."""
    body = str(error.body) if error.status_code in (400, 422) else ""
    if "max_completion_tokens" in body and "max_tokens" in question:
        return {"max_completion_tokens" if name == "max_tokens" else name: value for name, value in question.items()}
    for name in _DISPENSABLE:
        if name in question and name in body:
            return {other: value for other, value in question.items() if other != name}
    raise error
