"""What the letters come to: right or wrong for each question, and the files that LLaMA-Factory's evaluator writes."""

from collections.abc import Iterable
from pathlib import Path

from studio.core.workspace import write_json, write_whole
from studio.evaluate.benchmarks import harness_tasks
from studio.evaluate.evaluation import EvaluatedRow, Evaluation, Prediction, RowScores, latest
from studio.evaluate.reports.llamafactory_results import folder_name

METRIC = "choice"
_AVERAGE = "Average"
_FIRST = (_AVERAGE, "STEM", "Social Sciences", "Humanities", "Other")  # as LLaMA-Factory lists them (SUBJECTS)


def scored(row: EvaluatedRow, prediction: Prediction) -> RowScores:
    """Return the score of an answer: 1 for the right letter, 0 for another or none; None where it failed."""
    failed = prediction.finished == "failed"
    score = None if failed else float(prediction.choice == row.answer)
    return RowScores(row=row.row, target=prediction.target, scores={METRIC: score})


def score_all(evaluation: Evaluation) -> None:
    """Score what has no score yet, as after a process was killed between an answer and its score. What lm-eval scores
    itself, by more than a letter, is left. Raises Problem.
    """
    rows = {row.row: row for row in evaluation.read(EvaluatedRow)}
    known = {(one.row, one.target) for one in evaluation.read(RowScores)}
    found = latest(evaluation.read(Prediction)).values()
    missing = [one for one in found if one.row in rows and rows[one.row].answer and one.finished != "failed"]
    evaluation.add_all([scored(rows[one.row], one) for one in missing if (one.row, one.target) not in known])


def write_llamafactory_files(evaluation: Evaluation, targets: Iterable[str]) -> None:
    """Write `<task>_results.json` (subject -> number -> letter) and `<task>_results.log` (the share of right answers by
    category and over all questions) for each model, as LLaMA-Factory's evaluator does. Raises Problem.
    """
    rows = evaluation.read(EvaluatedRow)
    found = latest(evaluation.read(Prediction))
    for task in dict.fromkeys(row.task for row in rows if not harness_tasks.is_task(row.task)):
        mine = [row for row in rows if row.task == task]
        for number, target in enumerate(targets, 1):
            answered = {row.row: one for row in mine if (one := found.get((row.row, target)))}
            _write(evaluation.folder / folder_name(number, target), task, mine, answered)


def _write(folder: Path, task: str, rows: list[EvaluatedRow], answered: dict[int, Prediction]) -> None:
    results: dict[str, dict[str, str | None]] = {}
    right: dict[str, list[bool]] = {name: [] for name in _FIRST}
    for row in rows:
        by_number = results.setdefault(row.subject, {})
        one = answered.get(row.row)
        by_number[str(len(by_number))] = one.choice if one else None
        for name in (row.category, _AVERAGE) if row.category else (_AVERAGE,):
            right.setdefault(name, []).append(bool(one) and one.choice == row.answer)
    lines = [f"{name:>15}: {100 * sum(found) / len(found):.2f}" for name, found in right.items() if found]
    write_json(folder / f"{task}_results.json", results)
    write_whole(folder / f"{task}_results.log", "\n".join(lines))
