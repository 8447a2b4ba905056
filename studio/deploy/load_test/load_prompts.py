"""What a load test sends: the questions of a dataset, or prompts made to a length in tokens."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from studio.core.i18n import Problem
from studio.datasets.registry.collection import Collection
from studio.deploy.load_test.load_settings import LoadSettings
from studio.evaluate.predict import row_sources
from studio.evaluate.predict.questions import Conversion
from studio.inference.remote import openai_client

MOST_ROWS = 2000  # different questions of a dataset; after them they are asked again
PROBES = (16, 144)  # words of the two prompts by which the tokens of a word are found
# Each is one token in most vocabularies.
WORDS = (
    "time year people way day man thing woman life child world school state family student group country problem hand"
    " part place case week company system program question work government number night point home water room mother"
    " area money story fact month lot right study book eye job word business issue side kind head house service friend"
    " father power hour game line end member law car city community name"
).split()

Question = Callable[[int], dict]


@dataclass(frozen=True)
class TokenFit:
    """How many tokens a prompt has, by its words: those of the template around it, and those of a word."""

    around: float = 0.0
    of_a_word: float = 1.0

    @classmethod
    def of(cls, first: int | None, second: int | None) -> "TokenFit":
        """Return the fit by the tokens that a server counted in prompts of PROBES words; a token a word where it counts
        none.
        """
        if first is None or second is None or second <= first:
            return cls()
        of_a_word = (second - first) / (PROBES[1] - PROBES[0])
        return cls(max(0.0, first - of_a_word * PROBES[0]), of_a_word)

    def words(self, tokens: int) -> int:
        """Return how many words make so many tokens."""
        return max(1, round((tokens - self.around) / self.of_a_word))


def of_words(count: int, seed: str) -> str:
    """Return a text of so many words; another seed makes another from its first word on, so that no engine knows it."""
    chosen = random.Random(seed)  # noqa: S311  (no secret)
    return " ".join(chosen.choices(WORDS, k=count))


def made(settings: LoadSettings, model: str, fit: TokenFit, run: str) -> Question:
    """Return the requests with prompts made to length, by their number. `run` tells one run's prompts from another's:
    what an engine still has of earlier prompts would make it look faster.
    """
    words = fit.words(settings.prompt_tokens)

    def question(number: int) -> dict:
        text = of_words(words, f"{settings.seed}-{run}-{number}")
        return asked(settings, model, [{"role": "user", "content": text}])

    return question


def of_dataset(collection: Collection, settings: LoadSettings, model: str) -> Question:
    """Return the requests with the questions of a dataset, by their number, drawn with the seed and then again.

    Raises:
        Problem: the set cannot be used, or none of its rows can be asked.
    """
    source = row_sources.find(collection, settings.dataset, [])
    conversion, questions, fault = Conversion(source), [], None
    for place, value in source.values(source.chosen(MOST_ROWS, "drawn", settings.seed)):
        try:
            if isinstance(value, Problem):
                raise value
            row = conversion.row(len(questions), place, value, [])
            messages = [message | ({"images": row.images} if row.images else {}) for message in row.messages[-1:]]
            messages = openai_client.as_messages([*row.messages[:-1], *messages], str(row.system))
            questions.append(asked(settings, model, messages, openai_client.as_tools(str(row.tools))))
        except Problem as problem:
            fault = problem
    if not questions:
        raise fault or Problem("evaluate.empty_set", dataset=settings.dataset)
    random.Random(settings.seed).shuffle(questions)  # noqa: S311  (no secret)
    return lambda number: questions[number % len(questions)]


def asked(settings: LoadSettings, model: str, messages: list[dict], tools: list[dict] | None = None) -> dict:
    """Return a request as OpenAI's API takes it."""
    question = {
        "model": model,
        "messages": messages,
        "max_tokens": settings.max_tokens,
        "temperature": settings.temperature,
        "stream_options": {"include_usage": True},
    }
    if tools:
        question["tools"] = tools
    if settings.whole_length:
        question["extra_body"] = {"ignore_eos": True}
    return question
