"""What an evaluation came to: every score of every model with its interval, how it differs from the first's, and the
sentence that says it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy

from studio.core.sentences import Sentence
from studio.evaluate.reports import metric_facts
from studio.evaluate.reports.columns.corpus import CORPUS
from studio.evaluate.reports.row_table import RowTable
from studio.evaluate.reports.verdicts.judged_totals import judged_totals
from studio.evaluate.scores import intervals
from studio.evaluate.scores.classification import Confusion
from studio.evaluate.scores.intervals import Comparison, Interval
from studio.evaluate.scores.pairwise_judge import JudgedTotal

MOST_GROUPS = 120  # datasets, subjects or categories that are told one by one
SIGNIFICANT = 0.05
JUDGE = "judge"
NAMED = 3  # subjects that a sentence names


@dataclass(frozen=True)
class Difference:
    """A model's score minus the first model's, over the rows that both have.

    p: corrected, where several scores or models are compared (Holm). too_few: whether the rows that differ are too few
    to find anything. is_better: None where it may be chance, or neither way is better.
    """

    value: float
    low: float | None
    high: float | None
    p: float
    count: int
    too_few: bool
    is_better: bool | None

    @property
    def is_noise(self) -> bool:
        """Tell whether it may well be chance."""
        return self.p >= SIGNIFICANT


@dataclass(frozen=True)
class Group:
    """The headline score of the rows of one dataset, subject or category, and the differences to the first target."""

    name: str
    rows: int
    scores: dict[str, Interval]
    differences: dict[str, Difference]


@dataclass(frozen=True)
class Counts:
    """How many answers of a target there are, and of what kind. cut: rows whose prompt or reference the cutoff has
    shortened; at_limit: answers that ended with the most tokens allowed; trained: rows that it was trained on.
    """

    answered: int = 0
    failed: int = 0
    cut: int = 0
    at_limit: int = 0
    trained: int = 0
    seconds: float = 0.0
    tokens: int = 0


@dataclass(frozen=True)
class Summary:
    """An evaluation in sum. `scores` and `differences` are by target, then by metric; the first has no difference.

    headline: the score told first, None while there is none. sentences: what it says, to be told. confusions: by
    target, of a classification. judged: by target, its answers against those of the first.
    """

    targets: tuple[str, ...]
    metrics: tuple[str, ...]
    headline: str | None
    sentences: tuple[Sentence, ...]
    scores: dict[str, dict[str, Interval]]
    differences: dict[str, dict[str, Difference]]
    counts: dict[str, Counts]
    rows: int
    trained: int
    unusable: int
    datasets: tuple[Group, ...] = ()
    subjects: tuple[Group, ...] = ()
    categories: tuple[Group, ...] = ()
    confusions: Mapping[str, Confusion] = field(default_factory=dict)
    judged: Mapping[str, JudgedTotal] = field(default_factory=dict)


def summary(table: RowTable, seed: int = 42, wanted: Iterable[str] = ()) -> Summary:
    """Return what the rows of a table come to.

    Args:
        seed: of intervals and tests, so that the same rows always give the same.
        wanted: metrics that the person asked for, the first of which that there is becomes the headline.
    """
    table.grow_scores()
    facts, size, columns = table.grow_facts(), table.size, table.statistics()
    there = facts.of("dataset", size) >= 0
    metrics = tuple(columns)
    headline = next((one for one in wanted if one in metrics), None) or _headline(columns)
    scores = {target: _intervals(columns, code, seed) for code, target in enumerate(table.targets)}
    judged = judged_totals(table.evaluation, table.targets, seed)
    differences = _differences(table.targets, columns, seed, judged)
    groups = {}
    for fact in ("dataset", "subject", "category"):
        groups[fact] = _groups(table, fact, columns[headline], headline, seed) if headline else ()
    made = Summary(
        targets=tuple(table.targets),
        metrics=metrics,
        headline=headline,
        sentences=(),
        scores=scores,
        differences=differences,
        counts=_counts(table),
        rows=int(there.sum()),
        trained=int(facts.trained(size).any(axis=1).sum()),
        unusable=facts.unusable + table.predictions.unusable + table.scores.unusable,
        datasets=groups["dataset"] if len(groups["dataset"]) > 1 else (),
        subjects=groups["subject"],
        categories=groups["category"],
        confusions=_confusions(table, metrics),
        judged=judged,
    )
    return Summary(**{**vars(made), "sentences": tuple(sentences(made))})


def _confusions(table: RowTable, metrics: tuple[str, ...]) -> dict[str, Confusion]:
    table.labels.count(metrics)
    found = {target: table.labels.confusion(target) for target in table.targets}
    return {target: one for target, one in found.items() if one is not None}


def histogram(table: RowTable, metric: str, bins: int = 20) -> tuple[list[float], dict[str, list[int]]]:
    """Return the edges of the bins of a score, and how many rows of each target lie in each."""
    table.grow_scores()
    column = table.column(metric)
    known = column[numpy.isfinite(column)]
    best = metric_facts.facts(metric).best
    low, high = (0.0, best) if best else (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    edges = numpy.linspace(low, high if high > low else low + 1, bins + 1)
    counts = {
        target: numpy.histogram(numpy.clip(values[numpy.isfinite(values)], edges[0], edges[-1]), edges)[0].tolist()
        for target, values in zip(table.targets, column.T, strict=True)
    }
    return edges.tolist(), counts


def scatter(table: RowTable, metric: str, target: str, most: int = 1500) -> list[tuple[float, float, int]]:
    """Return (score of the first target, score of `target`, row) of the rows that both have; of many some, drawn."""
    table.grow_scores()
    column = table.column(metric)
    both = column[:, [0, table.targets.index(target)]]
    rows = numpy.flatnonzero(numpy.isfinite(both).all(axis=1))
    if len(rows) > most:
        rows = numpy.sort(numpy.random.default_rng(0).choice(rows, most, replace=False))
    return [(float(both[row, 0]), float(both[row, 1]), int(row)) for row in rows]


def _headline(columns: dict[str, numpy.ndarray]) -> str | None:
    """Return the score that is told first: one that most of the scored rows have."""
    found = {metric: int(_has_score(column).sum()) for metric, column in columns.items()}
    most = max(found.values(), default=0)
    return metric_facts.headline(one for one, count in found.items() if 2 * count >= most)


def _intervals(columns: dict[str, numpy.ndarray], code: int, seed: int) -> dict[str, Interval]:
    found = {metric: interval(column[:, code], metric, seed) for metric, column in columns.items()}
    return {metric: one for metric, one in found.items() if one is not None}


def interval(rows: numpy.ndarray, metric: str, seed: int) -> Interval | None:
    """Return the score of rows, [row, number] of `RowTable.statistics`, and its interval; None where no row has one."""
    known = rows[_has_score(rows)]
    if not len(known):
        return None
    if metric in CORPUS:
        return intervals.corpus_interval(known, CORPUS[metric].score, seed)
    return intervals.interval(known[:, 0], metric_facts.facts(metric).best, seed)


def compared(first: numpy.ndarray, second: numpy.ndarray, metric: str, seed: int) -> Comparison | None:
    """Return how the score of a second model's rows differs from that of the first's, each [row, number] of
    `RowTable.statistics`; None where no row has both.
    """
    both = _has_score(first) & _has_score(second)
    if not both.any():
        return None
    if metric in CORPUS:
        return intervals.corpus_paired(first[both], second[both], CORPUS[metric].score, seed)
    return intervals.paired(first[both, 0], second[both, 0], seed)


def _has_score(rows: numpy.ndarray) -> numpy.ndarray:
    return numpy.isfinite(rows[..., 0])


def _differences(
    targets: list[str], columns: dict[str, numpy.ndarray], seed: int, judged: Mapping[str, JudgedTotal]
) -> dict[str, dict[str, Difference]]:
    found: dict[str, dict[str, Difference]] = {target: {} for target in targets}
    for metric, column in columns.items():
        made = {
            target: compared(column[:, 0], column[:, code], metric, seed) for code, target in enumerate(targets) if code
        }
        if metric == JUDGE:  # which has no score of the first, but what the second does not get
            scored = {one for code, one in enumerate(targets) if _has_score(column[:, code]).any()}
            made = {target: one.comparison for target, one in judged.items() if target in scored}
        for target, one in _corrected(made, metric).items():
            found[target][metric] = one
    return found


def _corrected(made: dict[str, Comparison | None], metric: str) -> dict[str, Difference]:
    """Return comparisons that are looked at together as differences."""
    known = {name: one for name, one in made.items() if one is not None}
    corrected = intervals.holm([one.p for one in known.values()])
    return {name: difference(one, p, metric) for (name, one), p in zip(known.items(), corrected, strict=True)}


def difference(one: Comparison, p: float, metric: str) -> Difference:
    """Return a comparison, and its p as it is to be told, as the difference of a score."""
    way = metric_facts.facts(metric).higher_is_better
    is_noise = p >= SIGNIFICANT or way is None or not one.difference
    is_better = None if is_noise else (one.difference > 0) == way
    return Difference(one.difference, one.low, one.high, p, one.count, one.too_few, is_better)


def _groups(table: RowTable, fact: str, column: numpy.ndarray, metric: str, seed: int) -> tuple[Group, ...]:
    """Return a score by dataset, subject or category; () where the rows have none."""
    facts = table.facts
    names = {number: name for name, number in facts.names[fact].items() if name}
    numbers = facts.of(fact, table.size)
    parts = [(names[number], numbers == number) for number in sorted(names, key=names.get)][:MOST_GROUPS]
    made = {
        (name, target): compared(column[chosen, 0], column[chosen, code], metric, seed)
        for name, chosen in parts
        for code, target in enumerate(table.targets)
        if code
    }
    differences = _corrected(made, metric)
    found = []
    for name, chosen in parts:
        scores = {target: interval(column[chosen, code], metric, seed) for code, target in enumerate(table.targets)}
        found.append(
            Group(
                name,
                int(chosen.sum()),
                {target: one for target, one in scores.items() if one is not None},
                {target: differences[name, target] for target in table.targets if (name, target) in differences},
            )
        )
    return tuple(found)


def _counts(table: RowTable) -> dict[str, Counts]:
    """Return what is counted of the answers of each target."""
    answers, trained = table.answers, table.facts.trained(table.size)
    answers.grow()
    return {
        target: Counts(
            answered=int(answers.answered(code).sum()),
            failed=int(answers.failed(code).sum()),
            cut=int(answers.cut(code).sum()),
            at_limit=int(answers.at_limit(code).sum()),
            trained=int(trained[:, code].sum()),
            seconds=float(answers.seconds(code)),
            tokens=int(answers.tokens(code)),
        )
        for code, target in enumerate(table.targets)
    }


def sentences(made: Summary) -> list[Sentence]:
    """Return what an evaluation says, in one sentence or two, to be told in the language of the page."""
    metric, first = made.headline, made.targets[0] if made.targets else ""
    own = made.scores.get(first, {}).get(metric)
    others = {target: of[metric] for target, of in made.differences.items() if metric in of}
    if own is None and not others:
        return []
    if not others:
        facts = {"target": first, "metric": metric_facts.name(metric), "count": own.count}
        facts |= {key: metric_facts.shown(getattr(own, key), metric) for key in ("value", "low", "high")}
        return [Sentence(key="results.headline_one", facts=facts)]
    way = -1 if metric_facts.facts(metric).higher_is_better is False else 1
    target = max(others, key=lambda one: way * others[one].value)
    difference, value = others[target], made.scores[target][metric].value
    facts = {
        "target": target,
        "first": first,
        "metric": metric_facts.name(metric),
        "value": metric_facts.shown(value, metric),
        "first_value": metric_facts.shown(value - difference.value if own is None else own.value, metric),
        "difference": metric_facts.shown(difference.value, metric, signed=True),
        "low": metric_facts.shown(difference.low, metric, signed=True),
        "high": metric_facts.shown(difference.high, metric, signed=True),
        "p": shown_p(difference.p),
        "count": difference.count,
    }
    return [Sentence(key=f"results.headline_{verdict(difference)}", facts=facts), *_won_and_lost(made, target)]


def verdict(difference: Difference) -> str:
    """Return what a difference says: "better", "worse", "noise", or "too_few" rows to say anything."""
    if difference.is_better is not None:
        return "better" if difference.is_better else "worse"
    return "too_few" if difference.too_few else "noise"


def _won_and_lost(made: Summary, target: str) -> list[Sentence]:
    """Return in which subjects of a benchmark a model has won, and what it has lost, beyond noise."""
    if len(made.subjects) < 2:
        return []
    known = [(one.name, one.differences[target]) for one in made.subjects if target in one.differences]
    won = sorted((one for one in known if one[1].is_better is True), key=lambda one: -abs(one[1].value))
    lost = sorted((one for one in known if one[1].is_better is False), key=lambda one: -abs(one[1].value))
    facts = {"won": len(won), "lost": len(lost), "subjects": len(known)}
    facts |= {"best": _named(won, made.headline), "worst": _named(lost, made.headline)}
    word = "both" if won and lost else "won" if won else "lost" if lost else "none"
    return [Sentence(key=f"results.subjects_{word}", facts=facts)]


def _named(found: list[tuple[str, Difference]], metric: str) -> str:
    return ", ".join(f"{name} {metric_facts.shown(one.value, metric, signed=True)}" for name, one in found[:NAMED])


def shown_p(p: float) -> str:
    """Return a p as papers write it."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"
