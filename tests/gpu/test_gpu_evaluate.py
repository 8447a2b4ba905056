"""Evaluating on a real card: the losses of references as float32 has them, batches that the memory decides, and memory
given back.
"""

import json

import pytest
from card import in_threads
from card_recipes import FEW_STEPS, NOISE
from conftest import ended, wait_for
from gpu_figures import gib

from studio.core.device_lease import DeviceLease, free_memory
from studio.core.workspace import write_json
from studio.datasets.registry.collection import Collection
from studio.evaluate.evaluation import EvaluatedRow, Event, Prediction, ReferenceLoss
from studio.evaluate.service import EvaluationService
from studio.evaluate.settings import PredictSettings
from studio.inference.remote.servers import ServerRegistry

pytest_plugins = ["card"]

ROWS = 16
ACTIVE = ("queued", "preparing", "running", "stopping")


@pytest.fixture(scope="module")
def evaluations(service) -> EvaluationService:
    """Evaluations in the card's workspace."""
    collection = Collection(service.workspace, service.jobs)
    return EvaluationService(DeviceLease(), service.jobs, collection, ServerRegistry(service.workspace))


@pytest.fixture(scope="module")
def tuned(service) -> str:
    """A run that was trained on the card."""
    run = service.start(FEW_STEPS, {})
    assert ended(run).state == "finished"
    return run.name


def evaluated(evaluations: EvaluationService, *arguments):
    """Return an evaluation once it is over."""
    evaluation = evaluations.predict(*arguments)
    wait_for(lambda: evaluations.status(evaluation.id).state not in ACTIVE)
    status = evaluations.status(evaluation.id)
    assert status.state == "finished", status
    return evaluation


def test_answers_and_losses_are_measured_and_memory_given_back(evaluations, service, tuned, record):
    import torch
    from transformers import AutoModelForCausalLM

    in_threads(2)
    before = torch.cuda.memory_allocated()
    evaluation = evaluated(evaluations, [NOISE, tuned], ["identity_en"], PredictSettings(rows=ROWS, max_tokens=16))
    predictions, losses = evaluation.read(Prediction), evaluation.read(ReferenceLoss)
    assert len(predictions) == len(losses) == 2 * ROWS
    assert not [one.fault for one in predictions if one.fault]
    left = torch.cuda.memory_allocated() - before
    record(
        "evaluate: memory of the card held afterwards", gib(left), reach="under 0.01 GiB", reached=left < 0.01 * 2**30
    )
    assert left < 32 * 2**20
    # What the base says of the same tokens in float32, on the processor.
    model = AutoModelForCausalLM.from_pretrained(service.workspace.models / NOISE, dtype=torch.float32)
    far, sources = [], {row.row: row.source for row in evaluation.read(EvaluatedRow)}
    for one in [one for one in losses if one.target == NOISE][:3]:
        ids, labels = sequence(evaluations, sources[one.row])
        with torch.no_grad():
            far.append(abs(one.loss - model(input_ids=ids, labels=labels).loss.item()) / one.loss)
    record(
        "evaluate: losses of three references in bfloat16 on the card, against float32 on the CPU, as a share",
        f"{max(far):.2g}",
        reach="at most 0.01",
        reached=max(far) <= 0.01,
    )
    assert max(far) <= 0.01


def sequence(evaluations: EvaluationService, row: int):
    """Return ids and labels of a row as LLaMA-Factory encodes it, [1, sequence] each."""
    import torch

    from studio.datasets.encoding.row_encoder import RowEncoder

    dataset = evaluations.collection.find("identity_en")
    encoder = RowEncoder(
        evaluations.workspace.models / NOISE, dataset.entry, dataset.home, "sft", {"template": "chatml"}
    )
    value = evaluations.collection.preview("identity_en", row, 1).rows[0]
    tokens = encoder.encode(value)[0].tokens
    return torch.tensor([[one.id for one in tokens]]), torch.tensor([[one.label for one in tokens]])


def test_a_batch_that_is_too_large_is_halved(evaluations, service, record):
    import torch

    free_memory()
    rows = [{"instruction": f"{number} " + "word " * 1024, "input": "", "output": "word " * 8} for number in range(64)]
    write_json(service.workspace.data / "long.json", rows)
    file = service.workspace.data / "dataset_info.json"
    write_json(file, json.loads(file.read_text(encoding="utf-8")) | {"long": {"file_name": "long.json"}})
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_allocated() + 3 * 2**30) / total)
    try:
        evaluation = evaluated(evaluations, [NOISE], ["long"], PredictSettings(rows=0, max_tokens=4, batch=64))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    predictions = evaluation.read(Prediction)
    assert len(predictions) == len(evaluation.read(ReferenceLoss)) == 64
    assert not [one.fault for one in predictions if one.fault]
    halved = [event for event in evaluation.read(Event) if "halved" in event.model_dump_json()]
    record("evaluate: rows of 1,030 tokens at a time in 3 GiB, of 64 asked for", f"{64 / 2 ** len(halved):.0f}")
    assert halved
