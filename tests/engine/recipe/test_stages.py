"""Every stage and method is really trained, two steps each, on shipped data."""

import pytest
from conftest import NAMED, SHORT, ended, new_workspace, slow

from studio.core.device_lease import DeviceLease
from studio.train.execution.training_service import TrainingService

TINY = SHORT | {"max_steps": 2, "cutoff_len": 48, "max_samples": 4, "save_strategy": "no"}
CASES = {
    "pt": {"stage": "pt", "dataset": "pretrain"},
    "sft-lora": {},
    "sft-dora": {"use_dora": True},
    "sft-pissa": {"pissa_init": True},
    "sft-rslora-plus": {"use_rslora": True, "loraplus_lr_ratio": 16},
    "sft-oft": {"finetuning_type": "oft"},
    "sft-full": {"finetuning_type": "full"},
    "sft-freeze": {"finetuning_type": "freeze"},
    "sft-qlora4": {"quantization_bit": 4},
    "sft-packed": {"neat_packing": True, "packing": True},
    "sft-neftune": {"neftune_noise_alpha": 5},
    "sft-eval": {"val_size": 0.5, "eval_steps": 1, "save_steps": 1, "dataset": "multi_turn"},
    "tools": {"dataset": "tool_calls"},
    "rm": {"stage": "rm", "dataset": "preference"},
    "dpo": {"stage": "dpo", "dataset": "preference"},
    "orpo": {"stage": "dpo", "dataset": "preference_chat", "pref_loss": "orpo"},
    "simpo": {"stage": "dpo", "dataset": "preference", "pref_loss": "simpo"},
    "kto": {"stage": "kto", "dataset": "kto"},
}


# One of each stage and of each way to tune.
ALWAYS = {
    *("pt", "rm", "simpo", "kto", "tools"),
    *("sft-lora", "sft-oft", "sft-freeze", "sft-qlora4", "sft-packed", "sft-eval"),
}


@pytest.fixture(scope="module")
def trainer(tmp_path_factory):
    return TrainingService(new_workspace(tmp_path_factory.mktemp("stages") / "workspace"), DeviceLease())


@pytest.mark.parametrize("case", [one if one in ALWAYS else pytest.param(one, marks=slow) for one in CASES])
def test_it_trains(trainer, case):
    run = trainer.start(TINY | CASES[case], NAMED)
    status = ended(run)
    assert status.state == "finished", status.error
    assert [point[0] for point in status.series["loss"]] == [1, 2]
    assert all(isinstance(point[1], float) for point in status.series["loss"])
    if case in ("dpo", "simpo", "orpo"):
        assert status.series["rewards/margins"]
    if case == "sft-eval":
        assert status.series["eval_loss"]
