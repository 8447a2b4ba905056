"""Multiple choice with 5 examples: the studio, which computes what questions share once, against lm-eval's own HFLM."""

import argparse
import json
import random
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.commands import MODEL, ROOT, new_workspace
from benchmarks.report import Row, compared

RUNS = 3
REACH = 0.7
SUBJECTS, QUESTIONS, SHOTS, BATCH = ("harbours", "clockwork"), 20, 5, 8
_WORDS = (
    "anchor barge canal dock engine ferry gear hinge iron jetty key lever mast needle oar pulley quay rope spring tide"
    " usher valve wheel yard zinc brass copper north water ledger signal lantern bridge harbour window"
).split()


def measure(runs: int, quick: bool) -> list[Row]:
    """Ask the same questions here and there in turn, on the same weights in float32, on one thread and on two.

    Raises:
        AssertionError: a choice, and with it the accuracy, is not the same.
    """
    found = []
    for threads in (1,) if quick else (1, 2):
        command = [sys.executable, "-m", "benchmarks.choices", str(threads), str(runs), str(4 if quick else QUESTIONS)]
        done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
        seconds = json.loads(done.stdout.splitlines()[-1])
        questions = seconds["questions"]
        what = f"{questions} questions, {SHOTS} examples, batch {BATCH}, {threads} thread{'s' if threads > 1 else ''}"
        print(f"  {what}: {seconds['ours']} s, lm-eval {seconds['theirs']} s", flush=True)
        accuracy = f"the same choices ({seconds['accuracy']:.1%} right), against lm-eval's `HFLM`"
        found.append(compared("choices", f"{what}, {accuracy}", seconds["ours"], seconds["theirs"], REACH))
    return found


def _write_set(folder: Path, questions: int) -> None:
    """Write questions of 60 to 70 tokens."""
    for subject in SUBJECTS:
        for part, count in (("dev", SHOTS), ("test", questions)):
            chance = random.Random(f"{subject} {part}")
            lines = []
            for number in range(count):
                text = f"{number}. Which of these goes with the " + " ".join(chance.choices(_WORDS, k=20)) + "?"
                choices = [" ".join(chance.choices(_WORDS, k=4)) for _ in range(4)]
                lines.append(",".join([text, *choices, chance.choice("ABCD")]))
            file = folder / part / f"{subject}_{part}.csv"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("\n".join(["question,A,B,C,D,answer", *lines]) + "\n")


def _child(threads: int, runs: int, questions: int) -> None:
    """Measure in this process, and print the seconds as JSON."""
    from studio.core import llamafactory

    llamafactory.load()
    import torch

    torch.set_num_threads(threads)
    with new_workspace() as root:
        from studio.core.workspace import Workspace
        from studio.evaluate.benchmarks import question_rows
        from studio.evaluate.benchmarks.sets import layouts
        from studio.evaluate.evaluations import Evaluations
        from studio.evaluate.settings import BenchmarkSettings

        workspace = Workspace(root)
        _write_set(root / "data" / "benchmarks" / "made", questions)
        settings = BenchmarkSettings(shots=SHOTS, method="harness", batch=BATCH)
        evaluation = Evaluations(workspace).create("benchmark", [MODEL], ["made"], settings)
        question_rows.write(evaluation, [layouts.look(root / "data" / "benchmarks" / "made")])
        asked = list(question_rows.conversations(evaluation))
        loaded = _loaded(workspace)
        ours, theirs = [], []
        _ours(loaded, asked[:2])  # lays out the memory
        for number in range(runs):
            seconds, letters = _ours(loaded, asked)
            ours.append(seconds)
            seconds, expected = _theirs(loaded, evaluation, asked)
            theirs.append(seconds)
            assert letters == expected, [pair for pair in zip(letters, expected, strict=True) if pair[0] != pair[1]]
            print(f"  {number}: {ours[-1]:.1f} s, lm-eval {theirs[-1]:.1f} s", file=sys.stderr, flush=True)
    right = sum(letter == one.row.answer for letter, one in zip(letters, asked, strict=True)) / len(asked)
    seconds = {"ours": ours, "theirs": theirs, "accuracy": right, "questions": len(asked)}
    print(json.dumps(seconds))


def _loaded(workspace):
    from studio.inference.local.local_engine import LocalEngine
    from studio.inference.target_names import resolve

    engine = LocalEngine()
    targets = [_in_float32(one) for one in resolve(workspace, [MODEL], None)]
    engine.load(targets)
    return engine.loaded(targets[0])


def _in_float32(target):
    from dataclasses import replace

    return replace(target, precision="float32")


def _ours(loaded, asked) -> tuple[float, list[str]]:
    """Return the seconds from the first question to the last choice, prompts encoded too, and the choices."""
    from studio.evaluate.benchmarks.letter_choices import LetterChoices

    began = time.perf_counter()
    choices, found = LetterChoices([loaded], BATCH), {}
    for subject in SUBJECTS:
        for batch in choices.ask([one for one in asked if one.row.subject == subject]):
            found |= {one.asked.row.row: one.letter for one in batch}
    return time.perf_counter() - began, [found[one.row.row] for one in asked]


def _theirs(loaded, evaluation, asked) -> tuple[float, list[str]]:
    """Return the same of lm-eval: its own model class and its own `evaluate`, prompts in the model's template."""
    import threading

    from lm_eval.api.task import ConfigurableTask
    from lm_eval.evaluator import evaluate

    from studio.evaluate.benchmarks import set_tasks
    from studio.evaluate.benchmarks.harness_model import language_model

    began = time.perf_counter()
    tasks = {name: ConfigurableTask(config=config) for name, config in set_tasks.configurations(evaluation).items()}
    model = language_model(loaded, BATCH, threading.Event())
    results = evaluate(
        model, tasks, bootstrap_iters=0, apply_chat_template=True, fewshot_as_multiturn=True, log_samples=True
    )
    found = {}
    for samples in results["samples"].values():
        for sample in samples:
            shares = [response[0][0] for response in sample["resps"]]
            found[sample["doc"]["row"]] = "ABCD"[shares.index(max(shares))]
    return time.perf_counter() - began, [found[one.row.row] for one in asked]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name in ("threads", "runs", "questions"):
        parser.add_argument(name, type=int)
    _child(**vars(parser.parse_args()))
