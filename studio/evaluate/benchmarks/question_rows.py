"""The rows of a benchmark's evaluation: its questions, and the examples that stand before them.

They are written before the first question is asked, so that the evaluation stays what it was when the files change. The
examples are kept once, in `shots.json`; which of them stand before a question follows from the seed.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from studio.core import reasons
from studio.core.i18n import Problem, Reason
from studio.core.storage import files, records
from studio.core.storage.atomic import move, scratch
from studio.core.storage.records import Record, Text
from studio.core.workspace import write_json
from studio.evaluate.benchmarks import harness_tasks
from studio.evaluate.benchmarks.prompts import ExampleDraw, harness_messages, messages, question_text
from studio.evaluate.benchmarks.sets.layouts import Benchmark
from studio.evaluate.benchmarks.sets.question_files import Question
from studio.evaluate.evaluation import EvaluatedRow, Evaluation
from studio.evaluate.settings import BenchmarkSettings
from studio.inference.messages import Message

SHOTS = "shots.json"


class Example(Record):
    """An example that stands before questions."""

    text: Text
    choices: list[Text]
    answer: Text


class Examples(Record):
    """What is kept of a benchmark beside its questions: in which language they are asked, what its subjects are called
    in the prompt, and the examples of each; those of "" are for the subjects that have none.
    """

    language: Literal["en", "zh"]
    names: dict[str, Text]
    examples: dict[str, list[Example]]

    def of(self, subject: str) -> list[Question]:
        """Return the examples of a subject."""
        pool = self.examples.get(subject) or self.examples.get("", [])
        return [Question(place, one.text, tuple(one.choices), one.answer) for place, one in enumerate(pool)]


class OtherRows(Protocol):
    """What has rows of its own, and asks them itself (see `harness.HarnessPart`)."""

    name: str

    def rows(self, first: int) -> Iterator[EvaluatedRow]:
        """Yield the rows, numbered from `first`."""


def write(evaluation: Evaluation, benchmarks: Sequence[Benchmark], others: Sequence[OtherRows] = ()) -> None:
    """Write the rows of an evaluation, and its examples, whole. Those that are there stay.

    Raises:
        Problem: a question of one of the benchmarks is none, no question is left, or the disk refuses.
    """
    if files.is_file(evaluation.file(EvaluatedRow)):
        return
    settings = evaluation.request().settings
    kept: dict[str, dict] = {}
    try:
        with scratch(evaluation.folder) as folder:
            whole = folder / "rows.jsonl"
            with whole.open("w", encoding="utf-8", errors="replace") as file:
                number = 0
                for benchmark in benchmarks:
                    subjects: set[str] = set()
                    for row in _rows(benchmark, settings, number):
                        file.write(json.dumps(row.model_dump(), ensure_ascii=False) + "\n")
                        subjects.add(row.subject)
                        number = row.row + 1
                    kept[benchmark.name] = _kept(benchmark, settings, subjects)
                for other in others:
                    for row in other.rows(number):
                        file.write(json.dumps(row.model_dump(), ensure_ascii=False) + "\n")
                        number = row.row + 1
            if not number:
                names = ", ".join(one.name for one in (*benchmarks, *others))
                raise Problem("benchmarks.no_questions", names=names)
            write_json(evaluation.folder / SHOTS, kept)
            move(whole, evaluation.file(EvaluatedRow))
    except OSError as error:
        raise Problem("workspace.unwritable", path=evaluation.folder, reason=reasons.of(error)) from error


def _rows(benchmark: Benchmark, settings: BenchmarkSettings, first: int) -> Iterator[EvaluatedRow]:
    language = settings.language or benchmark.language
    for row, question in enumerate(_chosen(benchmark, settings), start=first):
        yield EvaluatedRow(
            row=row,
            dataset=benchmark.name,
            source=question.number,
            messages=[{"role": "user", "content": question_text(question.text, question.choices, language)}],
            reference=question.answer,
            task=benchmark.name,
            subject=question.subject,
            category=benchmark.subject(question.subject).category,
            choices=list(question.choices),
            answer=question.answer,
        )


def _chosen(benchmark: Benchmark, settings: BenchmarkSettings) -> Iterator[Question]:
    """Yield the questions that are evaluated: of each subject the first, or those that are drawn with the seed."""
    drawn: dict[str, set[int]] | None = None
    if settings.rows and settings.choose == "drawn":
        numbers: dict[str, list[int]] = {}
        for question in benchmark.questions():
            numbers.setdefault(question.subject, []).append(question.number)
        chance = np.random.default_rng(settings.seed)
        drawn = {
            subject: set(chance.permutation(found)[: settings.rows].tolist()) for subject, found in numbers.items()
        }
    counts: Counter[str] = Counter()
    for question in benchmark.questions():
        counts[question.subject] += 1
        within = question.number in drawn[question.subject] if drawn is not None else True
        if within and (drawn is not None or not settings.rows or counts[question.subject] <= settings.rows):
            yield question


def _kept(benchmark: Benchmark, settings: BenchmarkSettings, subjects: set[str]) -> dict:
    shots = benchmark.shots() if settings.shots else {}
    return {
        "language": settings.language or benchmark.language,
        "names": {key: benchmark.subject(key).name for key in sorted(subjects)},
        "examples": {
            subject: [{"text": one.text, "choices": one.choices, "answer": one.answer} for one in found]
            for subject, found in shots.items()
            if not subject or subject in subjects
        },
    }


@dataclass(frozen=True)
class Asked:
    """A row and the conversation in which its question is asked."""

    row: EvaluatedRow
    messages: list[Message]
    shots: int


def examples_of(evaluation: Evaluation) -> dict[str, Examples]:
    """Return what is kept of each benchmark of an evaluation, by its name. Raises Problem."""
    kept = records.read(evaluation.folder / SHOTS)
    if not isinstance(kept, dict):
        raise Problem("records.wrong_field", file=SHOTS, field="-", reason=Reason("reasons.field_object"))
    return {name: records.typed(value, Examples, SHOTS) for name, value in kept.items()}


def conversations(evaluation: Evaluation) -> Iterator[Asked]:
    """Yield every row of a set with the conversation in which it is asked, in their order; those of lm-eval's tasks are
    asked by themselves. Raises Problem.
    """
    settings = evaluation.request().settings
    by_task = examples_of(evaluation)
    draws = {name: ExampleDraw(settings.seed) for name in by_task}
    pools: dict[tuple[str, str], list[Question]] = {}
    for row in evaluation.read(EvaluatedRow):
        if harness_tasks.is_task(row.task):
            continue
        if row.task not in by_task:
            raise Problem("records.wrong_field", file=SHOTS, field=row.task, reason=Reason("reasons.field_missing"))
        task, key = by_task[row.task], (row.task, row.subject)
        pool = pools[key] if key in pools else pools.setdefault(key, task.of(row.subject))
        question, name = row.messages[0]["content"], task.names.get(row.subject, row.subject)
        if settings.method == "harness":
            examples = pool[: settings.shots]
            asked = harness_messages(question, examples, name, task.language)
        else:
            examples = draws[row.task].examples(pool, settings.shots)
            asked = messages(question, examples, name, task.language)
        yield Asked(row, asked, len(examples))
