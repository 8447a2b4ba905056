"""What is written of every form is what LLaMA-Factory's own loader reads: turns, sides, tools and media, value by
value.
"""

import importlib.util
import json
import random
from pathlib import Path

import pytest
from conftest import ROOT, STARTER

from studio.datasets.files import reading
from studio.datasets.registry import entries
from studio.datasets.schema import conversion, forms, tool_definitions
from studio.datasets.schema.row_faults import UnusableRow

_SPEC = importlib.util.spec_from_file_location("row_forms", ROOT / "tests/unit/datasets/test_row_forms.py")
row_forms = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(row_forms)


def aligned(folder: Path, name: str) -> list[dict]:
    """Return the rows of a dataset as LLaMA-Factory's loader and converter give them."""
    from llamafactory.data.loader import _load_single_dataset
    from llamafactory.data.parser import get_dataset_list
    from llamafactory.hparams import get_train_args

    arguments = {
        "model_name_or_path": str(STARTER),
        "stage": "sft",
        "do_train": True,
        "template": "qwen",
        "dataset": name,
        "dataset_dir": str(folder),
        "output_dir": str(folder / "run"),
        "finetuning_type": "lora",
        "report_to": "none",
        "overwrite_cache": True,
        "use_cpu": True,
    }
    model_args, data_args, training_args, _, _ = get_train_args(arguments)
    (attributes,) = get_dataset_list([name], str(folder))
    return list(_load_single_dataset(attributes, model_args, data_args, training_args))


def brought(folder: Path, rows: list[dict]) -> tuple[conversion.Written, list[dict]]:
    source = folder / "in.jsonl"
    source.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    mapping = forms.recognise([row.value for row in reading.rows(source)])
    written = conversion.convert(source, mapping, folder / "out.jsonl")
    entries.add(folder, "out", conversion.entry_for(mapping, "out.jsonl", written.media))
    return written, aligned(folder, "out")


ROLES = {"human": "user", "gpt": "assistant", "observation": "observation", "function_call": "function"}


@pytest.mark.parametrize("name", row_forms.FORMS)
def test_llamafactory_reads_what_was_written(tmp_path, name):
    row, form, first, _ = row_forms.FORMS[name]
    written, rows = brought(tmp_path, [row] * 3)
    assert (len(rows), written.left_out) == (3, 0)
    read = rows[0]
    if "conversations" in first:
        turns = first["conversations"]
        system = turns[0]["value"] if turns[0]["from"] == "system" else first.get("system", "")
        turns = [{"role": ROLES[turn["from"]], "content": turn["value"]} for turn in turns if turn["from"] != "system"]
        answers = [
            {"role": ROLES[first[side]["from"]], "content": first[side]["value"]}
            for side in ("chosen", "rejected")
            if side in first
        ]
        assert (read["_prompt"], read["_system"] or "") == (turns if answers else turns[:-1], system)
        if form == "chat_kto":
            assert read["_response"][0 if first["label"] else 1] == turns[-1]
        else:
            assert read["_response"] == (answers or turns[-1:])
        assert (read["_tools"] or "") == first.get("tools", "")
    elif form != "text":
        asked = "\n".join(each for each in (first["instruction"], first["input"]) if each)
        assert read["_prompt"][-1] == {"role": "user", "content": asked} and len(read["_prompt"]) == 1 + 2 * len(
            first.get("history", ())
        )
        wanted = [first[side] for side in ("chosen", "rejected")] if "chosen" in first else [first["output"]]
        assert [answer["content"] for answer in read["_response"] if answer["content"]] == wanted


@pytest.mark.parametrize("kind", ["images", "videos", "audios"])
def test_llamafactory_finds_the_media(tmp_path, kind):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.bin").write_bytes(b"x")
    part = {"type": kind[:-1], kind[:-1]: "deep/a.bin"}
    rows = [
        {"messages": [row_forms.ASK, row_forms.SAY]},
        {"messages": [{"role": "user", "content": [part, "What?"]}, row_forms.SAY]},
    ]
    _, read = brought(tmp_path, rows)
    assert [row[f"_{kind}"] for row in read] == [None, [str(tmp_path / "deep" / "a.bin")]]


ODD_TOOLS = [
    {"name": "a"},
    {"name": "a", "parameters": None},
    {"name": "a", "parameters": {}},
    {"name": "a", "parameters": {"type": "object"}},
    {"name": "a", "parameters": {"x": {"type": "str"}}},
    {"name": "a", "parameters": {"properties": {"x": "string"}}},
    {"name": "a", "parameters": {"properties": {"x": {"type": "integer", "enum": [1, 2]}}, "required": True}},
    {"name": "a", "parameters": {"properties": {"x": {"type": "array", "items": "string"}}}},
    {"name": "a", "parameters": [{"name": "x", "type": "str"}]},
    {"name": "a", "parameters": '{"type": "object", "properties": {}}'},
    {"type": "function", "function": {"name": "a", "description": None}},
    {"name": "a", "input_schema": {"type": "object", "properties": {"x": {"anyOf": [{"type": "string"}]}}}},
]


