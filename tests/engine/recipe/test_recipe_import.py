"""Recipes that people bring, against what LLaMA-Factory's own parsers make of the same text."""

import json
import os
import random
import shlex
from pathlib import Path

import pytest
import yaml
from conftest import ROOT
from drawn import drawn

from studio.core.i18n import Problem, Words
from studio.train.page.form import import_report
from studio.train.recipe import arguments, recipes, saved_recipes
from studio.train.recipe.importing import form, llamaboard, llamafactory_defaults, missing_parts, recipe_reading
from studio.web.html import render

CASES = ROOT / "tests" / "cases"
MACHINE = recipes.Machine("cpu", True)
SAID = {"stage": "sft", "dataset": "identity_en", "template": "smollm2", "finetuning_type": "lora", "max_steps": 20}


def case(name: str) -> str:
    with (CASES / name).open(encoding="utf-8", newline="") as file:
        return file.read()


def refusal(text: str) -> Problem:
    with pytest.raises(Problem) as told:
        recipe_reading.read(text)
    return told.value


def reasons(found) -> list[str]:
    return [one.reason for one in found.left_out]


# The cases
# --------------------------------------------------------------------------------------------------
def test_the_settings_of_a_file_that_is_not_here_are_asked_for():
    fault = refusal(case("launchers/recipe_with_flags.sh"))
    assert fault.key == "recipe_import.file_needed" and "recipes/first.yaml" in str(fault) and "out/today" in str(fault)


def test_a_document_mark_and_a_comment_with_a_command_are_nothing():
    assert recipe_reading.read(case("launchers/document_mark.yaml")).recipe == SAID


def test_a_launcher_and_a_redirection_are_told_and_are_no_settings():
    found = recipe_reading.read(case("launchers/deepspeed_log.sh"))
    assert found.recipe == SAID | {
        "deepspeed": "ds_z2.json",
        "model_name_or_path": "SmolLM2-135M-Instruct",
        "learning_rate": 2e-4,
    }
    assert set(reasons(found)) == {"launcher", "redirection", "output"}


def test_a_command_of_windows():
    assert recipe_reading.read(case("launchers/windows.cmd")).recipe == SAID


def test_a_configuration_of_the_board():
    found = recipe_reading.read(case("llamaboard-config/board_0.9.yaml")).recipe
    assert found["dataset"] == "identity_en,sft_en_zh" and "image_max_pixels" not in found
    found = recipe_reading.read(case("llamaboard-config/board_without_pixels.yaml")).recipe
    assert (found["enable_thinking"], found["warmup_steps"], found["learning_rate"], found["bf16"], found["fp16"]) == (
        False,
        0,
        5e-5,
        True,
        False,
    )


@pytest.mark.parametrize(
    ("kind", "said"), [("fp32", set()), ("fp16", {"fp16"}), ("bf16", {"bf16"}), ("pure_bf16", {"pure_bf16"})]
)
def test_the_compute_type_of_the_board_is_the_only_one(kind, said, workspace):
    board = yaml.safe_load(case("llamaboard-config/board_0.9.yaml")) | {
        "train.compute_type": kind,
        "train.dataset": ["identity_en"],
    }
    found = recipe_reading.read(yaml.safe_dump(board)).recipe
    assert {name for name in ("fp16", "bf16", "pure_bf16") if found[name]} == said


def test_lists_are_what_a_comma_is(workspace):
    found = recipe_reading.read(case("yaml-lists/lists_eval.yaml")).recipe
    assert (found["dataset"], found["eval_dataset"]) == ("identity_en", "sft_en_zh")
    lists = {name: ["a", "b"] for name in arguments.LISTS} | {"interleave_probs": [0.5, 0.5]}
    assert arguments.judged(lists) == {name: "a,b" for name in arguments.LISTS} | {"interleave_probs": "0.5,0.5"}
    for bad in ([["a"]], [{"a": 1}], [None]):
        with pytest.raises(Problem):
            arguments.judged({"dataset": bad})


def test_a_rank_without_an_alpha_is_trained_as_llamafactory_would():
    found = recipe_reading.read(case("rank-without-alpha/recipe.yaml")).recipe
    assert "lora_alpha" not in found
    assert llamafactory_defaults.unstated({"do_train": True, **found})["lora_alpha"] == 128


