"""What people of the field bring is recognised by name and value, comes in whole, and what does not is named."""

import base64
import json
import shutil
from pathlib import Path

import pytest
from conftest import ROOT, SLOW

from studio.core.i18n import Problem, Words
from studio.core.jobs import Jobs
from studio.core.workspace import Workspace
from studio.datasets.page.add_data import new_data
from studio.datasets.page.add_data.registering import Registration, register
from studio.datasets.page.browse import dataset_head
from studio.datasets.page.endpoints import endpoints
from studio.datasets.page.schemas import RegisterOptions
from studio.datasets.registry.collection import Collection
from studio.datasets.schema import conversion, forms, tool_definitions
from studio.datasets.schema.media import MediaFiles
from studio.datasets.schema.row_faults import NOTES, UnusableRow
from studio.web.endpoint import checked_endpoint
from studio.web.html import render

CASES = ROOT / "tests" / "cases"
PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(40)).decode()
ASK, SAY = {"role": "user", "content": "Say 0."}, {"role": "assistant", "content": "Number 0."}
CALL = {"id": "a", "type": "function", "function": {"name": "heat", "arguments": '{"room": "0"}'}}
WRITTEN_CALL = '[{"name": "heat", "arguments": {"room": "0"}}]'
TOOL = {
    "name": "heat",
    "description": "Heats",
    "parameters": {"type": "object", "properties": {"room": {"type": "string"}}},
}


@pytest.fixture
def collection(tmp_path) -> Collection:
    workspace = Workspace(tmp_path / "workspace").prepare()
    return Collection(workspace, Jobs(workspace))


def talk(*turns: tuple[str, str]) -> list[dict]:
    return [{"from": who, "value": text} for who, text in turns]


PAIR = talk(("human", "Say 0."), ("gpt", "Number 0."))


def brought(collection: Collection, rows: list, name: str = "made", **named) -> tuple[dict, list[dict]]:
    """Bring in rows from a file outside of the data folder, and return the result and the rows that were written."""
    path = collection.workspace.root / "incoming.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return registered(collection, path, name, **named)


def registered(collection: Collection, path: Path, name: str = "made", **named) -> tuple[dict, list[dict]]:
    options = RegisterOptions(**named.get("options", {}))
    registration = Registration(str(path), name, named.get("columns"), options=options)
    result = register(collection, Words("en"), registration).model_dump()
    return result, [json.loads(line) for line in collection.find(name).file.read_text(encoding="utf-8").splitlines()]


def case(collection: Collection, name: str) -> tuple[dict, list[dict]]:
    path = collection.workspace.root / Path(name).parent.name
    shutil.copytree(CASES / Path(name).parent, path)
    return registered(collection, path / Path(name).name)


# The cases


def test_a_rejected_answer_beside_a_conversation_makes_a_pair(collection):
    result, rows = case(collection, "columns-by-name/swift_rejected_response.jsonl")
    assert (result["stage"], result["rows"], result["left_out"]) == ("dpo", 8, 0)
    assert rows[0] == {
        "conversations": talk(("human", "Say 0.")),
        "chosen": PAIR[1],
        "rejected": {"from": "gpt", "value": "I will not."},
    }


def test_messages_are_chosen_by_their_name_and_the_other_field_is_named(collection):
    result, rows = case(collection, "columns-by-name/two_talks.jsonl")
    assert (result["rows"], result["not_taken"]) == (8, ["original"])
    assert rows[0]["conversations"] == PAIR


def test_prompt_and_completion_as_messages_belong_together(collection):
    result, rows = case(collection, "columns-by-name/prompt_and_completion.jsonl")
    assert (result["rows"], result["stage"], result["not_taken"]) == (8, "sft", [])
    assert rows[0]["conversations"] == talk(("system", "You count."), ("human", "Say 0."), ("gpt", "Number 0."))


def test_a_thought_is_kept_as_one_and_told(collection):
    result, rows = case(collection, "content-parts/thinking_part.jsonl")
    assert rows[0]["conversations"][1]["value"] == "<think>\nThe number is 0.\n</think>\n\nNumber 0."
    assert any("think" in note for note in result["notes"]) and "images" not in rows[0]


def test_text_is_text_under_any_key(collection):
    result, rows = case(collection, "content-parts/value_instead_of_text.jsonl")
    assert (rows[0]["conversations"], result["left_out"], result["notes"]) == (PAIR, 0, [])