@pytest.mark.parametrize("tool", ODD_TOOLS, ids=range(len(ODD_TOOLS)))
@pytest.mark.parametrize("as_text", [False, True])
def test_every_format_of_tools_takes_what_is_written(tool, as_text):
    from llamafactory.data.tool_utils import TOOLS

    text, _ = tool_definitions.read(json.dumps([tool]) if as_text else [tool])
    for name, format in TOOLS.items():
        assert "a" in format.tool_formatter(json.loads(text)), name


def test_every_format_of_tools_takes_whatever_is_read_of_spoiled_definitions():
    from llamafactory.data.tool_utils import TOOLS

    chance, read = random.Random(7), 0
    junk = [None, 1, True, "x", [], {}, ["x"], [1], {"x": 1}, {"type": ["string", "null"]}]

    def spoiled(value, depth=0):
        if depth and chance.random() < 0.2:
            return chance.choice(junk)
        if isinstance(value, dict):
            return {key: spoiled(each, depth + 1) for key, each in value.items() if chance.random() > 0.1}
        return [spoiled(each, depth + 1) for each in value] if isinstance(value, list) else value

    whole = {
        "name": "a",
        "description": "b",
        "parameters": {
            "type": "object",
            "required": ["x"],
            "properties": {
                "x": {"type": "string", "description": "c", "enum": ["d"]},
                "y": {"type": "array", "items": {"type": "string"}},
            },
        },
    }
    for _ in range(1000):
        try:
            text, _ = tool_definitions.read([spoiled(whole)])
        except UnusableRow:
            continue
        read += 1
        for format in TOOLS.values():
            format.tool_formatter(json.loads(text))
    assert read > 300


# What is said beside a call

CALLED = {"name": "heat", "arguments": {"room": "x"}}
ASKED = {"role": "user", "content": "Q"}
BESIDE = {
    "text": [ASKED, {"role": "assistant", "content": "I look.", "tool_calls": [{"function": CALLED}]}],
    "thought": [
        ASKED,
        {"role": "assistant", "content": None, "reasoning_content": "Hm.", "tool_calls": [{"function": CALLED}]},
    ],
    "both": [
        ASKED,
        {"role": "assistant", "content": "I look.", "reasoning": "Hm.", "tool_calls": [{"function": CALLED}]},
    ],
    "parts": [
        ASKED,
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm."},
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "name": "heat", "input": {"room": "x"}},
            ],
        },
    ],
    "turns": [
        {"from": "human", "value": "Q"},
        {"from": "gpt", "value": "I look."},
        {"from": "function_call", "value": json.dumps(CALLED)},
    ],
    "thought turn": [
        {"from": "human", "value": "Q"},
        {"from": "gpt", "value": "I look."},
        {"from": "function_call", "value": "<think>\nHm.\n</think>\n\n" + json.dumps(CALLED)},
    ],
    "two turns": [
        ASKED,
        {"role": "assistant", "content": "I look.", "tool_calls": [{"function": CALLED}]},
        {"role": "assistant", "content": "Again.", "reasoning": "Hm.", "tool_calls": [{"function": CALLED}]},
    ],
}
SAID = {"text": ["I look."], "thought": ["Hm."], "turns": ["I look."], "two turns": ["I look.", "Hm.", "Again."]}
# The marks of a call are others in these; those write all of the turn behind the mark that opens a call. The note says
# so.
OTHER_MARKS = {"lfm2", "lfm2_vl"}
BEHIND_THE_MARK = ("mistral", "ministral", "pixtral", "gemma4")


def formatted(template, content: str) -> str:
    """Return what a template writes of a turn that calls tools."""
    slots = template.format_function.apply(
        content=content, thought_words=template.thought_words, tool_call_words=template.tool_call_words
    )
    return "".join(slot for slot in slots if isinstance(slot, str))


@pytest.mark.parametrize("kind", BESIDE)
def test_what_is_said_beside_a_call_is_trained_before_it_by_every_template(tmp_path, kind):
    from llamafactory.data.template import TEMPLATES

    written, (row, *_) = brought(tmp_path, [{"messages": BESIDE[kind]}] * 2)
    assert (written.left_out, list(written.notes.counts)) == (0, ["call_text_kept"])
    (turn,) = row["_response"]
    assert turn["role"] == "function"
    calls = [CALLED] * (2 if kind == "two turns" else 1)
    single = {name for name in TEMPLATES if TEMPLATES[name].format_function.tool_format == "glm4"}
    for name in sorted(TEMPLATES.keys() - OTHER_MARKS - (single if len(calls) > 1 else set())):
        template = TEMPLATES[name]
        text, called = formatted(template, turn["content"]), formatted(template, json.dumps(calls))
        first = min(text.find(said) for said in SAID.get(kind, ["Hm.", "I look."]))
        last = max(text.find(said) + len(said) for said in SAID.get(kind, ["Hm.", "I look."]))
        assert 0 <= first < last <= text.rfind(called[-20:]) and called.strip()[-20:] in text, name
        inside = any(mark in text[:first] for mark in ("[TOOL_CALLS]", "<|tool>"))
        assert inside == any(each in name for each in BEHIND_THE_MARK), name
    for name in OTHER_MARKS & TEMPLATES.keys():
        with pytest.raises(RuntimeError, match="Invalid JSON"):  # told when a run is made with one of them
            formatted(TEMPLATES[name], turn["content"])
