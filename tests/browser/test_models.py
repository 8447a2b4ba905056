"""The Models tab as a person uses it, and its endpoints as a script does."""

import json
import re

import pytest
from api_client import Client
from asking import agree, refuse
from conftest import STARTER, is_sentence, wait_for
from gradio_client.exceptions import AppError
from hub import Hub, tiny_model
from playwright.sync_api import expect

from benchmarks.library import make_model
from studio.core import formatting
from studio.models.memory import fit
from studio.models.memory.model_shape import read_shape


@pytest.fixture(scope="module")
def client(server):
    return Client(server.url)


@pytest.fixture
def page(new_page, server):
    new_page.goto(server.url)
    new_page.get_by_role("tab", name="Models").click()
    yield new_page
    assert new_page.faults == []


def choose(page, name: str) -> None:
    page.locator(f'.live-models [data-pick="model:{name}"]').click()
    expect(page.locator(".live-model h2")).to_have_text(name)


def test_the_starter_model_is_shown_with_all_that_is_known_of_it(page):
    choose(page, STARTER.name)
    shown = page.locator(".live-model")
    expect(shown).to_contain_text("134,515,008")
    expect(shown).to_contain_text("apache-2.0")
    # LLaMA-Factory loads in the background; what needs it comes then by itself.
    expect(shown).to_contain_text("writes another prompt in 2 of 3 conversations")
    expect(shown.locator("mark").first).to_have_text(".")
    expect(page.locator(".live-model-fit .fit-row")).to_have_count(6)
    expect(page.locator(".live-model-fit .fit-row.fits").first).to_contain_text("Inference")
    page.locator("#inside-layers > summary").click()
    page.locator("#inside-layers .row-search").fill("k_proj")
    expect(page.locator("#inside-layers tbody tr:not(.layer):visible")).to_have_count(1)
    page.locator("#inside-config > summary").click()
    expect(page.locator("#inside-config")).to_contain_text("How many layers a token passes")
    page.wait_for_timeout(2500)  # regions are drawn anew each second; what was opened stays open
    expect(page.locator("#inside-config")).to_have_attribute("open", "")


def test_the_bars_follow_what_is_set_and_a_wrong_number_is_told(page, client):
    choose(page, STARTER.name)
    lora = page.locator(".live-model-fit .fit-row", has=page.get_by_text("LoRA", exact=True)).locator(".num")
    expect(lora).to_have_text(re.compile("GiB"))
    before = lora.inner_text()
    for setting, value in (("batch", "8"), ("seq", "2048"), ("rank", "64")):
        field = page.locator(f'[data-place="fit:{setting}"]')
        field.fill(value)
        field.press("Enter")
        expect(field).to_have_value(value)
        expect(lora).not_to_have_text(before)
        before = lora.inner_text()
    device = "cuda" if client.predict(api_name="/monitor")["gpus"] else "cpu"
    needed = fit.estimate(read_shape(STARTER), fit.Plan(device=device, batch=8, seq=2048, rank=64)).total
    expect(lora).to_have_text(formatting.gib(needed))
    page.locator('[data-place="fit:rank"]').fill("0")
    page.locator('[data-place="fit:rank"]').press("Enter")
    expect(page.locator(".live-model-fit .problem")).to_have_text(
        "LoRA rank “0” is no whole number from 1 to 1,024; change it in its field above the bars."
    )
    assert page.locator('[data-place="fit:batch"]').input_value() == "8"


def test_search_narrows_the_list_and_loses_nothing(page, server):
    make_model(server.workspace / "models" / "search-me", hidden=256)
    choose(page, STARTER.name)
    page.locator(".list-search:visible").fill("search nothing")
    expect(page.locator(".live-models .item")).to_have_count(0)
    page.locator(".list-search:visible").fill("search-me")
    expect(page.locator(".live-models .item")).to_have_count(1)
    expect(page.locator(".live-model h2")).to_have_text(STARTER.name)