def test_pictures_in_parts_come_along(collection):
    result, rows = case(collection, "media/openai_parts.jsonl")
    entry = collection.find("made").entry
    assert entry["columns"]["images"] == "images" and result["left_out"] == 0
    for row in rows:
        assert row["conversations"][0]["value"] == "<image>Which colour is this?"
        assert [Path(collection.folder, file).is_file() for file in row["images"]] == [True]


def test_films_beside_conversations_come_along(collection):
    result, rows = case(collection, "media/sharegpt_videos.json")
    assert collection.find("made").entry["columns"]["videos"] == "videos" and rows[0]["videos"] == ["clips/0.mp4"]


def test_an_empty_history_is_no_conversation(collection):
    result, rows = case(collection, "empty-lists/alpaca_history_empty.json")
    assert (result["form"], result["rows"], result["left_out"]) == ("alpaca", 60, 0)
    mapping = forms.recognise(rows)
    assert mapping.columns == {"prompt": "instruction", "query": "input", "response": "output", "history": "history"}


def test_labels_may_be_numbers_with_a_point(collection):
    result, rows = case(collection, "forms-of-trl/kto_float_label.jsonl")
    assert result["stage"] == "kto" and [row["label"] for row in rows] == [False, True] * 4


# The forms of the trainers: rows, the form, the first row that is written, the fields that are not taken.

