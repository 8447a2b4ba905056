"""Formats: what people bring is recognised, and what is written of it is what LLaMA-Factory trains on."""

import json
import random
from pathlib import Path

import pytest
from conftest import ROOT, STARTER, one_in, slow
from hub import Hub

from studio.core.i18n import Problem, Words
from studio.datasets.files import reading
from studio.datasets.files.incoming import source as incoming
from studio.datasets.page.add_data import new_data
from studio.datasets.page.add_data.mapping_boxes import Box
from studio.datasets.page.add_data.new_data import NewData
from studio.datasets.page.add_data.row_preview import RowPreview
from studio.datasets.page.browse.row_content import row_content
from studio.datasets.registry import entries, hub_data
from studio.datasets.registry.dataset_info import datasets
from studio.datasets.schema import conversion, forms
from studio.datasets.schema.observed_schema import Shape
from studio.web.html import render

TALK = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Is it cold?"},
    {"role": "assistant", "content": "Yes."},
]
CALLS = [
    {"role": "user", "content": "Weather in Oslo and Rome?"},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}},
            {"id": "2", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Rome"}'}},
        ],
    },
    {"role": "tool", "tool_call_id": "1", "content": "3"},
    {"role": "tool", "tool_call_id": "2", "content": "18"},
    {"role": "assistant", "content": [{"type": "text", "text": "3 and 18 degrees."}]},
]
TOOLS = [
    {
        "type": "function",
        "function": {"name": "weather", "description": "Tell it", "parameters": {"type": "object", "properties": {}}},
    }
]
HH = "\n\nHuman: Hello?\n\nAssistant: Hi.\n\nHuman: Who are you?\n\nAssistant: "
SCORED = {"prompt": "Name a river.", "correctness": 4, "coherence": 4, "complexity": 1, "verbosity": 1}