def test_what_merges_is_sent_to_where_that_is_done_and_never_trains(workspace):
    assert refusal(case("trains-nothing/merge.yaml")).key == "recipe_import.kind_merge"
    said = yaml.safe_load(case("trains-nothing/merge.yaml"))
    with pytest.raises(Problem) as told:
        recipes.complete(workspace, said, MACHINE)
    assert told.value.key == "recipe_import.kind_merge"


# What a recipe is for
# --------------------------------------------------------------------------------------------------
MODEL = {"model_name_or_path": "SmolLM2-135M-Instruct", "template": "smollm2"}


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (MODEL | {"infer_backend": "huggingface", "trust_remote_code": True}, "chat"),
        (MODEL | {"do_eval": True}, "evaluate"),
        (MODEL | {"infer_backend": "vllm", "vllm_maxlen": 4096}, "chat"),
        (MODEL | {"stage": "sft", "do_predict": True, "eval_dataset": "sft_en_zh"}, "predict"),
        (MODEL | {"predict_with_generate": True, "eval_dataset": "sft_en_zh"}, "predict"),
        (MODEL | {"do_train": False, "dataset": "identity_en"}, "nothing"),
        (
            MODEL | {"export_dir": "x", "export_quantization_bit": 4, "export_quantization_dataset": "data/c4.json"},
            "merge",
        ),
        (MODEL | {"do_eval": True, "val_size": 0.1, "max_steps": 2}, "evaluate"),
    ],
)
def test_what_trains_nothing_is_refused_at_import_preview_and_start(said, kind, workspace):
    assert refusal(yaml.safe_dump(said)).key == f"recipe_import.kind_{kind}"
    assert refusal(json.dumps(said)).key == f"recipe_import.kind_{kind}"
    with pytest.raises(Problem) as told:
        recipes.complete(workspace, said, MACHINE)
    assert told.value.key == f"recipe_import.kind_{kind}"


@pytest.mark.parametrize(
    "said",
    [
        {"dataset": "identity_en"},
        {"model_name_or_path": "SmolLM2-135M-Instruct"},
        {"max_steps": 2},
        {"stage": "sft", "do_train": True, "export_dir": "x"},
        {"dataset": "identity_en", "do_eval": True, "val_size": 0.1},
        {"do_train": True, "do_predict": True, "predict_with_generate": True},
        {"dataset": "identity_en", "max_steps": 2, "do_predict": True},
        {"do_train": "true", "infer_backend": "huggingface"},
        {"lora_rank": 4},
    ],
)
def test_a_short_recipe_of_a_training_goes_on_working(said, workspace):
    assert recipe_reading.read(yaml.safe_dump(said)).recipe == {
        name: value for name, value in said.items() if name != "do_train"
    }


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("compute_environment: LOCAL_MACHINE\nfsdp_config:\n  fsdp_version: 2\nnum_processes: 2", "accelerate"),
        ('{"zero_optimization": {"stage": 2}}', "deepspeed"),
        ("model: Qwen/Qwen3-0.6B\ntrain_dataset: data/v1.yaml\ndist_config:\n  name: fsdp2", "v1"),
        ("model: x\npeft_config:\n  name: lora", "v1"),
        ("model_name_or_path: a\ndo_train: true\ntensor_model_parallel_size: 4", "megatron"),
        ("base_model: a\ndatasets:\n- path: b", "axolotl"),
        ('"<|a|>": the letter a\n"<|b|>": the letter b', "tokens"),
        ('{"peft_type": "LORA", "r": 8}', "adapter"),
        ('{"architectures": ["LlamaForCausalLM"]}', "model"),
        ('{"mine": {"file_name": "mine.json"}}', "datasets"),
        ('{"log_history": [], "global_step": 3}', "run_state"),
        ("llamafactory-cli export --model_name_or_path a --export_dir b", "merge"),
        ("llamafactory-cli chat --model_name_or_path a", "chat"),
        ("llamafactory-cli webui", "board"),
        ("API_PORT=8000 llamafactory-cli api x.yaml", "serve"),
        ("USE_V1=1 llamafactory-cli sft x.yaml", "v1"),
        ("USE_MCA=1 llamafactory-cli train x.yaml", "megatron"),
        ("llamafactory-cli train --model_name_or_path a --do_predict --eval_dataset b", "predict"),
        ("model_name_or_path: a\ntask: mmlu_test\nlang: en\nn_shot: 5", "benchmark"),
    ],
)
def test_what_is_no_recipe_is_told_as_what_it_is(text, kind):
    assert refusal(text).key == f"recipe_import.kind_{kind}"


