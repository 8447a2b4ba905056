"""Conversations that are kept: asked in the background, written down as they come, branched, searched, and answered by
who can.
"""

import json

import pytest
from conftest import STARTER, new_workspace, wait_for
from safetensors.torch import save_file

from studio.chat import turn_runner as talk_module
from studio.chat.history.conversations import Conversations
from studio.chat.page.talk.columns import Columns
from studio.chat.turn_runner import TurnRunner
from studio.core.device_lease import DeviceLease
from studio.core.i18n import Problem, Words
from studio.inference.inference_service import InferenceService
from studio.train import runs

BASE = STARTER.name
GONE = "served:127.0.0.1:9/none"
SHORT = {"temperature": 0.0, "top_p": 1.0, "max_tokens": 8, "seed": 0}


@pytest.fixture(scope="module")
def service(tmp_path_factory) -> InferenceService:
    return InferenceService(new_workspace(tmp_path_factory.mktemp("chat") / "workspace"), DeviceLease())


@pytest.fixture
def turns(service) -> TurnRunner:
    return TurnRunner(service, Conversations(service.workspace))


def answered(turns: TurnRunner, id: str) -> dict[str, list[dict]]:
    assert turns.wait(id, 120)
    return turns.conversations.open(id).messages


def test_an_answer_is_on_disk_and_another_process_would_find_it(turns, service):
    id = turns.conversations.new([BASE], settings=SHORT).id
    assert turns.send(id, "What is a fox?") == 1
    said = answered(turns, id)[BASE]
    assert [message["role"] for message in said] == ["user", "assistant"]
    assert said[1]["content"] and said[1]["answer"]["tokens"] == 8 and said[1]["answer"]["finished"] == "length"
    assert Conversations(service.workspace).open(id).messages[BASE] == said
    assert turns.send(id, "And a wolf?") == 2
    assert [message["turn"] for message in answered(turns, id)[BASE]] == [1, 1, 2, 2]


def test_a_column_that_cannot_be_reached_fails_alone(turns):
    turns.service.servers._file.parent.mkdir(parents=True, exist_ok=True)
    turns.service.servers._file.write_text(json.dumps({"127.0.0.1:9": {"url": "http://127.0.0.1:9/v1"}}))
    id = turns.conversations.new([GONE, BASE, "no-such-model"], settings=SHORT).id
    turns.send(id, "What is a fox?")
    messages = answered(turns, id)
    assert messages[GONE][1]["answer"]["fault"]["key"] == "served.unreachable"
    assert messages["no-such-model"][1]["answer"]["fault"]["key"]
    turns.service.servers._file.unlink()
    id = turns.conversations.new([GONE, BASE], settings=SHORT).id
    turns.send(id, "What is a fox?")
    messages = answered(turns, id)
    assert messages[GONE][1]["answer"]["finished"] == "failed"
    assert messages[BASE][1]["content"] and messages[BASE][1]["answer"]["finished"] == "length"


def test_a_run_whose_adapter_does_not_fit_fails_alone(turns, service):
    run = runs.make(service.workspace, BASE, "lora", "bad")
    run.info_file.write_text(json.dumps({"created": 1.0}))
    (run.folder / "recipe.yaml").write_text(
        f"model_name_or_path: {service.workspace.models / BASE}\ntemplate: chatml\nfinetuning_type: lora\n"
    )
    (run.folder / "adapter_config.json").write_text(
        json.dumps({"peft_type": "LORA", "r": 4, "target_modules": ["no_such_proj"], "task_type": "CAUSAL_LM"})
    )
    save_file({}, run.folder / "adapter_model.safetensors")
    run.say("state", state="finished")
    id = turns.conversations.new([BASE, run.name], settings=SHORT).id
    turns.send(id, "What is a fox?")
    messages = answered(turns, id)
    assert messages[run.name][1]["answer"]["fault"]["key"] == "chat.adapter_unfit"
    assert messages[BASE][1]["content"] and messages[BASE][1]["answer"]["finished"] == "length"


def test_editing_a_question_keeps_the_old_conversation(turns):
    id = turns.conversations.new([BASE], settings=SHORT).id
    for text in ("What is a fox?", "Where does it live?"):
        turns.send(id, text)
        assert turns.wait(id, 120)
    branch = turns.edit(id, 2, "What does it eat?")
    changed, old = answered(turns, branch.id)[BASE], turns.conversations.open(id).messages[BASE]
    assert changed[:2] == old[:2] and changed[2]["content"] == "What does it eat?" and len(changed) == 4
    assert old[2]["content"] == "Where does it live?"
    assert turns.conversations.open(branch.id).parent == {"id": id, "turn": 1}


