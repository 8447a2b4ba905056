"""Runs of the command line and of LlamaBoard are runs like any other: their recipe is in the files that the libraries
leave.
"""

import json
import os
import pickle
import shutil
import threading
import time
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT
from drawn import drawn
from hypothesis import given
from hypothesis import strategies as st

from studio.core.i18n import Problem, Words
from studio.core.workspace import Workspace
from studio.train import runs
from studio.train.execution import adoption
from studio.train.page.runs import checkpoint_list, comparison, recipe_text, run_head, run_list, run_log
from studio.train.runs import manage_runs
from studio.train.runs.stored import listing, pickled_arguments, reconstructed

CASE = ROOT / "tests" / "cases" / "command-line"  # left by `llamafactory-cli train`: four steps of LoRA
CHECKPOINT = ("training_args.bin", "trainer_state.json", "adapter_config.json")


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    made = Workspace(tmp_path / "workspace").prepare()
    model = made.models / "Tiny-Chat"
    model.mkdir()
    (model / "config.json").write_text('{"model_type": "llama", "architectures": ["LlamaForCausalLM"]}')
    (model / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    return made


def make(workspace: Workspace, name: str, files=None, checkpoints=(2, 4), weights=True) -> Path:
    """Make the folder of a run of the command line with these of its files, all where None, and such checkpoints."""
    folder = workspace.saves / "any" / "lora" / name
    folder.mkdir(parents=True)
    for file in os.listdir(CASE) if files is None else files:
        shutil.copy(CASE / file, folder)
    if weights:
        (folder / "adapter_model.safetensors").write_bytes(b"")
    for step in checkpoints:
        inside = folder / f"checkpoint-{step}"
        inside.mkdir()
        for file in CHECKPOINT:
            shutil.copy(CASE / file, inside)
        (inside / "adapter_model.safetensors").write_bytes(b"")
    for path in folder.rglob("*"):
        os.utime(path, (time.time() - 3600,) * 2)
    return folder


def found(workspace: Workspace, name: str) -> runs.Run:
    return runs.find(workspace, f"any/lora/{name}")


def test_a_question_for_more_points_waits_until_there_is_a_step(workspace):
    folder = make(workspace, "watched", ["trainer_log.jsonl"], (), weights=False)
    log = folder / "trainer_log.jsonl"
    first, *more = log.read_text().splitlines(keepends=True)
    log.write_text(first)
    run = found(workspace, "watched")
    since, asked = runs.metrics(run).next, time.monotonic()
    assert not runs.metrics(run, since, 0.15).reset and time.monotonic() - asked >= 0.15

    def goes_on():
        with log.open("a") as file:
            file.write(more[0])

    later = threading.Timer(0.15, goes_on)
    later.start()
    assert runs.metrics(run, since, 600).reset and len(runs.metrics(run).series["loss"]) == 2
    later.join()


def test_the_recipe_is_put_together_from_what_the_libraries_wrote(workspace):
    make(workspace, "whole")
    run = found(workspace, "whole")
    recipe = run.recipe()
    wanted = {
        "model_name_or_path": str(workspace.models / "Tiny-Chat"),
        "dataset": "identity_en,sft_en_zh",
        "finetuning_type": "lora",
        "lora_rank": 4,
        "lora_alpha": 8,
        "lora_dropout": 0.0,
        "learning_rate": 2e-4,
        "per_device_train_batch_size": 2,
        "max_steps": 4,
        "warmup_steps": 0.1,
        "lr_scheduler_type": "cosine",
        "bf16": True,
        "use_cpu": True,
        "save_steps": 2,
        "logging_steps": 1,
        "gradient_accumulation_steps": 1,
    }
    assert {name: recipe.get(name) for name in wanted} == wanted
    assert run.unknown() == ["template", "stage", "cutoff_len"]
    assert not {"output_dir", "hub_token", "label_names", "report_to", "weight_decay", "fp16"} & set(recipe)
    status = runs.status(run)
    assert (status.state, status.step, status.total_steps) == ("finished", 4, 4) and run.checkpoints() == [
        "checkpoint-2",
        "checkpoint-4",
    ]
    assert manage_runs.again(run)["do_train"] is True, "what its files do not say is as LLaMA-Factory has it"
    assert runs.summary(run).problem is None and adoption.missing(run) == []


@pytest.mark.parametrize(
    ("files", "checkpoints", "state", "step"),
    [
        (["trainer_log.jsonl"], (), "finished", 4),
        (["trainer_state.json"], (), "finished", 4),
        (["training_args.bin"], (), "interrupted", 0),
        (["adapter_config.json"], (), "finished", 0),
        ([], (2,), "finished", 4),  # the state in it says step 4 of 4
        ([], (2, 10), "finished", 4),
        (["README.md", "adapter_config.json"], (2,), "finished", 4),
    ],
)
def test_whatever_is_left_of_a_run_makes_it_one(workspace, files, checkpoints, state, step):
    make(workspace, "left", files, checkpoints)
    run = found(workspace, "left")
    status = runs.status(run)
    assert [one.name for one in runs.all_runs(workspace)] == [run.name]
    assert (status.state, status.step) == (state, step)
    for words in (Words("en"), Words("zh")):
        html = (
            drawn(run_list, run_list.run_list(workspace), words.language)
            + drawn(run_head, run_head.run_head(workspace, run.name), words.language)
            + drawn(checkpoint_list, checkpoint_list.checkpoint_list(workspace, run.name), words.language)
        )
        assert "left" in html and "None" not in html
        shown = drawn(recipe_text, recipe_text.recipe_text(workspace, run.name, lambda recipe: None), words.language)
        assert "llamafactory-cli" not in shown, "no command for a file that is not there"


def test_a_checkpoint_alone_that_is_not_at_its_last_step_is_interrupted_and_resumes_when_its_data_is_named(workspace):
    folder = make(workspace, "cut", [], (2,), weights=False)
    state = json.loads((folder / "checkpoint-2" / "trainer_state.json").read_text()) | {
        "global_step": 2,
        "max_steps": 40,
    }
    state["log_history"] = [{"step": 1, "loss": 3.0, "epoch": 0.1}, {"step": 2, "loss": float("nan"), "grad_norm": 1.5}]
    (folder / "checkpoint-2" / "trainer_state.json").write_text(json.dumps(state))
    os.utime(folder / "checkpoint-2" / "trainer_state.json", (time.time() - 3600,) * 2)
    run = found(workspace, "cut")
    status = runs.status(run)
    assert (status.state, status.step, status.total_steps) == ("interrupted", 2, 40)
    assert [point[:2] for point in status.series["loss"]] == [(1, 3.0), (2, "nan")] and status.series["grad_norm"][0][
        1
    ] == 1.5
    assert adoption.missing(run) == ["dataset"]
    page = drawn(run_head, run_head.run_head(workspace, run.name))
    assert "train_resume" in page and "data-prompt" in page
    with pytest.raises(Problem) as told, adoption.adopted(workspace, run):
        pass
    assert told.value.key == "train.resume_unknown" and told.value.facts["field"] == "dataset" and run.is_foreign


def test_one_that_is_not_there_does_not_empty_the_table_of_the_others(workspace):
    make(workspace, "a")
    make(workspace, "b", ["adapter_config.json"], ())
    table = drawn(comparison, comparison.comparison(workspace, "any/lora/a|any/lora/gone|any/lora/b"))
    assert "any/lora/gone" in table and ">a</button>" in table and ">b</button>" in table and "learning_rate" in table
    assert "any/lora/gone" in drawn(comparison, comparison.comparison(workspace, "any/lora/gone|../x"), "zh")


def test_llamaboards_own_records_are_used(workspace):
    folder = make(workspace, "board", ["trainer_log.jsonl", "training_args.bin"], ())
    (folder / "llamaboard_config.yaml").write_text(
        "top.model_path: models/Tiny-Chat\ntop.template: qwen\ntrain.dataset:\n- identity_en\ntrain.cutoff_len:"
        " 512\ntrain.training_stage: DPO\n"
    )
    (folder / "running_log.txt").write_text("what LlamaBoard printed")
    run = found(workspace, "board")
    assert (
        run.recipe() | {"dataset": "identity_en", "template": "qwen", "cutoff_len": 512, "stage": "dpo"} == run.recipe()
    )
    assert "what LlamaBoard printed" in drawn(run_log, run_log.run_log(workspace, run.name))
    (folder / "training_args.yaml").write_text("stage: sft\ndataset: mine\n")
    assert run.recipe() == {"stage": "sft", "dataset": "mine"} and run.unknown() == []


@pytest.mark.parametrize(
    ("line", "dataset"),
    [
        ("[m](https://huggingface.co/m) on the mine dataset.", "mine"),
        ("[a/b](https://huggingface.co/a/b) on the a and the b datasets.", "a,b"),
        ("[m](https://huggingface.co/m) on the a, the b c and the d datasets.", "a,b c,d"),
        ("[m](https://huggingface.co/m) on the 数据 dataset.", "数据"),
        ("[m](https://huggingface.co/m) on an unknown dataset.", None),
        ("[m](https://huggingface.co/m) on the alpaca_en_demo dataset.\r", "alpaca_en_demo"),
    ],
)
def test_the_datasets_stand_in_the_model_card(workspace, line, dataset):
    folder = make(workspace, "card", ["training_args.bin"], ())
    (folder / "README.md").write_text(
        "---\nbase_model: models/Tiny-Chat\ntags:\n- llama-factory\n- full\n---\n\n# x\n\nThis model is a fine-tuned"
        f" version of {line}\n"
    )
    recipe = reconstructed.read(folder).recipe
    assert (
        recipe.get("dataset") == dataset
        and recipe["finetuning_type"] == "full"
        and recipe["model_name_or_path"] == "models/Tiny-Chat"
    )


@pytest.mark.parametrize(
    ("measured", "files", "stage"),
    [
        (["loss"], [], None),
        (["loss", "rewards/chosen", "rewards/rejected"], [], "dpo"),
        (["rewards/chosen", "kl"], [], "kto"),
        (["loss"], ["value_head.safetensors"], "rm"),
    ],
)
def test_the_stage_shows_in_what_was_measured(workspace, measured, files, stage):
    folder = make(workspace, "stage", ["training_args.bin"], ())
    (folder / "trainer_state.json").write_text(
        json.dumps({"global_step": 1, "log_history": [dict.fromkeys(measured, 0.5) | {"step": 1}]})
    )
    for name in files:
        (folder / name).write_bytes(b"")
    assert reconstructed.read(folder).recipe.get("stage") == stage


def test_a_run_that_lies_less_deep_is_told_with_where_it_belongs(workspace):
    for place in ("flat", "one/two"):
        folder = workspace.saves / place
        folder.mkdir(parents=True)
        shutil.copy(CASE / "training_args.bin", folder)
        (folder / "checkpoint-1").mkdir()
        shutil.copy(CASE / "trainer_state.json", folder / "checkpoint-1")
    usable, odd = runs.usable_and_odd(workspace)
    assert usable == [] and set(odd) == {"flat", "one/two"}
    assert all(fault.key == "train.odd_place" for fault in odd.values())


class Danger:
    def __reduce__(self):
        return os.system, ("touch /tmp/never",)


class Whole:
    """Stands for the trainer's arguments."""


def test_nothing_in_a_pickle_runs(tmp_path, monkeypatch):
    ran = []
    monkeypatch.setattr(os, "system", ran.append)
    whole = Whole()
    whole.__dict__ |= {"seed": 7, "bf16": Danger(), "optim": "adamw_torch", "fsdp": ["full_shard", "auto_wrap"]}
    path = tmp_path / "training_args.bin"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        path.write_bytes(pickle.dumps(whole, protocol))
        assert pickled_arguments.read(path, ("seed", "bf16", "optim", "fsdp")) == {
            "seed": 7,
            "bf16": "touch /tmp/never",
            "optim": "adamw_torch",
            "fsdp": ["full_shard", "auto_wrap"],
        }
    assert ran == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04",
        b"\x80\x02.",
        b"{}",
        b"version https://git-lfs.github.com/spec/v1\n",
        b"\x80\x02r\xff\xff\xff\xff.",
        b"c__builtin__\neval\n(S'1'\ntR.",
        b"\x80\x04\x82\x01.",
        b"(" * 100_000,
    ],
)
def test_a_file_that_is_none_is_told_and_the_run_stays_usable(workspace, content):
    folder = make(workspace, "broken", ["adapter_config.json", "README.md", "trainer_log.jsonl"])
    shutil.rmtree(folder / "checkpoint-2")
    (folder / "training_args.bin").write_bytes(content)
    run = found(workspace, "broken")
    assert run.recipe()["lora_rank"] == 4 and "training_args.bin" in str(runs.summary(run).problem)
    assert "training_args.bin" in drawn(run_head, run_head.run_head(workspace, run.name), "zh")


