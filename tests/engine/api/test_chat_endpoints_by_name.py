"""Endpoints of the chat called by their names: what each leaves on disk, or shows in what is read next."""

import json

import odd_server
import pytest
from conftest import wait_for
from endpoint_calls import by_name, closing_studio, files_below, refused


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    return closing_studio(tmp_path_factory.mktemp("by-name"))


@pytest.fixture(scope="module")
def call(studio):
    return by_name(studio)


@pytest.fixture(scope="module")
def odd():
    yield from odd_server.running()


@pytest.fixture
def speakers(call, odd, monkeypatch):
    """A function that names the columns of a server's models; the server is added, and taken out again."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    assert call.chat_server_add({"url": odd.place, "name": "box"})["name"] == "box"
    yield lambda *models: [f"served:box/{model}" for model in models]
    if call.chat_servers():
        call.chat_server_remove("box")


@pytest.fixture
def said(studio, call, speakers):
    """A function that asks in a new conversation of these models, waits for the answers, and returns it."""

    def ask(*models: str, **options) -> str:
        talk = call.chat_new(speakers(*models), options)["conversation"]
        assert call.chat_say(talk, "What is a fox?") == {"turn": 1}
        assert studio.chat.turns.wait(talk, 240)
        return talk

    return ask


def answers(call, talk: str, column: str) -> list[tuple[int, str, str]]:
    """Return (turn, role, content) of what was said in a column."""
    return [(one["turn"], one["role"], one["content"]) for one in call.chat_open(talk)["messages"][column]]


GOOD, TEXT = "served:box/good", "".join(odd_server.PIECES)
FIRST = [(1, "user", "What is a fox?"), (1, "assistant", TEXT)]


def test_a_question_is_asked_again_and_with_other_words_in_a_branch(studio, call, odd, said):
    talk, turns = said("good"), studio.chat.turns
    asked = len(odd.asked)
    assert call.chat_again(talk) == {"turn": 1} and turns.wait(talk, 240)
    assert len(odd.asked) == asked + 1 and answers(call, talk, GOOD) == FIRST
    assert call.chat_say(talk, "And a hare?") == {"turn": 2} and turns.wait(talk, 240)
    edited = call.chat_edit(talk, 2, "And a wolf?")["conversation"]
    assert turns.wait(edited, 240)
    assert answers(call, edited, GOOD) == [*FIRST, (2, "user", "And a wolf?"), (2, "assistant", TEXT)]
    assert answers(call, talk, GOOD)[2] == (2, "user", "And a hare?")
    branch = call.chat_branch(talk, 1)["conversation"]
    assert answers(call, branch, GOOD) == FIRST and call.chat_open(branch)["parent"] == {"id": talk, "turn": 1}
    refused(call.chat_edit, talk, 9, "x")
    refused(call.chat_again, "gone")


def test_what_a_tool_gave_is_handed_over_and_the_answer_goes_on(studio, call, odd, said, speakers):
    talk, (column,) = said("calls"), speakers("calls")
    assert "2" in refused(call.chat_result, talk, column, {"0": "sunny"})
    refused(call.chat_result, talk, column, {"zero": "sunny"})
    assert call.chat_result(talk, column, {"1": "noon", "0": "sunny"}) == {"turn": 1}
    assert studio.chat.turns.wait(talk, 240)
    assert [(turn, role) for turn, role, _ in answers(call, talk, column)] == [
        (1, "user"),
        (1, "assistant"),
        (1, "tool"),
        (1, "tool"),
        (1, "assistant"),
    ]
    assert [one["content"] for one in odd.asked[-1]["messages"] if one["role"] == "tool"] == ["sunny", "noon"]


def test_an_answer_is_ended_and_keeps_what_was_said(studio, call, odd, speakers):
    (column,) = speakers("falls-silent")
    talk = call.chat_new([column])["conversation"]
    assert call.chat_stop(talk) == {"stopped": False}
    call.chat_say(talk, "What is a fox?")
    wait_for(lambda: (now := studio.chat.turns.pending(talk)) and now.answers and now.answers[column].text, every=0.02)
    assert call.chat_stop(talk) == {"stopped": True} and studio.chat.turns.wait(talk, 240)
    (_, (_, role, text)) = answers(call, talk, column)
    assert role == "assistant" and text and TEXT.startswith(text) and odd.left.wait(240)
    assert call.chat_open(talk)["messages"][column][-1]["answer"]["finished"] == "stopped"


def test_votes_show_who_spoke_and_become_pairs(studio, call, said, speakers):
    talk, best = said("good", "thinks/old", blind=True), speakers("thinks/old")[0]
    assert not call.chat_open(talk)["revealed"]
    refused(call.chat_preferences, "pairs")
    refused(call.chat_vote, talk, 2, best)
    assert call.chat_vote(talk, 1, best, " it thinks ") == {"choice": best}
    assert call.chat_open(talk)["revealed"]
    vote = studio.chat.votes.of(talk, 1)
    assert (vote.choice, vote.note, vote.blind) == (best, "it thinks", True)
    assert [(one["speaker"], one["wins"], one["losses"]) for one in call.chat_board()] == [(best, 1, 0), (GOOD, 0, 1)]
    made = call.chat_preferences("pairs")
    assert (made["name"], made["rows"], made["left_out"], made["reasons"]) == ("pairs", 1, 0, {})
    (row,) = call.datasets_preview("pairs", 0, 5)["rows"]
    assert TEXT in json.dumps(row, ensure_ascii=False) and call.datasets_entry("pairs")["ranking"] is True


def test_a_conversation_has_a_title_and_comes_back_from_the_trash(call, said):
    call.trash_empty()
    talk = said("good")
    assert call.chat_rename(talk, " 狐狸 ") == {"title": "狐狸"} and call.chat_open(talk)["title"] == "狐狸"
    refused(call.chat_rename, talk, "  ")
    assert call.chat_delete(talk) == {"deleted": talk}
    assert talk not in {one["id"] for one in call.chat_conversations()}
    refused(call.chat_open, talk)
    (listed,) = call.trash_list()
    call.trash_restore(listed["id"])
    assert call.chat_open(talk)["title"] == "狐狸" and answers(call, talk, GOOD) == FIRST
    refused(call.chat_delete, "../votes")


def test_a_server_is_forgotten_with_its_key(studio, call, odd):
    call.chat_server_add({"url": odd.place, "name": "locked", "key": odd_server.KEY, "keep_key": True})
    saved = studio.workspace.saves / ".chats"
    assert any(odd_server.KEY in (saved / name).read_text() for name in files_below(saved))
    assert call.chat_server_remove("locked") == {"removed": "locked"}
    assert "locked" not in {one["name"] for one in call.chat_servers()}
    assert not any(odd_server.KEY in (saved / name).read_text() for name in files_below(saved))
    assert "locked" in refused(call.chat_server_remove, "locked")
