"""Tasks of lm-eval asked of models in memory: its requests, filters and metrics, question by question, so that each is
written down as it comes and none is asked twice."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from studio.core import reasons
from studio.core.i18n import Problem
from studio.core.workspace import Workspace
from studio.evaluate.benchmarks import harness_tasks
from studio.evaluate.benchmarks.sets.answer_letters import LETTERS
from studio.evaluate.evaluation import EvaluatedRow
from studio.evaluate.settings import BenchmarkSettings
from studio.inference.local.generation import LoadedTarget
from studio.inference.local.model_faults import as_problem
from studio.inference.reasoning import answer_in


@dataclass(frozen=True)
class Scored:
    """What a model made of one question: its letter where there are choices, else its text, and lm-eval's score."""

    row: EvaluatedRow
    letter: str | None
    text: str
    score: float | None
    fault: Problem | None = None


class HarnessPart:
    """The tasks that one part of an evaluation stands for."""

    def __init__(self, workspace: Workspace, name: str, settings: BenchmarkSettings):
        """Read the questions. Raises Problem (see `harness_tasks.open_tasks`)."""
        self.name, self._settings = name, settings
        self._tasks = harness_tasks.open_tasks(workspace, name, settings.shots)

    def rows(self, first: int) -> Iterator[EvaluatedRow]:
        """Yield the questions that are evaluated, numbered from `first`. Raises Problem where one cannot be made."""
        for subject, task in self._tasks.items():
            for place in self._chosen(len(task.eval_docs)):
                try:
                    row = self._row(first, subject, place, task)
                except Exception as error:  # of a template or a function of the task
                    reason = reasons.of(error)
                    raise Problem("benchmarks.task_row", name=self.name, row=place + 1, reason=reason) from error
                yield row
                first += 1

    def ask(
        self, loaded: LoadedTarget, rows: list[EvaluatedRow], missing: set[int], stop: threading.Event
    ) -> Iterator[list[Scored]]:
        """Ask a model the rows whose numbers are `missing`, and yield what came of each batch.

        Args:
            rows: all rows of this part, for the examples before each are drawn in their order.
            stop: ends the answers under way; nothing more is yielded then.
        """
        from studio.evaluate.benchmarks.harness_model import language_model

        model = language_model(loaded, self._settings.batch, stop)
        for subject, task in self._tasks.items():
            task.set_fewshot_seed(self._settings.seed)
            mine = [row for row in rows if row.subject == subject]
            asked = ((row, made) for row in mine if (made := self._requests(task, row, model)) and row.row in missing)
            while batch := list(islice(asked, self._settings.batch)):
                if stop.is_set():
                    return
                found = self._answered(task, model, batch, loaded.target.name)
                if stop.is_set():
                    return
                yield found

    def _chosen(self, count: int) -> list[int]:
        rows = self._settings.rows
        if not rows or rows >= count:
            return list(range(count))
        if self._settings.choose == "first":
            return list(range(rows))
        return sorted(np.random.default_rng(self._settings.seed).permutation(count)[:rows].tolist())

    def _row(self, number: int, subject: str, place: int, task) -> EvaluatedRow:
        document = task.eval_docs[place]
        choices = _choices(task, document)
        target = task.doc_to_target(document)
        is_place = isinstance(target, int) and 0 <= target < len(choices)
        text = task.doc_to_text(document)
        return EvaluatedRow(
            row=number,
            dataset=self.name,
            source=place,
            messages=[{"role": "user", "content": text if isinstance(text, str) else choices[text]}],
            reference=choices[target] if is_place else str(target),
            task=self.name,
            subject=subject,
            choices=choices if len(choices) <= len(LETTERS) else [],
            answer=LETTERS[target] if is_place and len(choices) <= len(LETTERS) else "",
        )

    def _requests(self, task, row: EvaluatedRow, model) -> list:
        """Return lm-eval's requests for a question. Raises Problem where the question is another than it was."""
        if row.source >= len(task.eval_docs):
            raise Problem("benchmarks.task_changed", name=self.name)
        document = task.eval_docs[row.source]
        template = {"apply_chat_template": True, "chat_template": model.apply_chat_template}
        prefix = task.doc_to_prefix(document)
        shots = task.config.num_fewshot or 0
        context = task.fewshot_context(document, shots, fewshot_as_multiturn=True, gen_prefix=prefix, **template)
        made = task.construct_requests(doc=document, ctx=context, metadata=(row.subject, row.source, 1), **template)
        return made if isinstance(made, list) else [made]

    def _answered(self, task, model, batch: list[tuple[EvaluatedRow, list]], speaker: str) -> list[Scored]:
        try:
            by_kind: dict[str, list] = {}
            texts: dict[int, str] = {}
            for _, made in batch:
                for request in made:
                    by_kind.setdefault(request.request_type, []).append(request)
            for kind, requests in by_kind.items():
                for request, answer in zip(requests, getattr(model, kind)(requests), strict=True):
                    if isinstance(answer, str):
                        texts[id(request)], answer = answer, answer_in(answer)
                    request.resps = [answer]
            task._instances = [request for _, made in batch for request in made]
            task.apply_filters()
            return [self._scored(task, row, made, texts.get(id(made[0]), ""), speaker) for row, made in batch]
        except Exception as error:  # of the model, a filter or a metric
            fault = as_problem(error, "chat.failed", kind=type(error).__name__)
            return [Scored(row, None, "", None, fault) for row, _ in batch]

    def _scored(self, task, row: EvaluatedRow, made: list, text: str, speaker: str) -> Scored:
        answers = [one.resps[0] for one in made]
        if any(isinstance(one, tuple) and np.isnan(one[0]) for one in answers):  # the first would be the likeliest
            return Scored(row, None, "", None, Problem("benchmarks.no_numbers", speaker=speaker))
        key = next(iter(made[0].filtered_resps))
        metrics = task.process_results(task.eval_docs[row.source], [one.filtered_resps[key] for one in made])
        numbers = [float(one) for one in metrics.values() if isinstance(one, int | float | np.number)]
        letter = None
        if row.choices and all(isinstance(one, tuple) for one in answers[: len(row.choices)]):
            letter = LETTERS[int(np.argmax([one[0] for one in answers[: len(row.choices)]]))]
        return Scored(row, letter, text, numbers[0] if numbers else None)


def _choices(task, document) -> list[str]:
    if not task.config.doc_to_choice:
        return []
    return [str(choice) for choice in task.doc_to_choice(document)]
