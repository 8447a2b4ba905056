"""What the studio shows of a row is what LLaMA-Factory trains on: id for id and label for label."""

import json
import random
from pathlib import Path

import pytest
from conftest import ROOT, rest_slow

from studio.core.i18n import Problem
from studio.datasets.encoding.encoded_row import TokenCount
from studio.datasets.encoding.row_encoder import RowEncoder, pieces
from studio.datasets.registry.dataset_info import datasets, entry_of
from studio.datasets.schema.observed_schema import Shape

MODEL = ROOT / "models" / "SmolLM2-135M-Instruct"
DATA = ROOT / "data"
SHIPPED = [each.name for each in datasets(DATA)]
CHAT = "chatml"

MADE = {
    "openai": (
        {
            "formatting": "openai",
            "columns": {"messages": "messages", "tools": "tools"},
            "tags": {
                "role_tag": "role",
                "content_tag": "content",
                "user_tag": "user",
                "assistant_tag": "assistant",
                "system_tag": "system",
                "observation_tag": "tool",
                "function_tag": "function",
            },
        },
        [
            {
                "messages": [
                    {"role": "system", "content": "Be brief."},
                    {"role": "user", "content": "Hi 👩‍🚀"},
                    {"role": "assistant", "content": "你好，𠮷野家！"},
                ]
            },
            {
                "messages": [
                    {"role": "user", "content": "Weather in Lyon and Nice?"},
                    {
                        "role": "assistant",
                        "content": None,
                        "tool_calls": [
                            {"type": "function", "function": {"name": "weather", "arguments": {"city": "Lyon"}}},
                            {
                                "type": "function",
                                "function": {"arguments": {"unit": "C", "city": "Nice"}, "name": "weather"},
                            },
                        ],
                    },
                    {"role": "tool", "content": "14"},
                    {"role": "tool", "content": "19"},
                    {"role": "assistant", "content": "14 and 19 degrees."},
                ],
                "tools": '[{"name": "weather", "description": "", "parameters": {"type": "object", "properties": {}}}]',
            },
            {"messages": [{"role": "assistant", "content": "Out of turn."}, {"role": "user", "content": "Dropped."}]},
        ],
    ),
    "alpaca_kto": (
        {"columns": {"prompt": "q", "response": "a", "kto_tag": "good"}},
        [{"q": "2+2?", "a": "4", "good": True}, {"q": "2+3?", "a": "6", "good": False}],
    ),
    "with_history": (
        {"columns": {"prompt": "q", "response": "a", "history": "h", "system": "s"}},
        [
            {
                "q": "And now?",
                "a": "Noon.",
                "h": [["What time is it?", "<think>\nlet me see\n</think>\n\nEleven."]],
                "s": "A clock.",
            },
            {"q": "Second?", "a": "", "h": [], "s": ""},
            {"q": "No answer", "a": None, "h": None, "s": None},
        ],
    ),
    "mine": (
        {
            "formatting": "sharegpt",
            "columns": {"messages": "talk", "system": "sys"},
            "tags": {"role_tag": "who", "content_tag": "what", "user_tag": "u", "assistant_tag": "a"},
        },
        [
            {
                "talk": [
                    {"who": "u", "what": "Long? " * 60},
                    {"who": "a", "what": "Yes. " * 60},
                    {"who": "u", "what": "Sure?"},
                    {"who": "a", "what": "Sure."},
                ],
                "sys": "Talk.",
            },
            {"talk": [{"who": "u", "what": "No answer"}], "sys": None},
        ],
    ),
}