PAIRED = {"conversations": talk(("human", "Say 0.")), "chosen": PAIR[1], "rejected": {"from": "gpt", "value": "No."}}
NO = {"role": "assistant", "content": "No."}
ONE = {"instruction": "Say 0.", "input": "", "output": "Number 0."}
FORMS = {
    "trl text": ({"prompt": "Say 0.", "completion": "Number 0."}, "alpaca", ONE, []),
    "trl text prompt, listed completion": (
        {"prompt": "Say 0.", "completion": [SAY]},
        "chat",
        {"conversations": PAIR},
        [],
    ),
    "trl listed prompt, text completion": (
        {"prompt": [ASK], "completion": "Number 0."},
        "chat",
        {"conversations": PAIR},
        [],
    ),
    "trl with label": (
        {"prompt": [ASK], "completion": [SAY], "label": True},
        "chat_kto",
        {"conversations": PAIR, "label": True},
        [],
    ),
    "trl text with label 0": (
        {"prompt": "Say 0.", "completion": "Number 0.", "label": 0},
        "kto",
        {**ONE, "label": False},
        [],
    ),
    "trl and messages that repeat the prompt": (
        {"prompt": [ASK], "completion": [SAY], "messages": [ASK]},
        "chat",
        {"conversations": PAIR},
        ["messages"],
    ),
    "trl label, and messages that repeat": (
        {"messages": [ASK], "prompt": [ASK], "completion": [SAY], "label": 1.0},
        "chat_kto",
        {"conversations": PAIR, "label": True},
        ["messages"],
    ),
    "trl implicit": ({"chosen": [ASK, SAY], "rejected": [ASK, NO]}, "chat_preference", PAIRED, []),
    "trl explicit": ({"prompt": [ASK], "chosen": [SAY], "rejected": [NO]}, "chat_preference", PAIRED, []),
    "trl text prompt, listed sides": (
        {"prompt": "Say 0.", "chosen": [SAY], "rejected": [NO]},
        "chat_preference",
        PAIRED,
        [],
    ),
    "trl listed prompt, text sides": (
        {"prompt": [ASK], "chosen": "Number 0.", "rejected": "No."},
        "chat_preference",
        PAIRED,
        [],
    ),
    "trl one side listed": ({"prompt": "Say 0.", "chosen": [SAY], "rejected": "No."}, "chat_preference", PAIRED, []),
    "trl sides as single messages": ({"prompt": [ASK], "chosen": SAY, "rejected": NO}, "chat_preference", PAIRED, []),
    "swift messages": ({"messages": [ASK, SAY], "rejected_messages": [ASK, NO]}, "chat_preference", PAIRED, []),
    "swift rejected message": ({"rejected_messages": [NO], "messages": [ASK, SAY]}, "chat_preference", PAIRED, []),
    "swift query": (
        {
            "query": "Say 0.",
            "response": "Number 0.",
            "rejected_response": "No.",
            "history": [["1?", "2"]],
            "system": "Count.",
        },
        "preference",
        {
            "instruction": "Say 0.",
            "input": "",
            "chosen": "Number 0.",
            "rejected": "No.",
            "system": "Count.",
            "history": [["1?", "2"]],
        },
        [],
    ),
    "swift query, no rejected": (
        {"query": "Say 0.", "response": "Number 0.", "history": []},
        "alpaca",
        {**ONE, "history": []},
        [],
    ),
    "swift channel": (
        {"messages": [ASK, SAY], "channel": "chat", "objects": {"ref": ["cat"], "bbox": [[1, 2]]}},
        "chat",
        {"conversations": PAIR},
        ["channel", "objects"],
    ),
    "openai preference": (
        {
            "input": {"messages": [ASK], "tools": [], "parallel_tool_calls": True},
            "preferred_output": [SAY],
            "non_preferred_output": [NO],
        },
        "chat_preference",
        PAIRED,
        [],
    ),
    "openai functions": (
        {
            "messages": [
                ASK,
                {"role": "assistant", "content": None, "function_call": {"name": "heat", "arguments": '{"room": "0"}'}},
                {"role": "function", "name": "heat", "content": "ok"},
                SAY,
            ],
            "functions": [TOOL],
        },
        "chat",
        {
            "conversations": talk(
                ("human", "Say 0."), ("function_call", WRITTEN_CALL), ("observation", "ok"), ("gpt", "Number 0.")
            ),
            "tools": json.dumps([TOOL]),
        },
        [],
    ),
    "axolotl text": ({"text": "A tale.", "meta": "web"}, "text", {"text": "A tale."}, ["meta"]),
    "nemo": ({"input": "Say 0.", "output": "Number 0."}, "alpaca", ONE, []),
    "nemo chat": (
        {
            "system": "Count.",
            "mask": "User",
            "conversations": [{"from": "User", "value": "Say 0."}, {"from": "Assistant", "value": "Number 0."}],
        },
        "chat",
        {"conversations": PAIR, "system": "Count."},
        ["mask"],
    ),
    "llamafactory v1 dpo": (
        {
            "chosen_messages": [
                {**ASK, "content": [{"type": "text", "value": "Say 0."}]},
                {**SAY, "content": [{"type": "text", "value": "Number 0."}]},
            ],
            "rejected_messages": [
                {**ASK, "content": [{"type": "text", "value": "Say 0."}]},
                {**NO, "content": [{"type": "text", "value": "No."}]},
            ],
        },
        "chat_preference",
        PAIRED,
        [],
    ),
    "llamafactory v1 call": (
        {
            "messages": [
                ASK,
                {
                    "role": "assistant",
                    "content": [
                        {"type": "tool_call", "value": json.dumps({"name": "heat", "arguments": {"room": "0"}})}
                    ],
                },
                {"role": "tool", "content": [{"type": "text", "value": "ok"}]},
                SAY,
            ]
        },
        "chat",
        {
            "conversations": talk(
                ("human", "Say 0."), ("function_call", WRITTEN_CALL), ("observation", "ok"), ("gpt", "Number 0.")
            )
        },
        [],
    ),
    "anthropic": (
        {
            "system": [{"type": "text", "text": "Count."}],
            "messages": [
                ASK,
                {
                    "role": "assistant",
                    "content": [{"type": "tool_use", "id": "t", "name": "heat", "input": {"room": "0"}}],
                },
                {
                    "role": "user",
                    "content": [
                        {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "ok"}]}
                    ],
                },
                {"role": "assistant", "content": [{"type": "text", "text": "Number 0."}]},
            ],
            "tools": [{"name": "heat", "description": "Heats", "input_schema": TOOL["parameters"]}],
        },
        "chat",
        {
            "conversations": talk(
                ("human", "Say 0."), ("function_call", WRITTEN_CALL), ("observation", "ok"), ("gpt", "Number 0.")
            ),
            "system": "Count.",
            "tools": json.dumps([TOOL]),
        },
        [],
    ),
    "gemini": (
        {
            "systemInstruction": {"role": "system", "parts": [{"text": "Count."}]},
            "contents": [
                {"role": "user", "parts": [{"text": "Say 0."}]},
                {"role": "model", "parts": [{"functionCall": {"name": "heat", "args": {"room": "0"}}}]},
                {"role": "user", "parts": [{"functionResponse": {"name": "heat", "response": {"ok": True}}}]},
                {"role": "model", "parts": [{"text": "Number 0."}]},
            ],
            "tools": [{"functionDeclarations": [TOOL]}],
        },
        "chat",
        {
            "conversations": talk(
                ("human", "Say 0."),
                ("function_call", WRITTEN_CALL),
                ("observation", '{"ok": true}'),
                ("gpt", "Number 0."),
            ),
            "system": "Count.",
            "tools": json.dumps([TOOL]),
        },
        [],
    ),
    "langchain": (
        {"messages": [{"type": "human", "content": "Say 0."}, {"type": "ai", "content": "Number 0."}]},
        "chat",
        {"conversations": PAIR},
        [],
    ),
    "firefly": ({"conversation": [{"human": "Say 0.", "assistant": "Number 0."}]}, "chat", {"conversations": PAIR}, []),
    "xtuner": (
        {"conversation": [{"system": "Count.", "input": "Say 0.", "output": "Number 0."}]},
        "chat",
        {"conversations": talk(("system", "Count."), *((one["from"], one["value"]) for one in PAIR))},
        [],
    ),
    "chinese": (
        {"问题": "零？", "回答": "数字零。", "备注": "好"},
        "alpaca",
        {"instruction": "零？", "input": "", "output": "数字零。"},
        ["备注"],
    ),
    "chinese talk": (
        {"对话": [{"角色": "用户", "内容": "零？"}, {"角色": "助手", "内容": "数字零。"}]},
        "chat",
        {"conversations": talk(("human", "零？"), ("gpt", "数字零。"))},
        [],
    ),
    "a conversation as text": ({"messages": json.dumps([ASK, SAY])}, "chat", {"conversations": PAIR}, []),
    "a class beside an answer": (
        {"instruction": "Say 0.", "output": "Number 0.", "label": "positive"},
        "alpaca",
        ONE,
        ["label"],
    ),
    "two questions": ({"instruction": "", "question": "Say 0.", "output": "Number 0."}, "alpaca", ONE, []),
    "score beside input": (
        {"instruction": "Say", "input": "0.", "output": "Number 0.", "score": 3.5},
        "alpaca",
        {"instruction": "Say", "input": "0.", "output": "Number 0."},
        [],
    ),
    "a nameless talk": ({"id": 4, "talk_of_today": [ASK, SAY]}, "chat", {"conversations": PAIR}, []),
    "an answer beside a nameless talk": (
        {"extra": [ASK, SAY], "question": "Say 0.", "answer": "Number 0."},
        "alpaca",
        ONE,
        ["extra"],
    ),
    "hh prompt": (
        {"prompt": "\n\nHuman: Say 0.\n\nAssistant:", "chosen": "Number 0.", "rejected": "No."},
        "chat_preference",
        PAIRED,
        [],
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_every_trainers_form_comes_in_whole(collection, name):
    row, form, first, not_taken = FORMS[name]
    result, rows = brought(collection, [row] * 3)
    assert (result["form"], result["rows"], result["left_out"], result["not_taken"]) == (form, 3, 0, not_taken)
    entry = collection.find("made")
    assert entry.problem is None and {key: value for key, value in rows[0].items() if key in first or value} == first


EMPTY = ([], None, "", {})
ADDED = (
    *("history", "messages", "chosen", "rejected", "images", "tools"),
    *("system", "conversations", "anything", "text", "label", "response"),
)


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("turn", range(4 if SLOW else 1))
def test_an_empty_field_of_any_name_changes_nothing(name, turn):
    """Each form meets each name, empty in one of four ways; STUDIO_SLOW_TESTS=1 tries all four of each."""
    row = FORMS[name][0]
    wanted = forms.recognise([row] * 3)
    for number, field in enumerate(ADDED, turn + list(FORMS).index(name)):
        if field in row:
            continue
        empty = EMPTY[number % 4]
        for rows in ([{field: empty, **row}] * 3, [{**row, field: empty}] * 3):
            found = forms.recognise(rows)
            columns = {column: name for column, name in found.columns.items() if name != field}
            assert (found.form, columns, found.tags) == (wanted.form, wanted.columns, wanted.tags), field
            assert convert_rows(rows, found)[0].left_out == 0, field


@pytest.mark.parametrize("name", FORMS)
def test_a_first_value_further_down_is_used_and_fields_may_come_in_any_order(name):
    row = FORMS[name][0]
    wanted = forms.recognise([row])
    turned = forms.recognise([dict(reversed(row.items()))])
    assert (turned.form, turned.columns) == (wanted.form, wanted.columns)
    empty = {field: [] if isinstance(value, list) else None for field, value in row.items()}
    late = forms.recognise([empty, empty, row])
    assert (late.form, late.columns, late.tags) == (wanted.form, wanted.columns, wanted.tags)


def convert_rows(rows: list[dict], mapping: forms.Mapping) -> tuple[conversion.Written, list[dict]]:
    from studio.datasets.files.reading import Row

    written = conversion.Written()
    made = list(
        conversion.converted(
            (Row(number, row) for number, row in enumerate(rows, 1)), mapping, written, Path("in.jsonl")
        )
    )
    return written, made


def test_fields_that_are_not_taken_are_named_wherever_they_first_come(collection):
    rows = [
        {"instruction": "a", "output": "b"},
        {"instruction": "a", "output": "b", "late": "word"},
        {"instruction": "a", "output": "b", "number": 3},
    ]
    assert brought(collection, rows)[0]["not_taken"] == ["late"]


def test_of_a_file_that_stays_where_it_lies_the_fields_are_named_too(collection):
    (collection.folder / "mine.jsonl").write_text(
        json.dumps({"instruction": "a", "input": "", "output": "b", "source": "web"}) + "\n"
    )
    result = register(collection, Words("en"), Registration("mine.jsonl", "mine"))
    assert result.not_taken == ["source"] and collection.find("mine").entry["file_name"] == "mine.jsonl"


# What cannot be used


@pytest.mark.parametrize(
    ("row", "word"),
    [
        ({"messages": [ASK, {"role": "assistant", "content": [{"type": "hologram", "data": "x"}]}]}, "hologram"),
        (
            {
                "messages": [
                    ASK,
                    {"role": "assistant", "content": [{"type": "document", "source": {"type": "url", "url": "a.pdf"}}]},
                ]
            },
            "document",
        ),
        ({"messages": [{"role": "narrator", "content": "x"}, SAY]}, "narrator"),
        ({"messages": [ASK, {"role": "assistant", "tool_calls": [{"function": {"arguments": "{}"}}]}]}, "call"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "?"}]}, SAY]},
            "<image>",
        ),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.org/a.png"}}]},
                    SAY,
                ]
            },
            "https://x.org/a.png",
        ),
        ({"messages": [ASK]}, "no answer"),
        ({"messages": [ASK, SAY, {"role": "system", "content": "late"}, ASK, SAY]}, "system prompt"),
        ({"messages": [ASK, SAY], "rejected_messages": [{"role": "user", "content": "Other."}, NO]}, "same messages"),
    ],
)
def test_a_row_that_cannot_be_used_is_left_out_with_its_reason(collection, row, word):
    good = {name: [ASK, NO] if name.startswith("rejected") else [ASK, SAY] for name in row}
    result, rows = brought(collection, [good, row, good])
    assert (
        (result["rows"], result["left_out"]) == (2, 1)
        and "Row 2" in result["problems"][0]
        and word in result["problems"][0]
    )
    assert "<image>" not in json.dumps(rows)


