"""What a report must know of a score: its unit, its best value, which way it counts, and which one is told first."""

from collections.abc import Iterable
from dataclasses import dataclass

from studio.core import formatting
from studio.core.i18n import Reason, Words
from studio.evaluate.scores.metric import METRICS, OWN

# The first of these that an evaluation has is its headline: what says the most of whether an answer is right.
HEADLINES = ("choice", "label", "tool_call", "json", "number", "judge", "chrf", "bleu", "lf_rougel", "f1", "exact")
BEST = {"%": 100.0, "share": 1.0}


@dataclass(frozen=True)
class MetricFacts:
    """A score. unit: "%" (0 to 100), "share" (0 to 1), "ratio", "nats", or "" for an own one. best: the highest that it
    can be, None where there is no such. higher_is_better: None where neither is.
    """

    key: str
    unit: str
    best: float | None
    higher_is_better: bool | None


def facts(key: str) -> MetricFacts:
    """Return what is known of a score; of one that is not the studio's, that higher is better."""
    metric = METRICS.get(key)
    if metric is None:
        return MetricFacts(key, "", None, True)
    return MetricFacts(key, metric.unit, BEST.get(metric.unit), metric.higher_is_better)


def is_higher_better(key: str) -> bool:
    """Tell whether a higher score is taken for the better one."""
    return facts(key).higher_is_better is not False


def headline(metrics: Iterable[str]) -> str | None:
    """Return the score of an evaluation that is told first, None where it has none."""
    found = list(metrics)
    own = [one for one in found if one.startswith(OWN)]
    known = [one for one in HEADLINES if one in found]
    return next(iter([*known[:1], *own, *found]), None)


def best_of(metrics: Iterable[str]) -> MetricFacts | None:
    """Return the headline among the scores that have a best value, None where none has."""
    key = headline(one for one in metrics if facts(one).best is not None and facts(one).higher_is_better)
    return None if key is None else facts(key)


def name(key: str) -> Reason | str:
    """Return what a score is called, told in the language of the page; an own one by the name of its file."""
    return Reason(f"results.metric_{key}") if Words("en").has(f"results.metric_{key}") else key.removeprefix(OWN)


def told(key: str, words: Words) -> str:
    """Return what a score is called in a language."""
    named = name(key)
    return words(named.key) if isinstance(named, Reason) else named


def shown(value: object, key: str, signed: bool = False) -> str:
    """Return a score, or a difference of two, as it is written: a share in percent, an en dash for none."""
    number = formatting.finite(value)
    if number is None:
        return formatting.NONE
    unit = facts(key).unit
    sign = "+" if signed else ""
    if unit == "share":
        return f"{100 * number:{sign}.1f} %"
    if unit == "%":
        return f"{number:{sign}.2f}"
    return f"{number:{sign}.3f}" if abs(number) < 1000 else f"{number:{sign},.0f}"


def about(key: str) -> str:
    """Return the key of the sentence that says what a score is, "" for one that is not the studio's."""
    sentence = f"results.about_{key}"
    return sentence if Words("en").has(sentence) else ""
