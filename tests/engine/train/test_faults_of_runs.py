"""Recipes that really fail, one for each kind of fault: what is told names the file, the row or the setting, and no
library's class.
"""

import json
import shutil

import pytest
import yaml
from conftest import ROOT, STARTER, is_sentence, new_workspace, rest_slow, slow

from studio.core.i18n import Problem, Words
from studio.core.jobs import Jobs
from studio.datasets.analysis import DatasetAnalysis
from studio.datasets.registry.collection import Collection
from studio.train import runs
from studio.train.loop.run_training import run_training
from studio.train.recipe.validation import sources

GOOD = [{"instruction": f"Say {number}.", "output": f"Number {number}."} for number in range(80)]
PLAIN = {"columns": {"prompt": "instruction", "response": "output"}}
TALK = {"formatting": "sharegpt", "columns": {"messages": "conversations", "tools": "tools"}}
TURNS = [{"from": "human", "value": "Heat?"}, {"from": "gpt", "value": "Warm."}]


def talks(tools: object) -> list[dict]:
    fine = json.dumps(
        [{"name": "f", "description": "d", "parameters": {"type": "object", "properties": {}, "required": []}}]
    )
    return [{"conversations": TURNS, "tools": tools if number == 7 else fine} for number in range(20)]


def lines(rows: list) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


# name: (file, its text or bytes, entry, recipe, key, facts)
DATA = {
    "number among text": (
        "numbers.jsonl",
        lines([row | ({"output": 5} if at == 59 else {}) for at, row in enumerate(GOOD)]),
        PLAIN,
        {},
        "faults.type_changes",
        {"row": 60, "column": "output", "file": "numbers.jsonl"},
    ),
    "text after nothing": (
        "late.jsonl",
        lines([{**row, "system": None, "output": "x" * 160} for row in GOOD * 800] + [{**GOOD[0], "system": "S"}]),
        {"columns": PLAIN["columns"] | {"system": "system"}},
        {},
        "faults.type_changes",
        {"column": "system", "row": 64_001, "file": "late.jsonl"},
    ),
    "tool without properties": (
        "tools.json",
        json.dumps(talks('[{"name": "f", "description": "d", "parameters": {"type": "object"}}]')),
        TALK,
        {},
        "faults.found_tool",
        {"row": 8, "dataset": "probe", "file": "tools.json", "column": "tools[0]", "key": "properties"},
    ),
    "blank tools": (
        "tools.json",
        json.dumps(talks(" ")),
        TALK,
        {},
        "faults.found_row",
        {"row": 8, "dataset": "probe", "file": "tools.json", "column": "tools"},
    ),
    "number deep in turns": (
        "turns.jsonl",
        lines(
            [{"conversations": [TURNS[0], {"from": "gpt", "value": 7 if at == 29 else "Warm."}]} for at in range(60)]
        ),
        {"formatting": "sharegpt"},
        {},
        "faults.found_mixed",
        {"row": 30, "column": "conversations[1].value", "file": "turns.jsonl", "before": 1},
    ),
    "no such column": (
        "plain.json",
        json.dumps(GOOD),
        {"columns": {"prompt": "question", "response": "output"}},
        {},
        "faults.column",
        {"column": "question", "dataset": "probe"},
    ),
    "too little text": (
        "text.json",
        json.dumps([{"text": "few words"}]),
        {"columns": {"prompt": "text"}},
        {"stage": "pt", "cutoff_len": 512},
        "faults.too_little",
        {"cutoff": 512},
    ),
    "no answers": (
        "plain.json",
        json.dumps([{"instruction": "x", "output": ""}]),
        {"formatting": "sharegpt", "columns": {"messages": "instruction"}},
        {},
        None,
        {},
    ),
    "stream without parts": (
        "plain.json",
        json.dumps(GOOD),
        PLAIN,
        {"streaming": True},
        "faults.stream_ended",
        {"field": "dataloader_num_workers"},
    ),
    "torn parquet": ("rows.parquet", b"PAR1 nothing more", PLAIN, {}, "faults.data_file", {"file": "rows.parquet"}),
    "ragged csv": (
        "rows.csv",
        "instruction,output\na,b\nc,d,e,f\n",
        PLAIN,
        {},
        "faults.data_file",
        {"file": "rows.csv"},
    ),
    "not JSON": ("rows.json", '{"instruction": "x", ', PLAIN, {}, "faults.data_file", {"file": "rows.json"}),
    "unknown kind of file": ("rows.docx", b"PK", PLAIN, {}, "faults.data", {"dataset": "probe"}),
}
CASES = {  # set: (folder, entry where the folder has none, key, facts)
    "system_late": (
        "late-type/added",
        None,
        "faults.found_late",
        {"row": 1051, "column": "system", "file": "system_late.jsonl", "before": 1000},
    ),
    "oa_flat_call": (
        "openai-entry/added",
        None,
        "faults.found_row",
        {"row": 4, "column": "messages", "file": "flat_call.json"},
    ),
    "number_at_60": (
        "type-change",
        PLAIN | {"file_name": "number_at_60.jsonl"},
        "faults.type_changes",
        {"row": 60, "column": "output", "file": "number_at_60.jsonl"},
    ),
    "blank_tools": (
        "tool-schemas",
        TALK | {"file_name": "blank_tools.json"},
        "faults.found_row",
        {"row": 8, "column": "tools", "file": "blank_tools.json"},
    ),
}
MODELS = {
    "torn weights": (lambda model: cut(model / "model.safetensors"), {}, "faults.weights", {}),
    "torn tokenizer": (lambda model: (model / "tokenizer.json").write_text("{"), {}, "faults.json", {}),
    "unknown architecture": (
        lambda model: change(model, model_type="qwen9"),
        {},
        "faults.architecture",
        {"type": "qwen9"},
    ),
    "layers of other names": (lambda model: None, {"lora_target": "query_key_value"}, "faults.targets", {}),
    "adapter that is none": (
        lambda model: None,
        {"adapter_name_or_path": "/nowhere/at-all"},
        "faults.model_not_found",
        {},
    ),
    "library that is missing": (
        lambda model: None,
        {"quantization_method": "hqq", "quantization_bit": 4},
        "train.library_missing",
        {"name": "hqq"},
    ),
    "batch of nothing": (
        lambda model: None,
        {"gradient_accumulation_steps": 0},
        "faults.zero",
        {"field": "gradient_accumulation_steps"},
    ),
    "packing of pairs": (lambda model: None, {"neat_packing": True, "stage": "dpo"}, "train.refused", {}),
    "no such dataset": (lambda model: None, {"dataset": "gone"}, "faults.data", {"dataset": "gone"}),
    "few tokens": (lambda model: small(model), {}, "faults.token_outside", {}),
}


