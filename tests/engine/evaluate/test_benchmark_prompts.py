"""Prompts and examples of benchmarks are those of LLaMA-Factory's evaluator."""

import benchmark_sets
import numpy as np
import pytest

from studio.core.workspace import Workspace
from studio.evaluate.benchmarks import prompts, question_rows
from studio.evaluate.benchmarks.sets import layouts
from studio.evaluate.evaluations import Evaluations
from studio.evaluate.settings import BenchmarkSettings


def theirs(folder, language: str, shots: int, seed: int, limit: int = 0) -> list[list[dict]]:
    """Return the messages of LLaMA-Factory's evaluator (`Evaluator.eval`), the answer of each question cut off."""
    from datasets import Dataset
    from llamafactory.eval.template import get_eval_template

    found = layouts.look(folder)
    examples = {key: [as_example(one) for one in some] for key, some in found.shots().items()}
    made, counts = [], {}
    np.random.seed(seed)  # noqa: NPY002  (as transformers.set_seed does)
    for question in found.questions():
        counts[question.subject] = counts.get(question.subject, 0) + 1
        if limit and counts[question.subject] > limit:
            continue
        dataset = Dataset.from_list(examples[question.subject])
        support = dataset.shuffle().select(range(min(shots, len(dataset))))
        messages = get_eval_template(language).format_example(
            target_data=as_example(question), support_set=support, subject_name=found.subject(question.subject).name
        )
        made.append(messages[:-1])
    return made


def as_example(question) -> dict[str, str]:
    lettered = dict(zip("ABCD", question.choices, strict=True))
    return {"question": question.text, **lettered, "answer": question.answer}


@pytest.mark.parametrize(
    "make, language, shots, limit",
    [
        (benchmark_sets.mmlu, "en", 5, 0),
        (benchmark_sets.mmlu, "en", 3, 2),
        (benchmark_sets.mmlu, "en", 0, 0),
        (benchmark_sets.ceval, "zh", 5, 0),
    ],
)
def test_every_prompt_is_that_of_llamafactory(tmp_path, make, language, shots, limit):
    folder = make(tmp_path / "set")
    settings = BenchmarkSettings(shots=shots, rows=limit)
    evaluation = Evaluations(Workspace(tmp_path).prepare()).create("benchmark", ["base"], ["set"], settings)
    expected = theirs(folder, language, shots, settings.seed, limit)
    np.random.seed(7)  # noqa: NPY002
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    question_rows.write(evaluation, [layouts.look(folder)])
    assert [asked.messages for asked in question_rows.conversations(evaluation)] == expected
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002  (the process' own is left alone)


def test_what_is_drawn_is_drawn_again(tmp_path):
    folder = benchmark_sets.mmlu(tmp_path / "set", questions=20)
    evaluations = Evaluations(Workspace(tmp_path).prepare())
    found = []
    for seed in (1, 1, 2):
        settings = BenchmarkSettings(shots=0, rows=3, choose="drawn", seed=seed)
        evaluation = evaluations.create("benchmark", ["base"], ["set"], settings)
        question_rows.write(evaluation, [layouts.look(folder)])
        found.append([(asked.row.subject, asked.row.source) for asked in question_rows.conversations(evaluation)])
    assert found[0] == found[1] != found[2]
    assert len(found[0]) == 60


def test_an_evaluation_stays_what_it_was_when_its_files_change(tmp_path):
    folder = benchmark_sets.mmlu(tmp_path / "set")
    evaluation = Evaluations(Workspace(tmp_path).prepare()).create("benchmark", ["base"], ["set"], BenchmarkSettings())
    benchmark = layouts.look(folder)
    question_rows.write(evaluation, [benchmark])
    before = list(question_rows.conversations(evaluation))
    for file in folder.rglob("*.csv"):
        file.write_text("question,A,B,answer\nOther?,x,y,A\n")
    question_rows.write(evaluation, [benchmark])
    assert list(question_rows.conversations(evaluation)) == before
    assert prompts.PHRASES["en"].answer in before[0].messages[-1]["content"]
