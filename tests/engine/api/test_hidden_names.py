"""While the names of a blind conversation are hidden, nothing that is shown, listed, handed on or refused tells which
column is whose.
"""

import json
import re
from collections.abc import Iterator

import pytest
from endpoint_calls import by_name, closing_studio, refused

from studio.chat.page.conversations import conversation_list
from studio.chat.page.tab_talk import _Events
from studio.chat.page.talk.columns import Columns
from studio.core.i18n import Words
from studio.web.live import RegionOptions

NAMES = ["zeta-model", "mu-model", "alpha-model"]  # as they were shuffled
REGIONS = {"memory": "{}", "talks": "\n{}", "talk-head": "{}", "vote": "{}", "prompts": "{}", "sheet-form": "{}"}


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    return closing_studio(tmp_path_factory.mktemp("hidden"))


@pytest.fixture(scope="module")
def call(studio):
    return by_name(studio)


@pytest.fixture
def talk(studio) -> Iterator[str]:
    """A blind conversation in which two columns answered, and the third failed with a fault that names its model."""
    conversations = studio.chat.turns.conversations
    made = conversations.new(NAMES, blind=True)
    fault = {"finished": "failed", "fault": {"key": "chat.no_checkpoint", "facts": {"name": NAMES[2]}}}
    figures = {"finished": "stop", "tokens": 7, "tokens_per_s": 31.0, "parity": {"is": "same", "as": NAMES[0]}}
    answers = [("Red.", figures), ("A fox.", {"finished": "stop"}), ("", fault)]
    with conversations.change(made.id) as changed:
        for name, (text, figures) in zip(NAMES, answers, strict=True):
            changed.messages[name] = [
                {"role": "user", "content": "What is a fox?", "turn": 1},
                {"role": "assistant", "content": text, "turn": 1, "answer": figures},
            ]
    yield made.id
    conversations.delete(made.id)


def named(text: str) -> list[str]:
    """Return the names in a text or in HTML, its attributes too, in their order."""
    return re.findall("|".join(NAMES), text)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_is_drawn_names_the_columns_in_no_order_that_tells(studio, talk, language):
    asked = [RegionOptions(name=name, arg=arg.format(talk)) for name, arg in REGIONS.items()]
    for region, answer in zip(asked, studio.live.answer(Words(language), asked), strict=True):
        seen = named(answer.html)
        assert seen == sorted(NAMES)[: len(seen)], region.name


@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_column_says_whose_it_is_by_what_failed(studio, talk, language):
    columns = Columns(studio.chat.turns).snapshot(Words(language), talk, {}).columns
    for column in columns:
        assert named(column.model_dump_json()) == []
    assert Words(language)("chat.fault_hidden") in columns[2].said[1].html
    with studio.chat.turns.conversations.change(talk) as changed:
        changed.revealed = True
    columns = Columns(studio.chat.turns).snapshot(Words(language), talk, {}).columns
    assert [column.name for column in columns] == NAMES


def test_a_conversation_is_told_by_letters_and_without_what_tells_a_model(studio, call, talk):
    told = call.chat_open(talk)
    assert named(json.dumps(told)) == [] and told["columns"] == list(told["messages"]) == ["A", "B", "C"]
    assert [told["messages"][column][1]["content"] for column in "ABC"] == ["Red.", "A fox.", ""]
    figures = [told["messages"][column][1]["answer"] for column in "ABC"]
    assert figures[:2] == [{"finished": "stop"}] * 2 and figures[2]["fault"]["key"] == "chat.fault_hidden"
    branch = call.chat_branch(talk, 1)["conversation"]
    assert call.chat_open(branch)["columns"] == ["A", "B", "C"]
    call.chat_delete(branch)
    assert call.chat_vote(talk, 1, "B") == {"choice": NAMES[1]}
    told = call.chat_open(talk)
    assert told["columns"] == list(told["messages"]) == NAMES
    assert told["messages"][NAMES[0]][1]["answer"]["parity"]["as"] == NAMES[0]


def test_a_column_is_asked_by_its_letter_or_its_name(studio, call, talk):
    turns = studio.chat.turns
    for name in ("D", "AB", "nobody"):
        for ask, *said in ((call.chat_again, name), (call.chat_result, name, {}), (call.chat_vote, 1, name)):
            told = named(refused(ask, talk, *said))
            assert told == sorted(told) and not turns.pending(talk)
    with turns.conversations.change(talk) as changed:
        changed.messages[NAMES[1]][1]["calls"] = [{"name": "weather", "arguments": {}}]
    assert call.chat_result(talk, "B", {"0": "warm"}) == {"turn": 1} and turns.wait(talk, 240)
    assert [one["content"] for one in turns.conversations.open(talk).of(NAMES[1])][2] == "warm"
    for called in ("C", NAMES[2]):
        assert call.chat_again(talk, called) == {"turn": 1} and turns.wait(talk, 240)
    assert [len(turns.conversations.open(talk).of(name)) for name in NAMES] == [2, 4, 2]
    call.chat_vote(talk, 1, "A")
    assert call.chat_again(talk, "C") == {"turn": 1} and turns.wait(talk, 240)  # of a page that was drawn before
    assert call.chat_again(talk, NAMES[2]) == {"turn": 1} and turns.wait(talk, 240)


def test_lists_and_fields_have_the_columns_in_no_order_that_tells(studio, call, talk):
    (listed,) = call.chat_conversations()
    assert listed["columns"] == sorted(NAMES)
    (row,) = conversation_list.conversation_list(studio.chat.turns, "").rows
    assert named(row.columns) == sorted(NAMES)
    assert _Events(studio.chat, Words("en")).show(talk, "")[1]["value"] == sorted(NAMES)


def test_what_is_handed_on_is_in_no_order_that_tells(studio, call, talk):
    like = call.chat_new([], {"blind": False}, talk)["conversation"]
    assert call.chat_open(like)["columns"] == sorted(NAMES)
    call.chat_delete(like)
    sheet = call.chat_sheet(talk, "What is a hare?")
    assert call.chat_sheet_result(sheet["sheet"])["columns"] == sorted(NAMES)
    assert studio.jobs.wait(sheet["job"], 240)


def test_columns_that_come_and_go_leave_the_others_where_they_are(studio, call, talk):
    events, fields = _Events(studio.chat, Words("en")), ("", "", 0, True, 0.5, 0.8, 40, 64, 3)
    events.change(talk, talk, sorted([*NAMES, "beta-model"]), *fields)
    assert studio.chat.turns.conversations.open(talk).columns == [*NAMES, "beta-model"]
    events.change(talk, talk, ["alpha-model", "beta-model", "zeta-model"], *fields)
    assert studio.chat.turns.conversations.open(talk).columns == ["zeta-model", "alpha-model", "beta-model"]


def test_what_would_tell_is_refused_until_the_vote_and_no_refusal_names_a_column(studio, call, talk):
    for form in ("markdown", "json"):
        assert named(refused(call.chat_export, talk, form)) == []
    refused(call.chat_prompts, talk)
    assert named(refused(call.chat_result, talk, "A", {})) == []
    with studio.chat.turns.conversations.change(talk) as changed:
        changed.messages[NAMES[0]] = []
    assert named(refused(call.chat_again, talk)) == [] and not studio.chat.turns.pending(talk)
    call.chat_vote(talk, 1, "B")
    assert json.loads(call.chat_export(talk, "json")["text"])["columns"] == NAMES
    assert NAMES[1] in call.chat_export(talk)["text"]
