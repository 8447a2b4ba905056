"""What the settings come to."""

import json
import math

from studio.core.i18n import Words
from studio.train.recipe import recipes
from studio.train.recipe.advice import advise

CPU = recipes.Machine("cpu", True)


def advice(workspace, **wish):
    return dict(advise(workspace, recipes.complete(workspace, wish, CPU)))


def test_batch_and_steps_are_those_the_trainer_will_take(workspace):
    rows = len(json.loads((workspace.data / "identity_en.json").read_text()))
    assert advice(workspace)["train.advice_batch"] == {"batch": 8, "steps": str(math.ceil(rows / 8) * 4)}
    assert advice(workspace, max_steps=7)["train.advice_batch"]["steps"] == "7"
    assert advice(workspace, gradient_accumulation_steps=4)["train.advice_batch"]["batch"] == 32


def test_unusual_settings_are_named(workspace):
    found = advice(workspace, lora_alpha=8, bf16=False)
    assert found["train.advice_alpha"] == {"alpha": 8, "usual": 16}
    assert "train.advice_fp32" in found
    assert "train.advice_alpha" not in advice(workspace)
    for key, facts in found.items():
        assert Words("zh")(key, **facts)


def test_the_cutoff_is_held_against_the_data(workspace):
    short = advice(workspace, cutoff_len=1024)["train.advice_short"]
    assert 10 < short["longest"] < 256
    cut = advice(workspace, cutoff_len=20)["train.advice_cut"]
    assert cut["longest"] == short["longest"] and int(cut["share"]) > 20
