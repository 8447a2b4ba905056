"""A model as the judge of two answers, asked twice: with either answer first.

Judges prefer what stands first (Zheng et al., Judging LLM-as-a-judge, 2023), so a verdict counts only where it is the
same in both orders; where the two disagree it is a tie, and counted as a disagreement. An answer of the judge that is
no verdict is counted and never guessed. It is shown the answers alone: what a model thought before is none, and an
answer that was cut within its thought is empty.

```
judge = PairwiseJudge(ask, default_prompt(words))
one = judge.compare(question, reference, first_answer, second_answer)
total([one, ...]).second_wins                       # an Interval
```
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from studio.core.i18n import Problem, Words
from studio.evaluate.scores.intervals import Comparison, Interval, interval, paired
from studio.inference.messages import Message
from studio.inference.reasoning import answer_in

Verdict = Literal["first", "second", "tie"]
Ask = Callable[[list[Message]], str]
PLACES = ("question", "reference", "answer_a", "answer_b")
_PLACE = re.compile(r"\{(" + "|".join(PLACES) + r")\}")
_NEEDED = ("answer_a", "answer_b")
_MARK = re.compile(r"\[\[\s*(A|B|C|tie)\s*\]\]", re.IGNORECASE)
_BARE = re.compile(r"[\s*\"'`(]*(A|B|C|tie)[\s*\"'`).。]*", re.IGNORECASE)
_LONGEST_ODD = 200  # characters of an answer that is no verdict, for a person to read


@dataclass(frozen=True)
class Judgement:
    """What a judge said of two answers.

    verdict: None where one of its two answers is no verdict. orders: its verdicts with the first answer first, and with
    the second first, both told of the same answers. odd: the beginnings of its answers that are no verdict. failed:
    whether it could not be asked. asked: False where the answers are equal, of which nobody is asked.
    """

    verdict: Verdict | None
    orders: tuple[Verdict | None, Verdict | None]
    odd: tuple[str, ...] = ()
    failed: bool = False
    asked: bool = True

    @property
    def disagrees(self) -> bool:
        """Tell whether it gave two verdicts that are not the same."""
        return None not in self.orders and self.orders[0] != self.orders[1]

    @property
    def score(self) -> float | None:
        """Return what the second answer gets: 1 where it is better, 0.5 of a tie, 0 where it is worse."""
        return None if self.verdict is None else {"first": 0.0, "tie": 0.5, "second": 1.0}[self.verdict]


@dataclass(frozen=True)
class JudgedTotal:
    """All judgements of two models.

    first, second, ties: verdicts; disagreements are among the ties. unread: rows in which the judge gave no verdict;
    failed: of these, rows of which it could not be asked. rate: the share that the second gets, a tie counting half.
    comparison: the test whether that is more than half.
    """

    first: int
    second: int
    ties: int
    disagreements: int
    unread: int
    failed: int
    rate: Interval | None
    comparison: Comparison | None


class PairwiseJudge:
    """A model that says which of two answers is better."""

    def __init__(self, ask: Ask, prompt: str):
        """Take who is asked and how.

        Args:
            ask: gives the text that a model answers to messages; what it raises is raised.
            prompt: a text with `{answer_a}` and `{answer_b}`, and where they are wanted `{question}` and `{reference}`.

        Raises:
            Problem: the prompt lacks one of the two answers.
        """
        check_prompt(prompt)
        self._ask, self._prompt = ask, prompt

    def compare(self, question: str, reference: str, first: str, second: str) -> Judgement:
        """Return which of two answers to a question is better. Equal answers are a tie, and nobody is asked."""
        reference, first, second = map(answer_in, (reference, first, second))
        if first.strip() == second.strip():
            return Judgement("tie", ("tie", "tie"), asked=False)
        texts = [self._verdict_text(question, reference, *both) for both in ((first, second), (second, first))]
        ahead, behind = (read_verdict(text) for text in texts)
        orders = (ahead, {"first": "second", "second": "first"}.get(behind, behind))
        odd = tuple(text[:_LONGEST_ODD] for text, verdict in zip(texts, orders, strict=True) if verdict is None)
        if None in orders:
            return Judgement(None, orders, odd)
        return Judgement(orders[0] if orders[0] == orders[1] else "tie", orders)

    def _verdict_text(self, question: str, reference: str, one: str, other: str) -> str:
        facts = dict(zip(PLACES, (question, reference, one, other), strict=True))
        # In one go: what an answer holds is never taken for a place of the prompt.
        content = _PLACE.sub(lambda place: facts[place[1]], self._prompt)
        return self._ask([{"role": "user", "content": content}])


def default_prompt(words: Words) -> str:
    """Return the studio's own prompt for a judge, in the language of `words`."""
    return words("evaluate.judge_prompt")


def check_prompt(prompt: str) -> None:
    """Raise Problem for a prompt that does not show both answers."""
    missing = [f"{{{place}}}" for place in _NEEDED if f"{{{place}}}" not in prompt]
    if missing:
        raise Problem("evaluate.judge_prompt_lacks", places=", ".join(missing))


def read_verdict(text: str) -> Verdict | None:
    """Return the verdict in a judge's answer: [[A]], [[B]], or [[C]] or [[tie]], once or the same each time.

    An answer that is nothing but the letter is taken too. Anything else, and two different verdicts, is None.
    """
    answer = answer_in(text)
    bare = _BARE.fullmatch(answer)
    found = {mark.upper() for mark in _MARK.findall(answer)} or ({bare[1].upper()} if bare else set())
    verdicts = {{"A": "first", "B": "second"}.get(mark, "tie") for mark in found}
    return verdicts.pop() if len(verdicts) == 1 else None


def total(judgements: Iterable[Judgement], seed: int = 42) -> JudgedTotal:
    """Return all judgements of two models together."""
    all_of_them = list(judgements)
    scores = [one.score for one in all_of_them]
    counts = {verdict: sum(one.verdict == verdict for one in all_of_them) for verdict in ("first", "second", "tie")}
    return JudgedTotal(
        counts["first"],
        counts["second"],
        counts["tie"],
        sum(one.disagrees for one in all_of_them),
        scores.count(None),
        sum(one.failed for one in all_of_them),
        interval(scores, most=1, seed=seed),
        paired([None if score is None else 1 - score for score in scores], scores, seed),
    )


def check_judge(judgements: Sequence[Judgement]) -> None:
    """Raise Problem where a judge gave no verdict at all, with the beginning of what it said instead."""
    if judgements and all(one.verdict is None for one in judgements):
        odd = next((text for one in judgements for text in one.odd), "")
        raise Problem("evaluate.judge_nonsense", rows=len(judgements), text=" ".join(odd.split()))
