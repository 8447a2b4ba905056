"""A run on a run, and a run whose vocabulary grew, answer with all that they are made of."""

import json
import threading

import pytest
import yaml
from conftest import NAMED, ROOT, SMALL, ended, slow

from studio.core.device_lease import DeviceLease
from studio.inference.inference_service import InferenceService
from studio.inference.sampling import Sampling
from studio.train import runs
from studio.train.execution.training_service import TrainingService

CASES = ROOT / "tests" / "cases"
STARTER = "SmolLM2-135M-Instruct"


def answers(service: InferenceService, names: list[str], question: str, tokens: int = 8) -> dict[str, str]:
    asked = {name: [{"role": "user", "content": question}] for name in names}
    (*_, last) = service.ask(asked, "", Sampling(temperature=0, max_tokens=tokens), threading.Event())
    assert [one.fault for one in last] == [None] * len(names)
    return {one.target: one.text for one in last}


def made(workspace, name: str, strength: float, **recipe) -> runs.Run:
    """Return a run whose adapter is random numbers of that strength, or learned nothing at all."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    base = workspace.models / SMALL
    run = runs.make(workspace, SMALL, "lora", name)
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16),
        LoraConfig(r=4, target_modules=["q_proj", "v_proj"]),
    )
    torch.manual_seed(1)
    for parameter_name, parameter in model.named_parameters():
        if "lora_B" in parameter_name and strength:
            parameter.data.normal_(std=strength)
    model.save_pretrained(run.folder)
    run.recipe_file.write_text(
        yaml.safe_dump(
            {
                "model_name_or_path": str(base),
                "finetuning_type": "lora",
                "template": "smollm2",
                "stage": "sft",
                "dataset": "identity_en",
                **recipe,
            }
        )
    )
    run.info_file.write_text("{}")
    run.say("state", state="finished")
    return run


def test_what_lies_below_a_run_answers_too(workspace):
    """B is a new adapter on A that learned nothing, C went on from A and B: both are A."""
    a = made(workspace, "a", 2.0)
    b = made(workspace, "b", 0, adapter_name_or_path=str(a.folder), create_new_adapter=True)
    c = made(workspace, "c", 0, adapter_name_or_path=f"{a.folder},{b.folder}")
    service = InferenceService(workspace, DeviceLease())
    said = answers(service, [SMALL, a.name, b.name, c.name], "Count to ten.")
    # A is merged below B and C in bfloat16, so that their words may part from A's own; without it they would be the
    # base's.
    assert said[b.name] == said[c.name] and said[SMALL] not in (said[a.name], said[b.name]), said
    service.unload()


def trained_by(trainer: TrainingService, wish: dict, seconds: float = 300) -> runs.Run:
    """Return the finished run of a recipe."""
    run = trainer.start({"template": "smollm2", "plot_loss": False, "cutoff_len": 64} | wish, NAMED)
    assert ended(run, seconds).state == "finished", runs.status(run).error
    return run


@slow  # trains twelve epochs
@pytest.mark.timeout(1800)
def test_a_name_that_a_run_learned_is_said_by_the_runs_above_it(workspace):
    steps, trainer = (
        json.loads((CASES / "run-on-a-run" / "steps.json").read_text()),
        TrainingService(workspace, DeviceLease()),
    )
    a = trained_by(trainer, steps["A"], 1500)
    b = trained_by(trainer, steps["B_over_A"] | {"adapter_name_or_path": a.name})
    c = trained_by(trainer, steps["C_over_A_and_B"] | {"adapter_name_or_path": f"{a.name},{b.name}"})
    service = InferenceService(workspace, DeviceLease())
    said = answers(service, [STARTER, a.name, b.name, c.name], "Who are you?", 16)
    assert "Xiaoju" in said[a.name] and said[b.name] == said[c.name] == said[a.name] != said[STARTER], said
    service.unload()


@slow
def test_a_run_whose_vocabulary_grew_answers_and_is_gone_on_with(workspace, trainer):
    # A run of a grown vocabulary keeps all of its embeddings: those of a small model are small.
    recipe = json.loads((CASES / "grown-vocabulary" / "recipe.json").read_text())
    grown = trained_by(trainer, {"model_name_or_path": SMALL} | recipe)
    service = InferenceService(workspace, DeviceLease())
    answers(service, [SMALL, grown.name], "Say <room> and <heat>.")  # nobody has learned what to say
    target = service.load([grown.name])[0]
    (model,) = service.engine._models.values()
    assert (
        model.vocabulary > 49_152
        and len(model.encoder(target).tokenizer.encode("<room>", add_special_tokens=False)) == 1
    )
    service.unload()
    new = trained_by(
        trainer,
        {"model_name_or_path": SMALL, "dataset": "identity_en", "max_steps": 1}
        | {"adapter_name_or_path": grown.name, "create_new_adapter": True},
    )
    assert new.recipe()["add_tokens"] == "<room>,<heat>"
    answers(service, [new.name], "Say <room>.")
    service.unload()
