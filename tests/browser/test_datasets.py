"""The Datasets tab and its endpoints in a real studio: browse, edit, bring data in, and faults told as sentences."""

import json
import shutil
from pathlib import Path

import pytest
from asking import always_agree
from conftest import Server, is_sentence, new_workspace, rest_slow, wait_for
from playwright.sync_api import expect

PAIRS = [{"query": f"问题 {number}？", "response": f"回答 {number}。"} for number in range(30)]


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    workspace = new_workspace(tmp_path_factory.mktemp("datasets") / "workspace")
    running = Server(workspace.root)
    yield running
    running.kill()


@pytest.fixture(scope="module")
def data(studio) -> Path:
    return studio.workspace / "data"


@pytest.fixture(scope="module")
def ask(studio):
    from api_client import Client

    client = Client(studio.url)
    return lambda name, *args, **more: client.predict(*args, api_name=f"/{name}", **more)


def refusal(ask, name: str, *args, **more) -> str:
    with pytest.raises(Exception) as told:
        ask(name, *args, **more)
    sentence = str(told.value)
    assert is_sentence(sentence), sentence
    return sentence


@pytest.fixture
def page(new_page, studio):
    page = new_page
    always_agree(page)
    page.goto(studio.url)
    page.locator("#room-datasets-button").wait_for()
    page.locator("#room-datasets-button").click()
    page.locator(".live-datasets .item").first.wait_for()
    yield page
    assert page.faults == []


def put(folder: Path, name: str, rows: list) -> Path:
    path = folder / name
    path.write_text(
        (
            json.dumps(rows, ensure_ascii=False)
            if path.suffix == ".json"
            else "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        ),
        encoding="utf-8",
    )
    return path


def rows_of(ask, name: str) -> list:
    return ask("datasets_preview", name, 0, 1000)["rows"]


# Endpoints
# --------------------------------------------------------------------------------------------------


def test_every_set_is_listed_and_a_broken_one_says_why(ask, data):
    info = json.loads((data / "dataset_info.json").read_text())
    (data / "dataset_info.json").write_text(json.dumps({**info, "gone": {"file_name": "gone.json"}}))
    listed = {one["name"]: one for one in ask("datasets_list")}
    assert {"name", "format", "stage", "rows", "file", "problem"} <= set(listed["identity_en"])
    assert listed["identity_en"]["problem"] is None and listed["identity_en"]["rows"] == 91
    assert is_sentence(listed["gone"]["problem"]) and "gone.json" in listed["gone"]["problem"]
    (data / "dataset_info.json").write_text(json.dumps(info))


def test_any_page_of_rows_is_given(ask):
    page = wait_for(
        lambda: (page := ask("datasets_preview", "multi_turn", 10, 3))["total"] and page
    )  # rows are counted in the background
    assert len(page["rows"]) == 3 and page["total"] == 52 and page["problems"] == []
    assert page["rows"][0] == rows_of(ask, "multi_turn")[10]
    assert ask("datasets_search", "multi_turn", "balcony")["rows"] == [1]


def test_what_is_brought_in_by_the_api_is_registered_and_the_file_is_not_changed(ask, studio, data):
    path = put(studio.workspace, "pairs.json", PAIRS)
    before = path.read_bytes()
    made = ask("datasets_register", str(path), "ruozhiba")
    assert (made["name"], made["form"], made["stage"], made["rows"]) == ("ruozhiba", "alpaca", "sft", 30)
    assert rows_of(ask, "ruozhiba")[0] == {"instruction": "问题 0？", "input": "", "output": "回答 0。"}
    assert path.read_bytes() == before
    assert "ruozhiba" in refusal(ask, "datasets_register", str(path), "ruozhiba")
    swapped = ask("datasets_register", str(path), "swapped", {"prompt": "response", "response": "query"})
    assert rows_of(ask, swapped["name"])[0]["instruction"] == "回答 0。"
    for name in ("ruozhiba", "swapped"):
        ask("datasets_remove", name, True)
    assert not (data / "ruozhiba.jsonl").exists()


def test_a_file_in_the_data_folder_is_used_where_it_lies(ask, data):
    path = put(data, "as_it_is.jsonl", PAIRS)
    ask("datasets_register", "as_it_is.jsonl", "direct")
    assert ask("datasets_entry", "direct") == {
        "file_name": "as_it_is.jsonl",
        "columns": {"prompt": "query", "response": "response"},
    }
    assert [each.name for each in data.glob("direct*")] == [] and path.exists()
    ask("datasets_remove", "direct")
    assert path.exists()
    path.unlink()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.json", b"this is not json", ["a.json", "1"]),
        ("a.json", b'[{"query": "a", "response": "b"}, {"query": "a", "resp', ["a.json", "row 1"]),
        ("a.jsonl", b'{"query": ' + b"[" * 1000 + b"]" * 1000 + b"}\n", ["a.jsonl", "nested too deeply"]),
        ("a.jsonl", b'{"query": NaN, "response": "b"}\n', ["a.jsonl", "prompt"]),
        ("a.csv", b"query,query\n1,2\n", ["a.csv", "query"]),
        ("a.json", b"[]", ["a.json"]),
        ("a.parquet", b"PAR1", ["a.parquet"]),
        ("a.pdf", b"%PDF", ["a.pdf"]),
    ],
)
def test_what_cannot_be_brought_in_is_told_and_nothing_is_written(ask, studio, data, name, content, said):
    path = studio.workspace / name
    path.write_bytes(content)
    before = sorted(each.name for each in data.iterdir())
    sentence = refusal(ask, "datasets_register", str(path), "made")
    assert all(part in sentence for part in said), sentence
    assert path.read_bytes() == content and sorted(each.name for each in data.iterdir()) == before
    path.unlink()


