"""Every row is checked: each kind of fault is found at its row and field, sound rows are left alone, and the clean copy
is clean.
"""

import json
import random
from pathlib import Path

import pytest
import random_sets
from conftest import ROOT, costs_at_most

from studio.core.i18n import Words
from studio.datasets.derive import write
from studio.datasets.encoding.row_encoder import RowEncoder
from studio.datasets.files.reading import Row, rows
from studio.datasets.quality import encoding_damage
from studio.datasets.quality.duplicates import LIKE, Duplicates, plain
from studio.datasets.quality.row_check import HINTS, check, keep_good
from studio.datasets.registry.dataset_info import datasets, entry_of
from studio.datasets.schema.observed_schema import Shape, text_of

# What LLaMA-Factory keeps of an entry beside the names of its fields: whatever else it has, or will have, is a name.
NO_FIELDS = ("load_from", "dataset_name", "formatting", "ranking", "subset", "split", "folder", "num_samples")
MODEL = ROOT / "models" / "SmolLM2-135M-Instruct"
DATA = ROOT / "data"
ALPACA = {
    "file_name": "a.json",
    "columns": {"prompt": "instruction", "query": "input", "response": "output", "history": "history"},
}
CHAT = {
    "file_name": "c.json",
    "formatting": "sharegpt",
    "columns": {"messages": "conversations", "tools": "tools", "images": "images"},
}
PAIRS = {"file_name": "p.json", "ranking": True, "columns": {"prompt": "q", "chosen": "good", "rejected": "bad"}}
CHAT_PAIRS = {
    "file_name": "d.json",
    "formatting": "sharegpt",
    "ranking": True,
    "columns": {"messages": "conversations", "chosen": "chosen", "rejected": "rejected"},
}
KTO = {"file_name": "k.json", "columns": {"prompt": "q", "response": "a", "kto_tag": "label"}}
OPENAI = {
    "file_name": "o.json",
    "formatting": "openai",
    "columns": {"messages": "messages"},
    "tags": random_sets.OPENAI_TAGS,
}


def numbered(values: list[dict]) -> list[Row]:
    return [Row(number, value) for number, value in enumerate(values, start=1)]


def talk(*turns: str) -> list[dict]:
    return [{"from": role, "value": text} for role, text in (turn.split(": ", 1) for turn in turns)]


def found(entry: dict, *values: dict, folder: Path = DATA) -> list[tuple[int, str, str]]:
    return [
        (finding.row, finding.field, finding.kind) for finding in check(numbered(list(values)), entry, folder).findings
    ]


@pytest.mark.parametrize("name", [each.name for each in datasets(DATA)])
def test_shipped_rows_have_nothing_but_hints(name):
    report = check(rows(DATA / entry_of(DATA, name)["file_name"]), entry_of(DATA, name), DATA)
    assert report.ok, report.findings
    assert report.rows >= 50


