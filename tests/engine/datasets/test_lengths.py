"""Lengths in tokens, what a cutoff cuts, and the steps of a training as transformers counts them."""

import json

import pytest
from conftest import ROOT

from studio.datasets.encoding.encoded_row import TokenCount
from studio.datasets.encoding.row_encoder import RowEncoder
from studio.datasets.files.reading import Row, rows
from studio.datasets.quality.lengths import OFFERED, Tally, epochs, measure, steps, suggested
from studio.datasets.registry.dataset_info import entry_of

MODEL = ROOT / "models" / "SmolLM2-135M-Instruct"
DATA = ROOT / "data"


def encoder(name: str, stage: str = "sft", **settings) -> RowEncoder:
    return RowEncoder(MODEL, entry_of(DATA, name), DATA, stage, {"template": "chatml", "cutoff_len": 100, **settings})


def test_lengths_are_those_of_the_tokens_that_are_seen():
    looker, whole = encoder("tool_calls"), encoder("tool_calls", cutoff_len=100_000)
    found = measure(rows(DATA / "tool_calls.json"), looker)
    values = [row.value for row in rows(DATA / "tool_calls.json")]
    lengths = sorted(len(whole.encode(value)[0].tokens) for value in values)
    seen = [looker.encode(value)[0].tokens for value in values]
    assert (found.rows, found.dropped, found.samples) == (len(values), 0, len(values))
    assert (found.longest, found.median) == (lengths[-1], lengths[len(lengths) // 2])
    assert found.tokens == sum(map(len, seen))
    assert found.trained == sum(token.trained for tokens in seen for token in tokens)
    assert 0 < found.trained < found.tokens
    assert found.cut[100] == 100 * sum(length > 100 for length in lengths) / len(lengths)
    assert set(found.cut) == {100, 512, 1024, 2048, 4096}
    assert found.cut[4096] == 0
    assert sum(found.counts) == len(values)
    for edge, count in zip(found.bins[:-1], found.counts[:-1], strict=True):
        assert count == sum(edge <= length < edge + found.width for length in lengths)
    assert found.suggested in OFFERED
    assert sum(length > found.suggested for length in lengths) <= 0.01 * len(lengths)
    json.dumps(found.cut | {"bins": found.bins})


def test_one_very_long_row_does_not_press_all_others_into_one_bar():
    tally = Tally(encoder("sft_en_zh"))
    tally.add([TokenCount(length, length, 1) for length in [*range(20, 220), 90_000]])
    found = tally.lengths()
    assert found.longest == 90_000
    assert found.bins[-1] < 500
    assert found.counts[-1] >= 1
    assert len([count for count in found.counts if count]) > 10


def test_nothing_at_all_has_lengths_too():
    found = measure([], encoder("sft_en_zh"))
    assert (found.rows, found.tokens, found.samples, found.bins) == (0, 0, 0, [])
    unread = measure([Row(1, None)], encoder("sft_en_zh"))
    assert unread.rows == 0


def test_a_cutoff_that_cuts_one_in_a_hundred_is_suggested():
    assert suggested([60] * 99 + [5000]) == 64
    assert suggested([60] * 98 + [130, 5000]) == 192
    assert suggested([10**6] * 3) == OFFERED[-1]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a function that gives the samples of one epoch as LLaMA-Factory's trainer gets them."""
    from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
    from llamafactory.hparams import get_train_args
    from llamafactory.model import load_tokenizer

    def samples(name: str, stage: str, **settings) -> int:
        model_args, data_args, training_args, _, _ = get_train_args(
            {
                "model_name_or_path": str(MODEL),
                "stage": stage,
                "do_train": True,
                "template": "chatml",
                "dataset": name,
                "dataset_dir": str(DATA),
                "output_dir": str(tmp_path_factory.mktemp("run")),
                "finetuning_type": "lora",
                "report_to": "none",
                "overwrite_cache": True,
                "use_cpu": True,
                **settings,
            }
        )
        loaded = load_tokenizer(model_args)
        template = get_template_and_fix_tokenizer(loaded["tokenizer"], data_args)
        return len(get_dataset(template, model_args, data_args, training_args, stage=stage, **loaded)["train_dataset"])

    return samples


@pytest.mark.parametrize(
    ("name", "stage", "settings"),
    [
        ("tool_calls", "sft", {"packing": True, "cutoff_len": 700}),
        ("pretrain", "pt", {"cutoff_len": 300}),
        ("multi_turn", "sft", {}),
    ],
    ids=str,
)
def test_samples_of_an_epoch_are_llamafactorys(trained, name, stage, settings):
    looker = encoder(name, stage, **settings)
    file = DATA / entry_of(DATA, name)["file_name"]
    assert measure(rows(file), looker).samples == trained(name, stage, **settings)


@pytest.mark.parametrize(
    ("samples", "batch", "accumulation", "wanted"), [(48, 8, 1, 4.0), (91, 8, 2, 3.0), (7, 8, 4, 2.5), (100, 3, 8, 1.0)]
)
def test_steps_are_those_of_the_trainer(tmp_path, samples, batch, accumulation, wanted):
    import torch
    from transformers import Trainer, TrainingArguments

    arguments = TrainingArguments(
        str(tmp_path),
        per_device_train_batch_size=batch,
        gradient_accumulation_steps=accumulation,
        num_train_epochs=wanted,
        use_cpu=True,
        report_to="none",
    )
    trainer = Trainer(torch.nn.Linear(1, 1), arguments, train_dataset=[{"x": 0}] * samples)
    theirs = trainer.set_initial_training_values(arguments, trainer.get_train_dataloader())[-1]
    assert steps(samples, batch, accumulation, epochs=wanted) == theirs
    assert steps(samples, batch, accumulation, epochs=epochs(samples, theirs, batch, accumulation)) == theirs
    assert epochs(samples, theirs, batch, accumulation) >= wanted


def test_more_devices_take_fewer_steps():
    assert steps(1000, 4, 2, devices=1) == 125
    assert steps(1000, 4, 2, devices=4) == 32