@pytest.mark.parametrize(
    "row", [{"prompt": "Say 0."}, {"prompt": [ASK]}, {"messages": [ASK]}, {"question": "Why?", "id": "7"}]
)
def test_questions_alone_are_told_at_once(collection, row):
    with pytest.raises(Problem) as checked_endpoint:
        brought(collection, [row] * 3)
    assert checked_endpoint.value.key in ("datasets.column_not_chosen", "datasets.no_answer")


@pytest.mark.parametrize(
    ("row", "key"),
    [
        ({"prompt": "1 + 1?", "completions": ["Two.", "Three."], "labels": [True, False]}, "datasets.form_stepwise"),
        ({"segments": [{"label": True, "text": "a"}]}, "datasets.form_segments"),
    ],
)
def test_forms_that_nothing_can_train_are_told_as_what_they_are(row, key):
    with pytest.raises(Problem) as checked_endpoint:
        forms.recognise([row] * 3)
    assert checked_endpoint.value.key == key


@pytest.mark.parametrize(
    "rows",
    [
        '{"instruction": NaN, "output": NaN}\n',
        '{"x": null}\n{"x": NaN}\n',
        '{"instruction": "", "output": []}\n',
        "{}\n",
    ],
)
def test_rows_without_a_value_are_told_as_what_they_are(collection, rows):
    path = collection.workspace.root / "blank.jsonl"
    path.write_text(rows)
    with pytest.raises(Problem) as checked_endpoint:
        registered(collection, path)
    assert checked_endpoint.value.key == "datasets.no_values" and "NaN" in Words("zh").tell(checked_endpoint.value)


