"""Votes: kept safely, counted rightly, and made into preference data that LLaMA-Factory reads."""

import json
import os
import subprocess
import sys

import pytest
from conftest import ROOT, STARTER, is_sentence

from studio.chat.evaluation.leaderboard import Standing, pairwise, standings
from studio.chat.evaluation.preferences import make
from studio.chat.history.votes import BAD, TIE, Vote, Votes
from studio.chat.page.leaderboard_table import TEMPLATE as LEADERBOARD
from studio.chat.page.leaderboard_table import leaderboard
from studio.core.i18n import Problem, Words
from studio.core.jobs import Jobs
from studio.core.workspace import Workspace
from studio.datasets.registry.collection import Collection
from studio.web.html import render

QUESTION = [{"role": "user", "content": "Who are you?", "turn": 1}]


def vote(choice: str, turn: int = 1, columns: str = "AB", **more) -> Vote:
    """Return a vote among columns of one letter each."""
    facts = {
        "conversation": "talk",
        "answers": {name: f"I am {name}." for name in columns},
        "before": dict.fromkeys(columns, QUESTION),
        **more,
    }
    return Vote(turn=turn, columns=list(columns), choice=choice, **facts)


def cast(votes: Votes, *cast: Vote) -> Votes:
    for one in cast:
        votes.cast(one)
    return votes


def test_votes_are_there_after_a_restart_and_a_later_one_replaces(tmp_path):
    cast(Votes(tmp_path), vote("A"), vote("B", turn=2), vote(TIE, note="两个都好", blind=True))
    again = Votes(tmp_path)
    assert [(one.turn, one.choice) for one in again.all()] == [(2, "B"), (1, TIE)]
    assert again.of("talk", 1).note == "两个都好" and again.of("talk", 1).blind and again.of("talk", 3) is None
    assert again.of("talk", 1).before["A"] == QUESTION and again.of("other", 1) is None
    assert len((tmp_path / "votes.jsonl").read_text(encoding="utf-8").splitlines()) == 3


def test_a_torn_line_is_passed_over_and_the_next_vote_stands_alone(tmp_path):
    votes = cast(Votes(tmp_path), vote("A"), vote("B", turn=2))
    content = votes.file.read_bytes()
    votes.file.write_bytes(content[:-30] + b"")
    assert [one.turn for one in votes.all()] == [1]
    cast(votes, vote("B", turn=3))
    assert [one.turn for one in Votes(tmp_path).all()] == [1, 3]


FULL = """
import resource, signal, sys
from pathlib import Path
from studio.chat.history.votes import Vote, Votes
from studio.core.i18n import Problem
votes = Votes(Path(sys.argv[1]))
ask = [{"role": "user", "content": "?"}]
def vote(turn): return Vote("talk", turn, ["A", "B"], {"A": "x" * 50, "B": "y"}, {"A": ask, "B": ask}, "A")
votes.cast(vote(1))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (votes.file.stat().st_size + 40, -1))
try:
    votes.cast(vote(2))
except Problem as problem:
    print(problem.key, len(votes.all()), votes.file.read_bytes().endswith(b"}\\n"))
resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
votes.cast(vote(3))
print([one.turn for one in votes.all()])
"""


def test_a_file_that_cannot_grow_is_told_and_stays_whole(tmp_path):
    said = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, timeout=240, check=False, cwd=ROOT
    )
    assert said.stdout.splitlines() == ["workspace.unwritable 1 True", "[1, 3]"], said.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no device that is always full")
def test_a_full_disk_is_told(tmp_path):
    votes = Votes(tmp_path)
    votes.file.symlink_to("/dev/full")
    with pytest.raises(Problem) as told:
        votes.cast(vote("A"))
    assert told.value.key == "workspace.unwritable"


@pytest.mark.parametrize(
    ("bad", "key"),
    [
        (vote("A", columns="A"), "votes.too_few"),
        (vote("C"), "votes.bad_choice"),
        (vote("A", answers={"A": "x"}), "votes.no_answer"),
        (vote("A", before={"A": QUESTION, "B": []}), "votes.no_answer"),
    ],
)
def test_a_vote_that_says_nothing_is_refused(tmp_path, bad, key):
    with pytest.raises(Problem) as told:
        Votes(tmp_path).cast(bad)
    assert told.value.key == key and not (tmp_path / "votes.jsonl").exists()


def test_the_standings_count_each_comparison(tmp_path):
    votes = cast(
        Votes(tmp_path),
        vote("A"),
        vote("A", 2),
        vote("B", 3),
        vote(TIE, 4),
        vote(BAD, 5),
        vote("A", 6, "ABC"),
        vote(TIE, 7, "ABC"),
    )
    found = {one.model: one for one in standings(votes.all())}
    assert found["A"] == Standing("A", wins=4, losses=1, ties=3, bad=1)
    assert found["B"] == Standing("B", wins=1, losses=3, ties=3, bad=1)
    assert found["C"] == Standing("C", wins=0, losses=1, ties=2, bad=0)
    assert found["A"].rate == pytest.approx(5.5 / 8) and found["A"].comparisons == 9
    assert [one.model for one in standings(votes.all())] == ["A", "B", "C"]
    pairs = pairwise(votes.all())
    assert pairs["A", "B"] == Standing("A", wins=3, losses=1, ties=2, bad=1) and pairs["B", "C"] == Standing(
        "B", ties=1
    )