def test_a_path_outside_is_refused_until_its_folder_is_added(ask, data, tmp_path):
    put(tmp_path, "mine.jsonl", PAIRS)
    (tmp_path / "dataset_info.json").write_text(
        json.dumps({"theirs": {"file_name": "mine.jsonl", "columns": {"prompt": "query", "response": "response"}}})
    )
    assert "outside" in refusal(ask, "datasets_register", str(tmp_path / "mine.jsonl"))
    assert "outside" in refusal(ask, "datasets_register", "../../mine.jsonl")
    ask("datasets_add_folder", str(tmp_path))
    theirs = str(tmp_path / "theirs")
    assert theirs in [one["name"] for one in ask("datasets_list")] and len(rows_of(ask, theirs)) == 30
    assert ask("datasets_link", theirs) == {"name": "theirs"}
    assert (
        ask("datasets_entry", "theirs")["file_name"] == str(tmp_path / "mine.jsonl")
        and len(rows_of(ask, "theirs")) == 30
    )
    assert "outside" in refusal(ask, "datasets_remove", "theirs", True)
    ask("datasets_remove", "theirs")
    ask("datasets_remove_folder", str(tmp_path))
    assert (tmp_path / "mine.jsonl").exists() and theirs not in [one["name"] for one in ask("datasets_list")]


def test_one_click_trains_on_a_set_of_an_added_folder(page, ask, tmp_path):
    put(tmp_path, "mine.jsonl", PAIRS)
    (tmp_path / "dataset_info.json").write_text(
        json.dumps({"elsewhere": {"file_name": "mine.jsonl", "columns": {"prompt": "query", "response": "response"}}})
    )
    ask("datasets_add_folder", str(tmp_path))
    page.locator(".item", has_text="elsewhere").click()
    page.locator(".live-dataset h2", has_text="elsewhere").wait_for()
    page.locator(".live-dataset").get_by_role("button", name="Train", exact=True).click()
    page.locator("#train-dataset .token", has_text="elsewhere").wait_for()
    assert page.locator("#train-dataset .token").count() == 1 and "elsewhere" in [
        one["name"] for one in ask("datasets_list")
    ]
    ask("datasets_remove", "elsewhere")
    ask("datasets_remove_folder", str(tmp_path))


