"""Random datasets in all forms and file types that LLaMA-Factory reads, sound ones and ones with a fault that people
really bring.
"""

import csv
import json
import random
from dataclasses import dataclass
from pathlib import Path

TEXTS = [
    "Say 0.",
    "Number 7.",
    "你好，今天几度？",
    "naïve café",
    "Zeile\nzwei",
    "a\u2028b",
    "قل شيئا",
    "<b>&amp;</b>",
    "12",
    "2024-01-31",
    "NA",
    "true",
    "-",
    '{"a": 1}',
    '“quoted” "text"',
    "x" * 300,
    "🙂 ok",
]
TOOLS = [
    {
        "name": "room_heat",
        "description": "Tells how warm a room is",
        "parameters": {
            "type": "object",
            "properties": {"room": {"type": "string", "description": "which"}},
            "required": ["room"],
        },
    },
    {
        "name": "sum",
        "description": "Adds",
        "parameters": {"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}}},
    },
]
BAD_TOOLS = [
    " ",
    "[oops",
    "7",
    "{}",
    [{"name": "t"}],
    [{"name": "t", "parameters": {"type": "object"}}],
    [{"description": "nameless", "parameters": {"properties": {}}}],
    [{"name": "t", "parameters": {"properties": {"a": None}}}],
    ["t"],
]
OPENAI_TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "observation_tag": "tool",
    "function_tag": "function",
    "system_tag": "system",
}
OTHER_TAGS = {
    "role_tag": "角色",
    "content_tag": "内容",
    "user_tag": "用户",
    "assistant_tag": "助手",
    "observation_tag": "结果",
    "function_tag": "调用",
    "system_tag": "系统",
}
SHAREGPT_TAGS = {
    "role_tag": "from",
    "content_tag": "value",
    "user_tag": "human",
    "assistant_tag": "gpt",
    "observation_tag": "observation",
    "function_tag": "function_call",
    "system_tag": "system",
}


@dataclass
class RandomSet:
    """A dataset: its entry, its rows, and the stage that trains on it."""

    entry: dict
    rows: list[dict]
    stage: str
    suffix: str

    def write(self, folder: Path, name: str = "random") -> Path:
        """Write the file and `dataset_info.json`, and return the file."""
        path = folder / f"{name}{self.suffix}"
        write_rows(path, self.rows)
        (folder / "dataset_info.json").write_text(
            json.dumps({name: {"file_name": path.name} | self.entry}, ensure_ascii=False), encoding="utf-8"
        )
        return path


def write_rows(path: Path, rows: list[dict]) -> None:
    """Write rows in the type that the file's ending names. Raises what pyarrow raises of rows that fit into no
    table.
    """
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows, ensure_ascii=False, indent=1), encoding="utf-8")
    elif path.suffix == ".csv":
        with open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)))
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".parquet":
        import pyarrow as pa
        from pyarrow import parquet

        parquet.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text("\n".join(row["text"].replace("\n", " ") for row in rows) + "\n", encoding="utf-8")


def random_set(seed: int) -> RandomSet:
    """Return the dataset of a seed; about half of them have a fault."""
    dice = random.Random(seed)
    make = dice.choice([_alpaca, _alpaca, _chat, _chat, _openai, _openai, _pairs, _chat_pairs, _kto, _text])
    made = make(dice, dice.randint(1, 6))
    if dice.random() < 0.55:
        _break(dice, made)
    if made.suffix == ".parquet":
        try:
            import pyarrow as pa

            pa.Table.from_pylist(made.rows)
        except (pa.ArrowException, TypeError, OverflowError):  # what no table can hold stands in no such file
            made.suffix = ".jsonl"
    return made


def _text_of(dice: random.Random) -> str:
    return (
        dice.choice(TEXTS)
        if dice.random() < 0.6
        else " ".join(dice.choices(["sun", "Mond", "水", "vier", "5", "wind"], k=dice.randint(1, 8)))
    )


