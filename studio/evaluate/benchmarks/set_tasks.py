"""Benchmarks in lm-eval's own terms: one of its tasks for each subject of an evaluation."""

from studio.core import llamafactory
from studio.core.i18n import Problem
from studio.evaluate.benchmarks import harness_tasks, question_rows
from studio.evaluate.benchmarks.prompts import PHRASES, question_text
from studio.evaluate.benchmarks.sets.answer_letters import LETTERS
from studio.evaluate.evaluation import EvaluatedRow, Evaluation


def configurations(evaluation: Evaluation) -> dict[str, dict]:
    """Return the configuration of each subject's task (`lm_eval.api.task.ConfigurableTask`), by its name.

    A document holds the number of its row beside question and answer: {"row", "text", "letters", "answer"}.

    Raises:
        Problem: the evaluation's examples cannot be read.
    """
    settings = evaluation.request().settings
    kept = question_rows.examples_of(evaluation)
    documents: dict[tuple[str, str], list[dict]] = {}
    for row in evaluation.read(EvaluatedRow):
        if harness_tasks.is_task(row.task):
            continue
        documents.setdefault((row.task, row.subject), []).append(
            _document(row.row, row.messages[0]["content"], len(row.choices), row.answer)
        )
    found = {}
    for (task, subject), rows in documents.items():
        if task not in kept:
            raise Problem("benchmarks.missing", name=task)
        language = kept[task].language
        shots = [
            _document(-1, question_text(one.text, one.choices, language), len(one.choices), one.answer)
            for one in kept[task].of(subject)
        ]
        name = kept[task].names.get(subject, subject)
        found[f"{task}: {subject}"] = _configuration(f"{task}: {subject}", name, language, rows, shots, settings.shots)
    return found


def _document(row: int, text: str, choices: int, answer: str) -> dict:
    return {"row": row, "text": text, "letters": list(LETTERS[:choices]), "answer": LETTERS.index(answer)}


def _configuration(task: str, subject: str, language: str, rows: list, shots: list, wanted: int) -> dict:
    def dataset(**_) -> dict:
        llamafactory.load()
        from datasets import Dataset

        return {"test": Dataset.from_list(rows), "dev": Dataset.from_list(shots or rows[:1])}

    return {
        "task": task,
        "custom_dataset": dataset,
        "test_split": "test",
        "fewshot_split": "dev",
        "fewshot_config": {"sampler": "first_n"},
        "num_fewshot": min(wanted, len(shots)),
        "output_type": "multiple_choice",
        "description": PHRASES[language].system.format(subject=subject),
        "doc_to_text": "{{text.strip()}}",
        "doc_to_choice": "letters",
        "doc_to_target": "answer",
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
    }
