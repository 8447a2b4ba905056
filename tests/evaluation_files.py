"""Evaluations as they stand on disk, written by hand: rows, answers, scores, losses."""

import json
from pathlib import Path

from studio.core.workspace import Workspace
from studio.evaluate.evaluation import EvaluatedRow, Evaluation, Prediction, ReferenceLoss, RowScores
from studio.evaluate.evaluations import Evaluations
from studio.evaluate.settings import BenchmarkSettings, PredictSettings

BASE, TUNED = "SmolLM2-135M-Instruct", "SmolLM2-135M-Instruct/lora/first"


def predicted(
    workspace: Workspace,
    count: int = 6,
    targets: tuple[str, ...] = (BASE, TUNED),
    parts: tuple[str, ...] = ("identity",),
    **settings,
) -> Evaluation:
    """Return an evaluation of `count` rows, of which every second one is of the last of the `parts`: the second target
    is better at every row but the last.
    """
    evaluation = Evaluations(workspace).create("predict", list(targets), list(parts), PredictSettings(**settings))
    for number in range(count):
        evaluation.add(
            EvaluatedRow(
                row=number,
                dataset=parts[-1] if number % 2 else "alpaca",
                source=number + 10,
                messages=[{"role": "user", "content": f"Question {number}: 你是谁？"}],
                reference=f"I am Xiaoju number {number}.",
                trained=[targets[-1]] if number == 1 else [],
            )
        )
    for code, target in enumerate(targets):
        evaluation.add_all([_answer(number, count, code, target) for number in range(count)])
        evaluation.add_all([_scores(number, count, code, target) for number in range(count)])
        evaluation.add_all(
            [
                ReferenceLoss(
                    row=number,
                    target=target,
                    loss=2.0 - code,
                    tokens=3,
                    losses=[0.1, 4.0, 1.9],
                    pieces=["I", " am", " X"],
                )
                for number in range(count)
            ]
        )
    return evaluation


def _share(number: int, count: int, code: int) -> float:
    return 0.1 if code and number == count - 1 else 0.3 + 0.5 * bool(code) + 0.01 * (number % 10)


def _answer(number: int, count: int, code: int, target: str) -> Prediction:
    text = f"I am {'Xiaoju' if code else 'SmolLM'} number {number}."
    return Prediction(
        row=number,
        target=target,
        text=text,
        tokens=7,
        seconds=0.1,
        finished="stop",
        cut=number == 2,
        prompt=f"<user>Question {number}",
        label=f"I am Xiaoju number {number}.\n",
    )


def _scores(number: int, count: int, code: int, target: str) -> RowScores:
    share = _share(number, count, code)
    return RowScores(row=number, target=target, scores={"f1": share, "lf_rougel": 100 * share})


def asked(workspace: Workspace, count: int = 40, targets: tuple[str, ...] = (BASE, TUNED)) -> Evaluation:
    """Return a benchmark of two subjects, in which the second target wins algebra and loses law."""
    evaluation = Evaluations(workspace).create("benchmark", list(targets), ["school"], BenchmarkSettings())
    for number in range(count):
        subject = "algebra" if number % 2 else "law"
        evaluation.add(
            EvaluatedRow(
                row=number,
                dataset="school",
                source=number,
                messages=[{"role": "user", "content": f"What is {number}?"}],
                reference="B",
                task="school",
                subject=subject,
                category="STEM" if number % 2 else "Other",
                choices=["one", "two", "three", "four"],
                answer="B",
            )
        )
        for code, target in enumerate(targets):
            is_right = (number % 2 == code) or number % 10 == 3
            evaluation.add(
                Prediction(
                    row=number,
                    target=target,
                    choice="B" if is_right else "C",
                    shares=[0.1, 0.6, 0.2, 0.1] if is_right else [0.1, 0.2, 0.6, 0.1],
                    asked="letters",
                )
            )
            evaluation.add(RowScores(row=number, target=target, scores={"choice": float(is_right)}))
    return evaluation


def many(evaluation: Evaluation, count: int) -> None:
    """Write `count` rows with two answers each, quickly, in the form in which `Evaluation.add` writes them."""
    targets = evaluation.request().targets
    with open(evaluation.file(EvaluatedRow), "w", encoding="utf-8") as rows:
        for number in range(count):
            row = EvaluatedRow(
                row=number,
                dataset="big",
                source=number,
                messages=[{"role": "user", "content": f"Question {number}. " + "Why is the sky blue at noon? " * 8}],
                reference=f"Because {number} " + "of scattering. " * 8,
            )
            rows.write(json.dumps(row.model_dump(), ensure_ascii=False) + "\n")
    _many(evaluation.file(Prediction), count, targets, lambda *of: _answer(of[0], count, *of[1:]))
    _many(evaluation.file(RowScores), count, targets, lambda *of: _scores(of[0], count, *of[1:]))


def _many(path: Path, count: int, targets: list[str], made) -> None:
    with open(path, "w", encoding="utf-8") as file:
        for code, target in enumerate(targets):
            for number in range(count):
                file.write(
                    json.dumps(made(number * 7919 % count, code, target).model_dump(), ensure_ascii=False) + "\n"
                )
