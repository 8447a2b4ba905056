"""The prompts of LLaMA-Factory's evaluator and the examples as it draws them; those of lm-eval beside them.

LLaMA-Factory names the subject before the first question, without a system prompt of its own; each example is a turn of
user and assistant (llamafactory/eval/template.py, evaluator.py of 0.9). lm-eval names it in a system message, and takes
the first examples for every question (its tasks mmlu and ceval, with a chat template and `fewshot_as_multiturn`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from studio.core import llamafactory
from studio.evaluate.benchmarks.sets.answer_letters import LETTERS
from studio.evaluate.benchmarks.sets.question_files import Question
from studio.inference.local.prompt_encoding import PromptEncoder
from studio.inference.messages import Message


@dataclass(frozen=True)
class Phrases:
    """What stands before the first question, and after the choices of each; `system` is lm-eval's system message."""

    subject: str
    answer: str
    system: str


PHRASES = {
    "en": Phrases(
        "The following are multiple choice questions (with answers) about {subject}.\n\n",
        "\nAnswer:",
        "The following are multiple choice questions (with answers) about {subject}.\n\n",
    ),
    "zh": Phrases(
        "以下是中国关于{subject}考试的单项选择题，请选出其中的正确答案。\n\n",
        "\n答案：",
        "以下是中国关于{subject}的单项选择题，请选出其中的正确答案。\n\n",
    ),
}


def question_text(text: str, choices: Sequence[str], language: str) -> str:
    """Return a question with its choices, as it stands in the prompt. `language`: "en" or "zh"."""
    lettered = (f"\n{letter}. {choice}" for letter, choice in zip(LETTERS, choices, strict=False))
    return "".join((text, *lettered, PHRASES[language].answer))


def messages(question: str, examples: Sequence[Question], subject: str, language: str) -> list[Message]:
    """Return the conversation up to and with a question.

    Args:
        question: as `question_text` gives it.
        examples: what stands before it, in this order.
        subject: its name.
        language: "en" or "zh".
    """
    turns = [*_turns(tuple(examples), language), {"role": "user", "content": question}]
    first = PHRASES[language].subject.format(subject=subject) + turns[0]["content"]
    return [{"role": "user", "content": first}, *turns[1:]]


def harness_messages(question: str, examples: Sequence[Question], subject: str, language: str) -> list[Message]:
    """Return the conversation up to and with a question as lm-eval has it (see `messages`)."""
    system = PHRASES[language].system.format(subject=subject)
    turns = _turns(tuple(examples), language)
    return [{"role": "system", "content": system}, *turns, {"role": "user", "content": question.strip()}]


@lru_cache(maxsize=4096)
def _turns(examples: tuple[Question, ...], language: str) -> tuple[Message, ...]:
    """Return examples as turns; questions of one subject share them, and their memory."""
    turns: list[Message] = []
    for example in examples:
        turns.append({"role": "user", "content": question_text(example.text, example.choices, language)})
        turns.append({"role": "assistant", "content": example.answer})
    return tuple(turns)


class ExampleDraw:
    """Which examples stand before each question of a benchmark: LLaMA-Factory shuffles them anew for each, by numpy's
    global state after `set_seed`. This has a state of its own, and leaves the process' alone.

    Call `next` once for each question, in the order of the subjects.
    """

    def __init__(self, seed: int):
        self._state = np.random.RandomState(seed)

    def next(self, count: int, shots: int) -> list[int]:
        """Return which of `count` examples stand before the next question: at most `shots`, in their order.

        As `datasets.Dataset.shuffle` draws without a seed: the current word of the state is the seed of a generator.
        """
        if not count:
            return []
        _, words, position, *_ = self._state.get_state()
        seed = words[position] if position < 624 else words[0]
        self._state.random_sample()
        return np.random.default_rng(seed).permutation(count)[:shots].tolist()

    def examples(self, pool: Sequence[Question], shots: int) -> list[Question]:
        """Return the examples that stand before the next question."""
        return [pool[place] for place in self.next(len(pool), shots)]


def encode(encoder: PromptEncoder, turns: Sequence[Message]) -> list[int]:
    """Return the token ids of a conversation up to where its answer begins, as LLaMA-Factory's evaluator has them: a
    text that names an image is a text. A first message may be that of the system.
    """
    llamafactory.load()
    answer = {"role": "assistant", "content": ""}
    system = turns[0]["content"] if turns[0]["role"] == "system" else None
    asked = [dict(one) for one in turns if one["role"] != "system"]
    return encoder.template.encode_oneturn(encoder.tokenizer, [*asked, answer], system)[0]


def letter_ids(encoder: PromptEncoder, count: int = len(LETTERS)) -> list[int]:
    """Return the token id of each letter, as LLaMA-Factory's evaluator takes them: the last of the letter alone."""
    return [encoder.tokenizer.encode(letter, add_special_tokens=False)[-1] for letter in LETTERS[:count]]
