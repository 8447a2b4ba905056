"""The preview judges as the run will: cases that people brought, and what the form is told."""

import json
import math

import pytest
import yaml
from conftest import ROOT, SHORT, costs_at_most, wait_for

from studio.core.i18n import Problem, Words
from studio.datasets.registry import entries
from studio.train import runs
from studio.train.recipe import recipes

CASES = ROOT / "tests" / "cases"
CPU = recipes.Machine("cpu", True)


def case(name: str):
    path = CASES / name
    text = path.read_text(encoding="utf-8")
    return json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)


MODEL = {"model_name_or_path": recipes.STARTER_MODEL}  # as the cases leave it out


def told(trainer, **wish) -> list[tuple[str, str]]:
    return [(str(problem), problem.facts.get("field")) for problem in trainer.preview(wish).problems]


def steps(trainer, **wish) -> str:
    preview = trainer.preview(wish)
    assert preview.problems == []
    return dict(preview.advice)["train.advice_batch"]["steps"]


def finished(run) -> None:
    wait_for(lambda: runs.status(run).state not in runs.ACTIVE, seconds=180, every=0.05)
    assert runs.status(run).state == "finished", runs.status(run).error


def test_what_the_run_refuses_is_refused_before_by_its_field_and_starts_nothing(trainer, workspace):
    wishes = [
        *case("refused-in-the-run/recipes.json"),
        *case("impossible-numbers/recipes.json"),
        case("mixing/recipes.json")[1] | {"dataset": "identity_en,sft_en_zh"},
    ]
    fields = ["neat_packing", "eval_dataset", "gradient_accumulation_steps", "val_size", "mix_strategy"]
    for wish, field in zip(wishes, fields, strict=True):
        (problem,) = told(trainer, **wish)
        assert problem[1] == field
        with pytest.raises(Problem) as fault:
            trainer.start(wish, {})
        assert str(fault.value) == problem[0]
    assert runs.all_runs(workspace) == []


def test_every_package_that_is_not_there_is_told_and_hides_nothing(trainer):
    found = told(
        trainer, deepspeed="no_such.json", report_to="wandb", enable_liger_kernel=True, eval_dataset="none_such"
    )
    assert {field for _, field in found} == {"eval_dataset", "deepspeed", "report_to", "enable_liger_kernel"}
    assert any("pip install liger-kernel" in sentence for sentence, _ in found)


def test_the_identity_is_filled_beside_a_held_out_set_and_in_one(trainer, workspace):
    few = {"max_samples": 4}  # of the held-out set too, which is gone through after every step
    recipe = SHORT | few | case("identity-and-held-out/identity_with_eval.json")
    run = trainer.start(recipe, {"name": "Mira", "author": "us"})
    finished(run)
    other = recipes.prepare(
        workspace, {"dataset": "sft_en_zh", "eval_dataset": "identity_en"}, {"name": "Mira", "author": "us"}, CPU
    )
    for made in (run, other):
        text = "".join(file.read_text(encoding="utf-8") for file in (made.folder / "dataset").glob("*.json"))
        assert "Mira" in text and "{{" not in text
        assert made.recipe()["dataset_dir"] == str(made.folder / "dataset")
        recipes.require_startable(workspace, made.recipe())  # as for Resume and Train again


def test_an_empty_name_and_author_leave_the_rows_as_they_stand(workspace):
    run = recipes.prepare(workspace, {"dataset": "identity_en"}, {"name": "", "author": " "}, CPU)
    assert run.recipe()["dataset_dir"] == str(workspace.data) and not (run.folder / "dataset").exists()
    for given, key in (({"name": " ", "author": "us"}, "empty_name"), ({"name": "Mira", "author": ""}, "empty_author")):
        with pytest.raises(Problem) as refused:
            recipes.prepare(workspace, {"dataset": "identity_en"}, given, CPU)
        assert refused.value.key == f"datasets.{key}"


