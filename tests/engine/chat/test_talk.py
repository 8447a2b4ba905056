"""Conversations that are kept: asked in the background, written down as they come, branched, searched, and answered by
who can.
"""

import json

import pytest
from conftest import STARTER, new_workspace, wait_for
from safetensors.torch import save_file

from studio.chat import talk as talk_module
from studio.chat.choose import Table
from studio.chat.columns import Columns
from studio.chat.conversation import Conversations, spoken
from studio.chat.talk import Talks
from studio.core.device_lease import DeviceLease
from studio.core.i18n import Problem, Words
from studio.train import runs

BASE = STARTER.name
GONE = "served:127.0.0.1:9/none"
SHORT = {"temperature": 0.0, "top_p": 1.0, "max_tokens": 8, "seed": 0}


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Table:
    return Table(new_workspace(tmp_path_factory.mktemp("chat") / "workspace"), DeviceLease())


@pytest.fixture
def talks(table) -> Talks:
    return Talks(table, Conversations(table.workspace))


def answered(talks: Talks, id: str) -> dict[str, list[dict]]:
    assert talks.wait(id, 120)
    return talks.conversations.open(id).messages


def test_an_answer_is_on_disk_and_another_process_would_find_it(talks, table):
    id = talks.conversations.new([BASE], settings=SHORT).id
    assert talks.say(id, "What is a fox?") == 1
    said = answered(talks, id)[BASE]
    assert [message["role"] for message in said] == ["user", "assistant"]
    assert said[1]["content"] and said[1]["answer"]["tokens"] == 8 and said[1]["answer"]["finished"] == "length"
    assert Conversations(table.workspace).open(id).messages[BASE] == said
    assert talks.say(id, "And a wolf?") == 2
    assert [message["turn"] for message in answered(talks, id)[BASE]] == [1, 1, 2, 2]


def test_a_column_that_cannot_be_reached_fails_alone(talks):
    talks.table.endpoints._file.parent.mkdir(parents=True, exist_ok=True)
    talks.table.endpoints._file.write_text(json.dumps({"127.0.0.1:9": {"url": "http://127.0.0.1:9/v1"}}))
    id = talks.conversations.new([GONE, BASE, "no-such-model"], settings=SHORT).id
    talks.say(id, "What is a fox?")
    messages = answered(talks, id)
    assert messages[GONE][1]["answer"]["fault"]["key"] == "served.unreachable"
    assert messages["no-such-model"][1]["answer"]["fault"]["key"]
    talks.table.endpoints._file.unlink()
    id = talks.conversations.new([GONE, BASE], settings=SHORT).id
    talks.say(id, "What is a fox?")
    messages = answered(talks, id)
    assert messages[GONE][1]["answer"]["finished"] == "failed"
    assert messages[BASE][1]["content"] and messages[BASE][1]["answer"]["finished"] == "length"


def test_a_run_whose_adapter_does_not_fit_fails_alone(talks, table):
    run = runs.make(table.workspace, BASE, "lora", "bad")
    run.info_file.write_text(json.dumps({"created": 1.0}))
    (run.folder / "recipe.yaml").write_text(
        f"model_name_or_path: {table.workspace.models / BASE}\ntemplate: chatml\nfinetuning_type: lora\n"
    )
    (run.folder / "adapter_config.json").write_text(
        json.dumps({"peft_type": "LORA", "r": 4, "target_modules": ["no_such_proj"], "task_type": "CAUSAL_LM"})
    )
    save_file({}, run.folder / "adapter_model.safetensors")
    run.say("state", state="finished")
    id = talks.conversations.new([BASE, run.name], settings=SHORT).id
    talks.say(id, "What is a fox?")
    messages = answered(talks, id)
    assert messages[run.name][1]["answer"]["fault"]["key"] == "chat.adapter_unfit"
    assert messages[BASE][1]["content"] and messages[BASE][1]["answer"]["finished"] == "length"


def test_editing_a_question_keeps_the_old_conversation(talks):
    id = talks.conversations.new([BASE], settings=SHORT).id
    for text in ("What is a fox?", "Where does it live?"):
        talks.say(id, text)
        assert talks.wait(id, 120)
    branch = talks.edit(id, 2, "What does it eat?")
    changed, old = answered(talks, branch.id)[BASE], talks.conversations.open(id).messages[BASE]
    assert changed[:2] == old[:2] and changed[2]["content"] == "What does it eat?" and len(changed) == 4
    assert old[2]["content"] == "Where does it live?"
    assert talks.conversations.open(branch.id).parent == {"id": id, "turn": 1}