def test_a_hub_address_becomes_an_entry(ask):
    ask(
        "datasets_register",
        "https://modelscope.cn/datasets/AI-ModelScope/ruozhiba",
        "on_hub",
        {"prompt": "query", "response": "response"},
        None,
        {"split": "train", "num_samples": 100},
    )
    assert ask("datasets_entry", "on_hub") == {
        "ms_hub_url": "AI-ModelScope/ruozhiba",
        "columns": {"prompt": "query", "response": "response"},
        "split": "train",
        "num_samples": 100,
    }
    assert "hub" in refusal(ask, "datasets_preview", "on_hub")
    ask("datasets_remove", "on_hub")


def test_a_hub_that_cannot_be_reached_leaves_the_fields_to_be_named(page, ask):
    page.get_by_role("button", name="Add data").click()
    page.locator("input[data-place='source:path']").fill("ms:nobody-here/nothing-there")
    page.locator("input[data-place='source:path']").press("Enter")
    page.locator("input[data-place='source:c.prompt']").wait_for()
    page.locator("input[data-place='source:c.prompt']").fill("question")
    page.locator("input[data-place='source:c.prompt']").press("Enter")
    page.locator("input[data-place='source:c.response'][data-base*=question]").wait_for()
    page.locator("input[data-place='source:c.response']").fill("answer")
    page.locator("input[data-place='source:c.response']").press("Enter")
    page.locator("input[data-place='source:name'][data-base*=answer]").wait_for()
    page.get_by_role("button", name="Register", exact=True).click()
    page.locator(".live-dataset h2", has_text="nothing-there").wait_for()
    assert ask("datasets_entry", "nothing-there") == {
        "ms_hub_url": "nobody-here/nothing-there",
        "columns": {"prompt": "question", "response": "answer"},
    }
    ask("datasets_remove", "nothing-there")


def test_rows_are_edited_added_deleted_and_put_back(ask, data):
    put(data, "edited.jsonl", PAIRS)
    ask("datasets_register", "edited.jsonl", "edited")
    ask("datasets_edit_row", "edited", 2, {"query": "x", "response": "y"}, PAIRS[1])
    assert "Row 2" in refusal(ask, "datasets_edit_row", "edited", 2, PAIRS[0], PAIRS[1])
    assert ask("datasets_add_row", "edited", {"query": "last", "response": "z"}) == {"row": 31}
    ask("datasets_delete_row", "edited", 1)
    assert [row["query"] for row in rows_of(ask, "edited")][:1] == ["x"]
    for more in (True, True, False):
        assert ask("datasets_undo", "edited") == {"undo": more}
    assert rows_of(ask, "edited") == PAIRS
    ask("datasets_remove", "edited", True)


def test_a_check_names_row_and_field_and_the_good_rows_are_kept(ask, data):
    put(
        data,
        "rough.jsonl",
        [{"instruction": "a?", "input": "", "output": "b"}, {"instruction": "c?", "input": "", "output": ""}],
    )
    with (data / "rough.jsonl").open("a") as file:
        file.write("not json\n")
    ask("datasets_register", "rough.jsonl", "rough")
    found = ask("datasets_check", "rough", lengths=False)
    assert (found["ok"], found["rows"], found["lengths"]) == (False, 3, None)
    assert {(one["row"], one["field"]) for one in found["problems"]} == {(2, "output"), (3, "")}
    assert all(is_sentence(one["message"]) and is_sentence(one["mend"]) for one in found["problems"])
    assert ask("datasets_keep_good", "rough", "rough_good") == {"name": "rough_good", "rows": 1}
    assert rows_of(ask, "rough_good") == [{"instruction": "a?", "input": "", "output": "b"}]
    for name in ("rough", "rough_good"):
        ask("datasets_remove", name, True)


