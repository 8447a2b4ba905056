"""Answers scored as they come, beside the models that go on answering."""

import queue
import threading
from collections import Counter
from contextlib import ExitStack

from studio.core.i18n import Problem
from studio.core.workspace import Workspace
from studio.evaluate.evaluation import EvaluatedRow, Evaluation, Prediction, RowScores, RowSums, latest
from studio.evaluate.scores import matching, own_metric
from studio.evaluate.scores.classification import labels_in
from studio.evaluate.scores.metric import METRICS, OWN, AnsweredRow, ScoreSettings, metric_of, row_statistics, score_row
from studio.evaluate.scores.own_metric import OwnMetric
from studio.evaluate.scores.structured import calls_in, valid_json
from studio.evaluate.settings import PredictSettings
from studio.inference.reasoning import answer_in

LLAMAFACTORYS = ("lf_bleu4", "lf_rouge1", "lf_rouge2", "lf_rougel")
ALWAYS = (*LLAMAFACTORYS, "bleu", "chrf", "exact", "f1", "length_ratio", "repetition")
FAULTS_NOTED = 20  # of one metric
FEW_LABELS, LABEL_LENGTH = 20, 40


def check_metrics(workspace: Workspace, settings: PredictSettings) -> None:
    """Raise Problem for a key that is no score, an own metric that is not there or was not allowed, and a regular
    expression that is none.
    """
    for key in settings.metrics:
        metric_of(key)
        if key.startswith(OWN):
            own_metric.source_of(own_metric.path_of(workspace, key.removeprefix(OWN)))
        if key == "regex":
            matching.check_pattern(settings.pattern)


def fitting_metrics(rows: list[EvaluatedRow]) -> list[str]:
    """Return the scores that fit the data, where nobody chose: those of texts, and what the references are besides."""
    references = [answer for row in rows if (answer := answer_in(row.reference or ""))]
    if not references:
        return ["repetition"]
    kinds = Counter(" ".join(reference.split()) for reference in references)
    fitting = list(ALWAYS)
    short = max(map(len, kinds)) <= LABEL_LENGTH
    if short and len(kinds) <= FEW_LABELS and len(references) >= 3 * len(kinds):
        fitting.append("label")
    if all(valid_json(reference, "") and reference.lstrip()[:1] in "[{" for reference in references):
        fitting.append("json")
    if any(row.tools for row in rows) or any(calls_in(reference) for reference in references[:1000]):
        fitting += ["tool_call", "tool_name"]
    if all(reference.strip()[-1:].isdigit() for reference in references):
        fitting.append("number")
    return fitting


class RowScoring:
    """Scores the answers of an evaluation in a thread of its own, and writes the scores down.

    ```
    with RowScoring(evaluation, rows, settings, workspace) as scoring:
        scoring.take(predictions)           # as they come
    ```

    What was answered before and not scored is scored first. A fault of a metric is noted, and costs that score alone.
    """

    def __init__(
        self, evaluation: Evaluation, rows: list[EvaluatedRow], settings: PredictSettings, workspace: Workspace
    ):
        """Raises Problem for a metric that cannot be used (see `check_metrics`), and for a classification that has no
        labels.
        """
        check_metrics(workspace, settings)
        self._evaluation, self._rows = evaluation, {row.row: row for row in rows}
        self.metrics = list(dict.fromkeys(settings.metrics)) or fitting_metrics(rows)
        labels = tuple(settings.labels)
        if "label" in self.metrics and not labels:
            labels = labels_in(row.reference for row in rows if row.reference)
        self._settings = ScoreSettings(labels=labels, pattern=settings.pattern)
        self._own = {
            key: OwnMetric(own_metric.path_of(workspace, key.removeprefix(OWN)))
            for key in self.metrics
            if key.startswith(OWN)
        }
        self._waiting: queue.SimpleQueue[list[Prediction] | None] = queue.SimpleQueue()
        self._noted: Counter[str] = Counter()
        self._fault: Problem | None = None
        self._thread = threading.Thread(target=self._work, name="evaluate-scores", daemon=True)

    def __enter__(self) -> "RowScoring":
        scored = {(one.row, one.target) for one in self._evaluation.read(RowScores)}
        answered = latest(self._evaluation.read(Prediction))
        self.take([one for place, one in answered.items() if place not in scored])
        self._thread.start()
        return self

    def __exit__(self, kind, *_) -> None:
        self._waiting.put(None)
        self._thread.join()
        if self._fault and kind is None:
            raise self._fault

    def take(self, answers: list[Prediction]) -> None:
        """Score these answers; those that failed have no score. Returns at once."""
        if good := [one for one in answers if one.finished != "failed" and one.row in self._rows]:
            self._waiting.put(good)

    def _work(self) -> None:
        with ExitStack() as stack:
            for own in self._own.values():
                stack.enter_context(own)
            while (answers := self._waiting.get()) is not None:
                try:
                    scored = [self._scored(one) for one in answers]
                    # Before the scores: whoever finds an answer scored finds its sums too.
                    self._evaluation.add_all([sums for _, sums in scored if sums.sums])
                    self._evaluation.add_all([scores for scores, _ in scored])
                except Problem as problem:  # the disk refuses; what is not scored now is scored when it goes on
                    self._fault = problem

    def _scored(self, answer: Prediction) -> tuple[RowScores, RowSums]:
        row = self._rows[answer.row]
        reference = answer.label if answer.label is not None else row.reference or ""
        answered = AnsweredRow(answer.text, reference, row.tools, tokens=answer.tokens or None)

        def noted(key: str, fault: Problem) -> None:
            self._noted[key] += 1
            if self._noted[key] <= FAULTS_NOTED:
                facts = fault.facts | {"metric": key, "target": answer.target, "row": row.row + 1}
                self._evaluation.note("score", fault.key, **facts)

        scores = score_row([key for key in self.metrics if key in METRICS], answered, self._settings, noted)
        for key, own in self._own.items():
            try:
                whole = row.model_dump() | {"text": answer.text}
                scores[key] = own.score(row.row + 1, answer_in(answer.text), answer_in(row.reference or ""), whole)
            except Problem as fault:
                noted(key, fault)
                scores[key] = None
        of_row = {"row": answer.row, "target": answer.target}
        sums = row_statistics([key for key, value in scores.items() if value is not None], answered, self._settings)
        return RowScores(**of_row, scores=scores), RowSums(**of_row, sums=sums)