def rows_of(folder: Path, name: str) -> list[dict]:
    text = (folder / entry_of(folder, name)["file_name"]).read_text(encoding="utf-8")
    return json.loads(text) if text.startswith("[") else [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Return a data folder with the shapes that the shipped sets do not have."""
    made = tmp_path_factory.mktemp("data")
    info = {name: entry | {"file_name": f"{name}.json"} for name, (entry, _) in MADE.items()}
    (made / "dataset_info.json").write_text(json.dumps(info), encoding="utf-8")
    for name, (_, rows) in MADE.items():
        (made / f"{name}.json").write_text(json.dumps(rows), encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def processed(tmp_path_factory):
    """Return a function that gives the sequences of a dataset, ids and labels, as LLaMA-Factory's trainer gets them."""
    from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
    from llamafactory.data.template import TEMPLATES
    from llamafactory.hparams import get_train_args
    from llamafactory.model import load_tokenizer
    from transformers import DataCollatorForLanguageModeling

    loaded_for = {}

    def process(folder: Path, name: str, stage: str, settings: dict) -> list[tuple[list[int], list[int]]]:
        before = vars(TEMPLATES[settings["template"]]).copy()
        model_args, data_args, training_args, _, _ = get_train_args(
            {
                "model_name_or_path": str(MODEL),
                "stage": stage,
                "do_train": True,
                "dataset": name,
                "dataset_dir": str(folder),
                "output_dir": str(tmp_path_factory.mktemp("run")),
                "finetuning_type": "lora",
                "report_to": "none",
                "overwrite_cache": True,
                "use_cpu": True,
                **settings,
            }
        )
        # What a template changes of a tokenizer, it changes once; loading one takes longer than encoding a set.
        loaded = dict(loaded_for.get(data_args.template) or load_tokenizer(model_args))
        loaded_for[data_args.template] = loaded
        template = get_template_and_fix_tokenizer(loaded["tokenizer"], data_args)
        made = get_dataset(
            template, model_args, data_args, training_args, stage="rm" if stage == "dpo" else stage, **loaded
        )["train_dataset"]
        vars(TEMPLATES[settings["template"]]).update(before)
        if stage == "dpo":
            return [
                pair
                for row in made
                for pair in (
                    (row["chosen_input_ids"], row["chosen_labels"]),
                    (row["rejected_input_ids"], row["rejected_labels"]),
                )
            ]
        if stage == "pt":
            collate = DataCollatorForLanguageModeling(tokenizer=loaded["tokenizer"], mlm=False)
            return [(row["input_ids"], collate([row])["labels"][0].tolist()) for row in made]
        return [(row["input_ids"], row["labels"]) for row in made]

    return process


def shown(sequence) -> tuple[list[int], list[int]]:
    return [token.id for token in sequence.tokens], [token.label for token in sequence.tokens]


def seen(encoder: RowEncoder, rows: list[dict]) -> list[tuple[list[int], list[int]]]:
    encoder.observe_schema(rows)
    found = []
    for row in rows:
        try:
            found += [shown(sequence) for sequence in encoder.encode(row)]
        except Problem as problem:
            assert problem.key == "tokens.row_dropped"
    return found


def assert_same(processed, folder: Path, name: str, settings: dict) -> None:
    settings = {"template": CHAT, "cutoff_len": 2048, **settings}
    entry, rows = entry_of(folder, name), rows_of(folder, name)
    stage = Shape.of(entry).stage
    encoder = RowEncoder(MODEL, entry, folder, stage, settings)
    expected = processed(folder, name, stage, settings)
    found = [shown(block) for block in encoder.packed(rows)] if encoder.packing else seen(encoder, rows)
    assert expected
    assert found == expected
    assert any(label != -100 for _, labels in found for label in labels)


def test_trained_tokens_are_those_with_a_label():
    encoder = RowEncoder(MODEL, entry_of(DATA, "multi_turn"), DATA, "sft", {"template": CHAT})
    for token in encoder.encode(rows_of(DATA, "multi_turn")[0])[0].tokens:
        assert token.label == (token.id if token.trained else -100)


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize(
    "settings",
    [{"packing": False}, {"packing": False, "cutoff_len": 40, "default_system": "Short."}],
    ids=["whole", "cut"],
)
def test_shipped_sets_are_seen_as_trained(processed, name, settings):
    assert_same(processed, DATA, name, settings)


@pytest.mark.parametrize("name", rest_slow("tool_calls", "multi_turn"))
@pytest.mark.parametrize(
    "settings",
    [
        {"mask_history": True},
        {"mask_history": True, "cutoff_len": 60},
        {"train_on_prompt": True},
        {"packing": True, "cutoff_len": 512},
        {"neat_packing": True, "cutoff_len": 300},
        {"template": "qwen3", "enable_thinking": False},
        {"template": "llama2"},
        {"template": "breeze"},
        {"tool_format": "qwen"},
        {"template": "alpaca", "cutoff_len": 100},
        {"template": "qwen3", "preserve_thinking": True},
    ],
    ids=str,
)
def test_settings_of_sft_are_seen_as_trained(processed, name, settings):
    assert_same(processed, DATA, name, settings)


@pytest.mark.parametrize(
    "settings", [{}, {"packing": True, "cutoff_len": 128}, {"template": "llama3", "packing": False}], ids=str
)
def test_pre_training_is_packed_as_trained(processed, settings):
    assert_same(processed, DATA, "pretrain", {"cutoff_len": 256, **settings})


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("settings", [{}, {"template": "qwen3"}, {"cutoff_len": 70}, {"template": "mistral"}], ids=str)
def test_every_form_is_seen_as_trained(processed, folder, name, settings):
    assert_same(processed, folder, name, settings)


def test_the_end_of_a_text_is_not_trained_where_it_looks_like_padding():
    encoder = RowEncoder(MODEL, entry_of(DATA, "pretrain"), DATA, "pt", {"template": CHAT, "packing": False})
    last = encoder.encode({"text": "The tide follows the Moon."})[0].tokens[-1]
    assert (last.text, last.trained) == ("<|im_end|>", False)


@pytest.mark.parametrize(
    "answer",
    [
        "你好，世界。𠮷野家",
        "👩‍🚀🇫🇷 é\u0301 \u200d",
        "a\ufffdb",
        "  two  spaces \n\n\ttab",
        "<|im_end|> and <|im_start|>",
    ],
)
def test_texts_of_tokens_join_to_the_whole(answer):
    encoder = RowEncoder(MODEL, entry_of(DATA, "sft_en_zh"), DATA, "sft", {"template": CHAT})
    tokens = encoder.encode({"instruction": answer, "input": "", "output": answer})[0].tokens
    assert "".join(token.text for token in tokens).count(answer) == 2
    assert any(token.text == "" for token in tokens) == (not answer.isascii())


def test_a_tokenizer_that_hides_the_first_space_keeps_it_between_tokens():
    from tokenizers import Tokenizer, decoders, models, normalizers
    from transformers import PreTrainedTokenizerFast

    bytes_of = {f"<0x{byte:02X}>": byte for byte in range(256)}
    core = Tokenizer(
        models.BPE(vocab=bytes_of | {"▁": 256, "a": 257, "▁a": 258}, merges=[("▁", "a")], byte_fallback=True)
    )
    core.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    core.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core)
    ids = tokenizer("a a 好 a a")["input_ids"]
    assert pieces(tokenizer, ids) == ["a", " a", " ", "", "", "好", " a", " a"]