def test_rename_and_delete_by_the_page(page, server):
    make_model(server.workspace / "models" / "first-name", hidden=256)
    choose(page, "first-name")
    page.locator("#rename > summary").click()
    page.locator('#rename input[name="new"]').fill("../out")
    page.locator("#rename button").click()
    expect(page.locator("#rename [role=alert]")).to_contain_text("cannot be used as a name")
    page.locator('#rename input[name="new"]').fill("second-name")
    page.locator("#rename button").click()
    expect(page.locator(".live-model h2")).to_have_text("second-name")
    page.get_by_role("button", name="Delete").click()
    asked = refuse(page)
    assert "to the trash" in asked and ("kB on the disk" in asked or "MB on the disk" in asked)
    assert (server.workspace / "models" / "second-name").exists()
    page.get_by_role("button", name="Delete").click()
    agree(page)
    wait_for(lambda: not (server.workspace / "models" / "second-name").exists())
    expect(page.locator('[data-pick="model:second-name"]')).to_have_count(0)


def test_the_catalogue_and_the_form_that_it_fills(page):
    page.locator('.views [data-pick="models:catalogue"]').click()
    page.locator(".list-search:visible").fill("qwen2.5 7b")
    entry = page.locator('.live-catalogue [data-pick="entry:Qwen2.5-7B-Instruct"]')
    entry.click()
    expect(page.locator(".live-entry h2")).to_have_text("Qwen2.5-7B-Instruct")
    expect(page.locator(".live-entry")).to_contain_text("Qwen/Qwen2.5-7B-Instruct")
    expect(page.locator(".live-entry .marks li")).to_have_count(3)
    page.get_by_role("button", name="More settings").click()
    expect(page.locator('#get-form input[name="repo"]')).to_have_value("Qwen/Qwen2.5-7B-Instruct")


def test_a_wrong_address_is_told_in_the_form_and_stays_there(page):
    page.locator('.views [data-pick="models:get"]').click()
    form = page.locator("#get-form")
    form.locator('input[name="repo"]').fill("no address")
    form.locator("button[type=submit]").click()
    expect(form.locator("[role=alert]")).to_contain_text("is no address of a model")
    expect(form.locator('input[name="repo"]')).to_have_value("no address")
    assert form.locator('input[name="options.token"]').get_attribute("type") == "password"


def test_a_download_comes_and_a_gated_one_asks_for_a_token(page, server):
    page.locator('.views [data-pick="models:get"]').click()
    form = page.locator("#get-form")
    form.locator("summary").click()
    with Hub(
        models={"lab/open-model": tiny_model(1, 200_000), "lab/shut-model": tiny_model(2, 200_000)},
        tokens={"lab/shut-model": "secret-word"},
    ) as hub:
        for repo in ("lab/open-model", "lab/shut-model"):
            form.locator("select").select_option("huggingface")
            form.locator('input[name="repo"]').fill(repo)
            form.locator('input[name="options.endpoint"]').fill(hub.url)
            form.locator("button[type=submit]").click()
            expect(form.locator('input[name="repo"]')).to_have_value("")
        coming = page.locator(".coming")
        expect(coming.filter(has_text="open-model")).to_contain_text("sizes and hashes as the hub lists them")
        shut = coming.filter(has_text="shut-model")
        expect(shut.locator(".problem").first).to_contain_text("only to those who accepted its terms")
        shut.locator('input[name="token"]').fill("secret-word")
        shut.locator("form button").click()
        expect(shut).to_contain_text("sizes and hashes as the hub lists them")
    assert "secret-word" not in server.log.read_text() + "".join(
        path.read_text() for path in (server.workspace / "saves" / ".jobs").glob("*.json")
    )
    coming.filter(has_text="open-model").locator("b").click()
    expect(page.locator(".live-model h2")).to_have_text("open-model")


def test_a_folder_of_ones_own_is_added_by_the_page(page, tmp_path):
    make_model(tmp_path / "elsewhere" / "far-away", hidden=256)
    page.locator('.views [data-pick="models:get"]').click()
    form = page.locator('form[data-submit="models_add_folder"]')
    form.locator("input").fill(str(tmp_path / "nothing"))
    form.locator("button").click()
    expect(form.locator("[role=alert]")).to_contain_text("is no folder on the studio's machine")
    form.locator("input").fill(str(tmp_path / "elsewhere"))
    form.locator("button").click()
    choose(page, "far-away")
    page.locator(".places button").first.click()
    agree(page)
    expect(page.locator('[data-pick="model:far-away"]')).to_have_count(0)


