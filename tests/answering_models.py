"""Models that answer in a moment and prefer one word clearly, adapters on any model, and how they are asked."""

import shutil
from pathlib import Path

from conftest import SMALL_MODEL

from studio.inference.local.local_engine import LocalEngine
from studio.inference.local.model_target import ModelTarget
from studio.inference.sampling import Sampling

GREEDY = Sampling(temperature=0, max_tokens=16)
QUESTION = [{"role": "user", "content": "What is a fox? Answer in one sentence."}]


def sharp_model(folder: Path, dtype: str = "float32") -> Path:
    """Make the small model with weights so wide that what it says depends on each token before, and return its folder.

    Args:
        dtype: of its numbers.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    shutil.copytree(SMALL_MODEL[0], folder)
    config = AutoConfig.from_pretrained(folder, initializer_range=0.3)
    with torch.random.fork_rng():
        torch.manual_seed(4)
        AutoModelForCausalLM.from_config(config, dtype=getattr(torch, dtype)).save_pretrained(folder)
    return folder


def adapters_on(model: Path, root: Path) -> dict[str, Path]:
    """Make three adapters of random numbers on a model, the last of them one of DoRA, and return their folders."""
    from transformers import AutoModelForCausalLM

    loaded = AutoModelForCausalLM.from_pretrained(model)
    return {
        "first": make_adapter(loaded, root / "first", 0),
        "second": make_adapter(loaded, root / "second", 1),
        "dora": make_adapter(loaded, root / "dora", 2, 20.0, use_dora=True, layers_to_transform=[0, 1]),
    }


def make_adapter(model, folder: Path, seed: int, strength: float = 0.7, **more) -> Path:
    """Make an adapter of random numbers on a loaded model, and return its folder."""
    import torch
    from peft import LoraConfig, get_peft_model

    state = torch.get_rng_state()
    torch.manual_seed(seed)
    config = LoraConfig(
        r=4 * (1 + seed), lora_alpha=8, target_modules=["q_proj", "down_proj"], init_lora_weights=False, **more
    )
    tuned = get_peft_model(model, config)
    for name, weight in tuned.named_parameters():
        if "lora_B" in name:
            weight.data *= strength
    tuned.save_pretrained(folder)
    tuned.unload()
    torch.set_rng_state(state)
    return folder


def target_on(name: str, model: Path, adapter: Path | None = None, template: str = "chatml", **more) -> ModelTarget:
    """Return a target that answers in float32: in bfloat16 a row may round to another token in a batch of another
    size.
    """
    return ModelTarget(name, model, adapter, template, **{"precision": "float32"} | more)


def targets_on(model: Path, folders: dict[str, Path], **more) -> list[ModelTarget]:
    """Return a model alone, and with each of these adapters."""
    named = {"base": None} | folders
    return [target_on(name, model, folder, **more) for name, folder in named.items()]


def ask(
    chat: LocalEngine,
    targets: list[ModelTarget],
    sampling: Sampling = GREEDY,
    question: list[dict] = QUESTION,
    system: str | None = None,
):
    """Return the whole answers of targets that are loaded."""
    *_, last = chat.compare(targets, [question] * len(targets), system, sampling)
    return last
