"""An evaluation of benchmarks from its first question to its last; begun again, it goes on where it stood."""

import json
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from studio.core.i18n import Problem
from studio.core.jobs import Job
from studio.core.plain import plain
from studio.core.workspace import Workspace
from studio.evaluate.benchmarks import accuracy, harness_tasks, letter_choices, question_rows, tasks
from studio.evaluate.benchmarks.harness import HarnessPart, Scored
from studio.evaluate.benchmarks.letter_choices import Choice, Failure, LetterChoices
from studio.evaluate.benchmarks.question_rows import Asked
from studio.evaluate.benchmarks.served_choices import ServedChoices
from studio.evaluate.evaluation import EvaluatedRow, Evaluation, Event, Prediction, RowScores
from studio.evaluate.models_in_use import ModelsInUse, in_memory
from studio.evaluate.settings import BenchmarkSettings, Request
from studio.inference.local.generation import LoadedTarget
from studio.inference.remote.servers import ServedTarget
from studio.inference.target_names import SERVED

AT_A_TIME = 4  # questions to one server: engines that batch gain by it, others let them wait
GIVES_UP_AFTER = 8  # failures in a row: the server is gone, and is asked when the evaluation goes on


@dataclass
class BenchmarkRun:
    """One start of an evaluation: what is asked, and how far it is."""

    evaluation: Evaluation
    settings: BenchmarkSettings
    job: Job
    asked: list[Asked]
    total: int
    done: int
    lock: threading.Lock = field(default_factory=threading.Lock)
    _noted: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._noted |= {_note_key(one.event, one.facts) for one in self.evaluation.read(Event)}

    def note_once(self, event: str, key: str, **facts: object) -> None:
        """Write down that something happened, once in the life of the evaluation. Raises Problem."""
        note = _note_key(event, plain(facts))
        with self.lock:
            if note not in self._noted:
                self._noted.add(note)
                self.evaluation.note(event, key, **facts)

    def add(self, made: Iterable[tuple[Asked, Prediction]]) -> None:
        """Write answers down, with their scores. Raises Problem where the disk refuses."""
        pairs = list(made)
        with self.lock:
            self.evaluation.add_all([prediction for _, prediction in pairs])
            self.evaluation.add_all([accuracy.scored(asked.row, prediction) for asked, prediction in pairs])
            self.done += len(pairs)
            self.report()

    def report(self) -> None:
        """Tell the job how far it is."""
        share = min(1.0, self.done / max(1, self.total))
        self.job.report(share, "benchmarks.asking", done=self.done, total=self.total)

    def missing(self, targets: list[str]) -> dict[frozenset[str], list[Asked]]:
        """Return the questions that are still to be asked, by the targets that they are to be asked of."""
        done = self.evaluation.done(Prediction)
        found: dict[frozenset[str], list[Asked]] = {}
        for asked in self.asked:
            if left := frozenset(name for name in targets if (asked.row.row, name) not in done):
                found.setdefault(left, []).append(asked)
        return found


def run(evaluation: Evaluation, models: ModelsInUse, job: Job) -> None:
    """Ask what is still missing of an evaluation of benchmarks, and write it down.

    Raises:
        Problem: a benchmark or a model cannot be used, or the disk refuses; what was answered stays.
        Stopped: the person stopped the job.
    """
    request = evaluation.request()
    settings = request.benchmark or BenchmarkSettings()
    job.report(None, "benchmarks.reading")
    parts = _harness_parts(request, models.workspace, settings)
    if not evaluation.file(EvaluatedRow).exists():
        sets = [tasks.find(models.workspace, name) for name in request.parts if not harness_tasks.is_task(name)]
        question_rows.write(evaluation, sets, parts)
    accuracy.score_all(evaluation)
    rows = evaluation.read(EvaluatedRow)
    asked = list(question_rows.conversations(evaluation))
    total, done = len(rows) * len(request.targets), len(evaluation.done(Prediction))
    this = BenchmarkRun(evaluation, settings, job, asked, total, done)
    _note_fewer_shots(this)
    this.report()
    for names in in_memory(request.targets):
        job.check()
        if this.missing(names):
            for group in letter_choices.groups(models.local(names)):
                _ask_local(this, group)
        for part in parts:
            _ask_harness(this, part, [row for row in rows if row.task == part.name], models, names)
    for name in [name for name in request.targets if name.startswith(SERVED)]:
        job.check()
        _ask_served(this, models.served(name))
    job.check()
    accuracy.write_llamafactory_files(evaluation, request.targets)


def _harness_parts(request: Request, workspace: Workspace, settings: BenchmarkSettings) -> list[HarnessPart]:
    """Return the tasks of lm-eval that are asked. Raises Problem where a served model is to be asked one."""
    names = [name for name in request.parts if harness_tasks.is_task(name)]
    served = next((name for name in request.targets if name.startswith(SERVED)), None)
    if names and served:
        raise Problem("benchmarks.harness_served", name=names[0], target=served)
    return [HarnessPart(workspace, name, settings) for name in names]


