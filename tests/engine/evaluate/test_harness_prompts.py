"""lm-eval's way, asked by the studio: its own prompts, and its own choice for every question."""

import threading

import benchmark_sets
import pytest
from answering_models import sharp_model, target_on

from studio.core.workspace import Workspace
from studio.evaluate.benchmarks import question_rows, set_tasks
from studio.evaluate.benchmarks.letter_choices import LetterChoices
from studio.evaluate.benchmarks.sets import layouts
from studio.evaluate.evaluations import Evaluations
from studio.evaluate.settings import BenchmarkSettings
from studio.inference.local.local_engine import LocalEngine


def evaluation_of(folder, place, **settings):
    settings = BenchmarkSettings(method="harness", **settings)
    evaluation = Evaluations(Workspace(place).prepare()).create("benchmark", ["base"], [folder.name], settings)
    question_rows.write(evaluation, [layouts.look(folder)])
    return evaluation


@pytest.mark.parametrize("make", [benchmark_sets.mmlu, benchmark_sets.ceval])
@pytest.mark.parametrize("shots", [0, 2, 5])
def test_every_conversation_is_that_of_lm_eval(tmp_path, make, shots):
    from lm_eval.api.task import ConfigurableTask

    evaluation = evaluation_of(make(tmp_path / "set", subjects=2), tmp_path, shots=shots)
    ours = {asked.row.row: asked.messages for asked in question_rows.conversations(evaluation)}
    for configuration in set_tasks.configurations(evaluation).values():
        task = ConfigurableTask(config=configuration)
        for _, document in task.doc_iterator():
            theirs = task.fewshot_context(
                document,
                task.config.num_fewshot,
                apply_chat_template=True,
                fewshot_as_multiturn=True,
                chat_template=lambda history, add_generation_prompt: history,
            )
            assert ours[document["row"]] == theirs


def test_every_choice_is_that_of_lm_eval(tmp_path):
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.evaluator import evaluate

    from studio.evaluate.benchmarks.harness_model import language_model

    target = target_on("base", sharp_model(tmp_path / "sharp"))
    engine = LocalEngine()
    engine.load([target])
    loaded = engine.loaded(target)
    evaluation = evaluation_of(benchmark_sets.mmlu(tmp_path / "set", subjects=2, questions=5), tmp_path, shots=2)
    asked = list(question_rows.conversations(evaluation))
    found = {one.asked.row.row: one for batch in LetterChoices([loaded], 4).ask(asked) for one in batch}
    tasks = {name: ConfigurableTask(config=config) for name, config in set_tasks.configurations(evaluation).items()}
    model = language_model(loaded, 4, threading.Event())
    results = evaluate(model, tasks, bootstrap_iters=0, apply_chat_template=True, fewshot_as_multiturn=True)
    samples = [sample for some in results["samples"].values() for sample in some]
    assert len(samples) == len(found) == 10
    for sample in samples:
        theirs = [response[0][0] for response in sample["resps"]]
        ours = found[sample["doc"]["row"]]
        assert ours.letter == "ABCD"[theirs.index(max(theirs))]
    engine.unload()