# What is told

ANSWER_CALL = {"role": "assistant", "content": "I look.", "tool_calls": [CALL]}
TOLD = {
    "call_text": [ASK, {**ANSWER_CALL, "content": "I <tool_call>."}, {"role": "tool", "content": "ok"}, SAY],
    "call_text_kept": [
        ASK,
        {**ANSWER_CALL, "content": None, "reasoning_content": "Hm."},
        {"role": "tool", "content": "ok"},
        SAY,
    ],
    "thought_kept": [ASK, {**SAY, "reasoning_content": "Hm."}],
    "thought_hidden": [
        ASK,
        {**SAY, "content": [{"type": "redacted_thinking", "data": "x"}, {"type": "text", "text": "Number 0."}]},
    ],
    "weight": [ASK, {**SAY, "weight": 0}, ASK, SAY],
    "joined": [ASK, ASK, SAY],
    "last_result": [ASK, {**ANSWER_CALL, "content": ""}, {"role": "tool", "content": "ok"}],
}


@pytest.mark.parametrize("kind", TOLD)
@pytest.mark.parametrize("folder", ["data", "outside"])
def test_what_is_not_trained_as_written_is_told_with_its_rows(collection, kind, folder):
    rows = [{"messages": [ASK, SAY]}, {"messages": TOLD[kind]}]
    path = (collection.folder if folder == "data" else collection.workspace.root) / "in.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    result, _ = registered(collection, path)
    sentence = next(note for note in result["notes"])
    assert len(result["notes"]) == 1 and "first: 2)" in sentence and result["left_out"] == 0
    assert kind in NOTES and Words("zh")(f"datasets.note_{kind}", count="1", rows="2") != sentence


