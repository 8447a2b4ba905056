"""The settings of LLaMA-Factory as the form knows them."""

import pytest
from drawn import drawn

from studio.core.i18n import Problem, sentences
from studio.train.page.form import setting_list
from studio.train.recipe import arguments


def test_every_argument_of_the_engine_is_known_and_reachable():
    known = arguments.arguments()
    assert len(known) > 300
    reachable = {found.name for name in known for found in arguments.search(name, "sft", "lora")}
    assert known.keys() - reachable == arguments.HELD_BACK & known.keys()


def test_words_of_help_name_real_settings():
    named = {key.removeprefix("arguments.") for key in sentences("en") if key.startswith("arguments.")}
    assert named - arguments.arguments().keys() == set()


def test_only_settings_of_the_stage_and_method_are_in_sight():
    lora = {found.name for found in arguments.search("", "sft", "lora")}
    assert (
        "lora_rank" in lora
        and not {"oft_rank", "freeze_trainable_layers", "pref_beta", "kto_chosen_weight", "ppo_epochs"} & lora
    )
    assert {"pref_beta", "pref_loss"} <= {found.name for found in arguments.search("", "dpo", "full")}


@pytest.mark.parametrize(
    ("name", "value", "taken"),
    [
        ("learning_rate", "1e-4", 1e-4),
        ("lora_rank", "16", 16),
        ("lora_rank", 16.0, 16),
        ("use_dora", "true", True),
        ("pref_loss", "orpo", "orpo"),
        ("val_size", 0, 0.0),
        ("bf16", True, True),
        ("quantization_bit", None, None),
        ("save_steps", "0.25", 0.25),
    ],
)
def test_values_become_what_the_setting_wants(name, value, taken):
    assert arguments.judged({name: value}) == {name: taken}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("learning_rate", "fast"),
        ("lora_rank", 1.5),
        ("use_dora", "perhaps"),
        ("pref_loss", "mine"),
        ("nothing", 1),
        ("hub_token", "x"),
    ],
)
def test_wrong_values_are_told_at_their_field(name, value):
    with pytest.raises(Problem) as told:
        arguments.judged({name: value})
    assert told.value.facts["field"] == name and name in str(told.value)


def test_the_list_is_drawn_in_both_languages_with_defaults_and_marks():
    arguments.arguments()
    for language in ("en", "zh"):
        context = setting_list.setting_list("", "sft", "lora", {"use_dora": "true"})
        changed = [one for topic in context.topics for one in topic.settings if one.is_changed]
        assert [(one.name, one.value, one.default) for one in changed] == [("use_dora", "true", "false")]
        html = drawn(setting_list, context, language)
        assert html.count('class="setting changed"') == 1
        assert html.count("data-setting=") > 200
    assert "没有符合" in drawn(setting_list, setting_list.setting_list("qqqq", "sft", "lora", {}), "zh")
