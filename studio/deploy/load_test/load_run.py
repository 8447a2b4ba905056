"""The work of a load test: one server after the other, one step after the other, so many requests at a time."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass

from studio.core.jobs import Job, Stopped
from studio.datasets.registry.collection import Collection
from studio.deploy.load_test import engine_facts, load_prompts
from studio.deploy.load_test.load_prompts import Question, TokenFit
from studio.deploy.load_test.load_records import LoadTest, SentRequest, StepBegun, StepEnded
from studio.deploy.load_test.load_settings import LoadSettings
from studio.deploy.load_test.sending import send
from studio.inference.remote import openai_client
from studio.inference.remote.chat_completion import in_a_loop
from studio.inference.remote.servers import ServedTarget, ServerRegistry

TICK_S = 0.2
PROBE_TOKENS = 4  # of the answers before the first step


@dataclass(frozen=True)
class _Step:
    """A step that is to be measured. share: of the whole test that is done before it, and of that after it."""

    number: int
    target: ServedTarget
    concurrency: int
    share: tuple[float, float]


def run(test: LoadTest, servers: ServerRegistry, collection: Collection, job: Job) -> None:
    """Measure what has not been measured yet.

    Raises:
        Problem: a server does not answer a first question, or the dataset cannot be used.
        Stopped: the person stopped the job.
    """
    request = test.request()
    settings, name = request.settings, ""
    questions: Question | None = None
    for step in list(_left(test, servers, request.targets, settings.concurrency)):
        job.check()
        job.report(step.share[0], "load_test.beginning", target=step.target.model)
        if step.target.name != name or questions is None:
            name = step.target.name
            questions = _questions(collection, settings, step, test.id, job)
        in_a_loop(_measure(test, settings, step, questions, job))


def _left(test: LoadTest, servers: ServerRegistry, targets: list, concurrency: list[int]) -> Iterator[_Step]:
    """Yield the steps that have not ended yet."""
    begun, ended = test.read(StepBegun), {one.step for one in test.read(StepEnded)}
    done = {(one.target, one.concurrency) for one in begun if one.step in ended}
    number, total = max((one.step for one in begun), default=-1) + 1, len(targets) * len(concurrency)
    for place, (name, at_a_time) in enumerate((name, one) for name in targets for one in concurrency):
        if (name, at_a_time) not in done:
            yield _Step(number, servers.target(str(name)), at_a_time, (place / total, (place + 1) / total))
            number += 1


def _questions(collection: Collection, settings: LoadSettings, step: _Step, test: str, job: Job) -> Question:
    """Return the requests for a server, after it has answered two that count for nothing: it may still be warming up,
    and their tokens tell how long its prompts are.
    """
    short, counts = settings.model_copy(update={"max_tokens": PROBE_TOKENS, "whole_length": False}), []
    for words in load_prompts.PROBES:
        text = load_prompts.of_words(words, f"{test}-{step.number}-{words}")
        question = load_prompts.asked(short, step.target.model, [{"role": "user", "content": text}])
        answered = in_a_loop(_probe(step.target, question, job))
        if answered.fault:
            raise answered.fault.problem()
        counts.append(answered.prompt_tokens)
    if settings.dataset:
        return load_prompts.of_dataset(collection, settings, step.target.model)
    return load_prompts.made(settings, step.target.model, TokenFit.of(*counts), f"{test}-{step.number}")


async def _probe(target: ServedTarget, question: dict, job: Job) -> SentRequest:
    async with openai_client.async_client(target.url) as client:
        sending = asyncio.create_task(send(client, target, question, 0, 0))
        await _until_done([sending], job, lambda: None)
        return sending.result()


async def _measure(test: LoadTest, settings: LoadSettings, step: _Step, questions: Question, job: Job) -> None:
    """Measure one step."""
    before = await asyncio.to_thread(engine_facts.tokens_written, step.target.url)
    test.add(StepBegun(step=step.number, target=step.target.name, concurrency=step.concurrency, began=time.time()))
    numbers, failed, answered = iter(range(settings.requests)), 0, 0
    async with openai_client.async_client(step.target.url) as client:
        began = time.perf_counter()

        async def ask() -> None:
            """Ask one question after the other, until there is none left or the time is over."""
            nonlocal answered, failed
            for number in numbers:
                # So that a step never asks what an earlier one has asked, which the engine may still know.
                question = questions(step.number * settings.requests + number)
                sent = await send(client, step.target, question, step.number, number)
                test.add(sent)
                answered, failed = answered + 1, failed + (sent.fault is not None)
                if time.perf_counter() - began >= settings.seconds:
                    return

        def report() -> None:
            passed = max(answered / settings.requests, min(1, (time.perf_counter() - began) / settings.seconds))
            low, high = step.share
            facts = {"target": step.target.model, "concurrency": step.concurrency, "done": answered, "failed": failed}
            job.report(low + (high - low) * passed, "load_test.asking", of=settings.requests, **facts)

        workers = [asyncio.create_task(ask()) for _ in range(min(step.concurrency, settings.requests))]
        await _until_done(workers, job, report)
        seconds = time.perf_counter() - began
    after = await asyncio.to_thread(engine_facts.tokens_written, step.target.url)
    test.add(
        StepEnded(
            step=step.number,
            seconds=seconds,
            sent=answered,
            engine_tokens=None if before is None or after is None or after < before else round(after - before),
            memory=await asyncio.to_thread(engine_facts.memory_of, step.target.url),
        )
    )


async def _until_done(tasks: list[asyncio.Task], job: Job, report) -> None:
    """Wait for tasks and report; end them when the person stops the job. Raises what one of them raised, or Stopped."""
    try:
        while waiting := [one for one in tasks if not one.done()]:
            if job.cancelled.is_set():
                raise Stopped
            report()
            over, _ = await asyncio.wait(waiting, timeout=TICK_S, return_when=asyncio.FIRST_EXCEPTION)
            for one in over:
                one.result()
    finally:
        for one in tasks:
            one.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
