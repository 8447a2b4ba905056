"""What stands in the form as a recipe. LLaMA-Factory's own parser judges it elsewhere."""

import pytest

from studio.core.i18n import Problem
from studio.train.page.form import form_recipe, start_options

BOXES = {
    "model_name_or_path": "tiny",
    "dataset": ["a", "b"],
    "stage": "sft",
    "reward_model": "",
    "lora_rank": 8,
    "lora_alpha": 16,
    "lora_dropout": 0,
    "learning_rate": 1e-4,
}


def test_the_boxes_become_a_recipe_of_llamafactory():
    recipe = form_recipe.recipe_of("lora", BOXES, {"use_rslora": "true"})
    assert recipe == {
        "do_train": True,
        "model_name_or_path": "tiny",
        "dataset": "a,b",
        "stage": "sft",
        "finetuning_type": "lora",
        "lora_rank": 8,
        "lora_alpha": 16,
        "lora_dropout": 0,
        "learning_rate": 1e-4,
        "use_rslora": "true",
    }


@pytest.mark.parametrize("method", form_recipe.METHODS)
def test_a_method_says_its_bits_and_keeps_lora_settings_to_itself(method):
    recipe = form_recipe.recipe_of(method, BOXES, {})
    assert form_recipe.method_of(recipe) == method
    assert ("lora_rank" in recipe) == (method in form_recipe.WITH_LORA_SETTINGS)


def test_a_reward_model_is_of_ppo_alone_and_no_data_is_none():
    recipe = form_recipe.recipe_of(
        "lora", BOXES | {"stage": "ppo", "reward_model": "m/lora/judge", "dataset": None}, {}
    )
    assert (recipe["reward_model"], recipe["dataset"]) == ("m/lora/judge", "")


@pytest.mark.parametrize("setting", ["learning_rate", "reward_model", "finetuning_type"])
def test_a_setting_that_has_a_box_is_set_there_alone(setting):
    with pytest.raises(Problem) as told:
        form_recipe.recipe_of("full", BOXES, {"use_rslora": "true", setting: "2e-5"})
    assert (told.value.key, told.value.facts["field"]) == ("train.has_box", setting)


@pytest.mark.parametrize(
    ("written", "numbers"),
    [
        ("", []),
        ("0", [0]),
        ("0 1", [0, 1]),
        ("0,1", [0, 1]),
        ("0，1", [0, 1]),
        ("0、1；2; 3", [0, 1, 2, 3]),
        (" １ ", [1]),
    ],
)
def test_devices_are_numbers_with_anything_usual_between_them(written, numbers):
    assert start_options.start_options("", "", "", written)["devices"] == numbers


@pytest.mark.parametrize("written", ["0-3", "cuda:1", "all", "0 x", "-1", "1.5", "²"])
def test_devices_that_are_no_numbers_are_refused_at_their_field(written):
    with pytest.raises(Problem) as told:
        start_options.start_options("", "", "", written)
    assert told.value.facts == {"devices": written, "field": "devices"}
