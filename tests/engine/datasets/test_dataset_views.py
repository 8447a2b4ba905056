"""What the Datasets tab shows, as contexts; and what its forms send back."""

import json
from html.parser import HTMLParser

import gradio as gr
import pytest

from studio.core.i18n import Words
from studio.core.jobs import Jobs
from studio.core.workspace import Workspace
from studio.datasets.page.browse import dataset_list, row_content, row_form, row_list
from studio.datasets.page.browse.position import Position
from studio.datasets.page.endpoints import endpoints
from studio.datasets.registry.collection import Collection
from studio.datasets.schema.observed_schema import Shape
from studio.web.endpoint import checked_endpoint
from studio.web.html import render

CHAT = Shape.of({"formatting": "sharegpt"})
CALL = {"name": "heat", "arguments": {"room": "2", "to": 21}}
LINE = row_content.CallLine("heat", 'room: "2", to: 21')


@pytest.fixture
def collection(tmp_path) -> Collection:
    workspace = Workspace(tmp_path / "workspace").prepare()
    return Collection(workspace, Jobs(workspace))


def add(collection: Collection, name: str, rows: list, **entry) -> None:
    """Write rows and register them."""
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (collection.folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    info = collection.folder / "dataset_info.json"
    known = json.loads(info.read_text()) if info.exists() else {}
    info.write_text(json.dumps(known | {name: {"file_name": f"{name}.jsonl", **entry}}))


def text_of(shown: row_content.ShownText | None) -> str:
    return "".join(text for text, _ in shown.beginning) if shown else ""


@pytest.mark.parametrize(
    ("value", "said", "calls"),
    [
        (json.dumps(CALL), "", (LINE,)),
        (json.dumps([CALL, CALL]), "", (LINE, LINE)),
        (f"I look.\n<tool_call>{json.dumps([CALL])}</tool_call>", "I look.", (LINE,)),
        (f"<think>\nCold?\n</think>\n\n{json.dumps(CALL)}", "<think>\nCold?\n</think>", (LINE,)),
        (f"<tool_call>{json.dumps(CALL)}</tool_call>", "", (LINE,)),
        ("heat(room=2)", "heat(room=2)", ()),
        ('{"no": "name"}', '{"no": "name"}', ()),
        ("<tool_call>[1, 2]</tool_call>", "<tool_call>[1, 2]</tool_call>", ()),
        ("[]", "[]", ()),
        (f"<tool_call>{json.dumps(CALL)}</tool_call><tool_call>1", None, ()),
    ],
)
def test_a_call_is_a_line_and_what_is_said_stands_beside_it(value, said, calls):
    row = {"conversations": [{"from": "human", "value": "Warm it."}, {"from": "function_call", "value": value}]}
    turn = row_content.row_content(row, CHAT, "row-1").turns[1]
    assert (turn.role, turn.calls, text_of(turn.text)) == ("call", calls, value if said is None else said)


def test_what_is_sought_is_marked_and_in_sight():
    text = "İ" * 3000 + "needle" + "x" * 50_000
    shown = row_content.Texts("row-1", "NEEDLE").shown(text)
    assert ("needle", True) in shown.beginning and shown.starts_within
    seen = "".join(piece for piece, _ in shown.beginning + shown.rest)
    assert text.endswith(seen + "x" * shown.left_out) and len(seen) == row_content.MOST


def test_a_position_survives_its_address():
    at = Position("größe/a b", 20, 'sought "&', "7", True)
    assert Position.parse(at.name, at.to().removeprefix("page:")) == at
    assert Position.parse("another", at.to().removeprefix("page:")) == Position("another")
    assert Position.parse("a", "name=a&offset=-3") == Position("a") == Position.parse("a", f"name=a&offset={10**20}")


def test_rows_are_shown_by_the_page_and_one_that_cannot_be_read_says_why(collection):
    rows = [{"instruction": f"Question {number}", "output": "x"} for number in range(30)]
    add(collection, "made", [*rows[:11], "{broken", *rows[12:]])
    page = row_list.row_list(collection, "made\nname=made&offset=10").page
    assert [row.number for row in page.rows] == list(range(11, 21)) and (page.first, page.last) == (11, 20)
    assert page.rows[1].problem and page.rows[1].raw == "{broken" and text_of(page.rows[0].content.turns[0].text)
    assert (page.previous, page.next) == ("page:name=made", "page:name=made&offset=20")
    found = row_list.row_list(collection, "made\nname=made&find=Question+29").page
    assert [row.number for row in found.rows] == [30] and found.search.share == 1 and not found.search.next


@pytest.mark.parametrize(
    ("count", "offset", "first", "last"),
    [(10, 10, 1, 10), (10, 4999, 1, 10), (11, 4999, 11, 11), (11, 10, 11, 11), (25, 22, 23, 25), (1, 1, 1, 1)],
)
def test_a_page_after_the_last_is_the_last(collection, count, offset, first, last):
    add(collection, "made", [{"instruction": f"Question {number}", "output": "x"} for number in range(count)])
    collection.rows("made").wait()
    page = row_list.row_list(collection, f"made\nname=made&offset={offset}").page
    assert (page.first, page.last, len(page.rows), page.next) == (first, last, last - first + 1, "")
    assert page.previous == (page.at.rows_from(first - 11) if first > 1 else "")


def test_a_list_is_searched_by_what_it_says(collection):
    add(collection, "pairs", [{"instruction": "a", "chosen": "b", "rejected": "c"}], ranking=True)
    add(collection, "plain", [{"instruction": "a", "output": "b"}])
    names = [one.name for one in dataset_list.dataset_list(Words("en"), collection, "").folders[0].datasets]
    assert names[-2:] == ["pairs", "plain"]
    folder = dataset_list.dataset_list(Words("en"), collection, "dpo pairs").folders[0]
    assert [one.name for one in folder.datasets] == ["pairs"] and folder.datasets[0].rows == 1
    assert dataset_list.dataset_list(Words("zh"), collection, "nothing").folders[0].has_datasets


class Fields(HTMLParser):
    """The fields of a form as a browser sends them: of a text the first line end after <textarea> is left out."""

    def __init__(self):
        super().__init__()
        self.values, self._open = {}, None

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "input" and "name" in attrs:
            self.values[attrs["name"]] = attrs["value"]
        self._open = attrs["name"] if tag == "textarea" else self._open
        if tag == "textarea":
            self.values[attrs["name"]] = ""

    def handle_endtag(self, tag):
        if tag == "textarea":
            self.values[self._open] = self.values[self._open].removeprefix("\n").replace("\n", "\r\n")
            self._open = None

    def handle_data(self, data):
        if self._open:
            self.values[self._open] += data


@pytest.mark.parametrize("text", ["\n\nfirst lines are empty", "ends\r\nas on Windows", "old\rMac", "<b>&amp;\"'", ""])
@pytest.mark.parametrize("as_json", ["", "&as=json"])
def test_a_row_that_is_saved_unchanged_is_unchanged(collection, text, as_json):
    row = {"instruction": text, "input": [1, None, {"a": text}], "output": "x"}
    add(collection, "made", [row])
    context = row_list.row_list(collection, f"made\nname=made&edit=1{as_json}")
    fields = Fields()
    drawn = str(render(row_list.TEMPLATE, Words("en"), context))
    fields.feed(drawn.replace("\r\n", "\n").replace("\r", "\n"))  # as a browser reads any page
    values = fields.values
    if as_json:
        saved = json.loads(values["json"])
    else:
        texts = {name.removeprefix("at:"): value for name, value in values.items() if name.startswith("at:")}
        saved = row_form.with_leaves(json.loads(values["was"]), texts)
    assert saved == row and json.loads(values["was"]) == row and (values["name"], values["row"]) == ("made", "1")


def drawn_form(collection, name: str, number: int) -> dict[str, str]:
    """Return the fields of the form of a row, as the page sends them."""
    fields = Fields()
    context = row_list.row_list(collection, f"{name}\nname={name}&edit={number}&as=json")
    fields.feed(str(render(row_list.TEMPLATE, Words("en"), context)))
    return fields.values


@pytest.mark.parametrize("line", ['{"a": "three"}', "{not json"])
def test_a_form_is_saved_over_no_other_row(collection, line):
    add(collection, "made", [{"a": "one"}, {"a": "two"}])
    file = collection.find("made").file
    file.write_text(f'{{"a": "one"}}\n{{"a": "two"}}\n{line}\n{{"a": "four"}}\n')
    asked = {one.__name__: checked_endpoint(one, Words("en")) for one in endpoints(collection, Words("en"))}
    form = drawn_form(collection, "made", 3) | {"json": '{"a": "3"}'}
    asked["datasets_delete_row"]("made", 1)
    with pytest.raises(gr.Error) as refused:
        asked["datasets_save_row"](form)
    assert "was changed since" in str(refused.value.message)
    assert file.read_text() == f'{{"a": "two"}}\n{line}\n{{"a": "four"}}\n'
    asked["datasets_save_row"](form | {"row": "2"})
    assert file.read_text() == '{"a": "two"}\n{"a": "3"}\n{"a": "four"}\n'


def test_an_entry_is_saved_over_no_change_of_another(collection):
    add(collection, "made", [{"instruction": "a", "output": "b"}])
    asked = {one.__name__: checked_endpoint(one, Words("en")) for one in endpoints(collection, Words("en"))}
    was = asked["datasets_entry"]("made")
    asked["datasets_edit_entry"]("made", json.dumps(was | {"num_samples": 1}), json.dumps(was))
    with pytest.raises(gr.Error) as refused:
        asked["datasets_edit_entry"]("made", json.dumps(was | {"num_samples": 2}), json.dumps(was))
    assert "made" in str(refused.value.message) and asked["datasets_entry"]("made")["num_samples"] == 1


@pytest.mark.parametrize(
    ("name", "arguments", "fault"),
    [
        ("datasets_register", ["made.jsonl", "again", None, None, {"colour": "red"}], "min_score, copy, hub"),
        ("datasets_register", ["made.jsonl", "again", None, None, {"min_score": "much"}], "min_score"),
        ("datasets_bring_in", [{"path": "made.jsonl", "min_score": ["3"]}], "min_score"),
        ("datasets_bring_in", [{"name": "x"}], "path"),
        ("datasets_save_row", [{"name": "made", "row": 1, "was": "{}", "json": {}}], "json"),
        ("datasets_save_row", [{"name": "made", "row": 1, "was": '{"a": "b"}', "at:a": 5}], "at:a"),
        ("datasets_save_row", [{"name": "made", "row": "x", "was": "{}"}], "row"),
    ],
)
def test_what_is_sent_wrong_is_refused_by_name(collection, name, arguments, fault):
    add(collection, "made", [{"instruction": "a", "output": "b"}])
    asked = {one.__name__: checked_endpoint(one, Words("en")) for one in endpoints(collection, Words("en"))}
    with pytest.raises(gr.Error) as refused:
        asked[name](*arguments)
    assert fault in str(refused.value.message) and "endpoint" not in str(refused.value.message).lower()


def test_a_file_that_is_copied_is_another_one(collection):
    add(collection, "made", [{"instruction": "a", "output": "b"}])
    asked = {one.__name__: checked_endpoint(one, Words("en")) for one in endpoints(collection, Words("en"))}
    made = asked["datasets_register"]("made.jsonl", "copied", None, None, {"copy": True})
    assert (made["name"], made["rows"]) == ("copied", 1) and (collection.folder / "copied.jsonl").exists()
    assert asked["datasets_bring_in"]({"path": "made.jsonl", "name": "lies", "copy": False})["name"] == "lies"
    assert not (collection.folder / "lies.jsonl").exists()
