"""A model is whole, or what is missing is told by file or tensor, with what to do."""

import json
import re
import shutil
from pathlib import Path

import pytest
from conftest import ROOT
from drawn import drawn
from markupsafe import escape
from workspace_files import safetensors

from studio.chat.evaluation.smoke_test import SmokeTests
from studio.chat.page.smoke_test_result import smoke_test
from studio.core.device_lease import DeviceLease
from studio.core.i18n import LANGUAGES, Problem, Words
from studio.core.jobs import Jobs
from studio.core.processes import limited
from studio.core.workspace import Workspace
from studio.models.hub.download import Downloads
from studio.models.library import library
from studio.models.memory import fit
from studio.models.models_context import ModelsContext
from studio.models.page.disk import memory_fit, model_head
from studio.models.weights import completeness, health, tensor_headers
from studio.monitor.history import Monitor

POINTER = (
    "version https://git-lfs.github.com/spec/v1\noid"
    " sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
)
CASES = ROOT / "tests" / "cases"
WHOLE = CASES / "modelscope-cache" / "old" / "hub" / "Tiny" / "Tiny-0___1B-Chat"
LETTERS = {
    "hidden_size": 8,
    "intermediate_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "vocab_size": 16,
}


@pytest.fixture
def folder(tmp_path) -> Path:
    """Return a whole model of two layers, in a folder that may be changed."""
    return shutil.copytree(WHOLE, tmp_path / "tiny")


def told(folder: Path) -> list[str]:
    """Return the sentences of a model's faults, all of them."""
    (model,) = completeness.checked([library.scan(folder, folder.name)], wait=None)
    return [Words("en").tell(fault) for fault in model.faults]


def tensors(file: Path) -> dict[str, list[int]]:
    """Return the shapes in a safetensors file."""
    return {name: one["shape"] for name, one in tensor_headers.read_shard(file).tensors.items()}


def test_a_whole_model_has_no_fault(folder):
    assert told(folder) == []


def test_the_cases_name_the_tensor_and_the_shard():
    (tensor,) = told(CASES / "half-downloads" / "tensor-missing")
    (shard,) = told(CASES / "half-downloads" / "index-names-third-shard")
    assert "model.layers.1.mlp.up_proj.weight" in tensor and "model-00003-of-00003.safetensors" in shard


@pytest.mark.parametrize("name", sorted(tensors(WHOLE / "model.safetensors")))
def test_any_tensor_that_is_missing_is_named(folder, name):
    shapes = tensors(folder / "model.safetensors")
    del shapes[name]
    (folder / "model.safetensors").write_bytes(safetensors(shapes))
    tied = json.loads((folder / "config.json").read_text()).get("tie_word_embeddings")
    assert [name in one for one in told(folder)] == ([] if name == "lm_head.weight" and tied else [True])


def test_another_shape_than_that_of_the_config_is_told(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"intermediate_size": 2 * config["intermediate_size"]}))
    (fault,) = told(folder)
    assert "model.layers.0.mlp" in fault and "×" in fault


