"""The benchmark of faults sees what is lost: a count that cannot rise would say nothing."""

import json

import pytest

from benchmarks.faulty.ledger import CHATS, ROWS, Ledger, chat
from benchmarks.faulty.victim import Outside, Refused, Tally


class Told:
    """A studio that answers as a test says."""

    def __init__(self):
        self.rows = [{"instruction": str(number), "input": "", "output": "0"} for number in range(ROWS)]
        self.sets, self.titles, self.runs = ["kept"], {chat(number): "0" for number in range(CHATS)}, []

    def call(self, endpoint, *_, **__):
        return {
            "datasets_preview": {"rows": self.rows},
            "datasets_list": [{"name": name} for name in self.sets],
            "train_runs": self.runs,
            "chat_conversations": [{"id": id, "title": title} for id, title in self.titles.items()],
        }[endpoint]


@pytest.fixture
def ledger(tmp_path) -> Ledger:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "dataset_info.json").write_text("{}")
    return Ledger(tmp_path, 1)


def done(*_):
    return None


def refused(*_):
    raise Refused("the disk is full")


def gone(*_):
    raise ConnectionResetError


def test_what_was_acknowledged_and_is_there_is_not_lost(ledger):
    studio, tally = Told(), Tally()
    studio.rows[3]["output"], studio.titles[chat(1)] = "7", "t8"
    studio.sets.append("renamed_5")
    for write in (
        ("row 3", "6", done),
        ("row 3", "7", done),
        (f"title {chat(1)}", "t8", done),
        ("set 5", "new_5", done),
        ("set 5", "renamed_5", done),
    ):
        assert ledger.do(studio, write)
    ledger.look(studio, tally, "x")
    assert (tally.lost, ledger.count) == (0, 5)


@pytest.mark.parametrize(
    "key", ["row 3", f"title {chat(1)}", f"vote {chat(1)}", "set 5", "run run 1", "note m/lora/r", "row added 4"]
)
def test_what_was_acknowledged_and_is_not_there_is_lost(ledger, key):
    studio, tally = Told(), Tally()
    ledger.do(studio, (key, "9", done))
    ledger.look(studio, tally, "x")
    assert tally.lost == 1 and key in tally.notes[0]


def test_what_was_not_answered_may_or_may_not_be_there(ledger):
    for found in ("6", "7"):
        studio, tally = Told(), Tally()
        ledger.do(studio, ("row 3", "6", done))
        with pytest.raises(ConnectionResetError):
            ledger.do(studio, ("row 3", "7", gone))
        studio.rows[3]["output"] = found
        ledger.look(studio, tally, "x")
        assert tally.lost == 0
    assert not ledger.do(Told(), ("row 3", "8", refused)) and ledger.refused


def test_a_vote_is_read_from_its_file_whose_last_line_may_be_cut(ledger):
    votes = ledger.workspace / "saves" / ".chats" / "votes.jsonl"
    votes.write_text(json.dumps({"conversation": chat(1), "note": "v1"}) + "\n" + '{"conversation": "' + chat(1))
    ledger.do(Told(), (f"vote {chat(1)}", "v1", done))
    tally = Tally()
    ledger.look(Told(), tally, "x")
    assert tally.lost == 0


@pytest.mark.parametrize(
    "text", ["Traceback (most recent call last):\n", '  File "/x/y.py", line 3', "[Errno 2] No such file"]
)
def test_a_traceback_in_an_answer_is_seen(text):
    tally = Tally()
    tally.look("x", text)
    tally.look("x", "The disk is full.")
    assert (tally.answers, tally.tracebacks) == (2, 1)


def test_a_file_outside_that_is_touched_is_seen(tmp_path):
    outside = Outside(tmp_path)
    assert outside.touched() == []
    (outside.beside / "kept-1.json").write_text("{}")
    (outside.home / ".config" / "new").write_text("")
    (outside.home / ".ssh" / "inner" / "kept-0.txt").unlink()
    assert len(outside.touched()) == 3
