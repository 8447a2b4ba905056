"""The memory estimate: exact counts from the headers, sums that hang together, and peaks that were really measured."""

import importlib.util
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import STARTER, slow

from benchmarks.fit import REACH, Case, estimated, measured
from studio.core.i18n import Problem, Words
from studio.models.library import model_config
from studio.models.memory import activations, fit
from studio.models.memory.fit import Plan, estimate, plan_of, table
from studio.models.memory.model_shape import read_shape
from studio.train.recipe import memory_need

LLAMA_7B = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "num_hidden_layers": 32,
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_attention_heads": 32,
    "vocab_size": 32000,
    "torch_dtype": "float16",
    "max_position_embeddings": 4096,
}
GIB = 2**30


def two_typed_fields() -> list[dict]:
    """Return a value of each other type than a number with which transformers' configs declare a size, {field: value};
    read from their sources, without importing them.
    """
    models = Path(importlib.util.find_spec("transformers").origin).parent / "models"
    texts = "\n".join(file.read_text(encoding="utf-8") for file in sorted(models.glob("*/configuration_*.py")))
    found = {}
    for field, declared in re.findall(r"^    (\w+): ([^=\n]+) = ", texts, re.MULTILINE):
        if field in model_config._NUMBERS and field not in model_config.SIZES["layers"]:
            found |= {(field, "text"): {field: "LLLG"}} if re.search(r"\bstr\b", declared) else {}
            found |= {(field, "list"): {field: [64] * 32}} if "list[int]" in declared else {}
    return list(found.values())


@pytest.fixture
def folder(tmp_path):
    """Return the folder of a model of which there is only the config."""

    def made(config: dict, **changes) -> Path:
        (tmp_path / "config.json").write_text(json.dumps(config | changes))
        return tmp_path

    return made


@pytest.fixture(scope="module")
def starter():
    return read_shape(STARTER)


def test_the_starter_model_is_counted_to_the_last_parameter(starter):
    assert starter.parameters == 134_515_008
    assert (starter.embedding_parameters, starter.norm_parameters) == (49152 * 576, (2 * 30 + 1) * 576)
    assert starter.stored_bytes == 2 * starter.parameters and starter.tied and starter.exact and starter.known
    # r x (inputs + outputs) of seven matrices in thirty blocks, as peft prints them for rank 8.
    assert Plan(rank=8).trained(starter) == 2_442_240


def test_a_config_alone_gives_the_published_count(folder):
    shape = read_shape(folder(LLAMA_7B))
    assert shape.parameters == 6_738_415_616 and not shape.exact
    assert (shape.kv_heads, shape.head_dim, shape.dtype) == (32, 128, "fp16")


def test_headers_and_config_agree(starter, folder):
    config = read_shape(folder(json.loads((STARTER / "config.json").read_text())))
    assert config.parameters == starter.parameters
    assert estimate(config, Plan()).total == estimate(starter, Plan()).total


def test_experts_are_out_of_reach_of_lora_and_of_four_bits(folder):
    shape = read_shape(folder(LLAMA_7B, model_type="mixtral", num_local_experts=8, num_experts_per_tok=2))
    dense = read_shape(folder(LLAMA_7B))
    assert shape.expert_parameters == 32 * 8 * 3 * 4096 * 11008
    assert Plan().trained(shape) < Plan().trained(dense)
    assert estimate(shape, Plan(bits=4)).weights > 2 * shape.expert_parameters


@pytest.mark.parametrize(
    "change",
    [
        {"seq": 2048},
        {"batch": 2},
        {"rank": 64},
        {"dropout": 0.1},
        {"compute": "fp32"},
        {"method": "full"},
        {"bits": 8, "batch": 8},
    ],
)
def test_more_of_anything_takes_more(folder, change):
    shape, plan = read_shape(folder(LLAMA_7B)), Plan(checkpointing=False)
    assert estimate(shape, replace(plan, **change)).total > estimate(shape, plan).total
    assert estimate(shape, plan).total > estimate(shape, Plan()).total


@pytest.mark.parametrize("change", [{"accumulation": 8}, {"optimizer": "adamw_torch"}, {"copies": 1}])
def test_more_of_full_tuning_takes_more(folder, change):
    shape, plan = read_shape(folder(LLAMA_7B)), Plan(method="full", batch=8)
    assert estimate(shape, replace(plan, **change)).total > estimate(shape, plan).total