def test_shards_without_an_index_and_weights_by_a_name_that_nothing_opens(folder):
    (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    assert re.search(r"model\.safetensors\.index\.json is missing", told(folder)[0])
    (folder / "model-00001-of-00001.safetensors").rename(folder / "consolidated.safetensors")
    assert "consolidated.safetensors are not read" in told(folder)[0]


@pytest.mark.parametrize(
    "name",
    ["model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors.index.json"],
)
def test_a_pointer_of_git_lfs_says_what_to_run(folder, name):
    (folder / name).write_text(POINTER)
    (fault,) = told(folder)
    assert name in fault and "git lfs pull" in fault


def test_a_pointer_is_told_where_it_is_all_that_is_there_of_the_weights(tmp_path):
    for name in ("model.safetensors", "pytorch_model.bin", "model.gguf"):
        folder = tmp_path / name.partition(".")[0]
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(POINTER)
        assert "git lfs pull" in told(folder)[0]


@pytest.mark.parametrize(
    "name", ["pytorch_model.bin", "tf_model.h5", "flax_model.msgpack", "training_args.bin", "loss.png", "model.gguf"]
)
def test_what_a_model_is_not_made_of_is_no_fault_whatever_is_wrong_with_it(folder, name):
    (folder / name).write_text(POINTER)
    (folder / f"other-{name}.part").write_bytes(b"half")
    (folder / "pytorch_model-00001-of-00002.bin.crdownload").write_bytes(b"half")
    assert told(folder) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("tokenizer.json", '{"model": {"vocab": {"a": 1'),
        ("model.safetensors.index.json", "{ half"),
        ("model.safetensors.index.json", '{"weight_map": {}}'),
        ("tokenizer_config.json", "[1"),
        ("config.json", '{"model_type": "llama"'),
    ],
)
def test_a_small_file_that_was_cut_off_is_named(folder, name, text):
    if "index" in name:
        (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    (folder / name).write_text(text)
    assert any(name in one for one in told(folder))


@pytest.mark.parametrize(
    ("left", "file"),
    [
        ("model.safetensors.aria2", "model.safetensors"),
        ("tokenizer.model.part", "tokenizer.model"),
        ("model-00002-of-00002.safetensors.incomplete", "model-00002-of-00002.safetensors"),
        ("vocab.json.crdownload", "vocab.json"),
    ],
)
def test_what_another_program_was_still_downloading_is_told(folder, left, file):
    if "-of-" in left:
        (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    (folder / left).write_bytes(b"half")
    assert file in told(folder)[0] and "not downloaded to its end" in told(folder)[0]


def test_what_is_left_beside_a_whole_file_is_no_fault(folder):
    (folder / "model.safetensors.part").write_bytes(b"half")
    assert told(folder) == []


def test_each_weight_counts_once(folder):
    model = library.scan(CASES / "weights-twice" / "consolidated-beside-shards", "twice")
    assert model.params == 26_944 and told(model.path) == []
    whole = library.scan(folder, "tiny").params
    for copy in (
        "consolidated.safetensors",
        "consolidated.00.safetensors",
        "model-00001-of-00001.safetensors",
        "other.safetensors",
    ):
        shutil.copy(folder / "model.safetensors", folder / copy)
    (folder / "pytorch_model.bin").write_bytes(b"x")
    assert library.scan(folder, "tiny").params == whole and told(folder) == []


@pytest.mark.parametrize(
    ("names", "indexed", "loaded"),
    [
        ({"model.safetensors", "model-00001-of-00002.safetensors"}, set(), ["model.safetensors"]),
        (
            {"a.safetensors", "b.safetensors", "c.safetensors"},
            {"a.safetensors", "b.safetensors"},
            ["a.safetensors", "b.safetensors"],
        ),
        (
            {
                "model-00001-of-00002.safetensors",
                "model-00002-of-00002.safetensors",
                "consolidated-00001-of-00002.safetensors",
            },
            set(),
            ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"],
        ),
        ({"pytorch_model.bin", "model.pt", "consolidated.00.pth"}, set(), ["pytorch_model.bin"]),
        (
            {"pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin", "consolidated.00.pth"},
            set(),
            ["pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"],
        ),
        ({"consolidated.safetensors"}, set(), ["consolidated.safetensors"]),
        ({"adapter_model.safetensors"}, set(), []),
    ],
)
def test_the_weights_are_those_that_are_loaded(names, indexed, loaded):
    assert health.weight_files(names, frozenset(indexed)) == loaded


def test_an_architecture_that_nobody_knows_is_no_fault(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "made_here", "architectures": ["MadeHere"]}))
    assert told(folder) == []