def test_the_last_question_is_asked_again_and_the_same_seed_says_the_same(turns):
    id = turns.conversations.new([BASE], settings=SHORT).id
    turns.send(id, "What is a fox?")
    before = answered(turns, id)[BASE][1]["content"]
    turns.regenerate(id, BASE)
    messages = answered(turns, id)[BASE]
    assert len(messages) == 2 and messages[1]["content"] == before


def test_stop_keeps_what_was_said_and_it_was_on_disk_before(turns, service, monkeypatch):
    monkeypatch.setattr(talk_module, "WRITE_EVERY_S", 0.1)
    id = turns.conversations.new([BASE], settings=SHORT | {"max_tokens": 2000}).id
    turns.send(id, "Count from 1 to 1000, one number a line.")
    on_disk = Conversations(service.workspace)
    wait_for(
        lambda: any(message["role"] == "assistant" and message["content"] for message in on_disk.open(id).of(BASE))
    )
    with pytest.raises(Problem) as fault:
        turns.send(id, "And now?")
    assert fault.value.key == "chat.busy"
    assert turns.stop(id)
    last = answered(turns, id)[BASE][-1]
    assert last["content"] and last["answer"]["finished"] == "stopped" and last["answer"]["tokens"] < 2000


def test_results_of_a_tool_are_asked_for_only_where_one_was_called(turns):
    id = turns.conversations.new([BASE], settings=SHORT).id
    turns.send(id, "What is a fox?")
    assert turns.wait(id, 120)
    with pytest.raises(Problem) as fault:
        turns.submit_tool_outputs(id, BASE, ["sunny"])
    assert fault.value.key == "chat.no_call" and turns.pending(id) is None


def test_conversations_are_found_renamed_and_deleted(turns):
    kept = turns.conversations
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


def test_a_torn_file_is_one_line_with_its_reason(turns):
    torn = turns.conversations.new([BASE], title="torn")
    path = turns.conversations.folder / f"{torn.id}.json"
    path.write_text(path.read_text()[:40])
    assert turns.conversations.list("torn") == []
    with pytest.raises(Problem) as fault:
        turns.conversations.open(torn.id)
    assert fault.value.key == "records.no_json" and torn.id in str(fault.value)
    assert [str(one) for one in turns.conversations.faults()] == [str(fault.value)]


def test_blind_columns_have_letters_until_the_vote(turns):
    kept, words = turns.conversations, Words("en")
    id = kept.new([BASE, "other"], blind=True).id
    snapshot = Columns(turns).snapshot(words, id, {})
    assert all("title=" not in column.head for column in snapshot.columns)
    with kept.change(id) as changed:
        changed.revealed = True
    assert BASE in Columns(turns).snapshot(words, id, {}).columns[0].head


def test_only_new_pieces_are_drawn(turns):
    id = turns.conversations.new([BASE], settings=SHORT).id
    turns.send(id, "What is a fox?")
    assert turns.wait(id, 120)
    columns, words = Columns(turns), Words("en")
    (whole,) = columns.snapshot(words, id, {}).columns
    assert [piece.html is not None for piece in whole.said] == [True, True]
    (again,) = columns.snapshot(words, id, {piece.key: piece.mark for piece in whole.said}).columns
    assert [piece.html for piece in again.said] == [None, None]


def test_a_column_answers_on_where_the_results_of_its_tools_got_no_answer(turns):
    id = turns.conversations.new([BASE], settings=SHORT).id
    call = {"name": "weather", "arguments": {"city": "Rome"}}
    with turns.conversations.change(id) as changed:
        changed.messages[BASE] = [
            {"role": "user", "content": "Is it cold?", "turn": 1},
            {"role": "assistant", "content": "", "turn": 1, "calls": [call]},
            {"role": "tool", "content": "warm", "turn": 1},
            {"role": "assistant", "content": "", "turn": 1, "answer": {"finished": "stopped"}},
        ]
    turns.send(id, "What is a fox?")
    last = answered(turns, id)[BASE][-1]
    assert "fault" not in last["answer"] and last["answer"]["finished"] == "length"
