"""What lies below a run's own adapter, by the rules of LLaMA-Factory's model/adapter.py."""

import json
from pathlib import Path

import pytest
import yaml

from studio.core.i18n import Problem
from studio.core.workspace import Workspace
from studio.train import runs
from studio.train.runs import adapters, lineage

A, B = Path("/saves/a"), Path("/saves/b")


@pytest.mark.parametrize(
    ("recipe", "below"),
    [
        ({}, ()),
        ({"adapter_name_or_path": str(A)}, ()),
        ({"adapter_name_or_path": str(A), "create_new_adapter": True}, (A,)),
        ({"adapter_name_or_path": str(A), "create_new_adapter": "true"}, (A,)),
        ({"adapter_name_or_path": f"{A}, {B}"}, (A,)),
        ({"adapter_name_or_path": [str(A), str(B)], "create_new_adapter": True}, (A, B)),
        ({"adapter_name_or_path": str(A), "create_new_adapter": True, "finetuning_type": "oft"}, (A,)),
        ({"adapter_name_or_path": str(A), "create_new_adapter": True, "finetuning_type": "full"}, ()),
        # what cannot be merged is trained on, whatever was asked for
        ({"adapter_name_or_path": str(A), "create_new_adapter": True, "quantization_bit": 4}, ()),
        ({"adapter_name_or_path": str(A), "create_new_adapter": True, "use_unsloth": True}, ()),
        (
            {
                "adapter_name_or_path": str(A),
                "create_new_adapter": True,
                "deepspeed": {"zero_optimization": {"stage": 3}},
            },
            (),
        ),
        (
            {
                "adapter_name_or_path": str(A),
                "create_new_adapter": True,
                "deepspeed": {"zero_optimization": {"stage": 2}},
            },
            (A,),
        ),
    ],
)
def test_what_was_merged_first(recipe, below):
    assert lineage.merged_below(recipe) == below


def test_a_model_that_is_stored_quantised_takes_no_merging(tmp_path):
    (tmp_path / "config.json").write_text(
        json.dumps({"model_type": "llama", "quantization_config": {"quant_method": "gptq", "bits": 4}})
    )
    recipe = {"model_name_or_path": str(tmp_path), "adapter_name_or_path": str(A), "create_new_adapter": True}
    assert lineage.merged_below(recipe) == ()


@pytest.mark.parametrize(
    ("recipe", "grown"),
    [
        ({"add_tokens": "<a>,<b>", "resize_vocab": True}, {"add_tokens": "<a>,<b>", "resize_vocab": True}),
        ({"add_special_tokens": ["<a>", "<b>"]}, {"add_special_tokens": "<a>,<b>"}),
        ({"init_special_tokens": "noise_init", "resize_vocab": False}, {}),
        ({}, {}),
    ],
)
def test_how_a_vocabulary_grew(recipe, grown):
    assert dict(lineage.vocabulary(recipe)) == grown


def made(workspace: Workspace, name: str, **recipe) -> runs.Run:
    run = runs.make(workspace, "m", "lora", name)
    (run.folder / "adapter_model.safetensors").write_bytes(b"x")
    (run.folder / "adapter_config.json").write_text("{}")
    run.recipe_file.write_text(yaml.safe_dump({"model_name_or_path": "/x/m", **recipe}))
    return run


@pytest.fixture
def chain(tmp_path):
    """Return a workspace in which b lies on a, whose vocabulary grew."""
    workspace = Workspace(tmp_path / "workspace").prepare()
    a = made(workspace, "a", add_tokens="<room>", resize_vocab=True)
    b = made(
        workspace,
        "b",
        adapter_name_or_path=str(a.folder),
        create_new_adapter=True,
        add_tokens="<room>",
        resize_vocab=True,
    )
    return workspace, a, b


def test_a_run_on_a_run_takes_all_that_is_below(chain):
    workspace, a, b = chain
    said = adapters.resolved(workspace, {"adapter_name_or_path": b.name})
    assert (
        said["adapter_name_or_path"] == f"{a.folder},{b.folder}"
        and said["add_tokens"] == "<room>"
        and said["resize_vocab"] is True
    )
    assert (
        adapters.resolved(workspace, {"adapter_name_or_path": str(b.folder)})["adapter_name_or_path"]
        == f"{a.folder},{b.folder}"
    )
    assert adapters.resolved(workspace, {"adapter_name_or_path": a.name})["adapter_name_or_path"] == str(a.folder)
    several = [a.name, b.name]
    assert (
        adapters.resolved(workspace, {"adapter_name_or_path": several})["adapter_name_or_path"]
        == f"{a.folder},{b.folder}"
    )


def test_what_is_merged_first_cannot_be_under_a_quantised_model(chain):
    workspace, _, b = chain
    with pytest.raises(Problem, match="without quantisation"):
        adapters.resolved(workspace, {"adapter_name_or_path": b.name, "quantization_bit": 4})


def test_the_model_to_compare_with_is_a_name_of_the_library(chain):
    workspace, a, _ = chain
    assert adapters.resolved(workspace, {"ref_model": a.name})["ref_model"] == str(a.folder)
    with pytest.raises(Problem):
        adapters.resolved(workspace, {"ref_model": "nothing"})