def _suffix(dice: random.Random, flat: bool = False) -> str:
    return dice.choice([".json", ".jsonl", ".jsonl", ".parquet", *([".csv"] if flat else [])])


def _alpaca(dice: random.Random, count: int) -> RandomSet:
    names = dice.choice([("instruction", "input", "output"), ("frage", "dazu", "antwort"), ("问题", "输入", "回答")])
    columns = dict(zip(("prompt", "query", "response"), names, strict=True))
    rows = [
        {names[0]: _text_of(dice), names[1]: dice.choice(["", _text_of(dice)]), names[2]: _text_of(dice)}
        for _ in range(count)
    ]
    if dice.random() < 0.3:
        columns["system"] = "system"
        for row in rows:
            row["system"] = dice.choice(["", "Be short.", _text_of(dice)])
    history = dice.random() < 0.3
    if history:
        columns["history"] = "history"
        for row in rows:
            row["history"] = [[_text_of(dice), _text_of(dice)] for _ in range(dice.randint(0, 2))]
    return RandomSet({"columns": columns}, rows, "sft", _suffix(dice, not history))


def _turns(dice: random.Random, tags: dict, calls: bool, ranking: bool = False) -> list[dict]:
    role, content = tags["role_tag"], tags["content_tag"]
    said = [{role: tags["system_tag"], content: "Be short."}] if dice.random() < 0.3 else []
    for _ in range(dice.randint(1, 2)):
        said += [{role: tags["user_tag"], content: _text_of(dice)}]
        if calls and dice.random() < 0.5:
            call = {"name": "room_heat", "arguments": {"room": "north"}}
            said += [
                {role: tags["function_tag"], content: json.dumps(dice.choice([call, [call, call]]))},
                {role: tags["observation_tag"], content: "18"},
            ]
        said += [{role: tags["assistant_tag"], content: _text_of(dice)}]
    return said[:-1] if ranking else said


def _chat(dice: random.Random, count: int) -> RandomSet:
    tags, name = dice.choice([(SHAREGPT_TAGS, "conversations"), (OTHER_TAGS, "对话"), (OPENAI_TAGS, "messages")])
    entry = {"formatting": "sharegpt", "columns": {"messages": name}, "tags": tags}
    tools = dice.random() < 0.5
    rows = [{name: _turns(dice, tags, tools)} for _ in range(count)]
    if tools:
        entry["columns"]["tools"] = "tools"
        for row in rows:
            row["tools"] = dice.choice(["", json.dumps(TOOLS), json.dumps(TOOLS[:1])])
    if dice.random() < 0.2:
        entry["columns"]["system"] = "sys"
        for row in rows:
            row["sys"] = dice.choice(["", "Be kind."])
    return RandomSet(entry, rows, "sft", _suffix(dice))


def _openai(dice: random.Random, count: int) -> RandomSet:
    entry = {"formatting": "openai", "columns": {"messages": "messages", "tools": "tools"}, "tags": OPENAI_TAGS}
    rows = []
    for _ in range(count):
        said = [{"role": "system", "content": "Be short."}] if dice.random() < 0.3 else []
        for _ in range(dice.randint(1, 2)):
            said.append({"role": "user", "content": _text_of(dice)})
            if dice.random() < 0.5:
                calls = [
                    {
                        "id": f"c{index}",
                        "type": "function",
                        "function": {"name": "room_heat", "arguments": json.dumps({"room": "north"})},
                    }
                    for index in range(dice.randint(1, 2))
                ]
                said.append({"role": "assistant", "content": dice.choice([None, "", "I look."]), "tool_calls": calls})
                said += [{"role": "tool", "content": "18"} for _ in calls]
            said.append({"role": "assistant", "content": _text_of(dice)})
        rows.append(
            {
                "messages": said,
                "tools": dice.choice([[], None, [{"type": "function", "function": TOOLS[0]}], json.dumps(TOOLS)]),
            }
        )
    if len({type(row["tools"]) for row in rows if row["tools"] is not None}) > 1:
        for row in rows:
            row["tools"] = [{"type": "function", "function": TOOLS[0]}]
    return RandomSet(entry, rows, "sft", _suffix(dice))