# Text around it
# --------------------------------------------------------------------------------------------------
RECIPE = "stage: sft\nmax_steps: 20\n"


@pytest.mark.parametrize(
    "text",
    [
        f"```yaml\n{RECIPE}```",
        f"~~~\n{RECIPE}~~~",
        f"Do this:\n\n```yaml\n{RECIPE}```\n\nThen wait.",
        f"````\n{RECIPE}",
        f"\ufeff{RECIPE}",
        RECIPE.replace("\n", "\r\n"),
        f"---\n{RECIPE}",
        f"{RECIPE}...\n",
        f"%YAML 1.1\n---\n{RECIPE}",
        f"# --max_steps 3\n\n{RECIPE}",
        "  stage: sft\n  max_steps: 20",
        '{"stage": "sft", "max_steps": 20}',
        "{'stage': 'sft', 'max_steps': 20}",
        "args = dict(\n  stage=\"sft\",  # how\n  max_steps=20,\n)\njson.dump(args, open('x.json', 'w'))",
        "args = {'stage': 'sft', 'max_steps': 20}",
        "`llamafactory-cli train --stage sft --max_steps 20`",
        "stage:\u00a0sft\nmax_steps:\u00a020",
        "> stage: sft\n> max_steps: 20",
        "```bash\nllamafactory-cli train \\\n  --stage sft \\\n  --max_steps 20\n```",
        f"cat > a.yaml <<EOF\n{RECIPE}EOF\nllamafactory-cli train a.yaml",
        f"%%writefile a.yaml\n{RECIPE}",
        'bash -c "llamafactory-cli train --stage sft --max_steps 20"',
        f"```yaml\n{RECIPE}```\n```bash\nllamafactory-cli train a.yaml\n```",
        "max_steps: 20\nstage: sft\noutput_dir: x\nresume_from_checkpoint: null",
    ],
)
def test_a_recipe_is_found_in_whatever_it_is_wrapped(text):
    assert recipe_reading.read(text).recipe == {"stage": "sft", "max_steps": 20}


@pytest.mark.parametrize("override", ["--max_steps 7", "max_steps=7", "--max-steps=7"])
def test_what_a_command_sets_beside_its_file_wins(override):
    found = recipe_reading.read(f"cat > a.yaml <<EOF\n{RECIPE}EOF\nllamafactory-cli train a.yaml {override} > log.txt")
    assert found.recipe == {"stage": "sft", "max_steps": 7} and "redirection" in reasons(found)


def test_what_comes_after_the_training_is_told():
    found = recipe_reading.read(
        "cd LLaMA-Factory\npip install -e .\nCUDA_VISIBLE_DEVICES=1 llamafactory-cli train --stage sft --seed 1\n"
        "llamafactory-cli export a.yaml\nllamafactory-cli train --stage dpo --seed 2"
    )
    assert found.recipe == {"stage": "sft", "seed": 1} and found.options == {"devices": [1]}
    assert sorted(reasons(found)) == ["command", "command", "kind_merge", "second"]


