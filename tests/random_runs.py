"""Runs that nobody trained: an adapter of random numbers on a real model, with the recipe of a run."""

import yaml
from conftest import STARTER

from studio.train import runs


def random_run(
    workspace,
    name: str,
    seed: int = 1,
    dtype: str = "float32",
    model: str = STARTER.name,
    strength: float = 0.05,
    **recipe,
) -> runs.Run:
    """Return a finished run of that name on a model of the workspace; `dtype` is that of the adapter's numbers, and
    `strength` how large they are.
    """
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    run = runs.make(workspace, model, "lora", name)
    state = torch.get_rng_state()
    torch.manual_seed(seed)
    tuned = get_peft_model(
        AutoModelForCausalLM.from_pretrained(workspace.models / model, dtype=getattr(torch, dtype)),
        LoraConfig(r=4, target_modules=["q_proj", "v_proj"]),
    )
    for parameter_name, parameter in tuned.named_parameters():
        if "lora_B" in parameter_name:
            parameter.data.normal_(std=strength)
    torch.set_rng_state(state)
    tuned.save_pretrained(run.folder)
    settings = {
        "model_name_or_path": str(workspace.models / model),
        "finetuning_type": "lora",
        "template": "smollm2",
        "stage": "sft",
        "dataset": "identity_en",
        "dataset_dir": str(workspace.data),
        "lora_rank": 4,
        "seed": 42,
    }
    run.recipe_file.write_text(yaml.safe_dump(settings | recipe))
    run.info_file.write_text("{}")
    run.say("state", state="finished")
    return run
