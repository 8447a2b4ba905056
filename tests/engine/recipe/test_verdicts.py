"""What the preview says of a recipe is what LLaMA-Factory makes of it: each is really started, on a model of a few
thousand weights.
"""

import json
import os
import random
import subprocess
import sys

import pytest
from conftest import ROOT, SLOW, STARTER, new_workspace

from studio.core.i18n import Problem
from studio.train.recipe import recipes
from studio.train.recipe.validation import mixture

CASES = ROOT / "tests" / "cases"
CPU = recipes.Machine("cpu", True)
SHORT = {
    "model_name_or_path": "few-weights",
    "template": "smollm2",
    "dataset": "few",
    "cutoff_len": 64,
    "num_train_epochs": 1,
    "per_device_train_batch_size": 2,
    "save_strategy": "no",
    "lora_dropout": 0.0,
}
HELD_OUT = {"eval_strategy": "steps", "eval_steps": 1000}
TWO = {"dataset": "few,many", "per_device_train_batch_size": 1}
DPO = {"stage": "dpo", "dataset": "preference"}
PT = {"stage": "pt", "dataset": "text"}

# What trains, or dies, by LLaMA-Factory's own doing.
TABLE = [
    {},
    {"max_steps": 3},
    {"num_train_epochs": 2.5},
    {"gradient_accumulation_steps": 4},
    {"per_device_train_batch_size": 16},
    {"dataloader_drop_last": True, "per_device_train_batch_size": 3},
    {"max_samples": 3},
    {"max_samples": 1000},
    {"max_samples": 0},
    {"per_device_train_batch_size": 0},
    {"per_device_train_batch_size": -1},
    {"gradient_accumulation_steps": 0},
    {"lora_rank": 0},
    {"lora_rank": -8},
    {"lora_rank": 64},
    {"lora_alpha": -16},
    {"lora_alpha": 0},
    {"lora_dropout": 1.5},
    {"lora_dropout": 0.5},
    {"learning_rate": -1},
    {"learning_rate": 0},
    {"weight_decay": -0.1},
    {"adam_beta1": 1.5},
    {"warmup_steps": -1},
    {"warmup_steps": 0},
    {"warmup_steps": 3},
    {"warmup_ratio": 0.5},
    {"max_grad_norm": 0},
    {"max_grad_norm": -1},
    {"seed": -1},
    {"seed": 2**32 - 1},
    {"seed": 2**32},
    {"logging_steps": 0},
    {"logging_steps": 0, "logging_strategy": "no"},
    {"logging_steps": 2.5},
    {"logging_steps": 0.5},
    {"dataloader_num_workers": -1},
    {"preprocessing_num_workers": 0},
    {"num_train_epochs": -3, "max_steps": 2},
    {"max_steps": -7},
    {"val_size": 0.5, **HELD_OUT},
    {"val_size": 2, **HELD_OUT},
    {"val_size": 1, **HELD_OUT},
    {"val_size": 9, **HELD_OUT},
    {"val_size": 10, **HELD_OUT},
    {"val_size": 1000, **HELD_OUT},
    {"val_size": 0.99, **HELD_OUT},
    {"val_size": 0.95, **HELD_OUT},
    {"val_size": 1.5, **HELD_OUT},
    {"val_size": 1e-7},
    {"eval_dataset": "many", **HELD_OUT},
    {"eval_dataset": "many,few", **HELD_OUT},
    {"eval_dataset": "none_such", **HELD_OUT},
    {"eval_dataset": "preference", **HELD_OUT},
    {"eval_dataset": "many", "val_size": 0.1},
    {"do_eval": True},
    {"do_predict": True},
    {"eval_strategy": "steps"},
    {"eval_dataset": "few", "eval_on_each_dataset": True, **HELD_OUT},
    {"streaming": True, "max_steps": 3},
    {"streaming": True},
    {"streaming": True, "max_steps": 3, "dataloader_num_workers": 0},
    {"streaming": True, "max_steps": 3, "dataloader_num_workers": 11},
    {"streaming": True, "max_steps": 3, "max_samples": 4},
    {"streaming": True, "max_steps": 2, "val_size": 2, **HELD_OUT},
    {"streaming": True, "max_steps": 2, "val_size": 0.1, **HELD_OUT},
    {"streaming": True, "max_steps": 2, "val_size": 10, **HELD_OUT},
    {"streaming": True, "max_steps": 2, "buffer_size": 0},
    TWO,
    TWO | {"mix_strategy": "interleave_under"},
    TWO | {"mix_strategy": "interleave_over"},
    TWO | {"mix_strategy": "interleave_once"},
    TWO | {"mix_strategy": "interleave_under", "interleave_probs": "0.7,0.3"},
    TWO | {"mix_strategy": "interleave_over", "interleave_probs": "0.5,0.5"},
    TWO | {"mix_strategy": "interleave_under", "interleave_probs": "0.7,0.7"},
    TWO | {"mix_strategy": "interleave_under", "interleave_probs": "1"},
    TWO | {"interleave_probs": "0.7,0.3"},
    {"dataset": "few,few"},
    {"dataset": "few , many,few"},
    {"dataset": "few_as_50"},
    {"dataset": "few_as_50,many", "mix_strategy": "interleave_under"},
    {"dataset": "few", "mix_strategy": "interleave_once"},
    TWO | {"max_samples": 20},
    TWO | {"max_samples": 20, "mix_strategy": "interleave_over", "val_size": 0.1, **HELD_OUT},
    {"packing": True},
    {"packing": True, "neat_packing": True},
    {"neat_packing": True},
    {"packing": True, "dataset": "few,many"},
    DPO,
    DPO | {"neat_packing": True},
    DPO | {"mask_history": True},
    DPO | {"train_on_prompt": True},
    DPO | {"predict_with_generate": True},
    DPO | {"dataset": "few"},
    {"dataset": "preference"},
    DPO | {"pref_loss": "ipo", "dpo_label_smoothing": 0.1},
    DPO | {"pref_loss": "orpo"},
    {"stage": "kto", "dataset": "kto"},
    {"stage": "kto", "dataset": "few"},
    {"dataset": "kto"},
    {"stage": "rm", "dataset": "preference"},
    {"stage": "rm", "dataset": "preference", "load_best_model_at_end": True, "val_size": 0.5, **HELD_OUT},
    {"mask_history": True, "train_on_prompt": True},
    {"mask_history": True},
    {"train_on_prompt": True},
    PT,
    PT | {"cutoff_len": 16},
    PT | {"cutoff_len": 500},
    PT | {"packing": True, "cutoff_len": 16},
    PT | {"packing": False},
    PT | {"cutoff_len": 64, "val_size": 2, **HELD_OUT},
    PT | {"cutoff_len": 16, "eval_dataset": "text", **HELD_OUT},
    PT | {"dataset": "few", "cutoff_len": 16},
    PT | {"cutoff_len": 16, "preprocessing_batch_size": 3},
    PT | {"cutoff_len": 64, "preprocessing_batch_size": 1},
    {"dataset": "text"},
    {"pure_bf16": True},
    {"fp16": True},
    {"fp16": True, "bf16": True},
    {"bf16": False},
    {"bf16": False, "fp16": False},
    {"bf16": True},
    {"tf32": True},
    {"finetuning_type": "full"},
    {"finetuning_type": "freeze"},
    {"finetuning_type": "oft"},
    {"finetuning_type": "full", "use_dora": True},
    {"finetuning_type": "freeze", "pissa_init": True},
    {"use_galore": True},
    {"finetuning_type": "full", "use_galore": True},
    {"enable_liger_kernel": True},
    {"report_to": "wandb"},
    {"quantization_bit": 4, "finetuning_type": "full"},
    {"optim": "sgd"},
    {"optim": "no_such"},
    {"lr_scheduler_type": "linear"},
    {"lr_scheduler_type": "no_such"},
    {"lr_scheduler_type": "reduce_lr_on_plateau"},
    {"dataset": "broken"},
    {"dataset": "few,none_such"},
    {"flash_attn": "sdpa"},
    {"neftune_noise_alpha": 5},
    {"disable_shuffling": True},
    {"infer_backend": "vllm"},
    {"quantization_device_map": "auto"},
    {"save_strategy": "steps", "save_steps": 2.5},
    {"dataloader_prefetch_factor": 2},
    {"dataloader_prefetch_factor": 2, "dataloader_num_workers": 1},
    {"torch_empty_cache_steps": 0},
    {"label_smoothing_factor": 0.1},
    {"early_stopping_steps": 2},
    {"cutoff_len": 8},
    {"cutoff_len": 1024},
    {"resize_vocab": True, "add_tokens": "<x>"},
]
# LLaMA-Factory goes through these without training what was asked: told before the start.
IDLE = [
    {"num_train_epochs": 0},
    {"num_train_epochs": -3},
    {"max_steps": 0},
    {"lora_dropout": 1.0},
    {"lora_dropout": -0.1},
    {"val_size": -1},
    {"cutoff_len": 0},
]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """Return a workspace with a model of few weights and sets of 10 and 100 rows."""
    from transformers import LlamaConfig, LlamaForCausalLM

    made = new_workspace(tmp_path_factory.mktemp("verdicts") / "workspace")
    folder = made.models / "few-weights"
    config = json.loads((STARTER / "config.json").read_text(encoding="utf-8"))
    small = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 8,
    }
    LlamaForCausalLM(LlamaConfig(**config | small)).save_pretrained(folder)
    for file in STARTER.iterdir():
        if not (folder / file.name).exists() and file.suffix != ".safetensors":
            (folder / file.name).symlink_to(file.resolve())
    info = json.loads((CASES / "mixing" / "added" / "dataset_info.json").read_text())
    for name in ("few", "many"):
        (made.data / f"{name}.json").write_text((CASES / "mixing" / "added" / f"{name}.json").read_text())
    (made.data / "text.txt").write_text("".join(f"The kettle on shelf {number} is clean.\n" for number in range(30)))
    (made.data / "broken.json").write_text('[{"instruction": "a"')
    info |= {"text": {"file_name": "text.txt", "columns": {"prompt": "text"}}, "broken": {"file_name": "broken.json"}}
    known = json.loads((made.data / "dataset_info.json").read_text())
    (made.data / "dataset_info.json").write_text(json.dumps(known | info))
    return made