def test_a_variable_that_nothing_sets_leaves_its_setting_out_by_name():
    found = recipe_reading.read(
        "llamafactory-cli train --model_name_or_path $MODEL --stage sft --run_name run-$(date +%s)"
    )
    assert found.recipe == {"stage": "sft"} and [one.text for one in found.left_out] == [
        "--model_name_or_path $MODEL",
        "--run_name run-$(date +%s)",
    ]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("", "train.import_empty"),
        (" \n\t", "train.import_empty"),
        ("just words", "recipe_import.no_settings"),
        ("- a\n- b", "recipe_import.no_settings"),
        ("5", "recipe_import.no_settings"),
        ("stage: sft\nstage: pt", "recipe_import.twice"),
        ("llamafactory-cli train", "recipe_import.nothing"),
        ("output_dir: x", "recipe_import.nothing"),
        ("do_train: true", "recipe_import.nothing"),
        ("llamafactory-cli train --stage 'sft", "recipe_import.open_quote"),
        ("llamafactory-cli train --stage", "recipe_import.no_value"),
        ("llamafactory-cli train --lora 3", "recipe_import.ambiguous"),
        ("llamafactory-cli train --no_such 3", "train.unknown_setting"),
        ("llamafactory-cli train --stage nonsense", "train.bad_value"),
        ("stage: nonsense", "train.bad_value"),
        ("a:\tb\n\tc: d", "train.import_unreadable"),
        ("llamafactory-cli train --hf_hub_token abc", "train.secret"),
        ("pip install x --upgrade", "recipe_import.no_command"),
        ("bash train.sh", "recipe_import.file_needed"),
        ("llamafactory-cli train a.json", "recipe_import.file_needed"),
        ("a: 1\n---\nb: 2", "train.import_unreadable"),
    ],
)
def test_what_is_no_recipe_is_told(text, key):
    fault = refusal(text)
    assert fault.key == key
    for language in ("en", "zh"):
        assert "\n" not in render(import_report.FAULT_TEMPLATE, Words(language), import_report.import_fault(fault))


# LLaMA-Factory's own parsers are the measure
# ------------------------------------------------------------------------------------------


def options_parser():
    from llamafactory.hparams import parser
    from transformers import HfArgumentParser

    class Raising(HfArgumentParser):
        def error(self, message):
            raise ValueError(message)

    return Raising(parser._TRAIN_ARGS)


SOME = {"bool": ["true", "False", "1", "no", "yes"], "int": ["3", "17"], "float": ["1e-4", "0.5", "2", ".1"]}


def random_command(chance: random.Random) -> list[str]:
    known = [
        one
        for one in arguments.arguments().values()
        if one.name not in arguments.HELD_BACK and one.name not in ("parallelism_config", "liger_kernel_config")
    ]  # which no text gives
    words = []
    for one in chance.sample(known, 8):
        option = f"--{one.name}" if chance.random() < 0.7 else "--" + one.name.replace("_", "-")
        if one.kind == "bool" and one.default is not None and chance.random() < 0.4:
            words.append(f"--no_{one.name}" if one.default is True and chance.random() < 0.5 else option)
            continue
        value = chance.choice(one.choices or SOME.get(one.kind, ["abc", "a,b", "x y"]))
        words += [f"{option}={value}"] if chance.random() < 0.3 else [option, value]
    return words


def test_random_commands_are_read_as_llamafactorys_own_parser_reads_them():
    own, read, chance = options_parser(), 0, random.Random(7)
    defaults = vars(own.parse_args([]))
    for _ in range(300):
        words = random_command(chance)
        try:
            wanted, rest = own.parse_known_args(words)
        except ValueError as error:
            # A text that only the parser of commands refuses is the judge's of the whole recipe, in preview and start.
            refused = str(error).removeprefix("argument --").split("/")[0].split(":")[0]
            if arguments.arguments()[refused].kind != "text":
                with pytest.raises(Problem):
                    recipe_reading.read(shlex.join(["llamafactory-cli", "train", *words]))
            continue
        found = recipe_reading.read(
            "llamafactory-cli train --do_train \\\n" + " \\\n ".join(map(shlex.quote, words))
        ).recipe
        for name, value in found.items():
            theirs = vars(wanted)[name]
            theirs = (
                ",".join(theirs)
                if isinstance(theirs, list) and isinstance(value, str)
                else getattr(theirs, "value", theirs)
            )
            assert str(theirs) == str(value) or isinstance(value, int | float) and float(theirs) == value, (
                name,
                theirs,
                value,
            )
        unsaid = (
            {name for name, value in vars(wanted).items() if value != defaults[name]}
            - found.keys()
            - recipe_reading.NOT_TAKEN.keys()
        )
        assert not unsaid and not rest
        read += 1
    assert read > 200


