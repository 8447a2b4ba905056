"""Recipes: what stands where a person says nothing, and what LLaMA-Factory makes of it."""

import json

import pytest
from conftest import is_sentence, slow

from studio.core import trust
from studio.core.device_lease import DeviceLease
from studio.core.i18n import Problem, Words
from studio.models.library import model_folders
from studio.train import runs
from studio.train.execution import recipe_preview
from studio.train.execution.training_service import TrainingService
from studio.train.recipe import arguments, recipes
from studio.train.recipe.importing import llamafactory_defaults, recipe_reading
from studio.train.runs import adapters

CPU = recipes.Machine("cpu", True)


def test_an_empty_wish_is_a_whole_recipe_that_the_parser_takes(workspace):
    recipe = recipes.complete(workspace, {}, CPU)
    assert recipe["model_name_or_path"] == str(workspace.models / recipes.STARTER_MODEL)
    assert recipe["template"] == "smollm2" and recipe["dataset_dir"] == str(workspace.data)
    recipes.check({**recipe, "output_dir": str(workspace.saves / "x")})


def test_what_is_said_stays_and_what_is_empty_counts_as_not_said(workspace):
    recipe = recipes.complete(workspace, {"learning_rate": 5e-5, "template": "", "seed": None}, CPU)
    assert recipe["learning_rate"] == 5e-5 and recipe["seed"] == 42 and recipe["template"] == "smollm2"


def test_data_that_was_tokenized_before_is_not_joined_by_the_studios_own(workspace, tmp_path):
    wish = {"tokenized_path": str(tmp_path / "tokens")}
    for empty in ({}, {"dataset": ""}, {"dataset": None}):
        recipe, problems = recipes.draft(workspace, wish | empty, CPU)
        assert "dataset" not in recipe
        assert [(problem.key, problem.facts["field"]) for problem in problems] == [
            ("train.tokenized_needs_names", "dataset")
        ]
        with pytest.raises(Problem):
            recipes.complete(workspace, wish | empty, CPU)
    named = recipes.complete(workspace, wish | {"dataset": "sft_en_zh"}, CPU)
    assert named["dataset"] == "sft_en_zh" and named["tokenized_path"] == wish["tokenized_path"]


@pytest.mark.parametrize("text", ["model_name_or_path: {model}\ndataset: identity_en", "{command}"])
def test_a_recipe_that_is_imported_is_filled_up_as_llamafactory_does(workspace, text):
    command = f"llamafactory-cli train --model_name_or_path {recipes.STARTER_MODEL} --dataset identity_en --lora_rank 4"
    found = recipe_reading.read(text.format(model=recipes.STARTER_MODEL, command=command)).whole
    recipe = recipes.complete(workspace, found, CPU)
    theirs = {name: argument.default for name, argument in arguments.arguments().items()}
    expected = {name: theirs[name] for name in llamafactory_defaults.LEARNED_BY} | found
    assert {name: recipe[name] for name in llamafactory_defaults.LEARNED_BY} == {
        name: expected[name] for name in llamafactory_defaults.LEARNED_BY
    }
    assert recipe["lora_alpha"] == 2 * recipe["lora_rank"]
    without = {name: value for name, value in found.items() if name != "do_train"}
    assert recipes.complete(workspace, without, CPU)["learning_rate"] == recipes.defaults()["learning_rate"]


@pytest.mark.parametrize("named", ["model_name_or_path", "dataset"])
def test_no_model_and_no_data_stand_in_for_those_of_an_imported_recipe(workspace, named):
    both = {"model_name_or_path": recipes.STARTER_MODEL, "dataset": "identity_en"}
    for nothing in ({}, {named: ""}, {named: None}):
        said = {"do_train": True} | {name: value for name, value in both.items() if name != named} | nothing
        with pytest.raises(Problem) as fault:
            recipes.complete(workspace, said, CPU)
        assert fault.value.facts["field"] == named and is_sentence(Words("zh").tell(fault.value))


MEMBERS_NOT_HERE = {
    "dataset": {"dataset": "identity_en,gone"},
    "eval_dataset": {"eval_dataset": "gone"},
    "model_name_or_path": {"model_name_or_path": "/gone/model"},
    "template": {"template": "gone"},
    "adapter_name_or_path": {"adapter_name_or_path": "SmolLM2-135M-Instruct/lora/gone"},
    "an adapter's folder": {"adapter_name_or_path": "/gone/adapter"},
    "an adapter below": {"adapter_name_or_path": "/gone/a,/gone/b", "create_new_adapter": True},
    "deepspeed": {"deepspeed": "gone.json"},
    "new_special_tokens_config": {"new_special_tokens_config": "/gone/tokens.yaml"},
    "ref_model": {"stage": "dpo", "dataset": "preference", "ref_model": "gone"},
}


@pytest.mark.parametrize("member", MEMBERS_NOT_HERE)
def test_what_a_recipe_names_and_is_not_here_is_a_problem_of_the_preview(workspace, member):
    both = {"do_train": True, "model_name_or_path": recipes.STARTER_MODEL, "dataset": "identity_en"}
    trainer = TrainingService(workspace, DeviceLease())
    problems = trainer.preview(both | MEMBERS_NOT_HERE[member]).problems
    assert problems and "gone" in str(problems[0].facts), problems and problems[0].key
    for language in ("en", "zh"):
        assert is_sentence(Words(language).tell(problems[0]))


def test_settings_of_lora_are_left_out_where_all_weights_are_trained(workspace):
    recipe = recipes.complete(workspace, {"finetuning_type": "full"}, CPU)
    assert not set(recipes.LORA_SETTINGS) & recipe.keys()


