"""What a person or a script sets in Chat is refused, or can be read again: a conversation is never lost by a number."""

import math
from dataclasses import replace

import pytest

from studio.chat.history.conversations import Conversations
from studio.chat.history.prompt_lists import PromptLists
from studio.chat.page import tab_talk
from studio.chat.page.schemas import ConversationOptions
from studio.core.i18n import Problem
from studio.core.jobs import Jobs
from studio.core.workspace import Workspace
from studio.inference.sampling import STANDARD
from studio.web import schema

ODD = [
    ("temperature", -0.1),
    ("temperature", math.inf),
    ("temperature", math.nan),
    ("top_p", 0),
    ("top_p", 1.1),
    ("max_tokens", 0),
    ("max_tokens", 2**31 + 1),
    ("max_tokens", 10**29),
    ("top_k", -1),
    ("top_k", 2**40),
    ("seed", 2**63),
    ("seed", -(10**29)),
]
GOOD = [("temperature", 0), ("max_tokens", 2**31), ("top_k", 2**31), ("seed", 10**18 - 1), ("seed", -5), ("top_p", 1)]


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return Workspace(tmp_path).prepare()


@pytest.mark.parametrize("name, value", ODD)
def test_an_odd_number_is_refused_wherever_it_comes_from(workspace, name, value):
    with pytest.raises(Problem, match="Max tokens from 1 to") as told:
        replace(STANDARD, **{name: value}).check()
    assert told.value.key == "chat.bad_sampling"
    with pytest.raises(Problem):
        schema.taken(ConversationOptions, {name: value}, "options").fields()
    numbers = [value if one == name else getattr(STANDARD, one) for one in tab_talk.NUMBERS]
    with pytest.raises(Problem):
        tab_talk._fields(("", "", 0, False, *numbers))


@pytest.mark.parametrize("name, value", ODD)
def test_what_could_not_be_read_again_is_not_written(workspace, name, value):
    conversations = Conversations(workspace)
    with pytest.raises(Problem):
        conversations.new(["a"], settings=vars(STANDARD) | {name: value})
    assert conversations.list() == [] and conversations.faults() == []
    kept = conversations.new(["a"], title="kept")
    with pytest.raises(Problem), conversations.change(kept.id) as changed:
        changed.settings = vars(STANDARD) | {name: value}
    assert conversations.open(kept.id).settings == vars(STANDARD) and conversations.faults() == []
    lists = PromptLists(workspace, Jobs(workspace), None)
    with pytest.raises(Problem):
        lists.start(["a"], [{"prompt": "q", "system": ""}], replace(STANDARD, **{name: value}))
    assert lists.all() == [] and lists.faults() == []


@pytest.mark.parametrize("name, value", GOOD)
def test_what_is_taken_is_read_again(workspace, name, value):
    fields = schema.taken(ConversationOptions, {name: value}, "options").fields()
    made = Conversations(workspace).new(["a"], **fields)
    assert Conversations(workspace).open(made.id).settings[name] == value


@pytest.mark.parametrize("columns", [[], list("abcde"), ["a", ""]])
def test_nor_are_columns_that_could_not_be_read(workspace, columns):
    with pytest.raises(Problem):
        Conversations(workspace).new(columns)
    assert Conversations(workspace).faults() == []