def test_a_zip_that_stands_for_too_much_is_not_unpacked(tmp_path):
    path = tmp_path / "training_args.bin"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", b"\0" * 2**26)
    with pytest.raises(Problem):
        pickled_arguments.read(path, ("seed",))


@given(st.binary(max_size=400))
def test_no_bytes_break_the_reader(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.bin"
    path.write_bytes(content)
    try:
        pickled_arguments.read(path, ("seed",))
    except Problem as told:
        assert told.key in ("train.arguments_unreadable", "workspace.file_unreadable") or "any.bin" in str(told)


def test_older_names_and_other_adapters(workspace):
    folder = make(workspace, "old", [], (), weights=False)
    whole = Whole()
    whole.__dict__ |= {
        "evaluation_strategy": "steps",
        "no_cuda": True,
        "warmup_ratio": 0.03,
        "warmup_steps": 0,
        "learning_rate": 1e-5,
        "max_steps": -1,
    }
    (folder / "training_args.bin").write_bytes(pickle.dumps(whole, 2))
    (folder / "adapter_config.json").write_text(
        json.dumps(
            {
                "peft_type": "OFT",
                "r": 0,
                "oft_block_size": 32,
                "target_modules": ["v_proj", "q_proj"],
                "modules_to_save": ["embed_tokens"],
                "base_model_name_or_path": "Owner/Name",
            }
        )
    )
    recipe = runs.Run("any/lora/old", folder).recipe()
    assert recipe == {
        "eval_strategy": "steps",
        "use_cpu": True,
        "warmup_steps": 0.03,
        "learning_rate": 1e-5,
        "model_name_or_path": "Owner/Name",
        "finetuning_type": "oft",
        "oft_rank": 0,
        "oft_block_size": 32,
        "module_dropout": 0.0,
        "oft_target": "q_proj,v_proj",
        "additional_target": "embed_tokens",
    }


def test_a_folder_of_a_checkpoint_is_no_run(workspace):
    folder = workspace.saves / "any" / "run-1" / "checkpoint-5"
    folder.mkdir(parents=True)
    shutil.copy(CASE / "trainer_state.json", folder)
    assert listing.scan(workspace.saves).runs == {}