def test_counts_of_many_rows_are_those_of_each_row():
    for name, stage in (("tool_calls", "sft"), ("preference_chat", "dpo"), ("kto", "kto"), ("pretrain", "pt")):
        rows = rows_of(DATA, name)
        encoder = RowEncoder(
            MODEL, entry_of(DATA, name), DATA, stage, {"template": CHAT, "cutoff_len": 90, "packing": False}
        )
        uncut = RowEncoder(
            MODEL, entry_of(DATA, name), DATA, stage, {"template": CHAT, "cutoff_len": 10**6, "packing": False}
        )
        for row, count in zip(rows, encoder.counts(rows), strict=True):
            tokens = [token for sequence in encoder.encode(row) for token in sequence.tokens]
            whole = max(len(sequence.tokens) for sequence in uncut.encode(row))
            assert count == TokenCount(whole, len(tokens), sum(token.trained for token in tokens)), name
    assert encoder.counts([{"text": None}, {"text": "Good."}])[0] == TokenCount(1, 1, 0)


def test_rows_that_are_dropped_or_fail_are_told():
    entry = MADE["openai"][0]
    encoder = RowEncoder(MODEL, entry, DATA, "sft", {"template": CHAT})
    dropped = MADE["openai"][1][2]
    with pytest.raises(Problem, match="drops this row"):
        encoder.encode(dropped)
    with pytest.raises(Problem, match="cannot read this row"):
        encoder.encode({"messages": 7})
    assert encoder.counts([dropped, {"messages": 7}]) == [TokenCount(0, 0, 0)] * 2


@pytest.mark.parametrize(
    ("name", "stage", "settings", "key"),
    [
        ("preference", "sft", {"template": CHAT}, "wrong_stage"),
        ("sft_en_zh", "dpo", {"template": CHAT}, "wrong_stage"),
        ("sft_en_zh", "sft", {"template": "no-such"}, "settings"),
        ("sft_en_zh", "sft", {"template": CHAT, "mask_history": True, "train_on_prompt": True}, "settings"),
    ],
)
def test_what_cannot_be_is_a_sentence(name, stage, settings, key):
    with pytest.raises(Problem) as caught:
        RowEncoder(MODEL, entry_of(DATA, name), DATA, stage, settings)
    assert caught.value.key == f"tokens.{key}"
    assert str(caught.value).endswith(".")


def test_a_folder_without_a_tokenizer_is_a_sentence(tmp_path):
    with pytest.raises(Problem, match="no tokenizer"):
        RowEncoder(tmp_path, entry_of(DATA, "sft_en_zh"), DATA, "sft", {"template": CHAT})


def test_looking_leaves_a_run_in_the_same_process_alone(caplog):
    import numpy
    import torch
    from llamafactory.data.template import TEMPLATES

    states = random.getstate(), numpy.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    before = {name: (template.default_system, template.enable_thinking) for name, template in TEMPLATES.items()}
    for template in ("qwen3", CHAT):
        settings = {"template": template, "default_system": "Another.", "enable_thinking": False, "seed": 7}
        encoder = RowEncoder(MODEL, MADE["openai"][0], DATA, "sft", settings)
        assert "Another." in "".join(token.text for token in encoder.encode(MADE["openai"][1][1])[0].tokens)
        encoder.counts([row for row in MADE["openai"][1]])
    assert states == (random.getstate(), numpy.random.get_state()[1].tolist(), torch.get_rng_state().tolist())
    assert before == {name: (template.default_system, template.enable_thinking) for name, template in TEMPLATES.items()}
    assert "Out of turn" not in caplog.text