def test_the_board_shows_each_speaker_with_its_interval(tmp_path):
    words = Words("zh")
    assert "还没有投票" in render(LEADERBOARD, words, leaderboard(Workspace(tmp_path), Votes(tmp_path)))
    html = render(
        LEADERBOARD,
        words,
        leaderboard(
            Workspace(tmp_path), cast(Votes(tmp_path), vote("A"), vote("<b>", 2, ["A", "<b>", "C"]), vote(BAD, 3))
        ),
    )
    assert (
        html.count('class="interval"') == 4
        and "&lt;b&gt;" in html
        and "<b>" not in html.replace("<b style", "")
        and "两两对比" in html
    )
    assert "left:" in html and "共 3 票" in html


# Preference data
# ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def collection(tmp_path):
    workspace = Workspace(tmp_path / "workspace").prepare()
    return Collection(workspace, Jobs(workspace))


TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "The weather of a city.",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
]
LONG = [
    {"role": "user", "content": "你好 👋", "turn": 1},
    {"role": "assistant", "content": "你好！", "turn": 1},
    {"role": "user", "content": "Weather in Paris and Rome?", "turn": 2},
    {
        "role": "assistant",
        "content": "",
        "turn": 2,
        "calls": [
            {"name": "weather", "arguments": {"city": "Paris"}},
            {"name": "weather", "arguments": {"city": "Rome"}},
        ],
    },
    {"role": "tool", "content": "rain", "turn": 2},
    {"role": "tool", "content": "sun", "turn": 2},
    {"role": "assistant", "content": "Rain in Paris, sun in Rome.", "turn": 2},
    {"role": "user", "content": "Who made you?", "turn": 3},
]
MADE = [
    vote("A", 1),
    vote(TIE, 2),
    vote(BAD, 3),
    vote("B", 4, answers={"A": "", "B": "b"}),
    vote("A", 5, answers={"A": "same", "B": " same\n"}),
    vote("C", 6, "ABC", answers={"A": "I am A.", "B": "I am C.", "C": "I am C."}, system="Be brief.", note="x"),
    vote("B", 7, before={"A": QUESTION, "B": LONG}, tools=json.dumps(TOOLS)),
    vote("A", 8, before={"A": [{**QUESTION[0], "images": ["a.png"]}], "B": QUESTION}),
]


def test_votes_become_preference_data_and_what_says_nothing_is_counted(collection):
    made = make(MADE, collection, "my votes")
    assert vars(made) == {
        "name": "my votes",
        "rows": 3,
        "left_out": 6,
        "reasons": {"tie": 1, "bad": 1, "empty": 1, "equal": 2, "pictures": 1},
    }
    dataset = collection.find("my votes")
    assert (dataset.format, dataset.stage, dataset.rows, dataset.problem) == ("sharegpt", "dpo", 3, None)
    first, second, third = collection.preview("my votes").rows
    assert first == {
        "conversations": [{"from": "human", "value": "Who are you?"}],
        "chosen": {"from": "gpt", "value": "I am A."},
        "rejected": {"from": "gpt", "value": "I am B."},
        "system": "",
        "tools": "",
    }
    assert (
        second["rejected"]["value"] == "I am A."
        and second["chosen"]["value"] == "I am C."
        and second["system"] == "Be brief."
    )
    assert [each["from"] for each in third["conversations"]] == [
        "human",
        "gpt",
        "human",
        "function_call",
        "observation",
        "gpt",
        "human",
    ]
    assert json.loads(third["tools"]) == TOOLS
    with pytest.raises(Problem) as told:
        make(MADE, collection, "my votes")
    assert told.value.key == "datasets.name_taken"
    assert [make(MADE, collection).name, make(MADE, collection).name] == ["votes", "votes_2"]
    assert not list(collection.folder.glob(".writing-*"))


def test_votes_without_a_preference_make_nothing(collection):
    before = sorted(collection.folder.iterdir())
    for votes in ([], [vote(TIE), vote(BAD, 2)]):
        with pytest.raises(Problem) as told:
            make(votes, collection, "none")
        assert told.value.key == "votes.nothing_to_make" and is_sentence(str(told.value))
    assert sorted(collection.folder.iterdir()) == before


@pytest.mark.parametrize("stage", ("rm", "dpo"))
def test_llamafactory_reads_every_pair(collection, stage, tmp_path):
    from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
    from llamafactory.hparams import get_train_args
    from llamafactory.model import load_tokenizer

    make(MADE, collection, "mine")
    arguments, data, training, _, _ = get_train_args(
        {
            "model_name_or_path": str(STARTER),
            "stage": stage,
            "do_train": True,
            "template": "chatml",
            "dataset": "mine",
            "finetuning_type": "lora",
            "dataset_dir": str(collection.folder),
            "cutoff_len": 2048,
            "output_dir": str(tmp_path / "run"),
            "report_to": "none",
            "use_cpu": True,
            "overwrite_cache": True,
        }
    )
    loaded = load_tokenizer(arguments)
    template = get_template_and_fix_tokenizer(loaded["tokenizer"], data)
    rows = get_dataset(template, arguments, data, training, stage="rm", **loaded)["train_dataset"]
    assert len(rows) == 3
    said = [loaded["tokenizer"].decode([label for label in row["chosen_labels"] if label != -100]) for row in rows]
    assert [text.removesuffix("\n").removesuffix("<|im_end|>") for text in said] == ["I am A.", "I am C.", "I am B."]
    prompt = loaded["tokenizer"].decode(rows[2]["rejected_input_ids"])
    assert (
        all(text in prompt for text in ("你好 👋", "rain", "sun", "weather", "Who made you?", "I am A."))
        and "I am B." not in prompt
    )