def board_arguments(config: dict) -> dict:
    """Return what LlamaBoard's own Start makes of a configuration: its `_parse_train_args`, given the configuration in
    place of its page.
    """
    from llamafactory.webui.runner import Runner

    class Page:
        def get_elem_by_id(self, name):
            return name

    runner = Runner(Page())
    return runner._parse_train_args(config)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"train.compute_type": "fp32"},
        {"train.compute_type": "fp16"},
        {"train.training_stage": "DPO"},
        {"train.training_stage": "KTO", "train.pref_ftx": 0.5},
        {"train.training_stage": "Pre-Training", "train.packing": True},
        {"train.neat_packing": True},
        {"top.finetuning_type": "freeze"},
        {"top.finetuning_type": "full"},
        {"top.quantization_bit": "4"},
        {"top.booster": "flashattn2"},
        {"top.booster": "liger_kernel"},
        {"top.rope_scaling": "linear"},
        {"train.val_size": 0.1},
        {"train.use_galore": True},
        {"train.use_badam": True},
        {"train.use_apollo": True},
        {"train.use_pissa": True},
        {"train.lora_target": "q_proj,v_proj"},
        {"train.neftune_alpha": 5, "train.loraplus_lr_ratio": 16},
        {"train.training_stage": "PPO", "train.reward_model": ["reward-1"]},
        {"top.checkpoint_path": ["first", "second"]},
        {"top.model_name": "Qwen2.5-VL-7B-Instruct"},
        {"train.use_llama_pro": True},
        {"train.extra_args": '{"optim": "adafactor", "seed": 7}'},
        {"train.report_to": "tensorboard"},
        {"train.training_stage": "Reward Modeling"},
        {"train.warmup_steps": 20},
        {"train.enable_thinking": True, "train.train_on_prompt": True},
        {"top.finetuning_type": "freeze", "top.checkpoint_path": "base-run"},
    ],
    ids=str,
)
def test_the_board_gives_what_its_own_start_gives(change):
    config = (
        yaml.safe_load(case("llamaboard-config/board_0.9.yaml"))
        | {"top.lang": "en", "top.model_path": "/models/m", "train.output_dir": "x"}
        | change
    )
    theirs = board_arguments(config)
    found = recipe_reading.read(yaml.safe_dump(config)).recipe
    known = arguments.arguments()
    # Of the machine and not of the learning; that code of a model may run is the person's own consent.
    machine = {
        "cache_dir",
        "preprocessing_num_workers",
        "trust_remote_code",
        "ddp_timeout",
        "output_dir",
        "do_train",
        "plot_loss",
        "include_num_input_tokens_seen",
    }
    for name, value in theirs.items():
        if name in machine or value is None or value == "":
            continue
        if name not in found:
            assert str(getattr(known[name].default, "value", known[name].default)) == str(value), (name, value)
            continue
        mine = found[name]
        expected = known[name].take(value) if not str(value).startswith("saves/") else value
        assert str(mine) == str(expected).replace("saves/", "") or mine == expected, (name, mine, value)
    assert found.keys() <= theirs.keys()


def test_a_configuration_of_an_older_board_says_what_it_has():
    found = recipe_reading.read(
        "top.model_name: a\ntrain.learning_rate: 5e-5\ntrain.dataset: [x]\ntrain.image_max_pixels:"
        " 768*768\ntrain.shift_attn: false\ntrain.gone: 3"
    )
    assert found.recipe["learning_rate"] == 5e-5 and [
        one.text for one in found.left_out if one.reason == "unknown"
    ] == ["gone: 3"]
    assert llamaboard.is_board({"top.lang": "en"}) and not llamaboard.is_board({"stage": "sft"})


# In the studio
# --------------------------------------------------------------------------------------------------
def test_what_is_not_here_is_told_with_how_to_get_it(workspace):
    said = {
        "model_name_or_path": "Qwen/Qwen3-4B",
        "dataset": "identity_en,alpaca",
        "eval_dataset": "held",
        "adapter_name_or_path": "a/b/c",
        "deepspeed": "ds.json",
    }
    assert [(one.field, one.value, one.advice) for one in missing_parts.missing(workspace, said)] == [
        ("model_name_or_path", "Qwen/Qwen3-4B", "download"),
        ("dataset", "alpaca", "dataset"),
        ("eval_dataset", "held", "dataset"),
        ("adapter_name_or_path", "a/b/c", "run"),
        ("deepspeed", "ds.json", "file"),
    ]
    assert (
        missing_parts.missing(workspace, {"model_name_or_path": "org/SmolLM2-135M-Instruct", "dataset": "identity_en"})
        == []
    )
    assert [one.field for one in missing_parts.missing(workspace, {"stage": "sft"})] == [
        "model_name_or_path",
        "dataset",
    ]