@pytest.mark.parametrize(("more", "left_out"), [([{"query": "a?", "response": {"no": "text"}}], 1), ([], 0)])
def test_a_check_says_too_what_was_left_out_when_the_set_came_in(ask, data, more, left_out):
    put(data.parent, "partly.jsonl", [*PAIRS, *more])
    path = data.parent / "partly.jsonl"
    name = ask("datasets_bring_in", {"path": str(path), "name": "partly"})["name"]
    found = ask("datasets_check", name, lengths=False)
    assert (found["rows"], found["intake"]) == (len(PAIRS), ask("datasets_intake", name))
    assert (found["intake"]["left_out"], len(found["intake"]["problems"])) == (left_out, left_out)
    assert all(is_sentence(each) for each in found["intake"]["problems"])
    ask("datasets_remove", name, True)
    path.unlink()


def test_tokens_and_lengths_are_those_of_the_starter_model(ask):
    seen = ask("datasets_tokens", "multi_turn", 1, "SmolLM2-135M-Instruct", "chatml")
    text = "".join(token["text"] for token in seen["tokens"])
    assert text.startswith("<|im_start|>user\nI want to plant something")
    trained = "".join(token["text"] for token in seen["tokens"] if token["trained"])
    assert trained.startswith("Mint, parsley") and "balcony" not in trained
    assert len(ask("datasets_tokens", "preference", 1, "SmolLM2-135M-Instruct", "chatml")["sequences"]) == 2
    lengths = ask("datasets_lengths", "multi_turn", "SmolLM2-135M-Instruct", "chatml", 64)
    assert lengths["rows"] == 52 and sum(lengths["counts"]) == 52 and lengths["longest"] >= len(seen["tokens"]) > 64


def test_parts_hold_every_row_once_and_share_none(ask, data):
    made = ask("datasets_split", "sft_en_zh", "8:1:1")
    assert made["names"] == ["sft_en_zh_train", "sft_en_zh_eval", "sft_en_zh_test"]
    parts = [rows_of(ask, name) for name in made["names"]]
    whole = rows_of(ask, "sft_en_zh")
    assert sorted(map(json.dumps, whole)) == sorted(json.dumps(row) for part in parts for row in part)
    assert ask("datasets_leaks", "sft_en_zh_train", "sft_en_zh_test") == {"leaks": []}
    assert len(ask("datasets_leaks", "sft_en_zh", "sft_en_zh_test")["leaks"]) == len(parts[2])
    assert ask("datasets_mix", {"sft_en_zh_train": 2, "sft_en_zh_test": 1}, 30, "mixed")["rows"] == 30
    assert ask("datasets_sample", "sft_en_zh", 5, "five")["rows"] == 5
    assert "8:x" in refusal(ask, "datasets_split", "sft_en_zh", "8:x")
    for name in (*made["names"], "mixed", "five"):
        ask("datasets_remove", name, True)


# The page
# --------------------------------------------------------------------------------------------------


def rows_shown(page):
    return page.locator(".live-rows article.row")


def test_rows_are_drawn_as_conversations(page):
    page.locator(".item", has_text="tool_calls").click()
    page.locator(".live-dataset h2", has_text="tool_calls").wait_for()
    page.locator(".live-rows .turn.call").first.wait_for()
    assert page.locator(".live-rows .turn.call").first.inner_text().startswith("Tool call")
    assert '{"name"' not in rows_shown(page).first.inner_text()
    rows_shown(page).first.locator("details.raw summary").click()
    assert '"from": "human"' in rows_shown(page).first.locator("pre").inner_text()
    page.locator(".item", has_text="preference_chat").click()
    page.locator(".live-rows .pair .chosen").first.wait_for()
    chosen, rejected = (
        page.locator(f".live-rows .pair .{side}").first.bounding_box() for side in ("chosen", "rejected")
    )
    assert chosen["y"] == rejected["y"] and chosen["x"] < rejected["x"]


def test_search_and_jump_lead_to_rows(page):
    page.locator(".item", has_text="multi_turn").click()
    page.locator(".live-rows article.row", has_text="balcony").wait_for()
    page.locator("input[data-place='page:offset']").fill("33")
    page.locator("input[data-place='page:offset']").press("Enter")
    wait_for(lambda: rows_shown(page).count() and rows_shown(page).first.locator(".row-number").inner_text() == "33")
    page.locator("input[data-place='page:find']").fill("BALCONY")
    page.locator("input[data-place='page:find']").press("Enter")
    page.locator(".live-rows mark", has_text="balcony").first.wait_for()
    assert rows_shown(page).count() == 1


