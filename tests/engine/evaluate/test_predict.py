"""Predictions on the real small model: LLaMA-Factory's own texts, prompts and losses; nothing lost or asked twice."""

import dataclasses
import json
import threading
import time

import numpy as np
import odd_server
import pytest
from conftest import SMALL, STARTER, is_sentence, new_workspace, rest_slow, wait_for
from random_runs import random_run

from studio.core import trust
from studio.core.device_lease import DeviceLease
from studio.core.i18n import LANGUAGES, Problem, Words
from studio.core.jobs import Job, Jobs
from studio.datasets.registry.collection import Collection
from studio.evaluate.evaluation import EvaluatedRow, Evaluation, Event, Judged, Prediction, ReferenceLoss, RowScores
from studio.evaluate.predict import judging
from studio.evaluate.predict.row_selection import rows_of
from studio.evaluate.predict.row_sources import HELD_OUT, training_rows
from studio.evaluate.predict.served_asking import GIVES_UP_AFTER
from studio.evaluate.reports.row_table import RowTable
from studio.evaluate.reports.summary import summary
from studio.evaluate.reports.verdicts.judged_totals import judged_totals
from studio.evaluate.scores.row_scoring import LLAMAFACTORYS
from studio.evaluate.service import EvaluationService
from studio.evaluate.settings import JudgeSettings, PredictSettings
from studio.inference.inference_service import InferenceService
from studio.inference.local import base_loading, generation, loaded_model
from studio.inference.local.spare_models import SpareModels
from studio.inference.remote import openai_client
from studio.inference.remote.servers import ServerRegistry
from studio.inference.sampling import Sampling

BASE = SMALL
ROWS = 6
SHORT = {"rows": ROWS, "max_tokens": 12, "batch": 4}


class Desk:
    """A workspace with one run on a model, and the service on it."""

    def __init__(self, folder, model: str):
        self.workspace = new_workspace(folder)
        # Two narrow layers say the same as before unless what is added to them is large.
        strength = 2.0 if model == SMALL else 0.05
        self.run = random_run(self.workspace, "tuned", model=model, strength=strength, val_size=0.1)
        # Weights stay for the next evaluation, as in a studio.
        self.device = DeviceLease()
        self.spare = SpareModels(self.device)
        self.open()

    def open(self) -> None:
        """Begin as a studio that has just started."""
        self.jobs = Jobs(self.workspace)
        self.collection = Collection(self.workspace, self.jobs)
        servers = ServerRegistry(self.workspace)
        self.service = EvaluationService(self.device, self.jobs, self.collection, servers, self.spare)

    def ended(self, evaluation: Evaluation) -> str:
        """Wait until an evaluation is over, and return its state."""
        wait_for(lambda: self.service.status(evaluation.id).state not in ("queued", "preparing", "running", "stopping"))
        return self.service.status(evaluation.id).state


@pytest.fixture(scope="module")
def desk(tmp_path_factory) -> Desk:
    return Desk(tmp_path_factory.mktemp("evaluate") / "workspace", BASE)


@pytest.fixture(scope="module")
def evaluated(desk) -> Evaluation:
    evaluation = desk.service.predict([BASE, desk.run.name], ["identity_en"], PredictSettings(**SHORT))
    assert desk.ended(evaluation) == "finished"
    return evaluation


@pytest.fixture(scope="module")
def starter_desk(tmp_path_factory) -> Desk:
    return Desk(tmp_path_factory.mktemp("starter") / "workspace", STARTER.name)


@pytest.fixture(scope="module")
def of_starter(starter_desk) -> Evaluation:
    """The evaluation of a model that learned something: what it says has an end, and its losses differ."""
    targets = [STARTER.name, starter_desk.run.name]
    evaluation = starter_desk.service.predict(targets, ["identity_en"], PredictSettings(**SHORT))
    assert starter_desk.ended(evaluation) == "finished"
    return evaluation


