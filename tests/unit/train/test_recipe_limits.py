"""The limits of numbers, the folder that a recipe's data is in, and blocks: what needs no training library to be
judged.
"""

import json
from types import SimpleNamespace

import pytest

from studio.core.i18n import Problem, Words
from studio.core.workspace import Workspace
from studio.datasets.registry import dataset_info, identity
from studio.train.recipe.validation import numbers, packing, sources

BAD = [
    ("per_device_train_batch_size", 0),
    ("per_device_train_batch_size", -4),
    ("per_device_eval_batch_size", 0),
    ("gradient_accumulation_steps", 0),
    ("cutoff_len", 0),
    ("cutoff_len", -1),
    ("max_samples", 0),
    ("max_samples", -5),
    ("num_train_epochs", 0),
    ("num_train_epochs", -3),
    ("num_train_epochs", float("nan")),
    ("num_train_epochs", float("inf")),
    ("max_steps", 0),
    ("learning_rate", -1),
    ("learning_rate", float("inf")),
    ("lora_rank", 0),
    ("lora_rank", -8),
    ("lora_dropout", 1),
    ("lora_dropout", 1.5),
    ("lora_dropout", -0.1),
    ("warmup_steps", -1),
    ("warmup_ratio", 1.5),
    ("val_size", -0.1),
    ("save_steps", -1),
    ("eval_steps", -1),
    ("logging_steps", 0),
    ("logging_steps", -1),
    ("seed", -1),
    ("seed", 2**32),
    ("dataloader_num_workers", -1),
    ("preprocessing_num_workers", 0),
    ("buffer_size", 0),
    ("adam_beta1", 1.0),
    ("adam_beta2", -0.1),
    ("label_smoothing_factor", 2),
]
GOOD = [
    ("weight_decay", -0.1),
    ("learning_rate", 0),
    ("lora_alpha", 0),
    ("lora_alpha", -16),
    ("max_steps", -1),
    ("max_steps", -7),
    ("max_grad_norm", 0),
    ("max_grad_norm", -1),
    ("lora_dropout", 0),
    ("save_steps", 0),
    ("eval_steps", 0),
    ("warmup_steps", 0),
    ("warmup_steps", 0.1),
    ("seed", 0),
    ("seed", 2**32 - 1),
    ("dataloader_num_workers", 0),
    ("save_total_limit", 0),
    ("num_train_epochs", 0.01),
    ("val_size", 0),
    ("max_samples", 1),
    ("max_samples", None),
]


@pytest.mark.parametrize(("field", "value"), BAD)
def test_a_number_with_which_nothing_trains_is_told_by_its_field(field, value):
    (problem,) = numbers.impossible({"stage": "sft", "finetuning_type": "lora", field: value})
    assert problem.facts["field"] == field
    for language in ("en", "zh"):
        words = Words(language)
        label = words(f"settings.{field}") if words.has(f"settings.{field}") else ""
        assert field in words.tell(problem) and label in words.tell(problem)


@pytest.mark.parametrize(("field", "value"), GOOD)
def test_a_number_that_the_trainer_takes_is_taken(field, value):
    assert numbers.impossible({"stage": "sft", "finetuning_type": "lora", field: value}) == []


def test_all_wrong_numbers_are_told_at_once_and_those_that_nobody_reads_are_not():
    fields = {one.facts["field"] for one in numbers.impossible({"lora_rank": 0, "cutoff_len": 0, "learning_rate": -1})}
    assert fields == {"lora_rank", "cutoff_len", "learning_rate"}
    assert numbers.impossible({"finetuning_type": "full", "lora_rank": 0, "lora_dropout": 2}) == []
    assert numbers.impossible({"num_train_epochs": -3, "max_steps": 2}) == []
    assert numbers.impossible({"logging_steps": 0, "logging_strategy": "no"}) == []
    assert numbers.impossible({"stage": "sft", "ppo_epochs": 0}) == [] and numbers.impossible(
        {"stage": "ppo", "ppo_epochs": 0}
    )


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Workspace:
    made = Workspace(tmp_path / "workspace").prepare()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return made


@pytest.mark.parametrize(
    "said",
    [
        None,
        "",
        "data",
        "./data",
        "data/",
        "./data/",
        "data/.",
        "LLaMA-Factory/data",
        "..\\data\\",
        ".",
        "no_such_folder",
    ],
)
def test_a_folder_without_a_whole_path_is_the_studio_s_wherever_it_was_started(workspace, said):
    assert sources.folder(workspace, said) == str(workspace.data)