def test_two_system_prompts_and_mended_tools_are_told(collection):
    bare = {"name": "heat", "description": "Heats", "parameters": {"room": {"type": "string"}}}
    row = {"system": "A", "tools": json.dumps([bare]), "messages": [{"role": "system", "content": "B"}, ASK, SAY]}
    result, rows = brought(collection, [row])
    assert len(result["notes"]) == 2 and json.loads(rows[0]["tools"])[0]["parameters"]["properties"] == {
        "room": {"type": "string"}
    }


@pytest.mark.parametrize("weight", [{"weight": 1}, {"loss_weight": 1.0}, {"train": True}, {"loss": True}, {}])
def test_an_ordinary_weight_is_nothing_to_tell(collection, weight):
    assert brought(collection, [{"messages": [{**ASK, "loss_weight": 0.0}, {**SAY, **weight}]}])[0]["notes"] == []


# Media


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        ({"type": "image_url", "image_url": {"url": "a.bin"}}, "images"),
        ({"type": "image_url", "image_url": "a.bin"}, "images"),
        ({"type": "input_image", "image_url": "a.bin"}, "images"),
        ({"type": "image", "image": "a.bin", "text": None}, "images"),
        ({"type": "image", "path": "a.bin"}, "images"),
        ({"type": "image_url", "value": "a.bin"}, "images"),
        ({"image": "a.bin"}, "images"),
        ({"type": "image", "source": {"type": "url", "url": "a.bin"}}, "images"),
        ({"type": "video", "video": "a.bin"}, "videos"),
        ({"type": "video_url", "video_url": {"url": "file://a.bin"}}, "videos"),
        ({"type": "video", "video": ["a.bin", "a.bin"]}, "videos"),
        ({"type": "audio", "audio_url": "a.bin"}, "audios"),
        ({"type": "audio", "audio": {"path": "a.bin", "bytes": None}}, "audios"),
        ({"fileData": {"mimeType": "audio/mp3", "fileUri": "a.bin"}}, "audios"),
        ({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}, "images"),
        ({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}, "images"),
        ({"inlineData": {"mimeType": "image/png", "data": PIXEL}}, "images"),
        ({"type": "input_audio", "input_audio": {"data": PIXEL, "format": "wav"}}, "audios"),
    ],
)
def test_media_of_every_make_of_part_come_along_with_one_mark_each(collection, part, kind):
    (collection.workspace.root / "a.bin").write_bytes(b"x")
    mark = {"images": "<image>", "videos": "<video>", "audios": "<audio>"}[kind]
    result, rows = brought(
        collection, [{"messages": [{"role": "user", "content": [part, {"type": "text", "text": "What?"}]}, SAY]}] * 2
    )
    assert result["left_out"] == 0 and rows[0]["conversations"][0]["value"] == f"{mark}What?"
    (file,) = rows[0][kind]
    assert all((collection.folder / one).is_file() for one in (file if isinstance(file, list) else [file]))
    assert collection.find("made").entry["columns"][kind] == kind