def test_one_expert_that_is_missing_is_named(folder):
    config = {
        "model_type": "qwen3_moe",
        "architectures": ["Qwen3MoeForCausalLM"],
        **LETTERS,
        "num_key_value_heads": 2,
        "head_dim": 4,
        "num_experts": 3,
        "num_experts_per_tok": 1,
        "moe_intermediate_size": 4,
        "tie_word_embeddings": True,
        "decoder_sparse_step": 1,
    }
    shapes = {"model.embed_tokens.weight": [16, 8], "model.norm.weight": [8]}
    for layer in range(2):
        at = f"model.layers.{layer}."
        shapes |= {f"{at}self_attn.{one}_proj.weight": [8, 8] for one in "qkvo"} | {
            f"{at}self_attn.{one}_norm.weight": [4] for one in "qk"
        }
        shapes |= {
            f"{at}input_layernorm.weight": [8],
            f"{at}post_attention_layernorm.weight": [8],
            f"{at}mlp.gate.weight": [3, 8],
        }
        for number in range(3):
            shapes |= {
                f"{at}mlp.experts.{number}.{one}_proj.weight": [8, 4] if one == "down" else [4, 8]
                for one in ("gate", "up", "down")
            }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").write_bytes(safetensors(shapes))
    assert told(folder) == []
    del shapes["model.layers.1.mlp.experts.2.up_proj.weight"]
    (folder / "model.safetensors").write_bytes(safetensors(shapes))
    (fault,) = told(folder)
    assert "model.layers.1.mlp.experts.2.up_proj.weight" in fault


def test_the_answer_is_remembered_until_a_file_changes(folder):
    model = library.scan(folder, "tiny")
    limited.forget()
    assert completeness.fault_of(model, wait=0) is limited.PENDING
    assert completeness.fault_of(model) is None and completeness.fault_of(model, wait=0) is None
    (folder / "config.json").write_text((folder / "config.json").read_text() + " ")
    assert completeness.fault_of(library.scan(folder, "tiny"), wait=0) is limited.PENDING


@pytest.mark.parametrize("damage", ["tensor", "shard", "config"])
def test_no_use_of_a_model_with_a_known_fault_is_offered(folder, tmp_path, damage):
    workspace = Workspace(tmp_path / "workspace")
    model = workspace.models / "tiny"
    shutil.copytree(folder, model)
    if damage == "tensor":
        shapes = tensors(folder / "model.safetensors")
        del shapes["model.norm.weight"]
        (model / "model.safetensors").write_bytes(safetensors(shapes))
    elif damage == "shard":
        (model / "model.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    else:
        (model / "config.json").write_text("{")
    words, lease = Words("en"), DeviceLease()
    (fault,) = completeness.find(workspace, "tiny").faults[:1]
    jobs = Jobs(workspace)
    context = ModelsContext(
        workspace, jobs, Downloads(workspace, jobs), Monitor(tmp_path), lambda _: None, lambda _: 0, lambda _: 0
    )
    head = drawn(model_head, model_head.model_head(context, "tiny"))
    assert str(escape(words.tell(fault))) in head and "room-train" not in head and "room-chat" not in head
    assert smoke_test(SmokeTests(workspace, lease), "tiny") is None
    assert memory_fit.memory_fit(words, context, "tiny") is None
    with pytest.raises(Problem) as refused:
        SmokeTests(workspace, lease).run("tiny", "Who?")
    assert refused.value.key == fault.key


@pytest.mark.parametrize("kind", ["llama", "brand_new"])
def test_an_estimate_for_an_architecture_that_it_does_not_know_says_so(tmp_path, kind):
    workspace = Workspace(tmp_path / "workspace").prepare()
    folder = shutil.copytree(WHOLE, workspace.models / "tiny")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(
        json.dumps(config | {"model_type": kind, "architectures": [f"{kind}<b>ForCausalLM"]})
    )
    jobs = Jobs(workspace)
    context = ModelsContext(workspace, jobs, Downloads(workspace, jobs), Monitor(workspace.root), None, None, None)
    for language in LANGUAGES:
        words = Words(language)
        found = memory_fit.memory_fit(words, context, "tiny")
        html = drawn(memory_fit, found, language)
        assert ("brand_new&lt;b&gt;ForCausalLM" in html) is (kind == "brand_new") and len(found.rows) == len(fit.WAYS)
