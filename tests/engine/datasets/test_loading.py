"""What the check says of a dataset is what LLaMA-Factory's own loader makes of it: whether a run dies, which rows it
trains, token for token.
"""

import contextlib
import io
import json
import shutil
from pathlib import Path

import pytest
from conftest import ROOT, SLOW, one_in
from random_sets import OPENAI_TAGS, random_set, write_rows

from studio.core.i18n import Words
from studio.datasets.derive import write
from studio.datasets.encoding.loading.judge import judge
from studio.datasets.encoding.loading.kinds import Kinds
from studio.datasets.encoding.row_encoder import RowEncoder
from studio.datasets.files import reading
from studio.datasets.quality.row_check import check, keep_good
from studio.datasets.registry.dataset_info import datasets, entry_of

CASES = ROOT / "tests" / "cases"
MODEL = ROOT / "models" / "SmolLM2-135M-Instruct"
STOPS = {"row_stops", "tool_lacks", "tool_broken", "not_loaded", "late_type", "mixed_types", "rows_differ"}
STAGES = {"dpo": "rm"}
ALPACA = {"columns": {"prompt": "instruction", "query": "input", "response": "output"}}
CHAT = {"formatting": "sharegpt", "columns": {"messages": "conversations", "tools": "tools"}}
OPENAI = {"formatting": "openai", "columns": {"messages": "messages", "tools": "tools"}, "tags": OPENAI_TAGS}


@pytest.fixture(scope="module")
def trained():
    """Return a function that gives the rows that LLaMA-Factory trains of the dataset "random" of a folder; it raises
    what that raises.
    """
    from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
    from llamafactory.hparams import get_train_args
    from llamafactory.model import load_tokenizer

    loaded = {}

    def train(folder: Path, stage: str, name: str = "random", template: str = "chatml"):
        arguments = {
            "model_name_or_path": str(MODEL),
            "stage": STAGES.get(stage, stage),
            "do_train": True,
            "template": template,
            "dataset": name,
            "dataset_dir": str(folder),
            "cutoff_len": 2048,
            "output_dir": str(folder / "run"),
            "finetuning_type": "lora",
            "report_to": "none",
            "use_cpu": True,
            "packing": False,
            "cache_dir": str(folder / "cache"),
        }
        model_args, data_args, training_args, _, _ = get_train_args(arguments)
        loaded.update(loaded or load_tokenizer(model_args))
        with contextlib.redirect_stdout(io.StringIO()):
            template = get_template_and_fix_tokenizer(loaded["tokenizer"], data_args)
            return get_dataset(
                template, model_args, data_args, training_args, stage=STAGES.get(stage, stage), **loaded
            )["train_dataset"]

    return train


def judged(path: Path, entry: dict, folder: Path, template: str = "chatml"):
    scratch = folder / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    return judge(path, entry, path.parent, scratch, {"template": template})


def report_of(path: Path, entry: dict, folder: Path, template: str = "chatml"):
    return check(reading.rows(path), entry, path.parent, loader=lambda: judged(path, entry, folder, template))


def found(report) -> list[tuple[int, str, str]]:
    return [
        (one.row, one.field, one.kind)
        for one in report.findings
        if one.kind in report.bad and one.kind != "near_duplicate"
    ]


def put(folder: Path, entry: dict, rows: list[dict], suffix: str = ".jsonl") -> Path:
    path = folder / f"random{suffix}"
    write_rows(path, rows)
    (folder / "dataset_info.json").write_text(json.dumps({"random": {"file_name": path.name} | entry}))
    return path


def talk(*turns: str) -> list[dict]:
    return [dict(zip(("from", "value"), turn.split(": ", 1), strict=True)) for turn in turns]


# The cases


def test_a_column_that_begins_late_is_named_and_the_clean_copy_trains(tmp_path, trained):
    home = CASES / "late-type" / "added"
    entry = entry_of(home, "system_late")
    report = report_of(home / entry["file_name"], entry, tmp_path)
    assert not report.ok
    assert found(report)[0] == (1051, "system", "late_type")
    assert "1000" in report.findings[-1].message(Words("en")) and "system" in report.findings[-1].message(Words("zh"))
    values = list(reading.rows(home / entry["file_name"]))
    first = sorted(report.bad["late_type"])[0]
    ordered = [values[first - 1], *values[: first - 1], *values[first:]]
    path = put(tmp_path, {"columns": entry["columns"]}, list(keep_good(ordered, report, entry)))
    assert report_of(path, entry, tmp_path).ok
    assert len(trained(tmp_path, "sft")) == len(values)