@pytest.mark.parametrize("form", ["alpaca", "sharegpt", "preference", "pair of talks", "kto", "talk kto", "trl"])
@pytest.mark.parametrize(
    ("kind", "name"), [("images", "images"), ("videos", "videos"), ("audios", "audios"), ("images", "image")]
)
def test_media_are_columns_of_every_form(collection, form, kind, name):
    mark = {"images": "<image>", "videos": "<video>", "audios": "<audio>"}[kind]
    asked = {"role": "user", "content": f"{mark}What?"}
    row = {
        "alpaca": {"instruction": f"{mark}What?", "output": "x"},
        "sharegpt": {"conversations": talk(("human", f"{mark}What?"), ("gpt", "x"))},
        "preference": {"prompt": f"{mark}What?", "chosen": "x", "rejected": "y"},
        "pair of talks": {"prompt": [asked], "chosen": [SAY], "rejected": [NO]},
        "kto": {"prompt": f"{mark}What?", "completion": "x", "label": True},
        "talk kto": {"messages": [asked, SAY], "label": False},
        "trl": {"prompt": [asked], "completion": [SAY]},
    }[form]
    result, rows = brought(collection, [{**row, name: ["a.bin"] if name == kind else "a.bin"}] * 2)
    assert (
        rows[0][kind] == ["a.bin"]
        and collection.find("made").entry["columns"][kind] == kind
        and result["not_taken"] == []
    )


def test_parts_without_a_file_take_those_of_the_column_in_order(collection):
    parts = [{"type": "image"}, {"type": "text", "text": "and"}, {"type": "image"}]
    rows = brought(
        collection, [{"messages": [{"role": "user", "content": parts}, SAY], "images": ["a.png", {"path": "b.png"}]}]
    )[1]
    assert rows[0]["images"] == ["a.png", "b.png"] and rows[0]["conversations"][0]["value"] == "<image>and<image>"


def test_a_picture_in_one_row_alone_gives_every_row_the_column(collection):
    shown = {"messages": [{"role": "user", "content": [{"type": "image", "image": "a.png"}, "What?"]}, SAY]}
    rows = brought(collection, [{"messages": [ASK, SAY]}, shown, {"messages": [ASK, SAY]}])[1]
    assert [row["images"] for row in rows] == [[], ["a.png"], []]


def test_a_file_in_the_data_folder_stays_where_it_lies_only_if_its_pictures_are_found_from_there(collection):
    row = {"messages": [{"role": "user", "content": "<image>What?"}, SAY], "images": ["pics/a.png"]}
    for folder, stays in ((collection.folder, True), (collection.folder / "deeper", False)):
        (folder / "pics").mkdir(parents=True)
        (folder / "pics" / "a.png").write_bytes(b"x")
        (folder / "in.jsonl").write_text(json.dumps(row) + "\n")
        if not stays:
            (collection.folder / "pics" / "a.png").unlink()
        name = f"stays_{stays}"
        registered(collection, folder / "in.jsonl", name)
        found = json.loads(collection.find(name).file.read_text())["images"][0]
        assert (collection.folder / found).is_file() and (collection.find(name).file == folder / "in.jsonl") is stays


def test_embedded_pictures_that_are_none_leave_their_row_out(tmp_path):
    media = MediaFiles(tmp_path, tmp_path)
    for address in (
        "data:image/png;base64,###",
        "data:text/html;base64,AAAA",
        "data:image/png,AAAA",
        "http://x/y.png",
        "s3://x/y.png",
    ):
        with pytest.raises(UnusableRow):
            media.found(address, "images")


# Tools


