"""What stands on disk of the chat may be of another release or an enemy: one line says what is wrong, and the rest is
used.
"""

import io
import json
import os

import pytest
from workspace_run_files import ANSWER, CHAT, LIST, SHEET, TALK, VOTE

from studio.chat.history import image_files, votes
from studio.chat.history.conversations import Conversations, model_messages
from studio.chat.history.prompt_lists import PromptLists
from studio.chat.page.conversations import conversation_list
from studio.chat.page.leaderboard_table import TEMPLATE as LEADERBOARD
from studio.chat.page.leaderboard_table import leaderboard
from studio.chat.page.prompt_lists import answers_table, overview
from studio.chat.page.servers import server_list
from studio.chat.turn_runner import TurnRunner
from studio.core.device_lease import DeviceLease
from studio.core.i18n import Problem, Words
from studio.core.jobs import Jobs
from studio.core.workspace import Workspace
from studio.inference.inference_service import InferenceService
from studio.inference.remote.servers import ServerRegistry
from studio.web.html import render


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    for folder in ("saves/.chats/sheets", "saves/.chats/files", "models", "data"):
        (tmp_path / folder).mkdir(parents=True)
    return Workspace(tmp_path)


def changed(value: object, *at: object, to: object) -> object:
    """Return a copy of a document with another value at a path."""
    copy = json.loads(json.dumps(value))
    inner = copy
    for key in at[:-1]:
        inner = inner[key]
    inner[at[-1]] = to
    return copy


MESSAGE = ("messages", "tiny", 0)
CONVERSATIONS = [
    "[1]",
    "null",
    "{",
    "[" * 100_000,
    {"id": CHAT},
    changed(TALK, "messages", to=None),
    changed(TALK, "messages", to=[1]),
    changed(TALK, "columns", to="tiny"),
    changed(TALK, "columns", to=[]),
    changed(TALK, "columns", to=list("abcde")),
    changed(TALK, "changed", to="now"),
    changed(TALK, "changed", to=1e300),
    changed(TALK, "id", to="../x"),
    changed(TALK, "id", to="20261125-999999-abcdef"),
    changed(TALK, "bits", to=3),
    changed(TALK, "parent", to="x"),
    changed(TALK, "parent", "id", to="../../places"),
    changed(TALK, "parent", "turn", to="<b>"),
    changed(TALK, *MESSAGE, to=5),
    changed(TALK, *MESSAGE, "role", to="format"),
    changed(TALK, *MESSAGE, "turn", to="<b>"),
    changed(TALK, *MESSAGE, "content", to=None),
    changed(TALK, *MESSAGE, "images", to=["../../../etc/passwd"]),
    changed(TALK, *MESSAGE, "images", to=["/etc/passwd"]),
    changed(TALK, *MESSAGE, "images", to=["files/../endpoints.json"]),
    changed(TALK, *MESSAGE, "images", to="files/0123456789abcdef01234567.png"),
    changed(TALK, "messages", "tiny", 1, "answer", to=[]),
    changed(TALK, "messages", "tiny", 1, "answer", "tokens", to="<img>"),
    changed(TALK, "messages", "tiny", 1, "answer", "first_token_s", to="x"),
    changed(TALK, "messages", "tiny", 1, "answer", "prompt_count", to=[]),
    changed(TALK, "messages", "tiny", 1, "answer", "finished", to="exploded"),
    changed(TALK, "messages", "served:box/m", 1, "calls", to=[{}]),
    changed(TALK, "messages", "served:box/m", 1, "answer", "fault", to={"key": 5}),
    changed(TALK, "settings", to=[1]),
    changed(TALK, "settings", "temperature", to="hot"),
    changed(TALK, "settings", "max_tokens", to=0),
]


@pytest.mark.parametrize("value", CONVERSATIONS)
def test_a_conversation_that_cannot_be_read_is_one_line_with_its_reason(workspace, value):
    turns = TurnRunner(InferenceService(workspace, DeviceLease()), Conversations(workspace))
    good = turns.conversations.new(["tiny"], title="Good one")
    path = turns.conversations.folder / f"{CHAT}.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    (fault,) = turns.conversations.faults()
    assert path.name in str(fault) and [one.id for one in turns.conversations.list()] == [good.id]
    for language in ("en", "zh"):
        html = render(conversation_list.TEMPLATE, Words(language), conversation_list.conversation_list(turns, "\n"))
        assert "Good one" in html and html.count('class="warning"') == 1
    with pytest.raises(Problem) as told:
        turns.conversations.open(CHAT)
    assert str(told.value) == str(fault)


