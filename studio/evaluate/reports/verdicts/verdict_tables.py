"""The confusion of labels and the verdicts of a judge as values and as sentences, for files, endpoints and pages."""

from collections.abc import Callable

from studio.core.sentences import Sentence
from studio.evaluate.reports import metric_facts
from studio.evaluate.reports.summary import Summary
from studio.evaluate.scores.classification import Confusion
from studio.evaluate.scores.pairwise_judge import JudgedTotal

RATES = ("precision", "recall", "f1")


def confusion_values(one: Confusion) -> dict:
    """Return a confusion as JSON: labels, counts, accuracy, and the rates of all and of each label, 0 to 1."""
    return {
        "labels": list(one.labels),
        "counts": [list(line) for line in one.counts],
        "accuracy": one.accuracy,
        "none": one.none,
        "macro": vars(one.macro),
        "micro": vars(one.micro),
        "of_label": [vars(rates) for rates in one.of_label],
    }


def judged_values(one: JudgedTotal) -> dict:
    """Return the verdicts of a judge as JSON. `rate` is the share that the target gets, a tie counting half."""
    found = {name: getattr(one, name) for name in ("first", "second", "ties", "disagreements", "unread", "failed")}
    return found | {"rate": vars(one.rate) if one.rate else None, "p": one.comparison.p if one.comparison else None}


def confusion_sentence(label: str, one: Confusion) -> Sentence:
    """Return how often a target, called `label`, names the right one, to be told."""
    facts = {"target": label, "rows": f"{one.rows:,}", "none": f"{one.none:,}"}
    facts |= {name: percent(value) for name, value in (("accuracy", one.accuracy), ("macro", one.macro.f1))}
    return Sentence(key="results.labels_right", facts=facts | {"micro": percent(one.micro.f1)})


def judged_sentence(made: Summary, target: str, label: Callable[[str], str]) -> Sentence:
    """Return what the judge said of a target against the first, to be told; `label` says what a target is called."""
    one = made.judged[target]
    counts = {name: getattr(one, name) for name in ("second", "first", "ties", "disagreements", "unread")}
    facts = {"target": label(target), "other": label(made.targets[0])}
    return Sentence(key="evaluating.judged", facts=facts | counts)


def label_lines(one: Confusion) -> list[tuple[str, list[int], list[str]]]:
    """Return a line for each label of the references: the label, how often each was answered for it, its rates."""
    return [
        (label, list(counts), [percent(getattr(rates, name)) for name in RATES])
        for label, counts, rates in zip(one.labels, one.counts, one.of_label, strict=True)
    ]


def percent(value: float) -> str:
    """Return a share as scores are written."""
    return metric_facts.shown(value, "label")