class Judge:
    """LLaMA-Factory in a process of its own."""

    def __init__(self):
        environment = os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "LLAMAFACTORY_VERBOSITY": "ERROR"}
        self._process = subprocess.Popen(
            [sys.executable, str(ROOT / "tests" / "train_verdicts.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )

    def ask(self, recipe: dict) -> dict:
        self._process.stdin.write(json.dumps(recipe) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture(scope="module")
def judge():
    judge = Judge()
    yield judge
    judge.end()


def compare(workspace, judge, wish) -> str:
    """Return what differs between the preview and LLaMA-Factory, "" where nothing does."""
    try:
        recipe, problems = recipes.draft(workspace, SHORT | wish, CPU)
    except Problem as problem:  # a setting that is none: LLaMA-Factory is asked with the word as it was written
        recipe, problems = recipes.draft(workspace, SHORT, CPU)[0] | wish, [problem]
    verdict = judge.ask(recipe)
    told = "; ".join(map(str, problems))
    if verdict["ok"] == bool(problems):
        return f"{wish}: told {told!r}, LLaMA-Factory: {verdict['error'] or 'trains'}"
    amount = mixture.measure(workspace, recipe) if verdict["ok"] else None
    if amount and amount.steps != verdict["steps"] and (amount.exact or amount.steps is None):
        return f"{wish}: {amount.steps} steps, LLaMA-Factory: {verdict['steps']}"
    return ""


# Each recipe takes a second or more: all of them where there is time, and one in sixty-four else.


@pytest.mark.parametrize("part", range(64 if SLOW else 1))
def test_the_verdict_is_that_of_the_run(workspace, judge, part):
    wrong = [told for wish in TABLE[part::64] if (told := compare(workspace, judge, wish))]
    assert not wrong, "\n".join(wrong)


def test_what_would_train_nothing_is_told_by_its_field(workspace):
    for wish in IDLE:
        _, problems = recipes.draft(workspace, SHORT | wish, CPU)
        assert [problem.facts["field"] for problem in problems] == list(wish)[:1], wish


CHOICES = {
    "dataset": ["few", "many", "few,many", "few_as_50", "many,few_as_50", "preference", "text"],
    "stage": ["sft", "sft", "dpo", "pt"],
    "num_train_epochs": [1, 0.3, 2, 3.7],
    "per_device_train_batch_size": [1, 3, 8, 0],
    "gradient_accumulation_steps": [1, 2, 7, -1],
    "max_samples": [None, None, 1, 7, 30],
    "val_size": [None, None, 0.1, 3, 12],
    "packing": [None, None, None, True, False],
    "mix_strategy": [None, "concat", "interleave_under", "interleave_over"],
    "interleave_probs": [None, None, None, "0.2,0.8"],
    "streaming": [None, None, None, True],
    "max_steps": [None, None, 2],
    "cutoff_len": [32, 64, 400],
    "seed": [42, 7],
    "eval_dataset": [None, None, None, "few"],
    "lora_rank": [None, 4],
    "dataloader_num_workers": [None, None, None, 0, 2],
}


def test_so_it_is_with_any_combination(workspace, judge):
    pick = random.Random(int(os.environ.get("STUDIO_SEED", 1)))
    number = 400 if SLOW else 6
    wishes = [
        {key: value for key, values in CHOICES.items() if (value := pick.choice(values)) is not None}
        for _ in range(number)
    ]
    wrong = [told for wish in wishes if (told := compare(workspace, judge, wish))]
    assert not wrong, "\n".join(wrong)