@pytest.mark.parametrize("change", [{"bits": 8}, {"bits": 4}, {"targets": ("q_proj",)}, {"method": "inference"}])
def test_what_saves_memory_saves_it(folder, change):
    shape = read_shape(folder(LLAMA_7B))
    assert estimate(shape, replace(Plan(), **change)).total < estimate(shape, Plan()).total


def test_a_seven_billion_model_is_where_the_field_knows_it_to_be(folder):
    shape = read_shape(folder(LLAMA_7B))
    # 16 bytes a parameter for full tuning in mixed precision (ZeRO, arXiv 1910.02054, section 3.1), and the QLoRA
    # paper's 5 GB of weights.
    full = estimate(shape, Plan(method="full"))
    assert full.weights + full.gradients + full.optimizer == pytest.approx(16 * shape.parameters, rel=0.05)
    assert estimate(shape, Plan(bits=4)).weights == pytest.approx(3.9e9, rel=0.1)
    assert fit.FOUR_BITS * 8 - 4 == pytest.approx(0.127, abs=0.001)
    assert estimate(shape, Plan(method="full", pure=True)).optimizer == full.optimizer / 2
    assert estimate(shape, Plan(method="full", optimizer="paged_adamw_8bit")).optimizer < full.optimizer / 3.9


def test_the_cache_grows_with_the_context_but_not_in_sliding_layers(folder):
    shape = read_shape(folder(LLAMA_7B))
    assert estimate(shape, Plan(method="inference", seq=4096)).kv_cache == 2 * 32 * 4096 * 2 * 4096
    sliding = read_shape(
        folder(LLAMA_7B, sliding_window=1024, layer_types=["sliding_attention"] * 24 + ["full_attention"] * 8)
    )
    assert estimate(sliding, Plan(method="inference", seq=4096)).kv_cache == 2 * 4096 * 2 * (24 * 1024 + 8 * 4096)


@pytest.mark.parametrize(
    ("pattern", "sliding"),
    [("LLLG", 24), ("LLLLLG", 26), ("LG" * 16, 16), ("L", 31), ("G", 0), (4, 24), (6, 27), ([1, 1, 0], 0), (None, 32)],
)
def test_the_sliding_layers_are_read_from_letters_or_from_a_number(folder, pattern, sliding):
    assert read_shape(folder(LLAMA_7B, sliding_window=1024, sliding_window_pattern=pattern)).sliding_layers == sliding


@pytest.mark.parametrize("pattern", ["", "four", "LLLg", "LG\n", "L" * 65_537, [2**41], [-1], {"L": 3}, 1.5])
def test_a_pattern_of_sliding_layers_that_is_none_is_told(folder, pattern):
    with pytest.raises(Problem) as told:
        read_shape(folder(LLAMA_7B, sliding_window_pattern=pattern))
    assert told.value.key == "models.wrong_field"


def test_a_size_that_each_layer_has_of_its_own_counts_by_the_largest(folder):
    layered = read_shape(folder(LLAMA_7B, intermediate_size=[8192] * 10 + [16384] * 22))  # as Gemma 3n has it
    assert layered == read_shape(folder(LLAMA_7B, intermediate_size=16384))
    experts = {"num_experts": 8, "model_type": "hunyuan_v1_moe"}
    assert read_shape(folder(LLAMA_7B, moe_topk=[2] * 32, **experts)).active_experts == 2


@pytest.mark.parametrize("config", two_typed_fields(), ids=lambda config: "-".join(map(str, config)))
def test_what_transformers_declares_with_two_types_is_no_fault(folder, config):
    made = folder(LLAMA_7B | {"sliding_window": 1024}, **config)
    assert model_config.read(made)[1] == ()
    assert read_shape(made).parameters > 0


def test_the_loss_is_most_of_a_small_model_with_a_large_vocabulary(starter):
    needed = estimate(starter, Plan(batch=8, device="cpu"))
    assert activations.loss(starter, Plan(batch=8)) > 0.8 * needed.total


def test_the_table_says_what_fits_and_what_to_change(folder):
    rows = table(folder(LLAMA_7B), 24 * GIB)
    assert [(row.method, row.bits) for row in rows] == [
        ("inference", None),
        ("lora", 4),
        ("lora", 8),
        ("lora", None),
        ("freeze", None),
        ("full", None),
    ]
    assert [row.fits for row in rows] == [True, True, True, True, True, False]
    for row in rows:
        assert sum(row.parts.values()) == row.bytes and set(row.parts) == set(fit.PARTS)
        assert (row.advice is None) == row.fits
    advice = rows[-1].advice
    assert advice.key == "fit.advice_lora" and advice.fits and advice.bytes < 24 * GIB
    for words in (Words("en"), Words("zh")):
        assert advice.facts["memory"] in words(advice.key, **advice.facts)


