"""Models and runs that a recipe names beside its first model become folders, or are told by their field."""

import pytest

from studio.core.i18n import Problem
from studio.core.workspace import Workspace
from studio.train.runs import adapters


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    made = Workspace(tmp_path / "workspace").prepare()
    for name in ("Tiny-Chat", "模型"):
        model = made.models / name
        model.mkdir()
        (model / "config.json").write_text('{"model_type": "llama"}')
        (model / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    return made


@pytest.mark.parametrize("field", adapters.MODELS)
@pytest.mark.parametrize("name", ["Tiny-Chat", "模型", " Tiny-Chat ", "owner/Tiny-Chat", "models/Tiny-Chat"])
def test_a_name_of_the_list_becomes_its_folder(workspace, field, name):
    wanted = workspace.models / name.strip().split("/")[-1]
    assert adapters.resolved(workspace, {field: name})[field] == str(wanted)
    assert adapters.resolved(workspace, {field: str(wanted)})[field] == str(wanted)


@pytest.mark.parametrize("field", adapters.MODELS)
@pytest.mark.parametrize("name", ["Gone-1B", "owner/Gone-1B", "/gone/away", "../x"])
def test_one_that_is_not_there_is_told_by_its_field(workspace, field, name):
    with pytest.raises(Problem) as told:
        adapters.resolved(workspace, {field: name})
    assert told.value.key == "models.missing" and told.value.facts["field"] == field and name in str(told.value)


def test_a_server_that_gives_rewards_is_no_model(workspace):
    recipe = {"reward_model": "http://127.0.0.1:8000/rewards", "reward_model_type": "api"}
    assert adapters.resolved(workspace, recipe) == recipe
    assert adapters.resolved(workspace, {"reward_model": "https://host/v1"})["reward_model"] == "https://host/v1"


def test_the_one_step_of_a_search_measures_and_publishes_nothing(tmp_path):
    from studio.train.execution import batch_search

    recipe = {
        "stage": "sft",
        "lora_rank": 8,
        "learning_rate": 1e-4,
        "eval_dataset": "a",
        "early_stopping_steps": 3,
        "load_best_model_at_end": True,
        "metric_for_best_model": "eval_loss",
        "interleave_probs": "0.5,0.5",
        "mix_strategy": "interleave_over",
        "streaming": True,
        "dataloader_num_workers": 4,
        "dataloader_prefetch_factor": 2,
        "push_to_hub": True,
        "hub_model_id": "me/it",
        "use_swanlab": True,
        "swanlab_project": "p",
        "tokenized_path": "/t",
        "max_samples": 5,
        "do_predict": True,
    }
    step = batch_search.one_step(recipe, tmp_path, 4)
    assert {
        name: step[name] for name in ("lora_rank", "learning_rate", "per_device_train_batch_size", "max_steps")
    } == {"lora_rank": 8, "learning_rate": 1e-4, "per_device_train_batch_size": 4, "max_steps": 1}
    assert (
        not (set(recipe) - {"stage", "lora_rank", "learning_rate", "dataloader_num_workers"}) & set(step)
        and step["dataloader_num_workers"] == 0
    )
