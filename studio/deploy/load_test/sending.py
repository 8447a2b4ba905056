"""One request of a load test, with the times at which its pieces came."""

import asyncio
import time

from studio.core.i18n import Problem
from studio.core.plain import plain
from studio.core.sentences import Sentence
from studio.deploy.load_test.load_records import SentRequest
from studio.inference.remote import chat_completion
from studio.inference.remote.error_text import ServerFault
from studio.inference.remote.servers import ServedTarget
from studio.inference.remote.stream import StreamAccumulator
from studio.inference.remote.wire import Event

PATIENCE_S = 600.0  # for a whole answer


class _TimedStream(StreamAccumulator):
    """An answer that remembers when each piece of text came, and its last event (s, of `time.perf_counter`)."""

    def __init__(self, name: str, max_tokens: int):
        super().__init__(name, max_tokens)
        self.moments: list[float] = []
        self.ended_at = self.started_at

    def feed(self, event: Event) -> None:
        """Take in a message of the server."""
        before = self.pieces
        super().feed(event)
        self.ended_at = self.last_event_at
        if self.pieces > before:
            self.moments.append(self.last_event_at)


async def send(client, target: ServedTarget, question: dict, step: int, number: int) -> SentRequest:
    """Send a request, and return its record once it is over; what goes wrong is its fault.

    The times are those of vLLM's `bench serve`: to the first piece of text, between pieces, and to the last event.

    Args:
        client: of `openai_client.async_client`; requests at the same time share it.
        question: as OpenAI's API takes it, without "stream".
    """
    import openai

    stream, error = _TimedStream(target.name, int(question["max_tokens"])), None
    try:
        async with asyncio.timeout(PATIENCE_S):
            await chat_completion.read_answer(client, stream, question)
    except TimeoutError:
        error = Problem("load_test.silent", seconds=round(PATIENCE_S))
    except (openai.APIError, ServerFault, ValueError) as fault:
        error = fault
    if not stream.finished:
        chat_completion.conclude(target, stream, error)
    answer, moments = stream.answer(), stream.moments
    return SentRequest(
        step=step,
        number=number,
        ended=time.time(),
        ttft_s=moments[0] - stream.started_at if moments else None,
        latency_s=max(0.0, stream.ended_at - stream.started_at),
        gaps_s=[round(later - earlier, 6) for earlier, later in zip(moments, moments[1:], strict=False)],
        prompt_tokens=answer.prompt_count,
        tokens=answer.tokens,
        counted="usage" if stream.is_counted else "pieces",
        fault=Sentence(key=answer.fault.key, facts=plain(answer.fault.facts)) if answer.fault else None,
    )