def cut(path) -> None:
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[: len(content) // 2])


def change(model, **fields) -> None:
    path = model / "config.json"
    found = json.loads(path.read_text()) | fields
    path.unlink()
    path.write_text(json.dumps(found))


def small(model) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    kept = json.loads((model / "config.json").read_text())
    LlamaForCausalLM(LlamaConfig(**{**kept, "vocab_size": 8})).save_pretrained(model)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A workspace with a model of two layers of random numbers."""
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    made = new_workspace(tmp_path_factory.mktemp("faults") / "workspace")
    tokenizer = AutoTokenizer.from_pretrained(STARTER)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
    )
    LlamaForCausalLM(config).save_pretrained(made.models / "Tiny")
    tokenizer.save_pretrained(made.models / "Tiny")
    return made


def failed(workspace, name: str, model, recipe: dict) -> Problem:
    """Train a recipe as it stands, which nobody judged, and return what is told of its end."""
    folder = workspace.saves / "Tiny" / "lora" / name.replace(" ", "-")
    folder.mkdir(parents=True)
    whole = {
        "model_name_or_path": str(model),
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "lora",
        "dataset": "probe",
        "dataset_dir": str(workspace.data),
        "template": "chatml",
        "cutoff_len": 64,
        "max_steps": 1,
        "per_device_train_batch_size": 1,
        "use_cpu": True,
        "bf16": True,
        "report_to": "none",
        "save_strategy": "no",
        "output_dir": str(folder),
        "overwrite_cache": True,
        **recipe,
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(whole))
    run = runs.Run(f"Tiny/lora/{folder.name}", folder)
    assert run_training(run) == "failed"
    error = runs.status(run).error
    problem = Problem(error["key"], **error["facts"])
    for language in ("en", "zh"):
        told = Words(language).tell(problem)
        assert is_sentence(told) or language == "zh", told
        assert "Traceback" not in told and "DatasetGenerationError" not in told
    return problem


def register(workspace, file: str, content, entry: dict) -> None:
    path = workspace.data / file
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    (workspace.data / "dataset_info.json").write_text(json.dumps({"probe": {"file_name": file, **entry}}))


# What each of CASES stands for: a fault of the same kind, found beside another set.
ALSO_BESIDE_OTHERS = {"number among text", "text after nothing", "blank tools"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=slow if name in ALSO_BESIDE_OTHERS else ()) for name in DATA]
)
def test_data_that_cannot_be_trained(workspace, name):
    file, content, entry, recipe, key, facts = DATA[name]
    register(workspace, file, content, entry)
    told = failed(workspace, name, workspace.models / "Tiny", recipe)
    assert key is None or told.key == key, str(told)
    assert {name: told.facts.get(name) for name in facts} == facts


@pytest.mark.parametrize("name", CASES)
def test_a_run_without_a_check_names_row_field_and_file_also_beside_other_sets(workspace, name):
    folder, entry, key, facts = CASES[name]
    folder = ROOT / "tests" / "cases" / folder
    found = entry or json.loads((folder / "dataset_info.json").read_text())[name]
    shutil.copy(folder / found["file_name"], workspace.data)
    (workspace.data / "good.json").write_text(json.dumps(GOOD))
    info = {name: found, "good": {"file_name": "good.json", **PLAIN}}
    (workspace.data / "dataset_info.json").write_text(json.dumps(info))
    told = failed(workspace, f"case {name}", workspace.models / "Tiny", {"dataset": f"good,{name}"})
    assert told.key == key, str(told)
    assert {name: told.facts.get(name) for name in facts} == facts


def test_what_a_check_found_is_told_by_the_preview_until_the_data_changes(workspace):
    home = workspace.data
    shutil.copy(ROOT / "tests" / "cases" / "type-change" / "number_at_60.jsonl", home)
    (home / "dataset_info.json").write_text(json.dumps({"numbers": {"file_name": "number_at_60.jsonl", **PLAIN}}))
    analysis = DatasetAnalysis(Collection(workspace, Jobs(workspace)))
    recipe = {"stage": "sft", "template": "chatml", "dataset": "numbers", "dataset_dir": str(home)}
    assert sources.problems(workspace, recipe) == []  # nobody checked: the preview does not ask by itself
    job = analysis.check("numbers", None)
    analysis.jobs.wait(job.id, 120)
    assert job.error is None
    (told,) = sources.problems(workspace, recipe)
    assert (told.key, told.facts["row"], told.facts["column"], told.facts["field"]) == (
        "faults.found_mixed",
        60,
        "output",
        "dataset",
    )
    assert is_sentence(str(told)) and Words("zh").tell(told)
    assert (
        sources.problems(workspace, recipe | {"streaming": True})
        == sources.problems(workspace, recipe | {"max_samples": 10})
        == []
    )
    file = home / "number_at_60.jsonl"
    file.write_text(lines(GOOD))
    assert sources.problems(workspace, recipe) == []
    job = analysis.check("numbers", None)
    analysis.jobs.wait(job.id, 120)
    assert sources.problems(workspace, recipe) == []


@pytest.mark.parametrize("name", MODELS)
def test_models_and_settings_that_cannot_train(workspace, name):
    spoil, recipe, key, facts = MODELS[name]
    register(workspace, "plain.json", json.dumps(GOOD), PLAIN)
    model = workspace.root / "spoiled" / name.replace(" ", "-")
    shutil.copytree(workspace.models / "Tiny", model)
    spoil(model)
    told = failed(workspace, name, model, recipe)
    assert key is None or told.key == key, str(told)
    assert {name: told.facts.get(name) for name in facts} == facts


@pytest.mark.parametrize("method", rest_slow("freeze", "full"))
def test_a_reward_model_with_tied_weights_saves_its_checkpoints(workspace, method):
    rows = [{"instruction": "Say it.", "chosen": f"Number {at}.", "rejected": "No."} for at in range(8)]
    entry = {"ranking": True, "columns": {"prompt": "instruction", "chosen": "chosen", "rejected": "rejected"}}
    register(workspace, "pairs.json", json.dumps(rows), entry)
    folder = workspace.saves / "Tiny" / method / "reward"
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text(
        yaml.safe_dump(
            {
                "model_name_or_path": str(workspace.models / "Tiny"),
                "stage": "rm",
                "do_train": True,
                "finetuning_type": method,
                "dataset": "probe",
                "dataset_dir": str(workspace.data),
                "template": "chatml",
                "cutoff_len": 64,
                "max_steps": 2,
                "save_steps": 1,
                "use_cpu": True,
                "bf16": True,
                "per_device_train_batch_size": 1,
                "report_to": "none",
                "output_dir": str(folder),
                "overwrite_cache": True,
                "freeze_trainable_layers": 1,
            }
        )
    )
    run = runs.Run(f"Tiny/{method}/reward", folder)
    assert run_training(run) == "finished", runs.status(run).error
    from safetensors import safe_open
    from transformers import AutoModelForCausalLM

    for place in (folder, folder / "checkpoint-1", folder / "checkpoint-2"):
        with safe_open(place / "value_head.safetensors", "pt") as head:
            assert sorted(head.keys()) == ["v_head.summary.bias", "v_head.summary.weight"]
        loaded, info = AutoModelForCausalLM.from_pretrained(place, output_loading_info=True)
        assert not info["missing_keys"] and not info["unexpected_keys"]
        assert loaded.lm_head.weight.data_ptr() == loaded.get_input_embeddings().weight.data_ptr()