def test_a_row_is_edited_on_the_page_and_undone(page, ask):
    page.locator(".item", has_text="system_prompts").click()
    page.locator(".live-dataset h2", has_text="system_prompts").wait_for()
    rows_shown(page).first.wait_for()
    before = rows_of(ask, "system_prompts")
    rows_shown(page).first.hover()
    rows_shown(page).first.get_by_role("button", name="Edit").click()
    field = page.locator("textarea[name='at:output']")
    field.fill('A "new" answer\nof two lines')
    page.locator(".row-form button[type=submit]").click()
    page.locator(".live-rows article.row", has_text="of two lines").wait_for()
    assert rows_of(ask, "system_prompts")[0] == before[0] | {"output": 'A "new" answer\nof two lines'}
    page.get_by_role("button", name="Undo").click()
    wait_for(lambda: rows_of(ask, "system_prompts") == before)


@pytest.fixture
def four(ask, data):
    """Give a set of four rows, which is gone afterwards."""
    put(data, "four.jsonl", [{"query": f"q{row}", "response": f"a{row}"} for row in "ABCD"])
    name = ask("datasets_register", "four.jsonl", "four")["name"]
    yield name
    ask("datasets_remove", name, True)


def show(page, name: str) -> None:
    page.locator(f'[data-pick="dataset:{name}"]').click()
    page.locator(".live-dataset h2", has_text=name).wait_for()
    rows_shown(page).first.wait_for()


@pytest.mark.parametrize("gone", rest_slow(1, 4))
def test_what_was_typed_for_a_row_is_kept_and_goes_into_no_other(page, ask, four, gone):
    show(page, four)
    number = 3 if gone == 1 else 4
    rows_shown(page).nth(number - 1).hover()
    rows_shown(page).nth(number - 1).get_by_role("button", name="Edit").click()
    question, answer = (page.locator(f"textarea[name='at:{name}']") for name in ("query", "response"))
    question.fill("typed question")
    answer.fill("typed answer")
    ask("datasets_delete_row", four, gone)
    left = rows_of(ask, four)
    expect(page.locator(".row-form .problem")).to_contain_text("changed elsewhere")
    expect(question).to_have_value("typed question")
    expect(answer).to_have_value("typed answer")
    page.locator(".row-form button[type=submit]").click()
    expect(page.locator(".row-form .problem")).to_contain_text("row 4" if gone == 4 else "Row 3")
    assert rows_of(ask, four) == left
    page.locator(".row-form").get_by_role("button", name="Cancel").click()
    expect(page.locator(".row-form")).to_have_count(0)


def test_a_form_in_which_nothing_was_typed_follows_its_row(page, ask, four):
    show(page, four)
    rows_shown(page).nth(1).hover()
    rows_shown(page).nth(1).get_by_role("button", name="Edit").click()
    field = page.locator("textarea[name='at:query']")
    expect(field).to_have_value("qB")
    ask("datasets_delete_row", four, 1)
    expect(field).to_have_value("qC")


def test_the_row_that_is_deleted_is_the_one_that_was_asked_about(page, ask, four):
    show(page, four)
    page.evaluate("() => { window.studio.ask = () => new Promise((answer) => { window.agree = () => answer(''); }); }")
    rows_shown(page).nth(1).hover()
    rows_shown(page).nth(1).get_by_role("button", name="Delete").click()
    ask("datasets_delete_row", four, 1)
    expect(rows_shown(page)).to_have_count(3)
    page.evaluate("window.agree()")
    expect(page.locator(".toast", has_text="Row 2 of")).to_be_visible()
    assert [row["query"] for row in rows_of(ask, four)] == ["qB", "qC", "qD"]