@pytest.mark.parametrize(
    ("entry", "row", "field", "kind"),
    [
        (ALPACA, {"instruction": "Q"}, "output", "missing_field"),
        (ALPACA, {"instruction": "Q", "output": " \n"}, "output", "empty_answer"),
        (ALPACA, {"instruction": "", "input": None, "output": "A"}, "instruction", "empty_prompt"),
        (ALPACA, {"instruction": 7, "output": "A"}, "instruction", "wrong_type"),
        (ALPACA, {"instruction": "Q", "output": ["A"]}, "output", "wrong_type"),
        (ALPACA, {"instruction": "Q", "output": "A", "history": [["one"]]}, "history[0]", "bad_history"),
        (ALPACA, {"instruction": "Q", "output": "A\x07"}, "output", "control_characters"),
        (ALPACA, {"instruction": "Q", "output": "caf\ufffd"}, "output", "lost_characters"),
        (ALPACA, {"instruction": "Q", "output": "锟斤拷锟斤拷"}, "output", "lost_characters"),
        (ALPACA, {"instruction": "dÃ©jÃ\xa0 vu", "output": "A"}, "instruction", "mojibake"),
        (CHAT, {"conversations": []}, "conversations", "no_turns"),
        (CHAT, {"conversations": "Q"}, "conversations", "wrong_type"),
        (CHAT, {"conversations": talk("gpt: A", "human: Q")}, "conversations[0]", "role_order"),
        (CHAT, {"conversations": talk("human: Q", "human: Q", "gpt: A")}, "conversations[1]", "role_order"),
        (CHAT, {"conversations": talk("human: Q", "observation: R")}, "conversations[1]", "role_order"),
        (CHAT, {"conversations": talk("human: Q", "gpt: A", "human: Q")}, "conversations", "turn_count"),
        (CHAT, {"conversations": talk("human: Q", "bot: A")}, "conversations[1]", "unknown_role"),
        (CHAT, {"conversations": [{"from": "human"}]}, "conversations[0]", "bad_turn"),
        (CHAT, {"conversations": ["Q", "A"]}, "conversations[0]", "bad_turn"),
        (CHAT, {"conversations": talk("human: Q", "gpt:  ")}, "conversations[1].value", "empty_answer"),
        (CHAT, {"conversations": talk("human: Q", "function_call: weather()")}, "conversations[1].value", "bad_call"),
        (CHAT, {"conversations": talk("human: Q", "gpt: A"), "tools": "[oops"}, "tools", "bad_tools"),
        (
            CHAT,
            {"conversations": talk("human: <image>Q", "gpt: A"), "images": ["none.png"]},
            "images[0]",
            "missing_media",
        ),
        (CHAT, {"conversations": talk("human: <image>Q", "gpt: A")}, "images", "media_count"),
        (CHAT, {"conversations": talk("human: Q", "gpt: dÃ©jÃ\xa0 vu")}, "conversations[1].value", "mojibake"),
        (PAIRS, {"q": "Q", "good": "A", "bad": "A"}, "bad", "same_answers"),
        (PAIRS, {"q": "Q", "good": "A"}, "bad", "missing_field"),
        (
            CHAT_PAIRS,
            {"conversations": talk("human: Q", "gpt: A"), "chosen": talk("gpt: A")[0], "rejected": talk("gpt: B")[0]},
            "conversations",
            "turn_count",
        ),
        (
            CHAT_PAIRS,
            {"conversations": talk("human: Q"), "chosen": talk("human: A")[0], "rejected": talk("gpt: B")[0]},
            "chosen.value",
            "role_order",
        ),
        (
            CHAT_PAIRS,
            {"conversations": talk("human: Q"), "chosen": "A", "rejected": talk("gpt: B")[0]},
            "chosen",
            "wrong_type",
        ),
        (KTO, {"q": "Q", "a": "A", "label": "yes"}, "label", "wrong_type"),
        (KTO, {"q": "Q", "a": "A"}, "label", "missing_field"),
        (
            OPENAI,
            {"messages": [{"role": "user", "content": "Q"}, {"role": "tool", "content": "R"}]},
            "messages",
            "turn_count",
        ),
        (
            OPENAI,
            {"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": [{"type": "text"}]}]},
            "messages[1].content",
            "wrong_type",
        ),
    ],
    ids=str,
)
def test_each_fault_is_found_at_its_field(entry, row, field, kind):
    report = check(numbered([row]), entry, DATA)
    assert [(finding.field, finding.kind) for finding in report.findings] == [(field, kind)]
    assert report.ok is False
    for language in ("en", "zh"):
        words = Words(language)
        for sentence in (report.findings[0].message(words), report.findings[0].mend(words)):
            assert sentence.endswith((".", "。"))
            assert "{" not in sentence
        assert kind == "duplicate" or field in report.findings[0].message(words) or kind == "same_answers"