def of_llamafactory(desk: Desk, folder, adapter: str | None) -> list[dict]:
    """Return the lines of `generated_predictions.jsonl` that LLaMA-Factory's own predict writes."""
    from llamafactory.train.tuner import run_exp

    settings = {
        "model_name_or_path": str(STARTER),
        "stage": "sft",
        "do_predict": True,
        "predict_with_generate": True,
        "finetuning_type": "lora",
        "eval_dataset": "identity_en",
        "dataset_dir": str(desk.workspace.data),
        "template": "smollm2",
        "cutoff_len": 2048,
        "max_samples": ROWS,
        "per_device_eval_batch_size": 1,
        "do_sample": False,
        "max_new_tokens": SHORT["max_tokens"],
        "output_dir": str(folder),
        "report_to": "none",
    }
    run_exp(settings | ({"adapter_name_or_path": adapter} if adapter else {}))
    lines = (folder / "generated_predictions.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("tuned", rest_slow(True, False))
def test_texts_prompts_and_labels_are_those_of_llamafactory(starter_desk, of_starter, tmp_path, tuned, monkeypatch):
    """In float32. In the checkpoint's bfloat16, in which LLaMA-Factory predicts on a processor whatever it is told, the
    best two tokens are often equal to the last bit, and the size of the batch decides.
    """
    from llamafactory.train.sft import workflow

    load = workflow.load_model
    monkeypatch.setattr(workflow, "load_model", lambda *given: load(*given).float())
    theirs = of_llamafactory(starter_desk, tmp_path, str(starter_desk.run.folder) if tuned else None)
    (folder,) = of_starter.folder.glob("2-*" if tuned else "1-*")
    lines = (folder / "generated_predictions.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == theirs
    ours, expected = (json.loads((one / "predict_results.json").read_text()) for one in (folder, tmp_path))
    scores = ("predict_bleu-4", "predict_rouge-1", "predict_rouge-2", "predict_rouge-l")
    assert {key: ours[key] for key in scores} == {key: expected[key] for key in scores}


def test_the_loss_of_a_reference_is_that_of_training(starter_desk, of_starter):
    """Against transformers' own loss, on LLaMA-Factory's encoding of the row; on a GPU bfloat16 is computed in."""
    import torch
    from transformers import AutoModelForCausalLM

    from studio.datasets.encoding.row_encoder import RowEncoder

    model = AutoModelForCausalLM.from_pretrained(STARTER, dtype=torch.float32)
    dataset = starter_desk.collection.find("identity_en")
    encoder = RowEncoder(STARTER, dataset.entry, dataset.home, "sft", {"template": "smollm2"})
    measured = {one.row: one for one in of_starter.read(ReferenceLoss) if one.target == STARTER.name}
    for row in of_starter.read(EvaluatedRow):
        value = starter_desk.collection.preview("identity_en", row.source, 1).rows[0]
        tokens = encoder.encode(value)[0].tokens
        ids, labels = torch.tensor([[one.id for one in tokens]]), torch.tensor([[one.label for one in tokens]])
        with torch.no_grad():
            expected = model(input_ids=ids, labels=labels).loss.item()
        found = measured[row.row]
        assert found.loss == pytest.approx(expected, abs=0.05 if torch.cuda.is_available() else 1e-5)
        assert found.tokens == len(found.losses) == len(found.pieces) == sum(one.trained for one in tokens)
        assert row.reference in "".join(found.pieces)


def test_rows_of_the_training_are_marked_and_held_out_ones_are_not(desk, evaluated):
    """Which rows `val_size` holds out is LLaMA-Factory's own answer."""
    from llamafactory.data.data_utils import split_dataset
    from llamafactory.data.loader import _get_merged_dataset
    from llamafactory.hparams import get_train_args

    recipe = desk.run.recipe() | {"do_train": True, "output_dir": str(desk.run.folder / "x"), "report_to": "none"}
    model_args, data_args, training_args, _, _ = get_train_args(recipe)
    merged = _get_merged_dataset(["identity_en"], model_args, data_args, training_args, "sft")
    _, held = split_dataset(merged, None, data_args, training_args.seed)
    theirs = [row["_prompt"][0]["content"] for row in held["validation"]]
    ((source, trained, ours),) = training_rows(desk.collection, desk.run)
    assert sorted(value["instruction"] for _, value in source.values(ours)) == sorted(theirs)
    assert sorted(trained + ours) == list(range(source.count()))
    for row in evaluated.read(EvaluatedRow):
        assert row.trained == ([desk.run.name] if row.source in trained else [])
    held_out = desk.service.predict([desk.run.name], [HELD_OUT + desk.run.name], PredictSettings(rows=0, answers=False))
    assert desk.ended(held_out) == "finished"
    rows = held_out.read(EvaluatedRow)
    assert [row.source for row in rows] == ours and not any(row.trained for row in rows)


def test_stopped_and_begun_again_nothing_is_asked_twice(desk, monkeypatch):
    settings = PredictSettings(rows=8, max_tokens=8, batch=1)
    evaluation = desk.service.predict([BASE, desk.run.name], ["identity_en"], settings)
    wait_for(lambda: len(evaluation.read(Prediction)) >= 4, every=0.02)
    desk.service.stop(evaluation.id)
    assert desk.ended(evaluation) == "stopped"
    before = evaluation.read(Prediction)
    assert 4 <= len(before) < 16
    with open(evaluation.file(Prediction), "a") as file:
        file.write('{"row": 7, "targ')  # as a killed process leaves it
    desk.open()
    assert desk.service.status(evaluation.id).state == "stopped"
    desk.service.resume(evaluation.id)
    assert desk.ended(evaluation) == "finished"
    after = evaluation.read(Prediction)
    assert after[: len(before)] == before
    assert sorted((one.row, one.target) for one in after) == sorted(
        (row, target) for row in range(8) for target in (BASE, desk.run.name)
    )
    with pytest.raises(Problem):
        desk.service.resume(evaluation.id)


def test_where_the_memory_is_not_enough_the_batch_is_halved(desk, evaluated, monkeypatch):
    import torch

    whole = generation.Batch.run

    def limited(self, sampling):
        if len(self.rows) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return whole(self, sampling)

    monkeypatch.setattr(generation.Batch, "run", limited)
    evaluation = desk.service.predict([BASE, desk.run.name], ["identity_en"], PredictSettings(**SHORT, loss=False))
    assert desk.ended(evaluation) == "finished"
    assert [one.facts["batch"] for one in evaluation.read(Event) if one.event == "batch"] == [2, 1]
    texts = {(one.row, one.target): one.text for one in evaluation.read(Prediction)}
    assert texts == {(one.row, one.target): one.text for one in evaluated.read(Prediction)}


def test_a_row_that_cannot_be_asked_costs_no_other_its_answer(desk, monkeypatch):
    whole = generation.Batch.run

    def picky(self, sampling):
        if any("Who made you?" in row.encoder.tokenizer.decode(row.prompt.ids) for row in self.rows):
            raise ValueError("it is no good")
        return whole(self, sampling)

    monkeypatch.setattr(generation.Batch, "run", picky)
    evaluation = desk.service.predict([BASE], ["identity_en"], PredictSettings(**SHORT, loss=False))
    assert desk.ended(evaluation) == "finished"
    failed = [one for one in evaluation.read(Prediction) if one.finished == "failed"]
    assert len(failed) == 1 and len(evaluation.read(Prediction)) == ROWS
    monkeypatch.setattr(generation.Batch, "run", whole)


def write_set(desk: Desk, name: str, rows: list, entry: dict | None = None) -> str:
    """Register a set of these rows, and return its name."""
    file = desk.workspace.data / f"{name}.json"
    file.write_text(json.dumps(rows))
    info = json.loads((desk.workspace.data / "dataset_info.json").read_text())
    info[name] = {"file_name": file.name} | (entry or {})
    (desk.workspace.data / "dataset_info.json").write_text(json.dumps(info))
    return name


PAIRS = {"ranking": True, "columns": {"prompt": "q", "chosen": "a", "rejected": "b"}}
REFUSED = {
    "nobody": ([], ["identity_en"], {}),
    "five": ([f"m{number}" for number in range(5)], ["identity_en"], {}),
    "a model that is not there": (["no-such-model"], ["identity_en"], {}),
    "a run that is not there": (["a/b/c"], ["identity_en"], {}),
    "no dataset": ([BASE], [], {}),
    "a dataset that is not there": ([BASE], ["nothing"], {}),
    "pairs": ([BASE], ["pairs"], {}),
    "nothing held out": ([BASE], [HELD_OUT + "a/b/c"], {}),
    "neither": ([BASE], ["identity_en"], {"answers": False, "loss": False}),
    "the loss of a server": (["served:x/y"], ["identity_en"], {"answers": False}),
    "a server that is not there": (["served:x/y"], ["identity_en"], {}),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_evaluated_is_one_sentence(desk, case):
    if case == "pairs":
        write_set(desk, "pairs", [{"q": "a", "a": "b", "b": "c"}], PAIRS)
    targets, datasets, settings = REFUSED[case]
    before = len(desk.service.evaluations.all())
    with pytest.raises(Problem) as told:
        desk.service.predict(targets, datasets, PredictSettings(**settings))
    assert all(is_sentence(Words(language).tell(told.value)) for language in LANGUAGES)
    assert len(desk.service.evaluations.all()) == before


@pytest.mark.parametrize(
    "name, rows",
    [("empty", []), ("no-questions", [{"instruction": "", "input": 3, "output": None}] * 2), ("odd", [1, "x"])],
)
def test_a_set_of_which_nothing_can_be_asked_fails_in_one_sentence(desk, name, rows):
    write_set(desk, name, rows)
    try:
        evaluation = desk.service.predict([BASE], [name], PredictSettings(**SHORT))
    except Problem as problem:
        assert all(is_sentence(Words(language).tell(problem)) for language in LANGUAGES)
        return
    state, status = desk.ended(evaluation), desk.service.status(evaluation.id)
    assert state in ("failed", "finished")
    if state == "failed":
        assert all(
            is_sentence(Words(language).tell(Problem(status.error["key"], **status.error["facts"])))
            for language in LANGUAGES
        )


def test_rows_without_a_reference_are_answered_and_not_measured(desk):
    name = write_set(
        desk,
        "open-questions",
        [{"instruction": f"Count to {number}.", "input": "", "output": ""} for number in range(2)],
    )
    evaluation = desk.service.predict([BASE], [name], PredictSettings(**SHORT))
    assert desk.ended(evaluation) == "finished"
    assert [row.reference for row in evaluation.read(EvaluatedRow)] == [None, None]
    assert len(evaluation.read(Prediction)) == 2 and not evaluation.read(ReferenceLoss)


def test_a_row_that_was_changed_since_is_told(desk):
    name = write_set(desk, "shrinking", [{"instruction": "Hi", "input": "", "output": "Ho"}] * 4)
    evaluation = desk.service.predict([BASE], [name], PredictSettings(rows=4, max_tokens=60, batch=1, loss=False))
    wait_for(lambda: evaluation.read(Prediction), every=0.02)
    desk.service.stop(evaluation.id)
    if desk.ended(evaluation) == "finished":
        pytest.skip("it was faster")
    write_set(desk, name, [{"instruction": "Hi", "input": "", "output": "Ho"}])
    time.sleep(0.01)
    desk.service.resume(evaluation.id)
    assert desk.ended(evaluation) == "finished"
    faults = [one.fault["key"] for one in evaluation.read(Prediction) if one.finished == "failed"]
    assert faults and set(faults) == {"evaluate.row_gone"}


NUMBERED = [{"instruction": f"Question {number}?", "input": "", "output": f"Answer {number}."} for number in range(4)]
CHANGED = {  # the rows of the file when it goes on, and what is told of each row that is another one
    "a row deleted": (NUMBERED[1:], {0: "row_changed", 1: "row_changed", 2: "row_changed", 3: "row_gone"}),
    "a row put before": ([NUMBERED[3], *NUMBERED], dict.fromkeys(range(4), "row_changed")),
    "an answer edited": ([*NUMBERED[:2], NUMBERED[2] | {"output": "No."}, NUMBERED[3]], {2: "row_changed"}),
    "what no model sees": ([row | {"note": "good"} for row in NUMBERED], {}),
}


@pytest.mark.parametrize("kind", CHANGED)
def test_a_row_that_is_another_one_when_an_evaluation_goes_on_is_told_and_not_asked(desk, kind):
    rows, faults = CHANGED[kind]
    name = write_set(desk, "edited", NUMBERED)
    evaluation = desk.service.evaluations.create("predict", [BASE], [name], PredictSettings(**SHORT | {"rows": 0}))
    job = Job("evaluate-test", "evaluate", "evaluate.job", {})
    job._folder = evaluation.folder
    rows_of(evaluation, desk.collection, job)  # and killed then
    write_set(desk, name, rows)
    desk.open()
    desk.service.resume(evaluation.id)
    assert desk.ended(evaluation) == "finished"
    found = evaluation.read(Prediction)
    assert {one.row: one.fault["key"] for one in found if one.finished == "failed"} == {
        row: f"evaluate.{fault}" for row, fault in faults.items()
    }
    asked = set(range(4)) - set(faults)
    assert {one.row for one in evaluation.read(ReferenceLoss)} == asked
    assert all(f"Question {one.row}?" in one.prompt for one in found if one.row in asked)


def test_every_answer_is_scored_and_what_was_missed_is_scored_when_it_goes_on(of_starter):
    scores = of_starter.read(RowScores)
    assert sorted((one.row, one.target) for one in scores) == sorted(
        (one.row, one.target) for one in of_starter.read(Prediction)
    )
    assert all({*LLAMAFACTORYS, "bleu", "chrf", "exact", "f1"} <= one.scores.keys() for one in scores)
    assert all(value is not None for one in scores for value in one.scores.values())


METRIC = '''"""Whether an answer is short."""


def score(prediction: str, reference: str, row: dict) -> float:
    if row["source"] == 1:
        raise ValueError("not this one")
    return float(len(prediction) < 1000)
'''


def test_an_own_metric_that_fails_at_a_row_costs_that_score_alone(desk):
    desk.workspace.metrics.mkdir(exist_ok=True)
    (desk.workspace.metrics / "short.py").write_text(METRIC)
    settings = PredictSettings(**SHORT, loss=False, metrics=["own:short", "exact"])
    with pytest.raises(Problem):
        desk.service.predict([BASE], ["identity_en"], settings)
    path = desk.workspace.metrics / "short.py"
    trust.grant(path, trust.code_of(path).digest)
    evaluation = desk.service.predict([BASE], ["identity_en"], settings)
    assert desk.ended(evaluation) == "finished"
    scores = {one.row: one.scores for one in evaluation.read(RowScores)}
    assert [scores[row]["own:short"] for row in range(ROWS)] == [1.0, None, *[1.0] * (ROWS - 2)]
    assert all(one["exact"] is not None for one in scores.values())
    (fault,) = [one for one in evaluation.read(Event) if one.event == "score"]
    assert (fault.facts["row"], fault.facts["line"]) == (2, 6)


@pytest.fixture(scope="module")
def odd():
    yield from odd_server.running()


def test_a_server_answers_beside_models_of_this_machine(desk, odd):
    server = desk.service._servers.add(odd.place, name="odd")
    target = f"served:{server.name}/good"
    evaluation = desk.service.predict([BASE, target], ["identity_en"], PredictSettings(**SHORT, loss=False))
    assert desk.ended(evaluation) == "finished", desk.service.status(evaluation.id)
    answers = [one for one in evaluation.read(Prediction) if one.target == target]
    assert sorted(one.row for one in answers) == list(range(ROWS)) and {one.finished for one in answers} == {"stop"}
    (parity,) = [one for one in evaluation.read(Event) if one.event == "parity"]
    assert parity.key == "evaluate.parity_differs"


def test_a_server_that_is_gone_is_told_and_asked_again(desk, odd):
    server = desk.service._servers.add(odd.place, name="gone")
    target = f"served:{server.name}/bare-status"
    evaluation = desk.service.predict([target], ["identity_en"], PredictSettings(**SHORT | {"rows": 20}, loss=False))
    assert desk.ended(evaluation) == "failed"
    assert all(one.finished == "failed" for one in evaluation.read(Prediction))
    assert len(evaluation.read(Prediction)) < 20


@pytest.mark.parametrize("verdict, state", [("[[A]]", "finished"), ("I cannot say", "failed")])
def test_a_judge_compares_in_both_orders(desk, monkeypatch, verdict, state):
    """The judge here always says the same, so it disagrees with itself, or says nothing."""
    asked = []

    def ask(models, target, job):
        return lambda messages: asked.append(messages) or verdict

    monkeypatch.setattr(judging, "_ask", ask)
    settings = PredictSettings(**SHORT, loss=False, judge=JudgeSettings(target=BASE))
    evaluation = desk.service.predict([BASE, desk.run.name], ["identity_en"], settings)
    assert desk.ended(evaluation) == state
    judged = evaluation.read(Judged)
    if state == "finished":
        assert len(judged) == ROWS and all(one.verdict == "tie" for one in judged)
        assert len(asked) == 2 * sum(one.orders == ["first", "second"] for one in judged)
    else:
        assert desk.service.status(evaluation.id).error["key"] == "evaluate.judge_nonsense"


def refusing(text: str):
    """Return a judge of a server that is not asked of a pair that holds `text`, as one is whose context is too small;
    of all others it says that the first is better.
    """

    def behave(handler, body) -> None:
        if text in body["messages"][-1]["content"]:
            return handler.answer(400, {"error": {"message": "This model's maximum context length is 512 tokens."}})
        handler.begin()
        handler.delta(content="[[A]]")
        handler.delta("stop")
        handler.end()

    return behave


def test_a_pair_that_the_judge_cannot_be_asked_costs_no_other_its_verdict(desk, odd, monkeypatch):
    monkeypatch.setitem(odd_server.BEHAVIOURS, "good", refusing("Who made you?"))
    judge = f"served:{desk.service._servers.add(odd.place, name='small-judge').name}/good"
    settings = PredictSettings(**SHORT, loss=False, metrics=["f1"], judge=JudgeSettings(target=judge))
    evaluation = desk.service.predict([BASE, desk.run.name], ["identity_en"], settings)
    assert desk.ended(evaluation) == "finished", desk.service.status(evaluation.id)
    judged = evaluation.read(Judged)
    assert sorted(one.row for one in judged) == list(range(ROWS))
    (failed,) = [one for one in judged if one.fault]
    assert failed.verdict is None and all(one.verdict == "tie" for one in judged if one is not failed)
    (event,) = [one for one in evaluation.read(Event) if one.event == "failed"]
    assert (event.facts["reason"], event.facts["row"]) == (failed.fault, failed.row + 1)
    for language in LANGUAGES:
        assert is_sentence(Words(language)(event.key, **event.facts))
    total = judged_totals(evaluation, [BASE, desk.run.name])[desk.run.name]
    assert (total.ties, total.unread, total.failed) == (ROWS - 1, 1, 1)


def test_a_judge_that_is_gone_costs_its_verdicts_alone_and_is_asked_again(desk, odd, monkeypatch):
    monkeypatch.setitem(odd_server.BEHAVIOURS, "good", odd_server.BEHAVIOURS["bare-status"])
    judge = f"served:{desk.service._servers.add(odd.place, name='gone-judge').name}/good"
    settings = PredictSettings(**SHORT | {"rows": 12}, loss=False, metrics=["f1"], judge=JudgeSettings(target=judge))
    evaluation = desk.service.predict([BASE, desk.run.name], ["identity_en"], settings)
    assert desk.ended(evaluation) == "failed"
    assert len(evaluation.read(Judged)) == GIVES_UP_AFTER and not evaluation.done(Judged)
    assert len(list(evaluation.folder.glob("*/generated_predictions.jsonl"))) == 2
    monkeypatch.setitem(odd_server.BEHAVIOURS, "good", refusing("\0"))
    desk.service.resume(evaluation.id)
    assert desk.ended(evaluation) == "finished"
    assert evaluation.done(Judged) == {(row, desk.run.name) for row in range(12)}
    assert judged_totals(evaluation, [BASE, desk.run.name])[desk.run.name].unread == 0


def test_a_pair_that_is_too_long_for_a_judge_of_this_machine_costs_no_other(desk, monkeypatch):
    monkeypatch.setattr(judging, "SAMPLING", dataclasses.replace(judging.SAMPLING, max_tokens=8))
    questions = ["Hi", "word " * 9000, "Who?"]
    rows = [{"instruction": one, "input": "", "output": "Ho"} for one in questions]
    settings = PredictSettings(
        rows=3, max_tokens=4, cutoff=256, loss=False, metrics=["f1"], judge=JudgeSettings(target=BASE)
    )
    evaluation = desk.service.predict([BASE, desk.run.name], [write_set(desk, "one-long", rows)], settings)
    desk.ended(evaluation)
    judged = {one.row: one for one in evaluation.read(Judged)}
    assert sorted(judged) == [0, 1, 2] and [row for row, one in judged.items() if one.fault] == [1]
    assert judged[1].fault["key"] == "chat.too_long"


@pytest.mark.parametrize("is_served", rest_slow(False, True))
def test_what_a_real_small_model_says_as_judge_is_counted_and_never_guessed(desk, request, monkeypatch, is_served):
    """A model of two random layers, and a real one of llama.cpp: neither says [[A]] as a judge should."""
    judge = SMALL
    # A model of random numbers never comes to an end: of its nonsense a line is as good as a page.
    monkeypatch.setattr(judging, "SAMPLING", dataclasses.replace(judging.SAMPLING, max_tokens=48))
    if is_served:
        engine = request.getfixturevalue("llama_engine")
        model = openai_client.client(engine.url).models.list().data[0].id
        judge = f"served:{desk.service._servers.add(engine.url, name='judge').name}/{model}"
    settings = PredictSettings(rows=4, max_tokens=6, loss=False, metrics=["f1"], judge=JudgeSettings(target=judge))
    evaluation = desk.service.predict([BASE, desk.run.name], ["identity_en"], settings)
    state = desk.ended(evaluation)
    judged = evaluation.read(Judged)
    for one in judged:
        assert len(one.orders) == 2 and len(one.odd) == one.orders.count(None)
        assert (one.verdict is None) == (None in one.orders) and all(one.odd)
        if one.verdict:
            assert one.verdict == (one.orders[0] if one.orders[0] == one.orders[1] else "tie")
    table = RowTable(evaluation, [BASE, desk.run.name])
    total = judged_totals(evaluation, table.targets)[desk.run.name]
    assert total.first + total.second + total.ties + total.unread == len(judged) == 4
    assert total.disagreements == sum(None not in one.orders and len(set(one.orders)) == 2 for one in judged)
    # Nothing is lost by a judge that says nothing: the answers and their scores stand, and what it said is told.
    assert len(evaluation.done(Prediction)) == 8 and np.isfinite(summary(table).scores[BASE]["f1"].value)
    if total.unread == 4:
        error = desk.service.status(evaluation.id).error
        assert state == "failed" and error["key"] == "evaluate.judge_nonsense" and error["facts"]["rows"] == 4
        assert " ".join(judged[0].odd[0].split())[:10] in error["facts"]["text"]
    else:
        assert is_served and state == "finished"


def test_weights_of_an_evaluation_are_there_for_chat_and_the_next_one(desk, monkeypatch):
    import torch

    loads = []

    def load(base):
        loads.append(base)
        return base_loading._load_base(base)

    monkeypatch.setattr(loaded_model, "_load_base", load)
    device, jobs = DeviceLease(), Jobs(desk.workspace)
    chat, collection = InferenceService(desk.workspace, device), Collection(desk.workspace, jobs)
    service = EvaluationService(device, jobs, collection, chat.servers, chat.spare)
    # What Chat computes in: on a GPU an evaluation does too where nothing is asked for.
    precision = "" if torch.cuda.is_available() else base_loading.best_precision()
    settings = PredictSettings(rows=2, max_tokens=2, metrics=["f1"], precision=precision)

    def evaluate() -> None:
        id = service.predict([SMALL], ["identity_en"], settings).id
        wait_for(lambda: service.status(id).state == "finished", every=0.02)

    evaluate()
    evaluate()
    question = {SMALL: [{"role": "user", "content": "Hello?"}]}
    *_, answers = chat.ask(question, "", Sampling(max_tokens=2), threading.Event())
    assert answers[0].fault is None and len(loads) == 1
    assert [holder.who for holder in device.holders()] == ["chat"]
    chat.unload()
    evaluate()
    assert len(loads) == 2
    device.acquire("training", 1)  # whoever needs the memory has it at once
    evaluate()
    assert len(loads) == 3
    device.acquire("training", 1)