def test_a_dropped_file_is_recognised_shown_and_registered_with_one_click(page, ask, tmp_path):
    path = tmp_path / "dropped.csv"
    path.write_bytes('问题,回答\n你好吗？,"很好，\n谢谢。"\n'.encode("gbk"))
    page.get_by_role("button", name="Add data").click()
    page.locator("#dataset-drop input[type=file]").set_input_files(str(path))
    page.locator(".live-source .turn.assistant", has_text="谢谢").wait_for()
    assert "question and answer pairs" in page.locator(".live-source .line").inner_text()
    page.get_by_role("button", name="Convert and register").click()
    page.locator(".live-dataset h2", has_text="dropped").wait_for()
    assert rows_of(ask, "dropped") == [{"instruction": "你好吗？", "input": "", "output": "很好，\n谢谢。"}]
    assert path.read_bytes().decode("gbk").startswith("问题")
    page.get_by_role("button", name="Add data").click()  # opens with nothing of the file of before
    expect(page.locator("#dataset-drop input[type=file]")).to_be_attached()
    expect(page.locator(".live-source .turn")).to_have_count(0)
    expect(page.locator(".live-source .hint")).to_be_visible()
    ask("datasets_remove", "dropped", True)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [("a.pdf", "%PDF-1.4", "a.pdf is not a data file"), ("a.jsonl", "{not json", "a.jsonl is not valid JSON at")],
)
def test_a_dropped_file_that_is_of_no_use_is_told_by_its_name(page, tmp_path, name, content, said):
    path = tmp_path / name
    path.write_text(content)
    page.get_by_role("button", name="Add data").click()
    page.locator("#dataset-drop input[type=file]").set_input_files(str(path))
    problem = page.locator(".live-source .problem")
    expect(problem).to_contain_text(said)
    assert "/" not in problem.inner_text().split(" is ")[0]
    expect(page.locator("#dataset-drop input[type=file]")).to_be_attached()


@pytest.fixture
def index(data):
    """Give the index of all sets, which is afterwards as it was."""
    file, before = data / "dataset_info.json", (data / "dataset_info.json").read_text()
    yield file
    file.write_text(before)


def bring_by_path(page, file: Path):
    """Bring a file in by its path, and return the field that it was entered in."""
    page.get_by_role("button", name="Add data").click()
    field = page.locator("input[data-place='source:path']")
    field.fill(str(file))
    field.press("Enter")
    page.get_by_role("button", name="Convert and register").click()
    return field


def test_a_form_stays_open_when_what_was_in_hand_is_gone(page, data, index):
    before = index.read_text()
    put(data, "gone.json", [{"instruction": "Why?", "output": "So."}])
    index.write_text(json.dumps(json.loads(before) | {"gone": {"file_name": "gone.json"}}))
    page.locator('[data-pick="dataset:gone"]').click()
    page.get_by_role("button", name="Add data").click()
    field = page.locator("input[data-place='source:path']")
    field.fill("half a pa")
    index.write_text(before)
    expect(page.locator('[data-pick="dataset:gone"]')).to_have_count(0)
    page.wait_for_timeout(500)
    expect(field).to_be_visible()
    expect(field).to_have_value("half a pa")


def test_a_new_set_is_brought_into_sight_in_a_long_list(page, studio, data, index):
    put(data, "many.json", [{"instruction": "Why?", "output": "So."}])
    many = {f"set_{number:02}": {"file_name": "many.json"} for number in range(40)}
    index.write_text(json.dumps(json.loads(index.read_text()) | many))
    put(studio.workspace, "zz_last.jsonl", [{"instruction": "Why?", "output": "So."}])
    bring_by_path(page, studio.workspace / "zz_last.jsonl")
    new, place = page.locator('.live-datasets .item[aria-current="true"]', has_text="zz_last"), "list => list.scrollTop"
    expect(new).to_be_in_viewport()
    assert page.locator(".live-datasets").evaluate(place) > 0 and page.evaluate("window.scrollY") == 0
    page.locator(".live-datasets").evaluate("list => { list.scrollTop = 0; }")
    page.wait_for_timeout(1500)  # a redraw leaves the list where the person scrolled it
    assert page.locator(".live-datasets").evaluate(place) == 0