@pytest.mark.parametrize(
    "plan, memory_bytes, key",
    [
        (Plan(batch=16), 24 * GIB, "batch"),
        (Plan(checkpointing=False, batch=2), 24 * GIB, "checkpointing"),
        (Plan(), 12 * GIB, "qlora"),
        (Plan(seq=32768, bits=4), 16 * GIB, "cutoff"),
        (Plan(method="inference", seq=65536), 32 * GIB, "context"),
        (Plan(method="full"), 80 * GIB, "optimizer"),
        (Plan(bits=4), 2 * GIB, "smaller"),
    ],
)
def test_advice_is_the_change_that_costs_least(folder, plan, memory_bytes, key):
    shape = read_shape(folder(LLAMA_7B))
    advice = fit.advice(shape, plan, memory_bytes)
    assert advice.key == f"fit.advice_{key}"
    assert Words("en")(advice.key, **advice.facts)


def test_a_quantised_model_is_only_run_or_trained_by_lora(folder):
    rows = table(folder(LLAMA_7B, quantization_config={"quant_method": "gptq", "bits": 4}), 24 * GIB)
    assert [row.method for row in rows] == ["inference", "lora"]


def test_a_folder_that_is_no_model_is_told(folder, tmp_path):
    with pytest.raises(Problem, match="does not say num_hidden_layers"):
        read_shape(folder({"model_type": "llama", "hidden_size": 64, "num_attention_heads": 4, "vocab_size": 100}))
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(Problem, match="cannot be used"):
        read_shape(tmp_path)
    with pytest.raises(Problem, match="cannot be used"):
        read_shape(tmp_path / "none")


def test_an_unknown_architecture_is_taken_for_a_llama_and_says_so(folder):
    other, llama = read_shape(folder(LLAMA_7B, model_type="brand_new")), read_shape(folder(LLAMA_7B))
    assert not other.known and llama.known
    assert estimate(other, Plan()).total == estimate(llama, Plan()).total


def test_a_recipe_becomes_a_plan():
    plan = plan_of(
        {
            "finetuning_type": "full",
            "stage": "dpo",
            "per_device_train_batch_size": 2,
            "cutoff_len": 512,
            "bf16": True,
            "use_cpu": True,
            "gradient_accumulation_steps": 4,
            "disable_gradient_checkpointing": True,
            "optim": "sgd",
        }
    )
    assert plan == Plan(
        method="full", seq=512, batch=4, checkpointing=False, optimizer="sgd", accumulation=4, copies=1, device="cpu"
    )
    assert plan_of(
        {"lora_target": "q_proj,v_proj", "lora_rank": 16, "quantization_bit": "4", "fp16": True}
    ).targets == ("q_proj", "v_proj")


def test_rows_of_the_data_count_where_they_are_shorter_than_the_cutoff(tmp_path):
    rows = [
        {"instruction": "short", "input": "", "output": "x"},
        {"instruction": "long " * 100, "input": "", "output": "y"},
    ]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    (tmp_path / "dataset_info.json").write_text(json.dumps({"rows": {"file_name": "rows.json"}}))
    recipe = {
        "model_name_or_path": str(STARTER),
        "dataset": "rows",
        "dataset_dir": str(tmp_path),
        "cutoff_len": 2048,
        "bf16": True,
        "use_cpu": True,
    }
    assert 250 < memory_need.longest(recipe) < 400
    assert memory_need.longest({**recipe, "packing": True}) == 2048
    assert memory_need.bytes_needed(recipe) < memory_need.bytes_needed({**recipe, "stage": "pt"}) / 3
    assert memory_need.bytes_needed({**recipe, "model_name_or_path": str(tmp_path / "none")}) == 0


CASES = [
    Case("llama", "lora", 64, 2),
    Case("gemma3_text", "full", 64, 2, False),
    Case("qwen2", "freeze", 64, 2),
    Case("llama", "inference", 256, 2),
]


@slow
def test_estimates_lie_within_a_tenth_of_measured_peaks():
    for case, peak in zip(CASES, measured(CASES), strict=True):
        assert estimated(case) == pytest.approx(peak, rel=REACH), case.name()