def test_a_conversation_is_kept_as_it_was_read(workspace):
    kept = Conversations(workspace)
    whole = changed(TALK, "messages", "tiny", 0, "later", to={"x": 1})
    (kept.folder / f"{CHAT}.json").write_text(json.dumps(whole))
    with kept.change(CHAT) as conversation:
        conversation.title = "Other"
    written = json.loads((kept.folder / f"{CHAT}.json").read_text())
    assert {**written, "changed": 0, "title": ""} == {**whole, "changed": 0, "title": ""}


def test_an_image_that_is_a_link_leading_out_is_refused_and_no_image_stops_the_page(workspace, tmp_path):
    kept = Conversations(workspace)
    (kept.folder / f"{CHAT}.json").write_text(json.dumps(TALK))
    image = kept.folder / "files" / "0123456789abcdef01234567.png"
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"x")
    image.symlink_to(secret)
    with pytest.raises(Problem) as told:
        model_messages(kept.open(CHAT).of("tiny")[:1], kept.folder)
    assert told.value.key == "chat.image_leads_out"
    image.unlink()
    os.mkfifo(image)
    assert image_files.small(image) == ""
    image.unlink()
    image.write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 99)
    assert image_files.small(image) == "" and model_messages(kept.open(CHAT).of("tiny")[:1], kept.folder)[0][
        "images"
    ] == [str(image)]