def test_what_was_brought_in_by_its_path_is_out_of_hand(page, ask, studio):
    put(studio.workspace, "by_path.jsonl", [{"instruction": "Why?", "output": "So."}])
    path = bring_by_path(page, studio.workspace / "by_path.jsonl")
    page.locator(".live-dataset h2", has_text="by_path").wait_for()
    page.get_by_role("button", name="Add data").click()
    expect(path).to_have_value("")
    expect(page.locator(".live-source .turn")).to_have_count(0)
    ask("datasets_remove", "by_path", True)


def test_columns_are_chosen_with_the_result_in_sight(page, ask, studio):
    put(studio.workspace, "fragen.jsonl", [{"frage": "Warum?", "antwort": "Darum."}])
    page.get_by_role("button", name="Add data").click()
    page.locator("input[data-place='source:path']").fill(str(studio.workspace / "fragen.jsonl"))
    page.locator("input[data-place='source:path']").press("Enter")
    send = page.get_by_role("button", name="Convert and register")
    send.wait_for()
    assert send.is_disabled()
    page.locator("select[data-place='source:c.prompt']").select_option("frage")
    page.locator("select[data-place='source:c.prompt'] option[selected][value=frage]").wait_for(state="attached")
    page.locator("select[data-place='source:c.response']").select_option("antwort")
    page.locator(".live-source .turn.assistant", has_text="Darum.").wait_for()
    page.locator("input[data-place='source:path']").fill("/etc/hostname.json")
    page.locator("input[data-place='source:path']").press("Enter")
    page.locator(".live-source .problem", has_text="outside the workspace").wait_for()


def test_tabs_of_a_closer_look_answer(page):
    page.locator(".item", has_text="multi_turn").click()
    page.locator(".live-dataset h2", has_text="multi_turn").wait_for()
    page.locator('[data-pick="section:check"]').click()
    page.get_by_role("button", name="Check all rows").click()
    page.locator(".live-dataset-check .line b", has_text="52").wait_for()
    page.locator('[data-pick="section:tokens"]').click()
    page.locator(".tokens b", has_text="Mint").first.wait_for()
    assert page.locator(".tokens b").first.get_attribute("title").isdecimal()
    page.locator('[data-pick="section:entry"]').click()
    page.locator("textarea[name=entry]").wait_for()
    page.locator("textarea[name=entry]").fill("{broken")
    page.locator(".live-dataset-entry form").first.get_by_role("button", name="Save").click()
    page.locator(".live-dataset-entry .problem", has_text="not valid JSON").wait_for()


@pytest.mark.parametrize(("locale", "width"), rest_slow(("zh-CN", 390), ("en-US", 390), ("zh-CN", 1440)))
def test_the_tab_fits_narrow_and_wide_in_both_languages(browser, studio, locale, width):
    context = browser.new_context(viewport={"width": width, "height": 844}, locale=locale)
    page = context.new_page()
    page.goto(studio.url)
    page.locator("#room-datasets-button").wait_for(state="attached")
    page.wait_for_timeout(800)
    page.locator("#room-datasets-button").evaluate("button => button.click()")
    page.locator(".live-rows article.row").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if locale == "zh-CN":
        assert "数据集" in page.locator("#room-datasets-button").inner_text() and "浏览" in page.content()
    context.close()


def test_the_list_survives_a_broken_index_and_nothing_is_overwritten(page, ask, data):
    info = data / "dataset_info.json"
    kept = data.parent / "kept.json"
    shutil.copy(info, kept)
    info.write_text('{"a": ')
    page.locator(".live-datasets .problem", has_text="not valid JSON at line 1").wait_for()
    put(data.parent, "more.jsonl", PAIRS)
    assert "dataset_info.json" in refusal(ask, "datasets_register", str(data.parent / "more.jsonl"), "more")
    assert info.read_text() == '{"a": ' and not (data / "more.jsonl").exists()
    shutil.copy(kept, info)
    page.locator(".live-datasets .item").first.wait_for()
