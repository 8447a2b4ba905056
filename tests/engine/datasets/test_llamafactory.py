"""LLaMA-Factory itself reads each shipped dataset, with the starter model's tokenizer, and drops no row."""

import json
from pathlib import Path

import pytest
from conftest import ROOT, one_in

from studio.datasets.registry.dataset_info import dataset, datasets
from studio.datasets.registry.identity import fill, has_placeholders

MODEL = ROOT / "models" / "SmolLM2-135M-Instruct"
SHIPPED = [each.name for each in datasets(ROOT / "data")]
STAGES = {"dpo": "rm"}


@pytest.fixture(scope="module")
def processed(tmp_path_factory):
    """Return a function that gives a dataset as LLaMA-Factory hands it to its trainer, and the tokenizer."""
    from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
    from llamafactory.hparams import get_train_args
    from llamafactory.model import load_tokenizer

    def process(name: str, data_folder: Path):
        stage = dataset(ROOT / "data", name).stage
        model_args, data_args, training_args, _, _ = get_train_args(
            {
                "model_name_or_path": str(MODEL),
                "stage": stage,
                "do_train": True,
                "template": "chatml",
                "dataset": name,
                "dataset_dir": str(data_folder),
                "cutoff_len": 2048,
                "output_dir": str(tmp_path_factory.mktemp("run")),
                "finetuning_type": "lora",
                "report_to": "none",
                "overwrite_cache": True,
                "use_cpu": True,
                "packing": False,
            }
        )
        loaded = load_tokenizer(model_args)
        template = get_template_and_fix_tokenizer(loaded["tokenizer"], data_args)
        module = get_dataset(template, model_args, data_args, training_args, stage=STAGES.get(stage, stage), **loaded)
        return module["train_dataset"], loaded["tokenizer"]

    return process


@pytest.mark.parametrize("name", one_in(2, SHIPPED))
def test_llamafactory_takes_every_row(processed, name, tmp_path):
    folder = ROOT / "data"
    if has_placeholders(folder, name):
        fill(folder, name, "Xiaoju", "the Orchard Lab", tmp_path)
        folder = tmp_path
    rows, _ = processed(name, folder)
    assert len(rows) == dataset(ROOT / "data", name).rows
    for row in rows:
        labels = row.get("labels") or row.get("chosen_labels") or row["input_ids"]
        assert any(label != -100 for label in labels)
        assert len(row.get("input_ids") or row["chosen_input_ids"]) < 2048, "a row is cut off"


def test_the_name_is_what_is_trained(processed, tmp_path):
    fill(ROOT / "data", "identity_en", 'Orange "Peel"', "the Orchard Lab", tmp_path)
    rows, tokenizer = processed("identity_en", tmp_path)
    trained = tokenizer.decode([label for label in rows[0]["labels"] if label != -100])
    first = json.loads((tmp_path / "identity_en.json").read_text(encoding="utf-8"))[0]
    assert first["output"] == trained.removesuffix("\n").removesuffix("<|im_end|>")
    assert 'Orange "Peel"' in trained and "{{" not in trained