def test_a_folder_of_one_s_own_is_used_or_refused_by_name(workspace, tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    for said in (str(own), str(tmp_path / "no_such"), "C:\\data", "/"):
        with pytest.raises(Problem) as told:
            sources.folder(workspace, said)
        assert told.value.facts["field"] == "dataset_dir" and said in str(told.value)
    (own / dataset_info.INFO).write_text("{}")
    assert sources.folder(workspace, str(own)) == str(own)
    inside = workspace.root / "mine"
    inside.mkdir()
    (inside / dataset_info.INFO).write_text("{}")
    assert sources.folder(workspace, "mine") == str(inside)
    assert sources.folder(workspace, "ONLINE") == "ONLINE" and sources.folder(workspace, "REMOTE:a/b") == "REMOTE:a/b"


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("a,b", ["a", "b"]),
        (" a , b,", ["a", "b"]),
        (["a", "b"], ["a", "b"]),
        ("a,a,b", ["a", "b"]),
        ("", []),
        (None, []),
        ([], []),
        (5, ["5"]),
        ("名字,b", ["名字", "b"]),
    ],
)
def test_names_are_a_list_or_text_with_commas_and_count_once(said, found):
    assert sources.names(said) == found


def test_an_unknown_set_is_told_in_the_field_that_names_it(workspace):
    recipe = {
        "stage": "sft",
        "dataset": "identity_en,none_here",
        "eval_dataset": "nor_here,preference",
        "dataset_dir": str(workspace.data),
    }
    told = [(one.key, one.facts["field"]) for one in sources.problems(workspace, recipe)]
    assert told == [
        ("datasets.unknown", "dataset"),
        ("datasets.unknown", "eval_dataset"),
        ("train.dataset_stage", "eval_dataset"),
    ]


def test_a_filled_copy_never_takes_the_place_of_the_person_s_file(workspace, tmp_path):
    """An entry may name its file by a path that leads out of the folder of copies."""
    rows = '[{"instruction": "Who are you?", "output": "I am {{name}}."}]'
    own = workspace.data / "own.json"
    own.write_text(rows)
    (workspace.data / "sub").mkdir()
    (workspace.data / "sub" / "own.json").write_text(rows)
    info = {
        "whole": {"file_name": str(own)},
        "up": {"file_name": "sub/../own.json"},
        "below": {"file_name": "sub/own.json"},
    }
    (workspace.data / dataset_info.INFO).write_text(json.dumps(info))
    target = tmp_path / "run" / "dataset"
    identity.fill(workspace.data, "whole,up,below", "Mira", "us", target)
    assert own.read_text() == rows
    made = json.loads((target / dataset_info.INFO).read_text())
    for entry in made.values():
        assert "Mira" in (target / entry["file_name"]).read_text()
        assert (target / entry["file_name"]).resolve().is_relative_to(target.resolve())


def test_rows_fill_blocks_and_none_is_larger_than_one():
    assert packing._bins([], 10) == 0
    assert packing._bins([10, 10, 10], 10) == 3
    assert packing._bins([5, 5, 4, 6], 10) == 2
    assert packing._bins([7, 7, 3, 3], 10) == 2


def test_pre_training_is_packed_where_nothing_is_said():
    assert packing.is_packed({"stage": "pt"}) and not packing.is_packed({"stage": "pt", "packing": False})
    assert not packing.is_packed({"stage": "sft"}) and packing.is_packed({"stage": "sft", "neat_packing": True})
    assert packing.block({"cutoff_len": 64}) == 64 and packing.block({"cutoff_len": 64, "packing": True}) == 63


def test_text_shorter_than_one_block_is_told_with_both_numbers(monkeypatch):
    lengths = [12] * 6
    monkeypatch.setattr(packing, "_counts", lambda *_: lengths)
    recipe = {"stage": "pt", "cutoff_len": 1024}
    with pytest.raises(Problem) as told:
        packing.packed([SimpleNamespace()], recipe, 6)
    assert "72" in str(told.value) and "1024" in str(told.value) and told.value.facts["field"] == "cutoff_len"
    assert packing.packed([SimpleNamespace()], {**recipe, "cutoff_len": 16}, 6) == (4, True)
    assert packing.packed([SimpleNamespace()], {**recipe, "cutoff_len": 16, "preprocessing_batch_size": 3}, 6) == (
        4,
        True,
    )
    with pytest.raises(Problem):
        packing.packed([SimpleNamespace()], {**recipe, "cutoff_len": 16, "preprocessing_batch_size": 1}, 6)
