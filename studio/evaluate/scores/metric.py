"""Every score by its key, and the scores of one answered row.

```
metrics = ["lf_bleu4", "lf_rougel", "exact"]
score_row(metrics, AnsweredRow(text="42", reference="42\\n"))   # {"lf_bleu4": .., "lf_rougel": .., "exact": 1.0}
```
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy

from studio.core import reasons
from studio.core.i18n import Problem
from studio.evaluate.scores import classification, matching, overlap, sacre, shape, structured
from studio.inference.messages import ToolCall

# 0 to 100; 0 to 1; 1 is as long as the reference; of a token, as e^x is the perplexity; whatever an own metric returns
Unit = Literal["%", "share", "ratio", "nats", "value"]


@dataclass(frozen=True)
class AnsweredRow:
    """What the scores of a row are made from.

    reference: as the label of the row is decoded, with the line's end that a template puts behind it. tools: the row's
    definitions as JSON, "" where it has none. calls, reference_calls: what the template's own parser read in answer and
    reference, None where nobody did. tokens, reference_tokens: how many there are, None where nobody counted.
    """

    text: str
    reference: str = ""
    tools: str = ""
    calls: tuple[ToolCall, ...] | None = None
    reference_calls: tuple[ToolCall, ...] | None = None
    tokens: int | None = None
    reference_tokens: int | None = None


@dataclass(frozen=True)
class ScoreSettings:
    """What some scores are told: the labels of a classification, the regular expression, the language of the texts.

    language: "zh" or "en" for the words of sacreBLEU; "" takes each row's from its reference.
    """

    labels: tuple[str, ...] = ()
    pattern: str = ""
    language: Literal["", "en", "zh"] = ""


Scores = dict[str, float | None]
Statistics = dict[str, list[int]]
RowFunction = Callable[[AnsweredRow, ScoreSettings], Scores]


@dataclass(frozen=True)
class CorpusScore:
    """How the score of many rows is made where it is not the mean of theirs.

    numbers: how many statistics a row has. statistics: those of one row, which are summed. score: makes the score of
    sums along the last axis.
    """

    numbers: int
    statistics: Callable[[AnsweredRow, ScoreSettings], Sequence[int]]
    score: Callable[[numpy.ndarray], numpy.ndarray]


@dataclass(frozen=True)
class Metric:
    """A score by its key.

    higher_is_better: None where neither is, as of a length. needs_reference: whether a row without a reference has no
    such score. function: gives it for one row, perhaps with others that cost the same work; None where it is not made
    from the texts of one row (`loss`, `judge`, `choice`, an own metric). corpus: None where the score of all rows is
    the mean of theirs.
    """

    key: str
    unit: Unit
    higher_is_better: bool | None = True
    needs_reference: bool = True
    function: RowFunction | None = None
    corpus: CorpusScore | None = None

    @property
    def most(self) -> float | None:
        """Return the largest value there is where 0 is the smallest; None where there is none."""
        return {"%": 100.0, "share": 1.0}.get(self.unit)


def score_row(
    keys: Iterable[str],
    answer: AnsweredRow,
    settings: ScoreSettings | None = None,
    on_fault: Callable[[str, Problem], None] | None = None,
) -> Scores:
    """Return the scores of one row by their keys; those that are not made from a row's texts are left out.

    A score is None where it says nothing of the row: there is no reference; the reference has no number, label or call
    to be found again; there is nothing to count.

    Args:
        on_fault: told the key and the fault of a score that failed at this row, which is then None.

    Raises:
        Problem: a score failed at this row, and there is no `on_fault`; or a key is none of `METRICS`.
    """
    settings, scores, made = settings or ScoreSettings(), {}, {}
    for key in keys:
        metric = metric_of(key)
        if metric.function is None:
            continue
        if metric.needs_reference and not answer.reference.strip():
            scores[key] = None
            continue
        try:
            if metric.function not in made:
                made[metric.function] = metric.function(answer, settings)
            scores[key] = made[metric.function][key]
        except Exception as error:  # whatever a library makes of a model's text costs this score, and no other
            problem = (
                error
                if isinstance(error, Problem)
                else Problem("evaluate.score_failed", metric=key, reason=reasons.of(error))
            )
            if on_fault is None:
                raise problem from error
            on_fault(key, problem)
            scores[key] = None
    return scores


def row_statistics(keys: Iterable[str], answer: AnsweredRow, settings: ScoreSettings | None = None) -> Statistics:
    """Return the statistics of one row by the keys of those scores that are made of sums of them (`Metric.corpus`).

    They are whole numbers, and are kept with the row: the score of all rows is made of them. Raises Problem for a key
    that is no score.
    """
    settings = settings or ScoreSettings()
    metrics = {key: metric_of(key) for key in keys}
    return {
        key: list(metric.corpus.statistics(answer, settings))
        for key, metric in metrics.items()
        if metric.corpus and (answer.reference.strip() or not metric.needs_reference)
    }


def metric_of(key: str) -> Metric:
    """Return the metric of a key, also of an own one. Raises Problem for a key that is no score."""
    if key in METRICS:
        return METRICS[key]
    if key.startswith(OWN) and len(key) > len(OWN):
        return Metric(key, "value", needs_reference=False)
    raise Problem("evaluate.score_unknown", metric=key, known=", ".join(METRICS))


def _bleu4(answer: AnsweredRow, _: ScoreSettings) -> Scores:
    return {"lf_bleu4": overlap.bleu4(answer.text, answer.reference)}


def _rouge(answer: AnsweredRow, _: ScoreSettings) -> Scores:
    return {f"lf_rouge{name}": score for name, score in overlap.rouge(answer.text, answer.reference).items()}


def _language(answer: AnsweredRow, settings: ScoreSettings) -> sacre.Language:
    return settings.language or sacre.language_of([answer.reference])


def _bleu(answer: AnsweredRow, settings: ScoreSettings) -> Scores:
    return {"bleu": sacre.bleu(answer.text, answer.reference, _language(answer, settings))}


def _bleu_statistics(answer: AnsweredRow, settings: ScoreSettings) -> Sequence[int]:
    return sacre.bleu_statistics(answer.text, answer.reference, _language(answer, settings))


def _chrf(answer: AnsweredRow, _: ScoreSettings) -> Scores:
    return {"chrf": sacre.chrf(answer.text, answer.reference)}


def _chrf_statistics(answer: AnsweredRow, _: ScoreSettings) -> Sequence[int]:
    return sacre.chrf_statistics(answer.text, answer.reference)


def _exact(answer: AnsweredRow, _: ScoreSettings) -> Scores:
    return {"exact": matching.exact(answer.text, answer.reference)}


def _f1(answer: AnsweredRow, _: ScoreSettings) -> Scores:
    return {"f1": matching.f1(answer.text, answer.reference)}


def _contains(answer: AnsweredRow, _: ScoreSettings) -> Scores:
    return {"contains": matching.contains(answer.text, answer.reference)}


def _regex(answer: AnsweredRow, settings: ScoreSettings) -> Scores:
    return {"regex": matching.match(answer.text, answer.reference, settings.pattern)}


def _number(answer: AnsweredRow, _: ScoreSettings) -> Scores:
    return {"number": matching.number(answer.text, answer.reference)}


def _label(answer: AnsweredRow, settings: ScoreSettings) -> Scores:
    return {"label": classification.right(answer.text, answer.reference, settings.labels)}


def _json(answer: AnsweredRow, _: ScoreSettings) -> Scores:
    return {"json": structured.valid_json(answer.text, answer.reference)}


def _calls(answer: AnsweredRow, _: ScoreSettings) -> Scores:
    calls = structured.calls_in(answer.text) if answer.calls is None else answer.calls
    expected = structured.calls_in(answer.reference) if answer.reference_calls is None else answer.reference_calls
    if expected is None or (not expected and not answer.tools.strip()):
        return {"tool_call": None, "tool_name": None}
    if calls is None:  # what nothing can read, no program can run
        return {"tool_call": 0.0, "tool_name": 0.0}
    return {"tool_call": structured.right_calls(calls, expected), "tool_name": structured.right_names(calls, expected)}


def _length_ratio(answer: AnsweredRow, _: ScoreSettings) -> Scores:
    ratio = shape.length_ratio(answer.text, answer.reference, answer.tokens, answer.reference_tokens)
    return {"length_ratio": ratio}


def _repetition(answer: AnsweredRow, _: ScoreSettings) -> Scores:
    return {"repetition": shape.repetition(answer.text)}


OWN = "own:"  # before the stem of the file of an own metric
METRICS = {
    metric.key: metric
    for metric in (
        # LLaMA-Factory's four count a row without a reference as 0, as it does; so they need none.
        Metric("lf_bleu4", "%", needs_reference=False, function=_bleu4),
        Metric("lf_rouge1", "%", needs_reference=False, function=_rouge),
        Metric("lf_rouge2", "%", needs_reference=False, function=_rouge),
        Metric("lf_rougel", "%", needs_reference=False, function=_rouge),
        Metric("bleu", "%", function=_bleu, corpus=CorpusScore(sacre.BLEU_NUMBERS, _bleu_statistics, sacre.bleu_of)),
        Metric("chrf", "%", function=_chrf, corpus=CorpusScore(sacre.CHRF_NUMBERS, _chrf_statistics, sacre.chrf_of)),
        Metric("exact", "share", function=_exact),
        Metric("f1", "share", function=_f1),
        Metric("contains", "share", function=_contains),
        Metric("regex", "share", needs_reference=False, function=_regex),
        Metric("number", "share", function=_number),
        Metric("label", "share", function=_label),
        Metric("json", "share", needs_reference=False, function=_json),
        Metric("tool_call", "share", needs_reference=False, function=_calls),
        Metric("tool_name", "share", needs_reference=False, function=_calls),
        Metric("length_ratio", "ratio", higher_is_better=None, function=_length_ratio),
        Metric("repetition", "share", higher_is_better=False, needs_reference=False, function=_repetition),
        Metric("loss", "nats", higher_is_better=False),
        Metric("judge", "share", needs_reference=False),
        Metric("choice", "share"),
    )
}