# name: the rows, the form, what people call it, the stage, and the first row that is written.
CASES = {
    "alpaca": (
        [{"instruction": "Add.", "input": "1 + 1", "output": "2"}],
        "alpaca",
        "alpaca",
        "sft",
        {"instruction": "Add.", "input": "1 + 1", "output": "2"},
    ),
    "ruozhiba": (
        [{"query": "只剩一个心脏了还能活吗？", "response": "能，人本来就只有一个心脏。"}],
        "alpaca",
        "pairs",
        "sft",
        {"instruction": "只剩一个心脏了还能活吗？", "input": "", "output": "能，人本来就只有一个心脏。"},
    ),
    "questions": (
        [{"id": 7, "Question": "Why?", "Answer": "So."}],
        "alpaca",
        "pairs",
        "sft",
        {"instruction": "Why?", "input": "", "output": "So."},
    ),
    "history": (
        [{"instruction": "And 2?", "input": "", "output": "4", "history": [["1?", "2"]], "system": "Add."}],
        "alpaca",
        "alpaca",
        "sft",
        {"instruction": "And 2?", "input": "", "output": "4", "system": "Add.", "history": [["1?", "2"]]},
    ),
    "sharegpt": (
        [{"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]}],
        "chat",
        "sharegpt",
        "sft",
        {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]},
    ),
    "openai": (
        [{"messages": TALK}],
        "chat",
        "openai",
        "sft",
        {
            "conversations": [
                {"from": "system", "value": "Be brief."},
                {"from": "human", "value": "Is it cold?"},
                {"from": "gpt", "value": "Yes."},
            ]
        },
    ),
    "openai_tools": (
        [{"messages": CALLS, "tools": TOOLS}],
        "chat",
        "openai",
        "sft",
        {
            "conversations": [
                {"from": "human", "value": "Weather in Oslo and Rome?"},
                {
                    "from": "function_call",
                    "value": (
                        '[{"name": "weather", "arguments": {"city": "Oslo"}}, {"name": "weather", "arguments": {"city":'
                        ' "Rome"}}]'
                    ),
                },
                {"from": "observation", "value": "3\n</tool_response>\n<tool_response>\n18"},
                {"from": "gpt", "value": "3 and 18 degrees."},
            ],
            "tools": json.dumps([TOOLS[0]["function"]]),
        },
    ),
    "preference": (
        [{"prompt": "Sky?", "chosen": "Blue.", "rejected": "Green."}],
        "preference",
        "preference",
        "dpo",
        {"instruction": "Sky?", "input": "", "chosen": "Blue.", "rejected": "Green."},
    ),
    "ultrafeedback": (
        [{"prompt": "Is it cold?", "chosen": TALK, "rejected": [*TALK[:2], {"role": "assistant", "content": "No."}]}],
        "chat_preference",
        "ultrafeedback",
        "dpo",
        {
            "conversations": [{"from": "system", "value": "Be brief."}, {"from": "human", "value": "Is it cold?"}],
            "chosen": {"from": "gpt", "value": "Yes."},
            "rejected": {"from": "gpt", "value": "No."},
        },
    ),
    "turns_apart": (
        [{"prompt": TALK[:2], "chosen": TALK[2:], "rejected": [{"role": "assistant", "content": "No."}]}],
        "chat_preference",
        "sharegpt",
        "dpo",
        {
            "conversations": [{"from": "system", "value": "Be brief."}, {"from": "human", "value": "Is it cold?"}],
            "chosen": {"from": "gpt", "value": "Yes."},
            "rejected": {"from": "gpt", "value": "No."},
        },
    ),
    "hh": (
        [{"chosen": HH + "A program.", "rejected": HH + "Nobody."}],
        "chat_preference",
        "hh",
        "dpo",
        {
            "conversations": [
                {"from": "human", "value": "Hello?"},
                {"from": "gpt", "value": "Hi."},
                {"from": "human", "value": "Who are you?"},
            ],
            "chosen": {"from": "gpt", "value": "A program."},
            "rejected": {"from": "gpt", "value": "Nobody."},
        },
    ),
    "kto": (
        [
            {"prompt": "Sky?", "completion": "Blue.", "label": True},
            {"prompt": "Sky?", "completion": "Green.", "label": False},
        ],
        "kto",
        "kto",
        "kto",
        {"instruction": "Sky?", "input": "", "output": "Blue.", "label": True},
    ),
    "kto_words": (
        [{"messages": TALK, "label": "good"}, {"messages": TALK, "label": "bad"}],
        "chat_kto",
        "openai",
        "kto",
        {
            "conversations": [
                {"from": "system", "value": "Be brief."},
                {"from": "human", "value": "Is it cold?"},
                {"from": "gpt", "value": "Yes."},
            ],
            "label": True,
        },
    ),
    "text": ([{"text": "A long tale."}], "text", "text", "pt", {"text": "A long tale."}),
    "helpsteer": (
        [{**SCORED, "response": "The Rhine.", "helpfulness": 4}, {**SCORED, "response": "No.", "helpfulness": 0}],
        "scores",
        "helpsteer",
        "sft",
        {"instruction": "Name a river.", "input": "", "output": "The Rhine."},
    ),
}


def put(path: Path, rows: list) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def lines(path: Path) -> list:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("name", CASES)
def test_what_people_bring_is_recognised_and_written(tmp_path, name):
    rows, form, known, stage, first = CASES[name]
    source = put(tmp_path / "in.jsonl", rows)
    before = source.read_bytes()
    mapping = forms.recognise(rows)
    assert (mapping.form, mapping.known, mapping.stage, mapping.missing()) == (form, known, stage, [])
    conversion.convert(source, mapping, tmp_path / "out.jsonl")
    assert lines(tmp_path / "out.jsonl")[0] == first
    entries.add(tmp_path, "out", conversion.entry_for(mapping, "out.jsonl"))
    (registered,) = datasets(tmp_path)
    assert (registered.problem, registered.stage) == (None, stage)
    assert source.read_bytes() == before


@pytest.fixture(scope="module")
def llamafactory_says(tmp_path_factory):
    """Return a function that gives what LLaMA-Factory trains on of a dataset's first row, as text, and how many rows it
    takes.
    """
    from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
    from llamafactory.hparams import get_train_args
    from llamafactory.model import load_tokenizer

    def process(folder: Path, name: str, stage: str) -> tuple[list[str], int]:
        model_args, data_args, training_args, _, _ = get_train_args(
            {
                "model_name_or_path": str(STARTER),
                "stage": stage,
                "do_train": True,
                "template": "qwen",
                "dataset": name,
                "dataset_dir": str(folder),
                "cutoff_len": 512,
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
        trained = get_dataset(
            template, model_args, data_args, training_args, stage={"dpo": "rm"}.get(stage, stage), **loaded
        )["train_dataset"]
        keys = ("chosen_input_ids", "rejected_input_ids") if stage == "dpo" else ("input_ids",)
        return [loaded["tokenizer"].decode(trained[0][key]) for key in keys], len(trained)

    return process


# What must be found in the text that LLaMA-Factory trains on, of the form with most to lose of each kind.
SAID = {
    "ruozhiba": [
        "<|im_start|>user\n只剩一个心脏了还能活吗？<|im_end|>\n<|im_start|>assistant\n能，人本来就只有一个心脏。"
        "<|im_end|>"
    ],
    "history": [
        "<|im_start|>system\nAdd.<|im_end|>\n<|im_start|>user\n1?<|im_end|>\n<|im_start|>assistant\n2<|im_end|>\n"
        "<|im_start|>user\nAnd 2?"
    ],
    "openai": [
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nIs it"
        " cold?<|im_end|>\n<|im_start|>assistant\nYes.<|im_end|>"
    ],
    "openai_tools": ['<tool_call>\n{"name": "weather", "arguments": {"city": "Rome"}}\n</tool_call>'],
    "preference": [
        "<|im_start|>user\nSky?<|im_end|>\n<|im_start|>assistant\nBlue.<|im_end|>",
        "<|im_start|>user\nSky?<|im_end|>\n<|im_start|>assistant\nGreen.<|im_end|>",
    ],
    "hh": [
        "<|im_start|>user\nWho are you?<|im_end|>\n<|im_start|>assistant\nA program.<|im_end|>",
        "<|im_start|>assistant\nNobody.<|im_end|>",
    ],
    "kto_words": ["<|im_start|>user\nIs it cold?<|im_end|>\n<|im_start|>assistant\nYes.<|im_end|>"],
    "text": ["A long tale."],
}


@pytest.mark.parametrize("name", one_in(2, SAID))
def test_llamafactory_trains_on_what_was_brought(tmp_path, llamafactory_says, name):
    rows, _, _, stage, _ = CASES[name]
    mapping = forms.recognise(rows)
    conversion.convert(put(tmp_path / "in.jsonl", rows * 4), mapping, tmp_path / "out.jsonl")
    entries.add(tmp_path, "out", conversion.entry_for(mapping, "out.jsonl"))
    texts, count = llamafactory_says(tmp_path, "out", stage)
    for text, wanted in zip(texts, SAID[name], strict=True):
        assert wanted in text
    assert stage == "pt" or count == 4 * len(rows)


IN_PLACE = ("ruozhiba", "history", "openai", "preference", "text")


@pytest.mark.parametrize("name", IN_PLACE)
def test_llamafactory_reads_where_it_lies_what_need_not_be_converted(tmp_path, llamafactory_says, name):
    rows, _, _, stage, _ = CASES[name]
    put(tmp_path / "in.jsonl", rows * 4)
    entries.add(tmp_path, "in", {"file_name": "in.jsonl", **forms.entry_as_it_is(forms.recognise(rows), rows)})
    texts, _ = llamafactory_says(tmp_path, "in", stage)
    for text, wanted in zip(texts, SAID[name], strict=True):
        assert wanted in text


@pytest.mark.parametrize("name", ["openai_tools", "ultrafeedback", "hh", "kto_words", "helpsteer"])
def test_what_llamafactory_would_misread_is_converted(name):
    rows = CASES[name][0]
    assert forms.entry_as_it_is(forms.recognise(rows), rows) is None


JUNK = [
    None,
    1,
    True,
    "",
    [],
    {},
    [1],
    [["a", "b"]],
    [None],
    [{"from": ["x"], "value": 3}],
    [{"role": "assistant", "tool_calls": [1]}],
    [{"role": "user", "content": [{"type": "image_url", "image_url": 3}]}],
    {"role": "assistant"},
    [[], [1, 2]],
    "\n\nHuman: a\n\nAssistant: b",
]


def spoiled(value, chance: random.Random):
    """Return a value with parts of it lost or replaced by something that does not belong there."""
    if chance.random() < 0.25:
        return chance.choice(JUNK)
    if isinstance(value, dict):
        return {key: spoiled(each, chance) for key, each in value.items() if chance.random() > 0.1}
    return [spoiled(each, chance) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", CASES)
def test_a_row_of_any_make_is_drawn_and_converted_or_left_out_with_its_reason(name):
    chance, mapping = random.Random(name), forms.recognise(CASES[name][0])
    rows = [spoiled(CASES[name][0][0], chance) for _ in range(300)]
    rows = [row if isinstance(row, dict) else {} for row in rows]
    written = conversion.Written()
    made = list(
        conversion.converted(
            (reading.Row(number, row) for number, row in enumerate(rows, 1)), mapping, written, Path("a.json")
        )
    )
    assert len(made) == written.rows and written.rows + written.left_out == len(rows) and written.left_out
    for shape in (Shape.of(conversion.entry_for(mapping, "a.jsonl")), Shape.of(forms.described(mapping))):
        contents = tuple(row_content(row | {"more": "<script>"}, shape, f"a-{at}") for at, row in enumerate(rows))
        data = NewData("a", "", (), Box("", "name", "", ""), {"name": "a"}, True, RowPreview(rows=contents))
        drawn = render(new_data.TEMPLATE, Words("en"), new_data.NewDataContext([], data))
        assert "<script" not in drawn and drawn.count("&lt;script") >= len(rows)


def test_answers_with_scores_become_pairs(tmp_path):
    answers = [("The Rhine.", 4), ("I do not know.", 1), ("A river.", 2)]
    rows = [{**SCORED, "response": text, "helpfulness": score} for text, score in answers] + [
        {**SCORED, "prompt": "A sea?", "response": "x", "helpfulness": 3}
    ]
    mapping = forms.with_choices(forms.recognise(rows), None, None, {"form": "scored_pairs"})
    written = conversion.convert(put(tmp_path / "in.jsonl", rows), mapping, tmp_path / "out.jsonl")
    assert lines(tmp_path / "out.jsonl") == [
        {"instruction": "Name a river.", "input": "", "chosen": "The Rhine.", "rejected": "I do not know."}
    ]
    assert (written.rows, [problem.key for problem in written.problems]) == (1, ["datasets.no_pair"])


def test_the_person_may_say_which_field_is_what(tmp_path):
    rows = [{"frage": "Warum?", "antwort": "Darum.", "rolle": "Sei kurz."}]
    guess = forms.recognise(rows)
    assert guess.missing() == ["prompt", "response"]
    mapping = forms.with_choices(guess, {"prompt": "frage", "response": "antwort", "system": "rolle"}, None, None)
    conversion.convert(put(tmp_path / "in.jsonl", rows), mapping, tmp_path / "out.jsonl")
    assert lines(tmp_path / "out.jsonl") == [
        {"instruction": "Warum?", "input": "", "output": "Darum.", "system": "Sei kurz."}
    ]
    for columns, options, key in (
        ({"messages": "frage"}, None, "datasets.unknown_column"),
        ({}, {"form": "poem"}, "datasets.unknown_form"),
    ):
        with pytest.raises(Problem) as told:
            forms.with_choices(guess, columns, None, options)
        assert told.value.key == key
    with pytest.raises(Problem) as told:
        conversion.convert(tmp_path / "in.jsonl", guess, tmp_path / "none.jsonl")
    assert told.value.key == "datasets.column_not_chosen" and not (tmp_path / "none.jsonl").exists()


def test_rows_that_cannot_be_used_are_left_out_and_named(tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text(
        '{"prompt": "a", "response": "b"}\n{"prompt": "a"}\nnot json\n{"prompt": ["x"], "response": "b"}\n{"prompt": 3,'
        ' "response": 4.5}\n'
    )
    written = conversion.convert(path, forms.recognise([{"prompt": "a", "response": "b"}]), tmp_path / "out.jsonl")
    assert (written.rows, written.left_out) == (2, 3)
    assert [(problem.facts["row"], problem.facts["file"]) for problem in written.problems] == [
        (2, path),
        (3, path),
        (4, path),
    ]
    assert lines(tmp_path / "out.jsonl")[1] == {"instruction": "3", "input": "", "output": "4.5"}


HALF = "c \ud83d"
ALPACA, HALF_ALPACA = ({"instruction": "a", "output": "b"}, {"instruction": HALF, "output": "b"})
CALLED = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]


@pytest.mark.parametrize(
    ("ending", "text"),
    [
        ("json", json.dumps({"data": [ALPACA, HALF_ALPACA, ALPACA]})),
        ("json", json.dumps([ALPACA, HALF_ALPACA, ALPACA])),
        ("jsonl", "\n".join(map(json.dumps, (ALPACA, HALF_ALPACA, ALPACA)))),
        ("jsonl", "\n".join(json.dumps(row | {"id": float("nan")}) for row in (ALPACA, HALF_ALPACA, ALPACA))),
        ("jsonl", "\n".join(json.dumps(json.dumps(row)) for row in (ALPACA, HALF_ALPACA, ALPACA))),
        (
            "jsonl",
            "\n".join(
                json.dumps({"messages": CALLED, "tools": json.dumps([{"name": "f", "description": text}])})
                for text in ("a", HALF, "a")
            ),
        ),
        (
            "tsv",
            "messages\tid\n"
            + "".join(
                json.dumps([{"role": "user", "content": text}, CALLED[1]]).replace('"', '""').join(('"', '"\t1\n'))
                for text in ("a", HALF, "a")
            ),
        ),
        (
            "json",
            json.dumps(
                {"data": [SCORED | {"response": text, "helpfulness": at} for at, text in enumerate(("a", HALF, "b"))]}
            ),
        ),
    ],
)
def test_a_row_with_half_of_a_character_is_left_out_and_stops_no_other(tmp_path, ending, text):
    path = tmp_path / f"in.{ending}"
    path.write_text(text, encoding="utf-8")
    mapping = forms.recognise([row.value for row in incoming.rows(path, tmp_path) if row.value])
    if "helpfulness" in text:
        mapping = forms.with_choices(mapping, None, None, {"form": "scored_pairs"})
    written = conversion.convert(path, mapping, tmp_path / "out.jsonl")
    assert [problem.facts["row"] for problem in written.problems] == [2] and written.left_out == 1
    assert written.rows == len(lines(tmp_path / "out.jsonl")) == (1 if "helpfulness" in text else 2)


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "gbk"])
@pytest.mark.parametrize("ending", ["json", "jsonl", "csv", "tsv"])
def test_any_encoding_becomes_utf8(tmp_path, codec, ending):
    rows = [{"query": "训练集是什么？", "response": "用来训练模型的数据，\n不是测试集。"}]
    text = {
        "json": json.dumps(rows, ensure_ascii=False),
        "jsonl": json.dumps(rows[0], ensure_ascii=False),
        "csv": f'query,response\n{rows[0]["query"]},"{rows[0]["response"]}"\n',
        "tsv": f'query\tresponse\n{rows[0]["query"]}\t"{rows[0]["response"]}"\n',
    }
    path = tmp_path / f"in.{ending}"
    path.write_bytes(text[ending].encode(codec))
    before = path.read_bytes()
    conversion.convert(path, forms.recognise(rows), tmp_path / "out.jsonl")
    assert lines(tmp_path / "out.jsonl") == [
        {"instruction": rows[0]["query"], "input": "", "output": rows[0]["response"]}
    ]
    assert path.read_bytes() == before and sorted(each.name for each in tmp_path.iterdir()) == [path.name, "out.jsonl"]


def test_half_a_file_or_a_taken_name_leaves_nothing_behind(tmp_path):
    path = tmp_path / "in.json"
    path.write_text(json.dumps([{"prompt": "a", "response": "b"}] * 3)[:-10])
    with pytest.raises(Problem) as told:
        conversion.convert(
            path, forms.Mapping("alpaca", {"prompt": "prompt", "response": "response"}), tmp_path / "out.jsonl"
        )
    assert (told.value.key, told.value.facts["row"]) == ("datasets.half", 2)
    assert [each.name for each in tmp_path.iterdir()] == ["in.json"]
    (tmp_path / "out.jsonl").write_text("mine")
    with pytest.raises(Problem) as told:
        conversion.convert(path, forms.Mapping("text", {"prompt": "prompt"}), tmp_path / "out.jsonl")
    assert told.value.key == "datasets.file_exists" and (tmp_path / "out.jsonl").read_text() == "mine"


def test_every_shipped_set_is_recognised_as_what_its_entry_says():
    for each in datasets(ROOT / "data"):
        mapping = forms.recognise([row.value for row in reading.rows(each.file)][:50])
        assert (mapping.stage, mapping.missing()) == (each.stage, []), each.name


@pytest.mark.parametrize(
    ("typed", "key", "repo"),
    [
        ("https://huggingface.co/datasets/tatsu-lab/alpaca/tree/main", "hf_hub_url", "tatsu-lab/alpaca"),
        ("hf:a/b", "hf_hub_url", "a/b"),
        ("https://www.modelscope.cn/datasets/AI-ModelScope/ruozhiba", "ms_hub_url", "AI-ModelScope/ruozhiba"),
        ("ms:a/b", "ms_hub_url", "a/b"),
        ("a/b", "hf_hub_url", "a/b"),
    ],
)
def test_a_hub_address_is_understood_in_every_way_people_write_it(typed, key, repo):
    assert hub_data.entry(hub_data.address(typed), None, {}) == {key: repo}


@pytest.mark.parametrize(
    "page", ["https://huggingface.co/datasets/a/b/tree/v1.0", "modelscope.cn/datasets/a/b/files?version=v1.0"]
)
def test_a_page_of_a_revision_that_training_would_not_fetch_is_refused(page):
    with pytest.raises(Problem, match="“v1.0”"):
        hub_data.address(page)
    assert hub_data.address(page.replace("v1.0", "main")).repo == "a/b"


def test_plain_text_is_read_by_its_lines():
    """Where these end, `test_incoming_tables` has."""
    from datasets.packaged_modules.text.text import Text

    assert Text.BUILDER_CONFIG_CLASS().sample_by == "line"


@pytest.mark.parametrize("typed", ["my_data.jsonl", "data/my_data.jsonl", "/full/path", "hf:", "", "a/b/c/d.json"])
def test_a_path_is_no_hub_address(typed):
    assert hub_data.address(typed) is None


def test_the_first_rows_of_a_hub_are_recognised_and_its_refusal_is_told(monkeypatch):
    import datasets

    rows = CASES["openai"][0]
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: iter(rows * 100))
    found = hub_data.first_rows(hub_data.address("a/b"), {"subset": "small"})
    mapping = forms.recognise(found)
    assert found == rows * 20 and mapping.known == "openai"
    assert hub_data.entry(hub_data.address("a/b"), mapping, {"subset": "small"})["tags"]["assistant_tag"] == "assistant"

    def refuse(*_, **__):
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    with pytest.raises(Problem) as told:
        hub_data.first_rows(hub_data.address("a/b"), {})
    assert told.value.key == "datasets.hub_refuses" and "no route to host" in str(told.value)


@pytest.mark.parametrize(("endpoint", "token"), [("https://hf-mirror.com", False), ("https://huggingface.co", None)])
def test_the_first_rows_are_asked_of_a_mirror_without_the_login(endpoint, token, monkeypatch):
    import datasets
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    sent = []
    monkeypatch.setattr(
        datasets, "load_dataset", lambda *_, **options: sent.append(options["token"]) or iter([{"a": 1}])
    )
    hub_data.first_rows(hub_data.address("a/b"), {})
    assert sent == [token]


@slow
def test_modelscopes_own_client_reads_its_data_and_leaves_hugging_faces_library_alone(tmp_path, monkeypatch):
    from huggingface_hub import HfApi
    from modelscope_hub.config import HubConfig

    HubConfig(config_dir=tmp_path / "scope_home").save_token("ms-secret-of-a-person")
    listing = HfApi.list_repo_tree
    lines = b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in CASES["ruozhiba"][0])
    with Hub(datasets={"maker/pairs": {"README.md": "# 小数据\n".encode(), "train.jsonl": lines}}) as server:
        for name, value in {
            "MODELSCOPE_ENDPOINT": server.url,
            "MODELSCOPE_DOMAIN": server.url.partition("//")[2],
            "MODELSCOPE_CACHE": str(tmp_path / "scope"),
            "MODELSCOPE_HOME": str(tmp_path / "scope_home"),
            "HF_HOME": str(tmp_path / "face"),
            "PYTHONPATH": str(tmp_path),
        }.items():
            monkeypatch.setenv(name, value)
        # The client streams by https alone, which a hub on loopback has no certificate for.
        (tmp_path / "sitecustomize.py").write_text(
            "import modelscope.hub.utils.utils as said\nsaid.MODELSCOPE_URL_SCHEME = 'http://'\n"
        )
        found = hub_data.first_rows(hub_data.address("ms:maker/pairs"), {})
        with pytest.raises(Problem) as told:
            hub_data.first_rows(hub_data.address("ms:maker/nothing"), {})
    assert "ms-secret-of-a-person" not in str(server.requests)  # a mirror has no business with the login
    assert found == CASES["ruozhiba"][0] and forms.recognise(found).columns == {
        "prompt": "query",
        "response": "response",
    }
    assert (
        told.value.key == "datasets.hub_refuses"
        and "数据集不存在" in str(told.value)
        and HfApi.list_repo_tree is listing
    )
    assert server.gets("*resolve/master/train.jsonl*")


def test_a_conversion_that_is_stopped_leaves_nothing_behind(tmp_path):
    class Stop(Exception):
        pass

    def stop(rows: int) -> None:
        assert rows == 1000
        raise Stop

    path = put(tmp_path / "in.jsonl", CASES["ruozhiba"][0] * 3000)
    with pytest.raises(Stop):
        conversion.convert(path, forms.recognise(CASES["ruozhiba"][0]), tmp_path / "out.jsonl", stop)
    assert [each.name for each in tmp_path.iterdir()] == ["in.jsonl"]