def test_the_report_names_all_and_escapes_it(workspace):
    found = recipe_reading.read(
        "llamafactory-cli train --model_name_or_path '<b>x</b>' --dataset '<i>y</i>' --stage sft > '<u>z</u>'"
    )
    html = drawn(import_report, import_report.import_report(found, missing_parts.missing(workspace, found.recipe)))
    assert (
        "<b>" not in html
        and "<i>" not in html
        and "<u>" not in html
        and "&lt;u&gt;" in html
        and 'data-go="room-models"' in html
    )


def test_the_form_holds_what_llamafactory_would_do_and_no_stand_in(workspace):
    assert llamafactory_defaults.unstated({"stage": "sft"}) == {}, (
        "a script's settings: the studio's defaults fill them up"
    )
    unsaid = llamafactory_defaults.unstated({"stage": "sft", "do_train": "true"})
    assert (
        unsaid["learning_rate"],
        unsaid["num_train_epochs"],
        unsaid["cutoff_len"],
        unsaid["warmup_steps"],
        unsaid["lora_alpha"],
    ) == (5e-5, 3.0, 2048, 0, 16)
    assert (
        form.datasets(workspace, {"dataset": "identity_en,none"}) == ["identity_en", "none"]
        and form.datasets(workspace, unsaid) == []
    )
    assert form.model(workspace, {"model_name_or_path": f"hub/{recipes.STARTER_MODEL}"}) == recipes.STARTER_MODEL
    assert form.model(workspace, {"model_name_or_path": "hub/none"}) == "hub/none"
    assert form.model(workspace, unsaid) is None and form.model(workspace, {}) is None
    assert form.with_value([("Auto", ""), "a"], "b") == [("Auto", ""), "a", "b"] and form.with_value(
        ["a"], ["a", "c"]
    ) == ["a", "c"]


def test_a_kept_recipe_with_lists_comes_back(workspace):
    saved_recipes.save(workspace, "lists", {"dataset": ["a", "b"], "stage": "sft"})
    assert saved_recipes.load(workspace, "lists") == {"do_train": True, "dataset": "a,b", "stage": "sft"}


# All of LLaMA-Factory's own examples, where a checkout of it is at hand
# ---------------------------------------------------------------
SOURCE = os.environ.get("STUDIO_LLAMAFACTORY_SOURCE", "")


@pytest.mark.skipif(not SOURCE, reason="STUDIO_LLAMAFACTORY_SOURCE names no checkout")
def test_every_example_gets_the_verdict_of_llamafactorys_own_parser():
    from llamafactory.hparams import parser
    from omegaconf import OmegaConf

    files = sorted(path for path in Path(SOURCE, "examples").rglob("*.y*ml"))
    assert len(files) > 70
    verdicts = {}
    for path in files:
        raw = OmegaConf.to_container(OmegaConf.load(path))
        names = {name for kind in parser._TRAIN_ARGS for name in kind.__dataclass_fields__}
        is_recipe = raw.keys() <= names and str(raw.get("do_train")) == "True"
        try:
            found = recipe_reading.read(path.read_text(encoding="utf-8")).recipe
            verdicts[path] = (is_recipe, "taken")
            assert {name: value for name, value in raw.items() if name in found and isinstance(value, bool)} == {
                name: found[name] for name, value in raw.items() if name in found and isinstance(value, bool)
            }
            assert raw.keys() - found.keys() <= {
                *recipe_reading.NOT_TAKEN,
                "do_train",
                *(name for name, value in raw.items() if value is None),
            }
        except Problem as problem:
            verdicts[path] = (is_recipe, problem.key)
            if problem.key == "train.unknown_setting":  # as LLaMA-Factory itself says
                assert str(raw.get("do_train")) == "True" and problem.facts["field"] in raw.keys() - names
                verdicts[path] = (is_recipe, "recipe_import.kind_refused by both")
    wrong = {str(path): verdict for path, verdict in verdicts.items() if verdict[0] != (verdict[1] == "taken")}
    assert wrong == {}
    untold = {
        str(path): verdict[1]
        for path, verdict in verdicts.items()
        if not verdict[0] and not verdict[1].startswith("recipe_import.kind_")
    }
    assert untold == {}