@pytest.mark.parametrize(
    "tools",
    [
        [TOOL],
        json.dumps([TOOL]),
        [{"type": "function", "function": TOOL}],
        {"functionDeclarations": [TOOL]},
        [{"functionDeclarations": [TOOL]}],
        TOOL,
        json.dumps(TOOL),
        [json.dumps(TOOL)],
        {"heat": {key: value for key, value in TOOL.items() if key != "name"}},
        [{"name": "heat", "description": "Heats", "input_schema": TOOL["parameters"]}],
        [{"type": "function", **TOOL}],
    ],
)
def test_tools_of_every_make_are_the_same_definition(tools):
    text, mended = tool_definitions.read(tools)
    (tool,) = json.loads(text)
    assert (tool.get("function", tool), mended) == (TOOL, False)


@pytest.mark.parametrize("nothing", [None, "", " ", "[]", [], {}, "null"])
def test_no_tools_are_no_tools(nothing):
    assert tool_definitions.read(nothing) == ("", False)


@pytest.mark.parametrize("bad", ["no json", [5], ["x"], [{"description": "nameless"}], [{"name": 5}], 7, "7"])
def test_tools_that_are_none_are_refused(bad):
    with pytest.raises(UnusableRow):
        tool_definitions.read(bad)


# What stays told


def test_what_was_left_out_and_not_taken_is_told_for_good_on_the_sets_page(collection):
    bad = {"messages": [{"role": "narrator", "content": "x"}, SAY]}
    brought(collection, [{"messages": TOLD["weight"], "source": "web"}, bad, bad])
    again = Collection(collection.workspace, Jobs(collection.workspace))  # as after a restart
    ask = {one.__name__: checked_endpoint(one, Words("en")) for one in endpoints(again, Words("en"))}
    intake = ask["datasets_intake"]("made")
    assert (intake["source"], intake["left_out"], intake["not_taken"], len(intake["notes"])) == (
        "incoming.jsonl",
        2,
        ["source"],
        1,
    )
    assert [
        "Row 2" in intake["problems"][0],
        "Row 3" in intake["problems"][1],
        "narrator" in intake["problems"][0],
    ] == [True] * 3
    listed = next(one for one in ask["datasets_list"]() if one["name"] == "made")
    assert (listed["left_out"], listed["not_taken"]) == (2, ["source"])
    ask["datasets_rename"]("made", "renamed")
    for language in ("en", "zh"):
        head = dataset_head.dataset_head(Words(language), again, "renamed").head
        assert (head.left_out.file, head.left_out.count, head.left_out.more) == ("incoming.jsonl", 2, 0)
        assert len(head.left_out.reasons) == 2 and "narrator" in head.left_out.reasons[0]
        assert "source" in head.warnings[-1] and len(head.warnings) == 2


def test_a_later_set_of_the_same_name_tells_nothing_of_the_former(collection):
    brought(collection, [{"messages": [ASK, SAY]}, {"messages": [ASK]}])
    ask = {one.__name__: checked_endpoint(one, Words("en")) for one in endpoints(collection, Words("en"))}
    assert ask["datasets_intake"]("made")["left_out"] == 1
    ask["datasets_remove"]("made", True)
    brought(collection, [{"messages": [ASK, SAY]}])
    assert ask["datasets_intake"]("made") == {"source": "", "left_out": 0, "problems": [], "not_taken": [], "notes": []}
    assert dataset_head.dataset_head(Words("en"), collection, "made").head.left_out is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[1]",
        "{}",
        '{"left_out": -1}',
        '{"problems": [{"key": "gone", "facts": {"x": 1}}], "left_out": 1}',
        "[" * 10**5,
    ],
)
def test_a_damaged_record_of_it_harms_nothing(collection, text):
    brought(collection, [{"messages": [ASK, SAY]}, {"messages": [ASK]}])
    (record,) = (collection.workspace.saves / ".rows").glob("intake-*.json")
    record.write_text(text)
    assert dataset_head.dataset_head(Words("en"), collection, "made").head.name == "made"


def test_what_is_told_cannot_be_script(collection):
    rows = [{"messages": [ASK, SAY], "<script>x": "web"}, {"messages": [{"role": "<script>", "content": "x"}, SAY]}]
    brought(collection, rows)
    words = Words("en")
    drawn = render(dataset_head.TEMPLATE, words, dataset_head.dataset_head(words, collection, "made"))
    drawn += render(new_data.TEMPLATE, words, new_data.new_data(words, collection, "path=../incoming.jsonl"))
    assert "<script" not in drawn and "&lt;script" in drawn