def _pairs(dice: random.Random, count: int) -> RandomSet:
    rows = [
        {"q": _text_of(dice), "good": "good " + _text_of(dice), "bad": "bad " + _text_of(dice)} for _ in range(count)
    ]
    return RandomSet(
        {"ranking": True, "columns": {"prompt": "q", "chosen": "good", "rejected": "bad"}},
        rows,
        "dpo",
        _suffix(dice, True),
    )


def _chat_pairs(dice: random.Random, count: int) -> RandomSet:
    columns = {"messages": "conversations", "chosen": "chosen", "rejected": "rejected"}
    rows = [
        {
            "conversations": _turns(dice, SHAREGPT_TAGS, False, True),
            "chosen": {"from": "gpt", "value": "good " + _text_of(dice)},
            "rejected": {"from": "gpt", "value": "bad " + _text_of(dice)},
        }
        for _ in range(count)
    ]
    return RandomSet({"formatting": "sharegpt", "ranking": True, "columns": columns}, rows, "dpo", _suffix(dice))


def _kto(dice: random.Random, count: int) -> RandomSet:
    rows = [{"q": _text_of(dice), "a": _text_of(dice), "label": dice.random() < 0.5} for _ in range(count)]
    return RandomSet({"columns": {"prompt": "q", "response": "a", "kto_tag": "label"}}, rows, "kto", _suffix(dice))


def _text(dice: random.Random, count: int) -> RandomSet:
    rows = [{"text": _text_of(dice)} for _ in range(count)]
    return RandomSet(
        {"columns": {"prompt": "text"}}, rows, "pt", dice.choice([".txt", ".jsonl", ".json", ".csv", ".parquet"])
    )


def _break(dice: random.Random, made: RandomSet) -> None:
    """Put one fault into one row."""
    row = dice.choice(made.rows)
    field = dice.choice(list(row))
    value = row[field]
    if made.suffix == ".txt":
        return
    if isinstance(value, list) and value and isinstance(value[0], dict) and dice.random() < 0.8:
        _break_turns(dice, value)
    elif field == "tools":
        bad = dice.choice(BAD_TOOLS)
        row[field] = bad if isinstance(bad, str) or isinstance(value, list) else json.dumps(bad)
    elif field == "history" and dice.random() < 0.7:
        row[field] = dice.choice([[["one"]], [["a", "b", "c"]], [["a", None]], [], None])
    else:
        row[field] = dice.choice([None, "", 7, 1.5, True, ["a"], {"a": "b"}, "7", "2024-01-31"])
        if dice.random() < 0.2:
            for each in made.rows:
                each[field] = row[field]
        elif dice.random() < 0.2:
            del row[field]


def _break_turns(dice: random.Random, turns: list[dict]) -> None:
    turn = dice.choice(turns)
    keys = list(turn)
    way = dice.randint(0, 8)
    if way == 0:
        turns.pop()
    elif way == 1:
        turns.insert(0, dict(turns[-1]))
    elif way == 2:
        turn[keys[0]] = "nobody"
    elif way == 3:
        turn[keys[1]] = dice.choice([None, "", 7, ["a"], {"type": "text"}])
    elif way == 4:
        del turn[dice.choice(keys)]
    elif way == 5:
        turns.clear()
    elif way == 6:
        turn["weight"] = 0
    elif "tool_calls" in turn:
        turn["tool_calls"] = dice.choice(
            [[{"name": "flat", "arguments": "{}"}], [{"function": {"name": "f"}}], [], None]
        )
    else:
        turn["tool_calls"] = dice.choice([[], [{"function": {"name": "f", "arguments": "{}"}}]])