@pytest.mark.parametrize("value", [7, ["a"], {"a": 1}, True], ids=str)
@pytest.mark.parametrize(("field", "row"), [("output", 60), ("instruction", 2), ("remark", 1500)])
def test_a_value_of_another_type_is_named_by_row_and_field(tmp_path, trained, value, field, row):
    rows = [
        {"instruction": f"Q {number}", "input": "", "output": f"A {number}", "remark": "x"} for number in range(1, 1601)
    ]
    rows[row - 1][field] = value
    path = put(tmp_path, ALPACA, rows)
    report = report_of(path, ALPACA, tmp_path)
    assert {(one.row, one.field) for one in report.findings if one.kind in ("mixed_types", "wrong_type")} == {
        (row, field)
    }
    with pytest.raises(Exception, match="generating the dataset"):
        trained(tmp_path, "sft")
    good = put(tmp_path, ALPACA, list(keep_good(reading.rows(path), report, ALPACA)))
    assert report_of(good, ALPACA, tmp_path).ok
    assert len(trained(tmp_path, "sft")) == 1599


def test_the_case_of_a_number_at_row_60(tmp_path):
    report = report_of(CASES / "type-change" / "number_at_60.jsonl", ALPACA, tmp_path)
    assert [(one.row, one.field) for one in report.findings if one.kind in ("mixed_types", "wrong_type")] == [
        (60, "output")
    ]


def test_a_type_that_changes_inside_of_turns_is_named(tmp_path):
    rows = [{"conversations": talk("human: Q", "gpt: A"), "tools": ""} for _ in range(5)]
    rows[3]["conversations"][1]["meta"] = {"score": 1}
    rows[4]["conversations"][1]["meta"] = {"score": "high"}
    assert found(report_of(put(tmp_path, CHAT, rows), CHAT, tmp_path))[-1] == (
        5,
        "conversations[1].meta.score",
        "mixed_types",
    )


def test_a_media_column_that_begins_late_is_named(tmp_path, trained):
    entry = {"columns": ALPACA["columns"] | {"images": "images"}}
    rows = [{"instruction": f"Q {number}", "input": "", "output": "A"} for number in range(1100)]
    (tmp_path / "a.png").write_bytes(b"x")
    for row in rows[1050:]:
        row |= {"instruction": "<image>" + row["instruction"], "images": ["a.png"]}
    path = put(tmp_path, entry, rows)
    assert [(one.row, one.field) for one in report_of(path, entry, tmp_path).findings if one.kind == "late_type"][
        0
    ] == (1051, "images")
    with pytest.raises(Exception, match="Couldn't cast|generating|null"):
        trained(tmp_path, "sft")


@pytest.mark.parametrize(
    "name", [".DS_Store", "README.md", ".ipynb_checkpoints/", "__MACOSX/", "Thumbs.db", "a.json.tmp"]
)
def test_what_lies_in_a_folder_of_data_and_is_none_is_named(tmp_path, name):
    shutil.copytree(CASES / "folder-of-files" / "added", tmp_path, dirs_exist_ok=True)
    folder = tmp_path / "with_ds_store"
    (folder / ".DS_Store").unlink(missing_ok=True)
    assert datasets(tmp_path)[0].problem is None
    (folder / name).mkdir() if name.endswith("/") else (folder / name).write_bytes(b"\0")
    (one,) = datasets(tmp_path)
    assert one.problem.key in ("datasets.folder_foreign", "datasets.mixed_folder")
    assert name.rstrip("/") in str(one.problem) or Path(name).suffix in str(one.problem)
    assert (
        "not_loaded" in report_of(folder, {}, tmp_path).counts
        if one.problem.key == "datasets.folder_foreign" and "." == name[0]
        else True
    )


def test_rows_of_several_files_are_judged_in_the_order_of_the_page(tmp_path, trained):
    (tmp_path / "parts").mkdir()
    for number in (3, 1, 2):
        write_rows(
            tmp_path / "parts" / f"{number}.jsonl",
            [{"instruction": f"Q {number}{row}", "input": "", "output": f"A {number}"} for row in range(4)],
        )
    with open(tmp_path / "parts" / "2.jsonl", "a") as file:
        file.write(json.dumps({"instruction": "Q", "input": "", "output": None}) + "\n")
    (tmp_path / "dataset_info.json").write_text(json.dumps({"random": {"file_name": "parts"} | ALPACA}))
    verdict = judged(tmp_path / "parts", ALPACA, tmp_path)
    assert verdict.left_out == {9} and not verdict.stopping and verdict.kept
    assert len(trained(tmp_path, "sft")) == 12