def test_train_opens_the_form_with_the_model_in_it(page, server):
    make_model(server.workspace / "models" / "to-train", hidden=256)
    choose(page, "to-train")
    page.locator(".live-model").get_by_role("button", name="Train").click()
    expect(page.locator("#train-model_name_or_path input")).to_have_value("to-train")
    page.get_by_role("tab", name="Models").click()
    page.locator(".live-model").get_by_role("button", name="Chat").click()
    expect(page.locator("#chat-who")).to_contain_text("to-train")


def test_say_hello_and_the_memory_comes_back(page, client):
    choose(page, STARTER.name)
    page.get_by_role("button", name="Load and ask").click()
    expect(page.locator(".live-hello .answered")).to_be_visible(timeout=150_000)
    expect(page.locator(".live-hello")).to_contain_text("after unloading")
    said = client.predict(STARTER.name, "Hello", api_name="/models_hello")
    # The weights are 269 MB; what a first use leaves behind was there before this second hello.
    assert said["answer"] and said["loaded"] - said["before"] > 150e6 and said["after"] - said["before"] < 60e6
    assert client.predict(api_name="/chat_unload")["speakers"] == []


def test_the_page_in_chinese_and_on_a_telephone(browser, server):
    page = browser.new_context(viewport={"width": 390, "height": 800}, locale="zh-CN").new_page()
    page.goto(server.url)
    page.get_by_role("tab", name="模型").click()
    choose(page, STARTER.name)
    expect(page.locator(".live-model")).to_contain_text("上下文长度")
    for view in ("catalogue", "get", "disk"):
        page.locator(f'.views [data-pick="models:{view}"]').click()
        page.wait_for_timeout(1200)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth + 1"), view
    page.context.close()


def test_the_list_and_the_inside_of_a_model_by_the_api(client):
    listed = {model["name"]: model for model in client.predict(api_name="/models_list")}
    assert {"folder", "params", "dtype", "template", "size_bytes"} <= listed[STARTER.name].keys()
    seen = client.predict(STARTER.name, api_name="/models_inspect")
    assert seen["params"] == 134_515_008 and seen["context"] == 8192 and seen["template"] == "smollm2"
    assert seen["config"]["num_hidden_layers"] == 30 and len(seen["template_differences"]) == 2
    assert {"method", "bits", "bytes", "fits"} <= seen["memory"][0].keys() and {
        row["method"] for row in seen["memory"]
    } >= {"lora", "full", "inference"}
    assert json.dumps(seen)
    entries = client.predict("SmolLM2-135M-Instruct", 5, api_name="/models_catalogue")
    assert entries[0]["on_disk"] == STARTER.name


@pytest.mark.parametrize(
    ("endpoint", "arguments"),
    [
        ("/models_inspect", ["nothing"]),
        ("/models_inspect", [".."]),
        ("/models_rename", ["nothing", "x"]),
        ("/models_rename", [STARTER.name, "a/b"]),
        ("/models_delete", ["../models"]),
        ("/models_import", ["/etc/passwd", ""]),
        ("/models_add_folder", ["/etc/passwd"]),
        ("/models_remove_folder", ["/nowhere"]),
        ("/models_trust", ["nothing", True]),
        ("/models_download", ["elsewhere", "a/b", "", {}]),
        ("/models_download", ["modelscope", "../..", "", {}]),
        ("/models_download", ["modelscope", "a/b", "", {"speed": "9"}]),
        ("/models_download", ["huggingface", f"x/{STARTER.name}", "", {}]),
        ("/models_hello", ["nothing", ""]),
        ("/models_pause", ["nothing"]),
        ("/job_status", ["nothing"]),
        ("/job_cancel", ["nothing"]),
    ],
)
def test_wrong_calls_are_told_in_one_sentence(client, endpoint, arguments):
    with pytest.raises(AppError) as told:
        client.predict(*arguments, api_name=endpoint)
    assert is_sentence(str(told.value)) and not re.search(r"Error:|Errno", str(told.value)), told.value


def test_a_model_in_the_chat_is_not_deleted(client, server):
    client.predict(STARTER.name, [], None, api_name="/chat_load")
    for endpoint, arguments in (("/models_delete", [STARTER.name]), ("/models_rename", [STARTER.name, "other"])):
        with pytest.raises(AppError, match="loaded in the chat"):
            client.predict(*arguments, api_name=endpoint)
    assert (server.workspace / "models" / STARTER.name / "config.json").exists()
    client.predict(api_name="/chat_unload")