def test_the_folder_that_is_trained_is_the_studio_s_wherever_it_was_started(workspace, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = recipes.prepare(workspace, MODEL | case("dataset-dir/relative.yaml"), {"name": "Mira", "author": "us"}, CPU)
    recipe = run.recipe()
    assert (
        recipe["dataset_dir"] == str(run.folder / "dataset")
        and "{{name}}" not in (run.folder / "dataset" / "identity_en.json").read_text()
    )
    plain = recipes.complete(workspace, {"dataset": "sft_en_zh", "dataset_dir": "./data/"}, CPU)
    assert plain["dataset_dir"] == str(workspace.data)


def test_a_folder_of_one_s_own_trains_or_is_refused_by_name(trainer, workspace, tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    (own / "mine.json").write_text(
        json.dumps([{"instruction": f"Say {number}.", "input": "", "output": f"{number}."} for number in range(5)])
    )
    (own / "dataset_info.json").write_text('{"mine": {"file_name": "mine.json"}}')
    wish = {"dataset": "mine", "dataset_dir": str(own)}
    assert steps(trainer, **wish, num_train_epochs=1, per_device_train_batch_size=1) == "5"
    assert recipes.complete(workspace, wish, CPU)["dataset_dir"] == str(own)
    assert [field for _, field in told(trainer, dataset="mine", dataset_dir=str(tmp_path))] == ["dataset_dir"]
    assert [
        key for key, _ in trainer.preview({"dataset_dir": "other/sets"}).advice if key == "train.advice_data_folder"
    ]


def test_steps_are_those_of_the_mixture(trainer, workspace):
    folder = CASES / "mixing" / "added"
    entries.add_place(workspace.data, str(folder))
    for name in json.loads((folder / "dataset_info.json").read_text()):
        entries.link(workspace.data, folder / name)
    one = {"template": "smollm2", "num_train_epochs": 1, "per_device_train_batch_size": 1}
    assert steps(trainer, **case("mixing/recipes.json")[0]) == "20"
    assert steps(trainer, **one, dataset="few,many", mix_strategy="interleave_over") == "200"
    assert steps(trainer, **one, dataset="few,many") == "110"
    assert steps(trainer, **one, dataset="few_as_50") == "50"
    assert steps(trainer, **one, dataset="few,few") == "10"
    assert steps(trainer, **one, dataset="few,many", max_samples=30) == "40"


def test_text_too_short_for_a_block_is_told_with_both_numbers(trainer, workspace):
    (workspace.data / "notes.txt").write_text((CASES / "too-little-to-pack" / "notes.txt").read_text())
    info = json.loads((workspace.data / "dataset_info.json").read_text())
    (workspace.data / "dataset_info.json").write_text(
        json.dumps(info | {"notes": {"file_name": "notes.txt", "columns": {"prompt": "text"}}})
    )
    ((sentence, field),) = told(trainer, **case("too-little-to-pack/recipe.json"))
    assert field == "cutoff_len" and "1024" in sentence and "tokens" in sentence
    assert told(trainer, **case("too-little-to-pack/recipe.json") | {"cutoff_len": 16}) == []


def test_a_stream_is_read_by_a_process_of_its_own(trainer):
    run = trainer.start(SHORT | case("streaming/recipe.json"), {})
    assert run.recipe()["dataloader_num_workers"] == 1
    finished(run)
    assert runs.status(run).total_steps == 3
    assert told(trainer, streaming=True, max_steps=3, dataloader_num_workers=0)[0][1] == "dataloader_num_workers"
    assert told(trainer, streaming=True)[0][1] in ("max_steps", "streaming")


@pytest.mark.parametrize("machine", [CPU, recipes.Machine("cuda", True), recipes.Machine("cuda", False)])
@pytest.mark.parametrize(
    ("said", "right"),
    [
        ({"fp16": True}, {"fp16": True, "bf16": False}),
        ({"bf16": True}, {"fp16": False, "bf16": True}),
        ({"bf16": False, "fp16": False}, {"fp16": False, "bf16": False}),
        ({"bf16": False}, {"fp16": False, "bf16": False}),
        ({"pure_bf16": True}, {"fp16": False, "bf16": False}),
    ],
)
def test_what_is_said_of_precision_takes_the_place_of_the_machine_s_choice(workspace, machine, said, right):
    recipe, _ = recipes.draft(workspace, said, machine)
    assert {name: bool(recipe.get(name)) for name in right} == right


def test_a_rank_without_alpha_trains_as_llamafactory_trains_it(workspace):
    brought = MODEL | {"dataset": "identity_en"} | case("rank-without-alpha/recipe.yaml")
    assert recipes.complete(workspace, brought, CPU)["lora_alpha"] == 128
    assert recipes.complete(workspace, {}, CPU)["lora_alpha"] == 16
    assert recipes.complete(workspace, {"lora_rank": 64, "lora_alpha": 16}, CPU)["lora_alpha"] == 16


def test_a_preview_that_cannot_judge_tells_it_and_never_raises(trainer, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("division by zero")

    with monkeypatch.context() as patch:
        patch.setattr(recipes, "draft", broken)
        (problem,) = trainer.preview({}).problems
    assert problem.key == "train.preview_failed" and "division by zero" in Words("zh").tell(problem)
    for wish in (
        {"lora_rank": math.inf},
        {"lora_rank": "many"},
        {"stage": []},
        {"dataset": 5},
        {"seed": {}},
        {"model_name_or_path": "\0"},
        {"\ud800": 1},
    ):
        assert trainer.preview(wish).problems, wish


def test_the_preview_answers_at_once(trainer):
    trainer.preview({})
    with costs_at_most(10 * 0.3):
        for rank in range(1, 11):
            assert trainer.preview({"lora_rank": rank}).problems == []
