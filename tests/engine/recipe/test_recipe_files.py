"""Recipes from elsewhere: the command line, YAML, LlamaBoard; kept under a name, and written out again."""

import json

import pytest

from studio.core.i18n import Problem
from studio.train.recipe import saved_recipes

COMMAND = r"""
CUDA_VISIBLE_DEVICES=0 llamafactory-cli train \
    --stage sft --do_train True \
    --model_name_or_path Qwen/Qwen2.5-7B-Instruct \
    --dataset identity_en,sft_en_zh --finetuning_type lora \
    --lora_target q_proj v_proj \
    --learning_rate 1e-4 --num_train_epochs=3 --bf16 \
    --output_dir saves/x
"""
BOARD = {
    "top.lang": "en",
    "top.model_name": "Qwen2.5-7B-Instruct",
    "top.model_path": "/models/qwen",
    "top.finetuning_type": "lora",
    "top.template": "qwen",
    "top.quantization_bit": "4",
    "top.booster": "liger_kernel",
    "train.training_stage": "DPO",
    "train.dataset": ["preference", "preference_chat"],
    "train.learning_rate": "5e-5",
    "train.batch_size": 2,
    "train.neftune_alpha": 0,
    "train.compute_type": "bf16",
    "train.lora_rank": 16,
    "train.extra_args": '{"optim": "adamw_torch"}',
    "train.packing": False,
}


def test_a_command_line_becomes_a_recipe():
    recipe = saved_recipes.read(COMMAND)
    assert recipe == {
        "stage": "sft",
        "model_name_or_path": "Qwen/Qwen2.5-7B-Instruct",
        "dataset": "identity_en,sft_en_zh",
        "finetuning_type": "lora",
        "lora_target": "q_proj,v_proj",
        "learning_rate": 1e-4,
        "num_train_epochs": 3.0,
        "bf16": True,
    }


def test_yaml_and_json_are_read_and_the_output_folder_is_ours():
    assert saved_recipes.read("stage: sft\nlearning_rate: 1.0e-4\noutput_dir: x\n") == {
        "stage": "sft",
        "learning_rate": 1e-4,
    }
    assert saved_recipes.read('{"stage": "pt", "cutoff_len": "256"}') == {"stage": "pt", "cutoff_len": 256}


def test_a_board_configuration_becomes_a_recipe():
    recipe = saved_recipes.read(json.dumps(BOARD))
    assert recipe == {
        "model_name_or_path": "/models/qwen",
        "finetuning_type": "lora",
        "template": "qwen",
        "quantization_bit": 4,
        "double_quantization": True,
        "enable_liger_kernel": True,
        "stage": "dpo",
        "dataset": "preference,preference_chat",
        "learning_rate": 5e-5,
        "per_device_train_batch_size": 2,
        "bf16": True,
        "fp16": False,
        "pure_bf16": False,
        "packing": False,
        "lora_rank": 16,
        "lora_target": "all",
        "optim": "adamw_torch",
    }


def test_what_goes_out_as_a_command_comes_back_the_same():
    recipe = saved_recipes.read(COMMAND)
    assert saved_recipes.read(saved_recipes.to_shell(recipe)) == recipe


@pytest.mark.parametrize(
    "text",
    ["", "a: [", "just words", "llamafactory-cli train --no_such_setting 1", "hf_hub_token: abc", "cutoff_len: many"],
)
def test_what_is_no_recipe_is_told(text):
    with pytest.raises(Problem):
        saved_recipes.read(text)


def test_recipes_are_kept_by_name(workspace):
    saved_recipes.save(workspace, "my first", {"learning_rate": 1e-4})
    assert saved_recipes.saved(workspace) == ["my first"]
    assert saved_recipes.load(workspace, "my first") == {"learning_rate": 1e-4}
    with pytest.raises(Problem):
        saved_recipes.save(workspace, "../out", {})
    with pytest.raises(Problem):
        saved_recipes.load(workspace, "other")