def test_a_larger_model_begins_with_a_smaller_learning_rate():
    assert recipes.defaults(7_000_000_000)["learning_rate"] == 1e-4
    assert recipes.defaults(135_000_000)["learning_rate"] == 1e-3


@pytest.mark.parametrize(
    ("machine", "wanted"),
    [
        (CPU, {"use_cpu": True, "bf16": True}),
        (recipes.Machine("cuda", True), {"bf16": True}),
        (recipes.Machine("cuda", False), {"fp16": True}),
    ],
)
def test_the_compute_type_is_what_the_machine_can_do(machine, wanted):
    assert machine.compute_type() == wanted


def test_a_renamed_model_is_known_by_its_own_template_and_one_that_says_nothing_asks(workspace):
    folder = workspace.models / "mine-chat"
    (workspace.models / recipes.STARTER_MODEL).rename(folder)
    assert recipes.complete(workspace, {"model_name_or_path": "mine-chat"}, CPU)["template"] == "smollm2"
    (folder / "chat_template.jinja").unlink()
    config = (folder / "config.json").read_text(encoding="utf-8")
    (folder / "config.json").unlink()  # a link to the one copy
    (folder / "config.json").write_text(config.replace('"llama"', '"unheard_of"'), encoding="utf-8")
    with pytest.raises(Problem) as told:
        recipes.complete(workspace, {"model_name_or_path": "mine-chat"}, CPU)
    assert "choose its template" in str(told.value)
    assert (
        recipes.complete(workspace, {"model_name_or_path": "mine-chat", "template": "chatml"}, CPU)["template"]
        == "chatml"
    )


def test_a_broken_dataset_says_why(workspace):
    (workspace.data / "identity_en.json").write_text("[{")
    with pytest.raises(Problem) as told:
        recipes.complete(workspace, {}, CPU)
    assert "identity_en.json" in str(told.value) and is_sentence(str(told.value))


def test_code_of_a_model_runs_only_where_that_was_allowed(workspace):
    folder = workspace.models / recipes.STARTER_MODEL
    config = (folder / "config.json").read_text(encoding="utf-8")
    (folder / "config.json").unlink()
    (folder / "config.json").write_text(
        config.replace("{", '{"auto_map": {"AutoModelForCausalLM": "own.Own"},', 1), encoding="utf-8"
    )
    (folder / "own.py").write_text("", encoding="utf-8")
    assert recipes.complete(workspace, {}, CPU)["trust_remote_code"] is False
    with pytest.raises(Problem) as told:
        recipes.complete(workspace, {"trust_remote_code": True}, CPU)
    assert told.value.key == "trust.no_consent" and is_sentence(str(told.value))
    trust.grant(folder, trust.code_of(folder).digest)
    assert recipes.complete(workspace, {}, CPU)["trust_remote_code"] is True
    assert recipes.complete(workspace, {"trust_remote_code": False}, CPU)["trust_remote_code"] is False


def test_a_run_on_a_model_of_a_hub_s_cache_is_named_by_the_model(workspace, tmp_path):
    snapshot = tmp_path / "hub" / "models--owner--mine-chat" / "snapshots" / ("a1b2c3d4" * 5)
    snapshot.parent.mkdir(parents=True)
    (workspace.models / recipes.STARTER_MODEL).rename(snapshot)
    model_folders.add(workspace, str(tmp_path / "hub"))
    for name in ("mine-chat", str(snapshot)):
        run = recipes.prepare(workspace, {"model_name_or_path": name, "template": "chatml"}, {}, CPU)
        assert run.name.startswith("mine-chat/lora/") and run.recipe()["model_name_or_path"] == str(snapshot)


MANY = [f"a_set_with_a_long_name_{number}" for number in range(7)]


MODELS = [recipes.STARTER_MODEL, "SmolLM2 (copy)", "我的模型（新）"]
SETS = [["identity_en"], MANY, ["数据" * 30, "更多" * 30], ["_my_data"]]
# Each name once; with every other one in the long tests.
ONCE = {(0, 0), (1, 1), (2, 2), (0, 3)}


@pytest.mark.parametrize(
    ("model", "sets"),
    [
        pytest.param(model, sets, marks=() if (one, other) in ONCE else slow)
        for one, model in enumerate(MODELS)
        for other, sets in enumerate(SETS)
    ],
)
def test_a_run_is_called_what_the_preview_says_whatever_its_model_and_its_data_are_called(workspace, model, sets):
    known = json.loads((workspace.data / "dataset_info.json").read_text())
    (workspace.data / "dataset_info.json").write_text(json.dumps(known | dict.fromkeys(sets, known["sft_en_zh"])))
    if model != recipes.STARTER_MODEL:
        (workspace.models / recipes.STARTER_MODEL).rename(workspace.models / model)
    recipe = {"model_name_or_path": model, "dataset": ",".join(sets), "template": "chatml"}
    shown = recipe_preview.preview(workspace, recipe, lambda _: None)
    assert shown.problems == []
    assert runs.require_free(workspace, *shown.place, "my run").name == "/".join((*shown.place, "my run"))
    for _ in range(2):
        run = recipes.prepare(workspace, recipe, {}, CPU)
    assert run.name == "/".join((*shown.place, shown.next_name.removesuffix("1") + "2"))
    run.say("state", state="finished")
    (run.folder / "adapter_config.json").write_text("{}")
    (run.folder / "adapter_model.safetensors").write_bytes(b"")
    assert runs.find(workspace, run.name) == run and adapters.on(workspace, model) == [run.name]
    assert adapters.on(workspace, shown.place[0]) == ([run.name] if model == shown.place[0] else [])
