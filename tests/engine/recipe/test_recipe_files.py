"""Recipes from elsewhere: the command line, YAML, LlamaBoard; kept under a name, and written out again."""

import json

import gradio as gr
import pytest
import yaml

from studio import api, app
from studio.core.i18n import Problem, Words
from studio.core.workspace import Workspace
from studio.train import runs
from studio.train.recipe import saved_recipes
from studio.train.recipe.importing import recipe_reading
from studio.web.endpoint import checked_endpoint

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
    recipe = recipe_reading.read(COMMAND).recipe
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
    assert recipe_reading.read("stage: sft\nlearning_rate: 1.0e-4\noutput_dir: x\n").recipe == {
        "stage": "sft",
        "learning_rate": 1e-4,
    }
    assert recipe_reading.read('{"stage": "pt", "cutoff_len": "256"}').recipe == {"stage": "pt", "cutoff_len": 256}


def test_a_board_configuration_becomes_a_recipe():
    recipe = recipe_reading.read(json.dumps(BOARD)).recipe
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
    recipe = recipe_reading.read(COMMAND).recipe
    assert recipe_reading.read(saved_recipes.to_shell(recipe)).recipe == recipe


@pytest.mark.parametrize(
    "text",
    ["", "a: [", "just words", "llamafactory-cli train --no_such_setting 1", "hf_hub_token: abc", "cutoff_len: many"],
)
def test_what_is_no_recipe_is_told(text):
    with pytest.raises(Problem):
        recipe_reading.read(text)


def test_recipes_are_kept_by_name(workspace):
    saved_recipes.save(workspace, "my first", {"learning_rate": 1e-4})
    assert saved_recipes.saved(workspace) == ["my first"]
    assert saved_recipes.load(workspace, "my first") == {"do_train": True, "learning_rate": 1e-4}
    with pytest.raises(Problem):
        saved_recipes.save(workspace, "../out", {})
    with pytest.raises(Problem):
        saved_recipes.load(workspace, "other")


@pytest.mark.parametrize(
    "value",
    [
        "Answer in a fence:\n```yaml\nstage: dpo\n```\nand nothing else.",
        "Answer in a fence:\n~~~\nstage: dpo\n~~~",
        "Write it into a file:\ncat > train.yaml <<EOF\nstage: dpo\nEOF\n",
        "Run llamafactory-cli train --stage dpo",
        "dict(stage='dpo')",
    ],
)
def test_what_a_setting_holds_is_not_searched_for_a_recipe(workspace, value):
    recipe = {"stage": "sft", "default_system": value}
    saved_recipes.save(workspace, "mine", recipe)
    assert saved_recipes.load(workspace, "mine") == {"do_train": True} | recipe
    assert recipe_reading.read(yaml.safe_dump(recipe, sort_keys=False)).recipe == recipe


def test_recipes_are_kept_and_brought_back_by_endpoints(tmp_path):
    studio = app.make(Workspace(tmp_path))
    called = {one.__name__: checked_endpoint(one, Words("en")) for one in api.all_endpoints(studio, Words("en"))}
    assert called["train_recipes"]() == []
    recipe = {"stage": "sft", "dataset": "identity_en", "learning_rate": 2e-4}
    assert called["train_recipe_save"](" first ", recipe) == {"name": "first"}
    assert called["train_recipe_save"]("second", {"stage": "dpo", "dataset": "preference"}) == {"name": "second"}
    assert called["train_recipe_save"]("first", recipe | {"lora_rank": 4}) == {"name": "first"}
    assert called["train_recipes"]() == ["first", "second"]
    loaded = called["train_recipe_load"]("first")
    assert loaded["name"] == "first" and loaded["recipe"] == {"do_train": True} | recipe | {"lora_rank": 4}
    for name, arguments in (
        ("train_recipe_load", ["gone"]),
        ("train_recipe_load", ["../first"]),
        ("train_recipe_save", ["a/b", recipe]),
        ("train_recipe_save", ["third", {"hub_token": "x"}]),
        ("train_recipe_save", ["third", {"nothing": 1}]),
    ):
        with pytest.raises(gr.Error):
            called[name](*arguments)
    assert called["train_recipes"]() == ["first", "second"]


def test_what_only_reads_saved_recipes_is_answered_by_a_studio_that_only_looks():
    assert {"train_recipes", "train_recipe_load"} <= api.LOOKING and "train_recipe_save" not in api.LOOKING


def test_options_of_a_start_are_refused_by_name(tmp_path):
    studio = app.make(Workspace(tmp_path))
    start = next(one for one in api.all_endpoints(studio, Words("en")) if one.__name__ == "train_start")
    for options, field in (({"device": [0]}, "device"), ({"devices": "all"}, "devices"), ({"probes": [1]}, "probes.0")):
        with pytest.raises(gr.Error) as refused:
            checked_endpoint(start, Words("en"))({"stage": "sft"}, "worker", options)
        assert field in str(refused.value.message) and "options" in str(refused.value.message)


def test_an_imported_recipe_means_the_same_to_the_preview_and_to_a_start(workspace):
    studio = app.make(workspace)
    called = {one.__name__: checked_endpoint(one, Words("en")) for one in api.all_endpoints(studio, Words("en"))}
    text = (
        "model_name_or_path: SmolLM2-135M-Instruct\ndataset: identity_en\nmax_steps: 1\ncutoff_len: 32\ndo_train: true"
    )
    for recipe in (called["train_recipe"](text)["recipe"], yaml.safe_load(text)):
        shown = called["train_preview"](recipe)
        assert shown["problems"] == []
        run = runs.find(workspace, called["train_start"](recipe, "worker")["run"])
        for trained in (yaml.safe_load(shown["yaml"]), run.recipe()):
            figures = [
                trained[name] for name in ("learning_rate", "num_train_epochs", "lr_scheduler_type", "cutoff_len")
            ]
            assert figures == [5e-5, 3.0, "linear", 32]
        called["train_kill"](run.name)