def test_the_last_question_is_asked_again_and_the_same_seed_says_the_same(talks):
    id = talks.conversations.new([BASE], settings=SHORT).id
    talks.say(id, "What is a fox?")
    before = answered(talks, id)[BASE][1]["content"]
    talks.again(id, BASE)
    messages = answered(talks, id)[BASE]
    assert len(messages) == 2 and messages[1]["content"] == before


def test_stop_keeps_what_was_said_and_it_was_on_disk_before(talks, table, monkeypatch):
    monkeypatch.setattr(talk_module, "WRITE_EVERY_S", 0.1)
    id = talks.conversations.new([BASE], settings=SHORT | {"max_tokens": 2000}).id
    talks.say(id, "Count from 1 to 1000, one number a line.")
    on_disk = Conversations(table.workspace)
    wait_for(
        lambda: any(message["role"] == "assistant" and message["content"] for message in on_disk.open(id).of(BASE))
    )
    with pytest.raises(Problem) as fault:
        talks.say(id, "And now?")
    assert fault.value.key == "chat.busy"
    assert talks.stop(id)
    last = answered(talks, id)[BASE][-1]
    assert last["content"] and last["answer"]["finished"] == "stopped" and last["answer"]["tokens"] < 2000


def test_results_of_a_tool_are_asked_for_only_where_one_was_called(talks):
    id = talks.conversations.new([BASE], settings=SHORT).id
    talks.say(id, "What is a fox?")
    assert talks.wait(id, 120)
    with pytest.raises(Problem) as fault:
        talks.result(id, BASE, ["sunny"])
    assert fault.value.key == "chat.no_call" and talks.under_way(id) is None


def test_conversations_are_found_renamed_and_deleted(talks):
    kept = talks.conversations
    first, second = kept.new([BASE], title="Foxes 狐狸"), kept.new([BASE], title="Wolves")
    assert [one.id for one in kept.list("狐狸 fox")] == [first.id]
    with kept.change(second.id) as changed:
        changed.title = "Dogs"
    assert [one.title for one in kept.list("dogs")] == ["Dogs"]
    kept.delete(first.id)
    assert kept.list("fox 狐狸") == []
    for bad in (first.id, "../endpoints", "", "/etc/passwd"):
        with pytest.raises(Problem):
            kept.open(bad)


def test_a_torn_file_is_one_line_with_its_reason(talks):
    torn = talks.conversations.new([BASE], title="torn")
    path = talks.conversations.folder / f"{torn.id}.json"
    path.write_text(path.read_text()[:40])
    assert talks.conversations.list("torn") == []
    with pytest.raises(Problem) as fault:
        talks.conversations.open(torn.id)
    assert fault.value.key == "records.no_json" and torn.id in str(fault.value)
    assert [str(one) for one in talks.conversations.faults()] == [str(fault.value)]


def test_blind_columns_have_letters_until_the_vote(talks):
    kept, words = talks.conversations, Words("en")
    id = kept.new([BASE, "other"], blind=True).id
    picture = Columns(talks).picture(words, id, {})
    assert all("title=" not in column["head"] for column in picture["columns"])
    with kept.change(id) as changed:
        changed.revealed = True
    assert BASE in Columns(talks).picture(words, id, {})["columns"][0]["head"]


def test_only_new_pieces_are_drawn(talks):
    id = talks.conversations.new([BASE], settings=SHORT).id
    talks.say(id, "What is a fox?")
    assert talks.wait(id, 120)
    columns, words = Columns(talks), Words("en")
    (whole,) = columns.picture(words, id, {})["columns"]
    assert [piece["html"] is not None for piece in whole["said"]] == [True, True]
    (again,) = columns.picture(words, id, {piece["key"]: piece["mark"] for piece in whole["said"]})["columns"]
    assert [piece["html"] for piece in again["said"]] == [None, None]


def test_unanswered_questions_are_not_part_of_what_was_said(tmp_path):
    asked = [
        {"role": "user", "content": "one", "turn": 1},
        {"role": "assistant", "content": "", "turn": 1},
        {"role": "user", "content": "two", "turn": 2},
    ]
    assert spoken(asked, tmp_path) == [{"role": "user", "content": "two"}]
