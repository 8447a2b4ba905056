"""What a load test came to: of each step its rates, times and faults, by the definitions of vLLM's `bench serve`."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from studio.core.sentences import Sentence
from studio.core.storage.file_cache import FileCache
from studio.deploy.load_test.load_records import FILES, LoadTest, SentRequest, StepBegun, StepEnded
from studio.deploy.load_test.load_settings import LoadSettings
from studio.inference import target_names

MOST_FAULTS = 8


@dataclass(frozen=True)
class Spread:
    """Some times: their mean, and what 50, 95 and 99 % of them do not exceed; all None where there are none."""

    mean: float | None = None
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None

    @classmethod
    def of(cls, values: list[float]) -> "Spread":
        """Return how values are spread, between two of them by the straight line."""
        if not values:
            return cls()
        return cls(float(np.mean(values)), *map(float, np.percentile(values, (50, 95, 99))))


@dataclass(frozen=True)
class StepSummary:
    """One step.

    name: of the server's model, as it is shown. is_over: whether it was measured to its end; until then its rates are
    those so far. seconds: from its first request to the last event of its last. ttft, itl, tpot, latency: seconds, of
    the requests that were answered. good: requests a second that kept the limits, None without limits. is_counted:
    whether all tokens are the server's count. engine_tokens: what the server says that it wrote meanwhile. faults: each
    kind with how often it came.
    """

    target: str
    name: str
    concurrency: int
    is_over: bool
    seconds: float
    answered: int
    failed: int
    prompt_tokens: int
    tokens: int
    requests_s: float
    tokens_s: float
    ttft: Spread
    itl: Spread
    tpot: Spread
    latency: Spread
    good: float | None
    is_counted: bool
    engine_tokens: int | None
    memory: int | None
    faults: tuple[tuple[Sentence, int], ...]


_made: FileCache[tuple[StepSummary, ...]] = FileCache(16)


def summary(test: LoadTest, settings: LoadSettings) -> tuple[StepSummary, ...]:
    """Return the steps of a test, those of one server together, by the number of requests at a time.

    A step that was measured more than once counts as it was measured last.
    """
    paths = [test.folder / name for name in FILES.values()]
    return _made.get((test.folder, settings.model_dump_json()), paths, lambda: tuple(_steps(test, settings)))


def _steps(test: LoadTest, settings: LoadSettings) -> list[StepSummary]:
    newest = {(one.target, one.concurrency): one for one in test.read(StepBegun)}
    ended = {one.step: one for one in test.read(StepEnded)}
    sent: dict[int, list[SentRequest]] = {one.step: [] for one in newest.values()}
    for request in test.read(SentRequest):
        if request.step in sent:
            sent[request.step].append(request)
    order = list(dict.fromkeys(target for target, _ in newest))
    begun = sorted(newest.values(), key=lambda one: (order.index(one.target), one.concurrency))
    return [step_summary(one, ended.get(one.step), sent[one.step], settings) for one in begun]


def step_summary(
    begun: StepBegun, ended: StepEnded | None, sent: list[SentRequest], settings: LoadSettings
) -> StepSummary:
    """Return what a step came to; `ended` is None while it is at work."""
    answered = [one for one in sent if one.fault is None]
    last = max((one.ended for one in sent), default=begun.began)
    seconds = ended.seconds if ended else max(0.0, last - begun.began)
    tokens = sum(one.tokens for one in answered)
    faults = Counter(one.fault.model_dump_json() for one in sent if one.fault)
    return StepSummary(
        target=str(begun.target),
        name=target_names.served_title(str(begun.target)),
        concurrency=begun.concurrency,
        is_over=ended is not None,
        seconds=seconds,
        answered=len(answered),
        failed=len(sent) - len(answered),
        prompt_tokens=sum(one.prompt_tokens or 0 for one in answered),
        tokens=tokens,
        requests_s=len(answered) / seconds if seconds else 0.0,
        tokens_s=tokens / seconds if seconds else 0.0,
        ttft=Spread.of([one.ttft_s for one in answered if one.ttft_s is not None]),
        itl=Spread.of([gap for one in answered for gap in one.gaps_s]),
        tpot=Spread.of([tpot for one in answered if (tpot := time_per_token(one)) is not None]),
        latency=Spread.of([one.latency_s for one in answered]),
        good=_good(answered, seconds, settings),
        is_counted=all(one.counted == "usage" for one in answered),
        engine_tokens=ended.engine_tokens if ended else None,
        memory=ended.memory if ended else None,
        faults=tuple((Sentence.model_validate_json(one), count) for one, count in faults.most_common(MOST_FAULTS)),
    )


def time_per_token(request: SentRequest) -> float | None:
    """Return the seconds of a token after the first; None of an answer with fewer than two."""
    if request.ttft_s is None or request.tokens < 2:
        return None
    return max(0.0, request.latency_s - request.ttft_s) / (request.tokens - 1)


def _good(answered: list[SentRequest], seconds: float, settings: LoadSettings) -> float | None:
    if settings.ttft_ms is None and settings.tpot_ms is None:
        return None
    kept = sum(
        _within(one.ttft_s, settings.ttft_ms) and _within(time_per_token(one), settings.tpot_ms) for one in answered
    )
    return kept / seconds if seconds else 0.0


def _within(seconds: float | None, limit_ms: float | None) -> bool:
    return limit_ms is None or seconds is None or 1000 * seconds <= limit_ms