@pytest.mark.parametrize(
    ("entry", "row"),
    [
        (ALPACA, {"instruction": "", "input": "Q", "output": "A", "history": []}),
        (CHAT, {"conversations": talk("system: S", "human: Q", "gpt: A"), "tools": "", "images": []}),
        (
            CHAT,
            {
                "conversations": talk(
                    "human: Q",
                    'function_call: <think>\nhm\n</think>\n\n{"name": "f", "arguments": {}}',
                    "observation: ",
                    "gpt: A",
                )
            },
        ),
        (
            CHAT,
            {
                "conversations": talk(
                    "human: Q", 'function_call: [{"name": "f", "arguments": {}}]', "observation: R", "gpt: A"
                )
            },
        ),
        (
            OPENAI,
            {
                "messages": [
                    {"role": "system", "content": "S"},
                    {"role": "user", "content": "Q"},
                    {
                        "role": "assistant",
                        "content": None,
                        "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}] * 2,
                    },
                    {"role": "tool", "content": "1"},
                    {"role": "tool", "content": "2"},
                    {"role": "assistant", "content": "A"},
                ]
            },
        ),
        (PAIRS, {"q": "Q", "good": "A", "bad": "B"}),
        (KTO, {"q": "Q", "a": "A", "label": False}),
    ],
    ids=str,
)
def test_sound_rows_are_left_alone(entry, row):
    assert found(entry, row) == []


def test_faults_of_order_are_those_that_llamafactory_drops():
    """What the rules call broken turns LLaMA-Factory drops, and it keeps what they let pass."""
    rng = random.Random(5)
    encoder = RowEncoder(MODEL, CHAT, DATA, "sft", {"template": "chatml"})
    verdicts = []
    for _ in range(200):
        roles = rng.choices(["human", "gpt", "observation", "system"], [4, 4, 1, 1], k=rng.randint(1, 5))
        row = {"conversations": talk(*(f"{role}: text" for role in roles)), "tools": "", "images": None}
        faults = {kind for _, _, kind in found(CHAT, row)}
        dropped = encoder.counts([row])[0].whole == 0
        assert bool(faults & {"role_order", "turn_count", "no_turns"}) == dropped, roles
        verdicts.append(dropped)
    assert any(verdicts)
    assert not all(verdicts)


def test_a_field_keeps_its_type_through_the_file():
    report = check(
        numbered(
            [
                {"instruction": "Q", "output": "A", "id": 1},
                {"instruction": "Q2", "output": "A", "id": 2.5},
                {"instruction": "Q3", "output": "A", "id": "3"},
            ]
        ),
        ALPACA,
        DATA,
    )
    assert [(finding.row, finding.field, finding.facts["row"]) for finding in report.findings] == [(3, "id", 1)]