@pytest.mark.parametrize(
    "tools",
    [
        " ",
        "[oops",
        "nothing",
        '[{"name": "t"}]',
        '[{"name": "t", "parameters": {"type": "object"}}]',
        '[{"parameters": {"properties": {}}}]',
        '["t"]',
    ],
)
def test_tools_at_which_the_template_fails_are_named(tmp_path, trained, tools):
    rows = json.loads((CASES / "tool-schemas" / "blank_tools.json").read_text())
    for row in rows:
        row["tools"] = row["tools"].strip()
    rows[7]["tools"] = tools
    report = report_of(put(tmp_path, CHAT, rows), CHAT, tmp_path)
    ((row, field, _),) = found(report)
    assert (row, field.split("[")[0]) == (8, "tools")
    with pytest.raises((RuntimeError, KeyError, AttributeError, TypeError)):
        trained(tmp_path, "sft")


def test_the_case_of_blank_tools(tmp_path):
    assert found(report_of(CASES / "tool-schemas" / "blank_tools.json", CHAT, tmp_path)) == [(8, "tools", "bad_tools")]


def test_tools_are_judged_by_the_template_that_writes_them(tmp_path, trained):
    rows = [
        {"conversations": talk("human: Q", "gpt: A"), "tools": '[{"name": "t", "description": "no parameters"}]'}
        for _ in range(2)
    ]
    path = put(tmp_path, CHAT, rows)
    assert report_of(path, CHAT, tmp_path, "chatml").counts["tool_lacks"] == 2
    assert "tool_lacks" not in report_of(path, CHAT, tmp_path, "qwen").counts
    assert len(trained(tmp_path, "sft", template="qwen")) == 2


def test_the_case_of_a_flat_call(tmp_path):
    home = CASES / "openai-entry" / "added"
    entry = entry_of(home, "oa_flat_call")
    assert found(report_of(home / entry["file_name"], entry, tmp_path)) == [
        (4, "messages[1].tool_calls[0]", "bad_call")
    ]


@pytest.mark.parametrize("last", [1, 2])
def test_a_row_that_ends_with_a_tools_answer_is_kept_as_it_is_trained(tmp_path, trained, last):
    call = {"function": {"name": "room_heat", "arguments": "{}"}}
    rows = [
        {
            "messages": [
                {"role": "user", "content": f"Q {number}"},
                {"role": "assistant", "content": None, "tool_calls": [call] * last},
                *[{"role": "tool", "content": "18"}] * last,
            ]
        }
        for number in range(8)
    ]
    entry = OPENAI | {"columns": {"messages": "messages"}}
    path = put(tmp_path, entry, rows)
    report = report_of(path, entry, tmp_path)
    assert report.ok and report.counts["answer_unused"] == 8
    assert len(trained(tmp_path, "sft")) == 8
    assert len(list(keep_good(reading.rows(path), report, entry))) == 8


@pytest.mark.parametrize(
    ("suffix", "value", "kind"),
    [
        (".csv", "6", "read_otherwise"),
        (".csv", "NA", "read_otherwise"),
        (".csv", "True", "read_otherwise"),
        (".csv", "00001", "read_otherwise"),
        (".csv", "", None),
        (".jsonl", "2024-01-31", "read_as_date"),
        (".json", "6", None),
        (".json", "2024-01-31", None),
        (".jsonl", "NA", None),
    ],
)
def test_text_that_the_loader_takes_for_something_else_is_named(tmp_path, trained, suffix, value, kind):
    rows = [{"instruction": f"Q {number}", "input": "", "output": value} for number in range(6)]
    path = put(tmp_path, ALPACA, rows, suffix)
    report = report_of(path, ALPACA, tmp_path)
    if kind is None and value:
        assert not found(report)
        assert len(trained(tmp_path, "sft")) == 6
        return
    assert not report.ok and (not kind or report.counts[kind] == 6)
    with pytest.raises(RuntimeError, match="Cannot find valid samples"):
        trained(tmp_path, "sft")
    if kind == "read_otherwise":
        write(tmp_path / "good.jsonl", keep_good(reading.rows(path), report, ALPACA))
        (tmp_path / "dataset_info.json").write_text(json.dumps({"random": {"file_name": "good.jsonl"} | ALPACA}))
        assert report_of(tmp_path / "good.jsonl", ALPACA, tmp_path).ok
        assert len(trained(tmp_path, "sft")) == 6


@pytest.mark.parametrize("name", ["date", "modified", "created_at", "timestamp_text"])
def test_a_field_that_the_loader_takes_for_a_date_by_its_name_is_named(tmp_path, trained, name):
    entry = {"columns": {"prompt": "q", "response": name}}
    path = put(tmp_path, entry, [{"q": f"Q {number}", name: "2024-01-31"} for number in range(3)], ".json")
    assert report_of(path, entry, tmp_path).counts["read_as_date"] == 3
    with pytest.raises(RuntimeError, match="Cannot find valid samples"):
        trained(tmp_path, "sft")


