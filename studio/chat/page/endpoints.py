"""What a script can ask of the models in memory and on servers."""

import threading
from collections.abc import Callable

from studio.chat.evaluation.smoke_test import SmokeTests
from studio.chat.page.schemas import (
    AnswerResult,
    AskOptions,
    CallResult,
    CompareResult,
    LoadedResult,
    MessageOptions,
    SmokeTestResult,
    UnloadedResult,
)
from studio.core.i18n import Words
from studio.inference.answer import Answer
from studio.inference.inference_service import InferenceService


def endpoints(service: InferenceService, words: Words) -> list[Callable]:
    """Return the endpoints of loading and asking."""

    def chat_load(model: str, adapters: list[str] | None = None, bits: int | None = None) -> LoadedResult:
        """Load a model and runs (or `run@checkpoint`) on it, and return {speakers}."""
        return LoadedResult(speakers=[target.name for target in service.load([model, *(adapters or [])], bits)])

    def chat_unload() -> UnloadedResult:
        """Unload everything and return {speakers, before, after, told}: the bytes in use, and a sentence of them."""
        freed = service.unload()
        megabytes = {name: f"{size / 2**20:,.0f}" for name, size in freed.items()}
        return UnloadedResult(speakers=[], told=words("chat.freed", **megabytes), **freed)

    def chat_compare(
        speakers: list[str], messages: list[MessageOptions], options: AskOptions | None = None
    ) -> CompareResult:
        """Ask all speakers the same and return {answers}; options are system, tools, bits, temperature, top_p,
        max_tokens, seed. Messages are {"role", "content"}, with "images" or "calls" where there are any.

        An answer that failed says so in `error`; where all failed the first one's is raised.
        """
        question = options or AskOptions()
        conversations = dict.fromkeys(speakers, [one.model_dump(exclude_unset=True) for one in messages])
        *_, answers = service.ask(
            conversations, question.system, question.sampling(), threading.Event(), question.tools, question.bits
        )
        if all(answer.fault for answer in answers):
            raise answers[0].fault
        return CompareResult(answers=[_result(answer, words) for answer in answers])

    return [chat_load, chat_unload, chat_compare]


def smoke_test_endpoints(tests: SmokeTests, words: Words) -> list[Callable]:
    """Return the endpoint of the button that tries a model."""

    def models_hello(name: str, question: str = "") -> SmokeTestResult:
        """Load a model, ask it one thing and unload it: {answer, tokens, tokens_per_s, first_token_s, load_s, before,
        loaded, after}.
        """
        test = tests.run(name, question or words("hello.question"))
        return SmokeTestResult(**{field: getattr(test, field) for field in SmokeTestResult.model_fields})

    return [models_hello]


def _result(answer: Answer, words: Words) -> AnswerResult:
    return AnswerResult(
        speaker=answer.target,
        text=answer.text,
        tokens=answer.tokens,
        first_token_s=answer.first_token_s,
        tokens_per_s=answer.tokens_per_s,
        finished=answer.finished,
        prompt_ids=list(answer.prompt_tokens),
        prompt_count=answer.prompt_count,
        calls=[CallResult(**call) for call in answer.calls],
        error=words.tell(answer.fault) if answer.fault else None,
    )