def test_rows_that_cannot_be_read_are_told_as_the_reader_tells_them(tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_text('{"instruction": "Q", "input": "", "output": "A"}\n{"instruction": "Q", \n', encoding="utf-8")
    report = check(rows(file), ALPACA, tmp_path)
    assert [(finding.row, finding.kind) for finding in report.findings] == [(2, "unreadable")]
    assert "row 2" in report.findings[0].message(Words("en")).lower()


def test_images_that_are_there_are_found_in_the_data_folder(tmp_path):
    (tmp_path / "cat.png").write_bytes(b"x")
    row = {"conversations": talk("human: <image>Q", "gpt: A"), "images": ["cat.png"], "tools": None}
    assert found(CHAT, row, folder=tmp_path) == []


# Damage


@pytest.mark.parametrize(
    "text",
    [
        "知之为知之，不知为不知，是知也。",
        "联通",
        "« été\xa0», « été\xa0», « été\xa0», à la « café\xa0»",
        "CAFÉ» Maß“ und „Öl“",
        "ÄÖÜäöüß ÀÁÂ ×××× °°°°",
        "Ñandú, mañana",
        "Привет, как дела?",
        "日本語のテキスト",
        "한국어",
        "Đà Nẵng",
        "👩‍🚀 𠮷",
        "שלום คำไทย",
        "tab\tline\r\n",
        "naïve — “quoted”…",
    ],
)
def test_sound_text_of_many_languages_is_not_called_damaged(text):
    assert not encoding_damage.is_damaged(text)


@pytest.mark.parametrize(
    ("meant", "encoding"),
    [
        ("café déjà vu", "latin-1"),
        ("it’s ‘fine’ — ok", "cp1252"),
        ("你好，世界，这是测试", "latin-1"),
        ("你好世界测试文本", "gbk"),
        ("Привет, мир", "latin-1"),
        ("😀 ok", "latin-1"),
        ("naïve Ångström", "cp1252"),
    ],
)
def test_text_read_in_the_wrong_encoding_is_put_right(meant, encoding):
    row = {"instruction": meant.encode().decode(encoding), "input": "", "output": "A"}
    report = check(numbered([row]), ALPACA, DATA)
    assert [finding.kind for finding in report.findings if finding.kind != "control_characters"] == ["mojibake"]
    assert list(keep_good(numbered([row]), report, ALPACA)) == [{"instruction": meant, "input": "", "output": "A"}]


def test_gbk_read_as_latin_is_put_right_and_what_is_lost_is_not_kept():
    wrong = "今天天气怎么样？很好。".encode("gbk").decode("latin-1")
    lost = "你好世界测试文本吗".encode().decode("gbk", "ignore")
    values = [{"instruction": "Q", "input": "", "output": wrong}, {"instruction": "Q", "input": "", "output": lost}]
    report = check(numbered(values), ALPACA, DATA)
    assert report.counts == {"mojibake": 2}
    assert [row["output"] for row in keep_good(numbered(values), report, ALPACA)] == ["今天天气怎么样？很好。"]


# Repeats


def test_repeats_are_found_exact_and_near():
    text = "The tide follows the Moon, and most shores see high water about every twelve hours and twenty-five minutes."
    values = [
        {"instruction": "Why are there tides?", "output": text},
        {"instruction": "Something else?", "output": "Yes: a row that is like no other in this small set of rows."},
        {"instruction": "Why are there tides?", "output": text},
        {"instruction": "why are there tides", "output": text.upper()},
        {"instruction": "Why are there tides?", "output": text.replace("twelve", "twelwe")},
        {
            "instruction": "Why are there tides?",
            "output": "They are there because of the Moon, which pulls at the water of all the seas as it goes round.",
        },
    ]
    report = check(numbered(values), ALPACA, DATA)
    assert report.bad == {"duplicate": {3}, "near_duplicate": {4, 5}}
    assert report.ok and report.can_be_cleaned  # they can be trained on, and one may leave them out
    assert {finding.facts["earlier"] for finding in report.findings} == {1}
    assert [row["output"] for row in keep_good(numbered(values), report, ALPACA)] == [
        values[index]["output"] for index in (0, 1, 3, 4, 5)
    ]
    assert len(list(keep_good(numbered(values), report, ALPACA, drop=("duplicate", "near_duplicate")))) == 3


def test_the_same_words_with_another_label_are_no_repeat():
    report = check(
        numbered(
            [
                {"q": "Is it so, really?", "a": "It is.", "label": True},
                {"q": "Is it so, really?", "a": "It is.", "label": False},
            ]
        ),
        KTO,
        DATA,
    )
    assert "duplicate" not in report.bad


def jaccard(one: str, other: str) -> float:
    sets = [{text[i : i + 5] for i in range(len(text) - 4)} for text in (plain(one), plain(other))]
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


def test_likeness_is_the_share_of_letter_sequences_in_common():
    rng = random.Random(3)
    vocabulary = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz的一是不了", k=rng.randint(3, 9))) for _ in range(500)]
    seen, texts, wanted = Duplicates(), [], {}
    for _ in range(400):
        words = rng.choices(vocabulary, k=120)
        texts.append(" ".join(words))
        changed = words.copy()
        for place in rng.sample(range(120), rng.choice((1, 3, 6, 30))):
            changed[place] = rng.choice(vocabulary)
        texts.append(" ".join(changed))
    for number, text in enumerate(texts):
        seen.add(number, text)
    for number in range(1, 800, 2):
        wanted[number] = jaccard(texts[number - 1], texts[number])
    pairs = {pair.row: pair for pair in seen.near()}
    assert all(pair.earlier == pair.row - 1 for pair in pairs.values())
    sure = [number for number, likeness in wanted.items() if likeness > LIKE + 0.07]
    assert len(sure) > 100
    assert sum(number in pairs for number in sure) / len(sure) > 0.98
    assert all(wanted[number] > LIKE - 0.15 for number in pairs)
    errors = [abs(pair.likeness - wanted[pair.row]) for pair in pairs.values()]
    assert sum(errors) / len(errors) < 0.05


# Tokens, the report, the clean copy


def test_rows_beyond_the_cutoff_and_rows_without_a_trained_token_are_found():
    values = [
        {"instruction": "Q", "input": "", "output": "word " * 300},
        {"instruction": "Q", "input": "", "output": "A"},
        {"instruction": "Q", "output": None},
    ]
    encoder = RowEncoder(MODEL, ALPACA, DATA, "sft", {"template": "chatml", "cutoff_len": 128})
    report = check(numbered(values), ALPACA, DATA, encoder)
    assert report.bad == {"beyond_cutoff": {1}, "missing_field": {3}, "untrained": {3}}
    assert report.findings[0].facts["cutoff"] == 128
    assert report.findings[0].facts["tokens"] > 300
    assert (report.lengths.rows, report.lengths.dropped) == (3, 1)


def test_all_bad_rows_are_counted_where_only_the_first_are_told(monkeypatch):
    monkeypatch.setattr("studio.datasets.quality.row_check.MAX_FINDINGS", 5)
    report = check(
        numbered([{"instruction": f"Question {number}", "output": ""} for number in range(20)]), ALPACA, DATA
    )
    assert report.counts["empty_answer"] == 20
    assert sum(finding.kind == "empty_answer" for finding in report.findings) == 5
    assert (
        list(
            keep_good(
                numbered([{"instruction": f"Question {number}", "output": ""} for number in range(20)]), report, ALPACA
            )
        )
        == []
    )


def test_a_clean_copy_is_clean(tmp_path):
    values = [
        {"instruction": "Q one", "input": "", "output": "A"},
        {"instruction": "", "input": "", "output": "A"},
        {"instruction": "Q one", "input": "", "output": "A"},
        {"instruction": "dÃ©jÃ\xa0 vu", "input": "", "output": "B\x00B"},
        {"instruction": "Q two", "input": "", "output": None},
    ]
    report = check(numbered(values), ALPACA, DATA)
    copy = tmp_path / "clean.jsonl"
    assert write(copy, keep_good(numbered(values), report, ALPACA)) == 2
    assert check(rows(copy), ALPACA, tmp_path).findings == []
    assert [json.loads(line)["instruction"] for line in copy.read_text(encoding="utf-8").splitlines()] == [
        "Q one",
        "déjà vu",
    ]


def test_a_check_can_be_cancelled():
    class Cancelled(Exception):
        pass

    def progress(done: int) -> None:
        if done >= 2000:
            raise Cancelled

    def endless():
        for number in range(1, 10**9):
            yield Row(number, {"instruction": f"Q{number}", "input": "", "output": "A"})

    with costs_at_most(20), pytest.raises(Cancelled):
        check(endless(), ALPACA, DATA, progress=progress)


def test_what_a_row_says_leaves_out_what_training_does_not_read():
    shape = Shape.of(CHAT)
    assert (
        text_of({"id": "7", "conversations": talk("human: Q", "gpt: A"), "tools": "", "images": None}, shape)
        == "human\nQ\ngpt\nA\n"
    )
    assert HINTS


@pytest.mark.parametrize(
    "entry",
    [
        ALPACA,
        CHAT,
        PAIRS,
        CHAT_PAIRS,
        KTO,
        OPENAI,
        {"file_name": "x.json"},
        {"file_name": "x.json", "formatting": "sharegpt"},
    ],
    ids=str,
)
def test_shapes_are_those_of_llamafactory(entry):
    from llamafactory.data.parser import get_dataset_list

    theirs, ours = get_dataset_list(["x"], {"x": entry})[0], Shape.of(entry)
    named = {name: value for name, value in vars(theirs).items() if name not in NO_FIELDS and value}
    tags = {name: value for name, value in named.items() if name.endswith("_tag") and name != "kto_tag"}
    assert ours.format == theirs.formatting
    assert ours.tags == tags
    assert ours.columns == {name: value for name, value in named.items() if name not in tags}