def _picture(kind: str) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.effect_noise((120, 90), 50).convert("RGB").save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["png", "webp", "jpeg", "gif", "bmp"])
def test_a_picture_that_is_cut_off_is_refused_by_what_is_wrong_with_it(workspace, tmp_path, kind):
    whole = _picture(kind)
    for length in (len(whole) // 2, len(whole) * 9 // 10):
        (tmp_path / f"cut.{kind}").write_bytes(whole[:length])
        with pytest.raises(Problem) as told:
            image_files.store(workspace.saves / ".chats", tmp_path / f"cut.{kind}")
        assert told.value.key == "chat.bad_image" and f"cut.{kind}" in str(told.value)
    (tmp_path / f"whole.{kind}").write_bytes(whole)
    name = image_files.store(workspace.saves / ".chats", tmp_path / f"whole.{kind}")
    assert (workspace.saves / ".chats" / name).read_bytes() == whole


def test_a_picture_with_too_many_pixels_and_what_is_none_are_refused_by_what_is_wrong(workspace, tmp_path):
    from PIL import Image

    Image.new("1", (14_000, 13_000)).save(tmp_path / "large.png")
    (tmp_path / "text.png").write_text("no picture")
    for name, key in (("large", "image_too_large"), ("text", "no_image"), ("gone", "bad_image")):
        with pytest.raises(Problem) as told:
            image_files.store(workspace.saves / ".chats", tmp_path / f"{name}.png")
        assert told.value.key == f"chat.{key}" and f"{name}.png" in str(told.value)
    assert list((workspace.saves / ".chats" / "files").iterdir()) == []


def test_a_folder_of_pictures_that_cannot_be_written_is_told_as_that(workspace, tmp_path):
    (tmp_path / "good.png").write_bytes(_picture("png"))
    (workspace.saves / ".chats" / "files").rmdir()
    (workspace.saves / ".chats" / "files").write_text("in the way")
    with pytest.raises(Problem) as told:
        image_files.store(workspace.saves / ".chats", tmp_path / "good.png")
    assert told.value.key == "workspace.unwritable"


VOTES = [
    "[1]",
    "x",
    "{}",
    {**VOTE, "columns": "ab"},
    {**VOTE, "columns": ["a"]},
    {**VOTE, "choice": "d"},
    {**VOTE, "answers": {}},
    {**VOTE, "turn": "<b>"},
    {**VOTE, "answers": {"tiny": 1, "b": "y", "c": "z"}},
    {**VOTE, "before": {"tiny": [1]}},
    {**VOTE, "before": []},
    {**VOTE, "conversation": 5},
    {**VOTE, "time": "now"},
    {**VOTE, "columns": [["x"], "b", "c"]},
]


@pytest.mark.parametrize("line", VOTES)
def test_a_vote_that_cannot_be_is_counted_and_the_others_count(tmp_path, line):
    kept = votes.Votes(tmp_path)
    lines = [
        json.dumps(VOTE),
        line if isinstance(line, str) else json.dumps(line),
        '{"conversation": "torn',
        json.dumps({**VOTE, "turn": 2}),
    ]
    kept.file.write_text("\n".join(lines) + "\n")
    assert [vote.turn for vote in kept.all()] == [1, 2] and kept.unreadable() == 1
    for language in ("en", "zh"):
        context = leaderboard(Workspace(tmp_path), kept)
        assert (
            context.unreadable == 1
            and context.votes == 2
            and 'class="warning"' in render(LEADERBOARD, Words(language), context)
        )


def test_votes_that_are_no_file_are_told(tmp_path):
    kept = votes.Votes(tmp_path)
    os.mkfifo(kept.file)
    with pytest.raises(Problem) as told:
        kept.all()
    assert told.value.key == "votes.unreadable"


SHEETS = [
    "[1]",
    "{",
    "null",
    {**LIST, "prompts": []},
    {**LIST, "prompts": ["x"]},
    {**LIST, "prompts": [{"prompt": 5}]},
    {**LIST, "columns": []},
    {**LIST, "created": "x"},
    {**LIST, "settings": {"top_p": 7}},
    {**LIST, "id": "x"},
    {**LIST, "title": ["x"]},
    {"id": SHEET},
]


@pytest.mark.parametrize("value", SHEETS)
def test_a_list_of_prompts_that_cannot_be_read_is_one_line_with_its_reason(workspace, value):
    prompt_lists = PromptLists(workspace, Jobs(workspace), lambda *_: iter(()))
    path = prompt_lists.folder / f"{SHEET}.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    good = {**LIST, "id": "20261125-140000-abcdef", "title": "Good one"}
    (prompt_lists.folder / f"{good['id']}.json").write_text(json.dumps(good))
    assert [one.title for one in prompt_lists.all()] == ["Good one"] and path.name in str(prompt_lists.faults()[0])
    html = render(overview.TEMPLATE, Words("zh"), overview.overview(prompt_lists))
    assert "Good one" in html and path.name in html
    with pytest.raises(Problem):
        prompt_lists.open(SHEET)


@pytest.mark.parametrize(
    "line",
    [
        "[1]",
        "x",
        {"row": "<b>", "answers": {}},
        {"row": -1, "answers": {}},
        {"row": 0, "answers": []},
        {"row": 0, "answers": {"tiny": 5}},
        {"row": 0, "answers": {"tiny": {**ANSWER, "tokens": "<b>"}}},
        {"row": 0, "answers": {"tiny": {**ANSWER, "fault": "x"}}},
        {"row": 0, "answers": {"tiny": {**ANSWER, "text": None}}},
    ],
)
def test_an_answer_that_cannot_be_is_counted_and_can_be_asked_again(workspace, line):
    prompt_lists = PromptLists(workspace, Jobs(workspace), lambda *_: iter(()))
    (prompt_lists.folder / f"{SHEET}.json").write_text(json.dumps(LIST))
    good = json.dumps({"row": 1, "answers": {"tiny": ANSWER}})
    (prompt_lists.folder / f"{SHEET}.jsonl").write_text(
        f"{line if isinstance(line, str) else json.dumps(line)}\n{good}\n"
    )
    assert list(prompt_lists.answers(SHEET)) == [1] and prompt_lists.unreadable(SHEET) == 1
    assert answers_table.answers_table(Words("en"), prompt_lists, SHEET).unreadable == 1


@pytest.mark.parametrize("name", ["endpoints.json", "keys.json"])
@pytest.mark.parametrize(
    "text",
    [
        "[1]",
        "{",
        "5",
        '{"a": 5}',
        '{"a": {"url": "javascript:alert(1)"}}',
        '{"a": {"url": []}}',
        '{"a": {"url": "http://10.0.0.1\\uff1a8000/v1"}}',
        '{"a": {"url": "http://[box/v1"}}',
        '{"a": {"url": "http://box:99999/v1"}}',
        '{"http://x": ["k"]}',
        '{"a": "\\u00e9"}',
    ],
)
def test_a_file_of_servers_or_keys_that_cannot_be_read_keeps_nothing_from_starting(workspace, name, text):
    (workspace.saves / ".chats" / name).write_text(text)
    service = InferenceService(workspace, DeviceLease())
    assert service.servers.list() == [] and name in str(service.servers.faults()[0])
    for language in ("en", "zh"):
        assert name in render(server_list.TEMPLATE, Words(language), server_list.server_list(service))


def test_a_file_of_servers_that_is_written_anew_is_kept_beside(workspace):
    path = workspace.saves / ".chats" / "endpoints.json"
    path.write_text(json.dumps({"good": {"url": "http://localhost:9/v1"}, "bad": 5}))
    endpoints = ServerRegistry(workspace)
    endpoints.remove("good")
    assert (
        endpoints.list() == [] == endpoints.faults() and "bad" in path.with_name("endpoints.json.damaged").read_text()
    )


def test_a_reason_names_no_class_of_the_studio(workspace):
    kept = Conversations(workspace)
    (kept.folder / f"{CHAT}.json").write_text("[1]")
    assert "Stored" not in str(kept.faults()[0]) and "object" in str(kept.faults()[0])