def test_every_shipped_set_is_judged_as_trained_whole(tmp_path):
    for name in (each.name for each in datasets(ROOT / "data")):
        verdict = judged(
            ROOT / "data" / entry_of(ROOT / "data", name)["file_name"], entry_of(ROOT / "data", name), tmp_path
        )
        assert (verdict.kept, verdict.faults) == (True, []), name


# Kinds


def test_a_place_has_one_kind_and_what_begins_after_the_table_was_made_has_none():
    kinds = Kinds()
    assert not list(kinds.add({"a": "x", "b": None, "c": [{"d": 1}]}, 1))
    assert not list(kinds.add({"a": None, "c": [{"d": 2.5, "e": None}]}, 2))
    assert [
        (one.field, one.found, one.first, one.row, one.at) for one in kinds.add({"a": 7, "c": [{"d": "x"}]}, 3)
    ] == [("a", "number", "string", 1, 3), ("c[0].d", "string", "number", 1, 3)]
    kinds.freeze(3)
    assert [
        (one.field, one.first, one.row) for one in kinds.add({"b": "late", "f": 1, "c": [{"e": 1, "g": 2}]}, 4)
    ] == [("b", "null", 3), ("f", "null", 3), ("c[0].e", "null", 3), ("c[0].g", "null", 3)]


# Random sets


@pytest.mark.parametrize("part", one_in(4, range(4)))
def test_random_sets_are_shown_as_they_are_trained(tmp_path, trained, part):
    """The check says whether a run would die, the verdict which rows are trained, and the token view their tokens with
    labels.
    """
    each = 500 if SLOW else 35
    told = []
    for seed in range(part * 500, part * 500 + each):
        folder = tmp_path / str(seed)
        folder.mkdir()
        told += [f"set {seed}: {fault}" for fault in disagreements(random_set(seed), folder, trained)]
        shutil.rmtree(folder)
    assert not told, "\n".join(told[:10])


def disagreements(made, folder: Path, trained) -> list[str]:
    """Return where the studio says another thing of a random set than LLaMA-Factory does."""
    path = made.write(folder)
    verdict = judged(path, made.entry, folder)
    report = check(reading.rows(path), made.entry, folder, loader=lambda: verdict)
    places = [(one.row, one.field, one.kind) for one in report.findings]
    if len(places) > len(set(places)):
        return ["something is told twice"]
    stops = [fault for _, fault in verdict.faults if fault.kind in STOPS]
    try:
        rows, error = list(trained(folder, made.stage)), None
    except Exception as fault:  # whatever ends the run
        rows, error = [], fault
    dies = bool(stops) or (verdict.kept and len(verdict.left_out) == len(made.rows))
    if dies != bool(error):
        return [f"the verdict is {stops or 'that it trains'}, the run says {error!r}"]
    if error:
        return ["the report is ok"] if report.ok else []
    if len(rows) != len(made.rows) - len(verdict.left_out):
        return [f"{len(rows)} of {len(made.rows)} rows are trained, {len(verdict.left_out)} are said to be left out"]
    otherwise = {row for row, fault in verdict.faults if fault.kind.startswith("read_")}
    left = verdict.left_out - report.bad.get("left_out", set()) - otherwise - set().union(*report.bad.values(), set())
    return (
        [f"rows {left} are left out and nothing is told"]
        if left
        else list(other_tokens(made, path, rows, verdict.left_out, otherwise))
    )


def other_tokens(made, path: Path, rows: list[dict], left_out: set[int], otherwise: set[int]):
    """Yield the rows whose tokens the page shows otherwise than they are trained. Of rows that the loader reads
    `otherwise` the check tells it. KTO adds tokens of other rows, which are not shown.
    """
    encoder = RowEncoder(
        MODEL, made.entry, path.parent, made.stage, {"template": "chatml", "cutoff_len": 2048, "packing": False}
    )
    shown = list(reading.rows(path))
    encoder.observe_schema([row.value for row in shown if row.value is not None])
    names = (
        [("chosen_input_ids", "chosen_labels"), ("rejected_input_ids", "rejected_labels")]
        if made.stage == "dpo"
        else [("input_ids", "labels")]
    )
    if made.stage == "kto":
        names = [
            (
                "kto_input_ids" if "kto_input_ids" in rows[0] else "input_ids",
                "kto_labels" if "kto_labels" in rows[0] else "labels",
            )
        ]
    for row, said in zip([row for row in shown if row.number not in left_out], rows, strict=True):
        if row.value is None or row.number in otherwise:  # an unreadable row has its sentence instead of tokens
            continue
        found = encoder.encode(row.value)
        ids = [[token.id for token in one.tokens] for one in found]
        labels = [[token.label for token in one.tokens] for one in found]
        if ids != [said[name] for name, _ in names] or (
            made.stage != "pt" and labels != [said[name] for _, name in names]
        ):
            yield f"row {row.number} has other tokens"