def _ask_harness(
    this: BenchmarkRun, part: HarnessPart, rows: list[EvaluatedRow], models: ModelsInUse, names: list[str]
) -> None:
    """Ask models a task of lm-eval, one after the other."""
    done = this.evaluation.done(Prediction)
    left = {name: {row.row for row in rows if (row.row, name) not in done} for name in names}
    for loaded in models.local(names) if any(left.values()) else []:
        name = loaded.target.name
        for batch in part.ask(loaded, rows, left[name], this.job.cancelled):
            found = [(one, _scored_prediction(one, name)) for one in batch]
            with this.lock:
                this.evaluation.add_all([prediction for _, prediction in found])
                scores = [
                    RowScores(row=one.row.row, target=name, scores={accuracy.METRIC: one.score}) for one, _ in found
                ]
                this.evaluation.add_all(scores)
                this.done += len(found)
                this.report()
            this.job.check()
        this.job.check()


def _scored_prediction(one: Scored, target: str) -> Prediction:
    if one.fault:
        told = {"key": one.fault.key, "facts": plain(one.fault.facts)}
        return Prediction(row=one.row.row, target=target, finished="failed", fault=told)
    return Prediction(
        row=one.row.row, target=target, text=one.text, choice=one.letter, asked="letters" if one.letter else ""
    )


def _ask_local(this: BenchmarkRun, group: list[LoadedTarget]) -> None:
    """Ask the targets of a group a subject at a time, for its examples are computed once."""
    by_name = {one.target.name: one for one in group}
    for names, questions in this.missing(list(by_name)).items():
        targets = [by_name[name] for name in by_name if name in names]
        choices = LetterChoices(targets, this.settings.batch, lambda batch: _note_halved(this, batch))
        for subject in _by_subject(questions):
            for batch in choices.ask(subject):
                this.add((one.asked, _prediction(one)) for one in batch)
                this.job.check()


def _by_subject(questions: list[Asked]) -> list[list[Asked]]:
    found: dict[tuple[str, str], list[Asked]] = {}
    for one in questions:
        found.setdefault((one.row.task, one.row.subject), []).append(one)
    return list(found.values())


def _prediction(one: Choice | Failure) -> Prediction:
    if isinstance(one, Failure):
        return _failed(one.asked, one.target, one.fault)
    return Prediction(
        row=one.asked.row.row,
        target=one.target,
        seconds=one.seconds,
        choice=one.letter,
        shares=[round(share, 6) for share in one.shares],
        asked="letters",
    )


def _failed(asked: Asked, target: str, fault: Problem) -> Prediction:
    told = {"key": fault.key, "facts": plain(fault.facts)}
    return Prediction(row=asked.row.row, target=target, finished="failed", fault=told)


def _ask_served(this: BenchmarkRun, target: ServedTarget) -> None:
    """Ask a served model, a few questions at a time. Raises Problem where it failed many times in a row."""
    choices = ServedChoices(target, this.settings.seed, this.job.cancelled)
    failures: list[Problem] = []

    def ask(asked: Asked) -> None:
        """Put one question and note what came of it; nothing once it is stopped or given up."""
        if this.job.cancelled.is_set() or len(failures) >= GIVES_UP_AFTER:
            return
        try:
            chosen = choices.ask(asked.messages, asked.row.choices)
        except Problem as fault:
            failures.append(fault)
            this.add([(asked, _failed(asked, target.name, fault))])
            return
        if chosen is None:
            return
        failures.clear()
        if chosen.asked == "text":
            this.note_once("asked_as_text", "benchmarks.asked_as_text", target=target.name)
        prediction = Prediction(
            row=asked.row.row,
            target=target.name,
            text=chosen.text,
            tokens=chosen.tokens,
            finished=chosen.finished,
            choice=chosen.letter,
            shares=chosen.shares,
            asked=chosen.asked,
        )
        this.add([(asked, prediction)])

    with ThreadPoolExecutor(AT_A_TIME, thread_name_prefix="benchmark-served") as pool:
        missing = [asked for questions in this.missing([target.name]).values() for asked in questions]
        for future in [pool.submit(ask, asked) for asked in missing]:
            future.result()
    if len(failures) >= GIVES_UP_AFTER:
        raise failures[-1]


def _note_halved(this: BenchmarkRun, batch: int) -> None:
    this.evaluation.note("batch", "evaluate.batch_halved", batch=batch)


def _note_fewer_shots(this: BenchmarkRun) -> None:
    """Write down where a set has fewer examples than were asked for."""
    fewest: dict[str, int] = {}
    for one in this.asked:
        fewest[one.row.task] = min(fewest.get(one.row.task, one.shots), one.shots)
    for task, shots in fewest.items():
        if shots < this.settings.shots:
            this.note_once("shots", "benchmarks.fewer_shots", task=task, shots=shots, wanted=this.settings.shots)


def _note_key(event: str, facts: dict) -> str:
    return json.dumps([event, facts], sort_keys=True, default=str)
